//! Speed of attention over pages of f16, per second of one thread's processor time.
//!
//! `attention [ROW] [K QUERIES PAGES [MB]]`: queries share a key/value head of width K, see PAGES
//! pages each; the heads are as many as make so many MB, else 96.

use std::time::{Duration, Instant};

use rushlight_kernels::{Attend, AttendState, PAGE, Page, Row, Scratch, Span, Visit, f16, rows};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let text = |i: usize| args.get(i).map(String::as_str).filter(|arg| *arg != "-");
    let number = |i: usize| text(i).map(|arg| arg.parse().expect("a number"));
    let shapes = match (number(1), number(2), number(3)) {
        (Some(k), Some(queries), Some(pages)) => vec![(k, queries, pages)],
        _ => vec![(64, 1, 64), (64, 3, 64), (64, 4, 64), (128, 2, 64), (64, 63, 64), (128, 64, 64)],
    };
    let bytes = number(4).map_or(96, |mb| mb) * 1_000_000;
    for (k, queries, pages) in shapes {
        for row in rows()
            .iter()
            .filter(|row| text(0).map_or(row.name() != "scalar", |name| name == row.name()))
        {
            bench(row, (k, queries, pages), bytes);
        }
    }
}

fn bench(row: &Row, (k, queries, pages): (usize, usize, usize), bytes: usize) {
    let size = 2 * k * PAGE;
    let heads = (bytes / 2 / (size * pages)).max(1);
    let data = vec![f16::from_f32(0.125); heads * pages * size];
    let q: Vec<f32> = (0..queries * k).map(|i| (i % 13) as f32 / 13.0 - 0.5).collect();
    let spans = vec![Span { start: 0, end: PAGE }; queries];
    let shape = Attend { k, scale: 0.125, softcap: None };
    let (mut scratch, mut state) = (Scratch::default(), AttendState::default());
    let mut out = vec![0.0; queries * k];
    let (start, cpu, mut times) = (Instant::now(), processor_seconds(), 0);
    while times < 2 || start.elapsed() < Duration::from_millis(600) {
        for head in data.chunks_exact(pages * size) {
            state.reset(queries, k);
            let page = |i: usize| {
                let (keys, values) = head[i * size..][..size].split_at(size / 2);
                Page::F16 { keys, values }
            };
            for i in 0..pages {
                let next = (i + 1 < pages).then(|| page(i + 1));
                let visit = Visit { page: page(i), next };
                row.attend_page(&shape, &q, &spans, visit, &mut scratch, &mut state);
            }
            state.finish(&mut out);
        }
        times += 1;
    }
    let each = (processor_seconds() - cpu) / f64::from(times);
    let bytes = data.len() * 2;
    println!(
        "{:8} width {k:3}, {queries:2} queries, {pages:3} pages: {:6.2} GB/s {:6.1} GMAC/s {:8.1} ns a page",
        row.name(),
        bytes as f64 / each / 1e9,
        (data.len() * queries) as f64 / each / 1e9,
        each / (heads * pages) as f64 * 1e9,
    );
}

/// Time that this thread has run: unlike the clock's, hardly changed by other processes.
fn processor_seconds() -> f64 {
    // The first number is nanoseconds (`Documentation/scheduler/sched-stats.rst` in Linux).
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    let number = text.split(' ').next().and_then(|number| number.parse::<f64>().ok());
    number.expect("a number") / 1e9
}
