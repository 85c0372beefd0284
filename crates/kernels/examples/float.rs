//! Times the float operations of every row: `cargo run --release --example float`.

use std::hint::black_box;
use std::time::{Duration, Instant};

use rushlight_kernels::{
    Attend, AttendState, PAGE, Page, PageMut, Pairing, Row, Scratch, Span, f16, rows,
};

/// The least time of one call over a tenth of a second.
fn time(mut f: impl FnMut()) -> Duration {
    let start = Instant::now();
    let mut least = Duration::MAX;
    while start.elapsed() < Duration::from_millis(100) {
        let calls = 8;
        let begin = Instant::now();
        (0..calls).for_each(|_| f());
        least = least.min(begin.elapsed() / calls);
    }
    least
}

fn elements(row: &Row, n: usize) {
    let wave: Vec<f32> = (0..n).map(|i| (i as f32 * 0.37).sin() * 4.0).collect();
    let (mut x, y) = (wave.clone(), wave.clone());
    let mut halves = vec![f16::ZERO; n];
    let (cos, sin) = (vec![0.8; n / 2], vec![0.6; n / 2]);
    let line = |name: &str, least: Duration| {
        println!("  {name:14} {:8.3} ns per element", least.as_secs_f64() * 1e9 / n as f64);
    };
    line("rms_norm", time(|| row.rms_norm(&y, Some(&wave), 1e-5, black_box(&mut x))));
    line(
        "layer_norm",
        time(|| row.layer_norm(&y, Some(&wave), Some(&wave), 1e-5, black_box(&mut x))),
    );
    for pairing in [Pairing::Adjacent, Pairing::Halves] {
        let name = format!("rope {pairing:?}");
        line(&name, time(|| row.rope(pairing, black_box(&mut x), &cos, &sin)));
    }
    type Gated = fn(&Row, &mut [f32], &[f32]);
    let gated: [(&str, Gated); 4] = [
        ("silu_mul", Row::silu_mul),
        ("gelu_mul", Row::gelu_mul),
        ("gelu_tanh_mul", Row::gelu_tanh_mul),
        ("add", Row::add),
    ];
    for (name, f) in gated {
        let least = time(|| {
            x.copy_from_slice(&y);
            f(row, black_box(&mut x), &y);
        });
        line(name, least);
    }
    let least = time(|| {
        x.copy_from_slice(&y);
        row.softmax(black_box(&mut x));
    });
    line("softmax", least);
    line("dot", time(|| _ = black_box(row.dot(black_box(&wave), &y))));
    line("to_f16", time(|| row.to_f16(&y, black_box(&mut halves))));
    line("from_f16", time(|| row.from_f16(&halves, black_box(&mut x))));
}

/// Pages of one head, as one sequence has them.
struct Pages {
    k: usize,
    halves: Vec<f16>,
    bytes: Vec<i8>,
    scales: Vec<f16>,
}

impl Pages {
    fn new(k: usize, count: usize) -> Self {
        let (n, scales) = (k * PAGE * 2 * count, k.div_ceil(32) * PAGE * 2 * count);
        Self { k, halves: vec![f16::ONE; n], bytes: vec![3; n], scales: vec![f16::ONE; scales] }
    }

    fn f16(&self) -> Vec<Page<'_>> {
        let half = self.k * PAGE;
        self.halves
            .chunks_exact(2 * half)
            .map(|x| Page::F16 { keys: &x[..half], values: &x[half..] })
            .collect()
    }

    fn q8(&self) -> Vec<Page<'_>> {
        let (half, groups) = (self.k * PAGE, self.k.div_ceil(32) * PAGE);
        self.bytes
            .chunks_exact(2 * half)
            .zip(self.scales.chunks_exact(2 * groups))
            .map(|(x, scales)| Page::Q8 {
                keys: &x[..half],
                key_scales: &scales[..groups],
                values: &x[half..],
                value_scales: &scales[groups..],
            })
            .collect()
    }
}

fn attention(row: &Row, k: usize, nq: usize, positions: usize) {
    let pages = Pages::new(k, positions.div_ceil(PAGE));
    let shape = Attend { k, scale: 1.0 / (k as f32).sqrt(), softcap: None };
    let queries = vec![0.1; nq * k];
    let (mut scratch, mut state, mut out) =
        (Scratch::default(), AttendState::default(), vec![0.0; nq * k]);
    for (kind, pages, bytes) in [("f16", pages.f16(), 4.0), ("q8", pages.q8(), 2.0 * 34.0 / 32.0)] {
        let spans = vec![Span { start: 0, end: PAGE }; nq];
        let least = time(|| {
            state.reset(nq, k);
            for page in &pages {
                row.attend_page(&shape, &queries, &spans, (*page).into(), &mut scratch, &mut state);
            }
            state.finish(black_box(&mut out));
        });
        let done = (pages.len() * PAGE * k) as f64 / least.as_secs_f64() / 1e9;
        println!(
            "  attention {kind:3} k={k:3} nq={nq:2} {positions:5} positions: {:7.1} GFLOP/s, \
             {:6.1} GB/s of pages",
            done * 4.0 * nq as f64,
            done * bytes,
        );
    }
}

fn store(row: &Row, k: usize) {
    let (mut keys, mut values) = (vec![f16::ZERO; k * PAGE], vec![f16::ZERO; k * PAGE]);
    let x = vec![0.1; k];
    let least = time(|| {
        let mut page = PageMut::F16 { keys: &mut keys, values: &mut values };
        (0..PAGE).for_each(|slot| row.store(&mut page, slot, black_box(&x), &x));
    });
    println!("  store f16 k={k:3}: {:.1} ns per position", least.as_secs_f64() * 1e9 / PAGE as f64);
}

fn main() {
    let quick = std::env::args().any(|argument| argument == "--vectors");
    for row in rows().iter().filter(|row| !quick || row.name() != "scalar") {
        println!("{}", row.name());
        elements(row, 1536);
        for k in [64, 128] {
            for nq in [1, 3, 4, 6, 8, 12, 48, 192] {
                attention(row, k, nq, 1024);
            }
            attention(row, k, 3, 65536);
        }
        store(row, 64);
    }
}
