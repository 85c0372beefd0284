//! Speed of products on one thread, the best of many runs, for every format and row.
//!
//! `matmul [ROW] [FORMAT] [ROWS N TOKENS] [FIRST SECOND]`, each may be `-`: weights' GB/s for few
//! tokens, GMAC/s for many; the last two are KiB of caches that kernels are to count on in place of
//! the machine's.

use std::time::{Duration, Instant};

use rushlight_host::Topology;
use rushlight_host::probe::Tree;
use rushlight_host::probe::cpu::CoreCaches;
use rushlight_kernels::{
    Caches, Columns, Format, Int16Rows, PANEL_ROWS, QuantizedRows, Row, Scratch, pack_panels, rows,
};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let text = |i: usize| args.get(i).map(String::as_str).filter(|arg| *arg != "-");
    let number = |i: usize| text(i).map(|arg| arg.parse().expect("a number"));
    let shapes = match (number(2), number(3), number(4)) {
        (Some(rows), Some(n), Some(tokens)) => vec![(rows, n, tokens)],
        _ => vec![
            (576, 576, 1),
            (49152, 576, 1),
            (2048, 8192, 1),
            (2048, 8192, 4),
            (576, 1536, 512),
            (2048, 8192, 512),
        ],
    };
    let caches = caches([number(5), number(6)]);
    let format_wanted = |f: &Format| text(1).is_none_or(|name| name == f.to_string());
    for &(rows_, n, tokens) in &shapes {
        for row in rows()
            .iter()
            .filter(|row| text(0).map_or(row.name() != "scalar", |name| name == row.name()))
        {
            for format in Format::ALL.into_iter().filter(format_wanted) {
                let shape = (rows_, n, tokens);
                let mut scratch = Scratch::new(caches);
                bench(row, format, shape, By::Rows, &mut scratch);
                if row.takes_panels(format, n) {
                    bench(row, format, shape, By::Panels, &mut scratch);
                }
                if row.takes_int16(format, n) && tokens > 1 {
                    bench(row, format, shape, By::Int16, &mut scratch);
                }
            }
        }
    }
}

/// How weights are multiplied.
#[derive(Clone, Copy, PartialEq)]
enum By {
    Rows,
    Panels,
    Int16,
}

/// So many KiB, else what the fastest core has.
fn caches(kib: [Option<usize>; 2]) -> Caches {
    let tree = Tree::this_machine();
    let told = CoreCaches::read(&tree, &Topology::read(tree.root()).cores[0]);
    let or = |kib: Option<usize>, told: Option<u64>| {
        kib.map(|kib| kib << 10).or(told.map(|bytes| bytes as usize))
    };
    Caches {
        first_bytes: or(kib[0], told.first_bytes),
        second_bytes: or(kib[1], told.second_bytes),
    }
}

fn bench(
    row: &Row,
    format: Format,
    (rows, n, tokens): (usize, usize, usize),
    by: By,
    scratch: &mut Scratch,
) {
    let Some(row_bytes) = format.row_bytes(n) else { return };
    // 0x2c2c is about 1/16 as f16; every byte pattern is a valid block.
    let mut weights = vec![0x2c; rows * row_bytes];
    if by == By::Panels {
        let panel_bytes = format.panel_bytes(n).expect("a format with panels");
        let mut packed = vec![0; rows.div_ceil(PANEL_ROWS) * panel_bytes];
        let start = Instant::now();
        pack_panels(format, n, &weights, &mut packed);
        let rate = weights.len() as f64 / start.elapsed().as_secs_f64() / 1e9;
        print!("[packed at {rate:.2} GB/s] ");
        weights = packed;
    }
    let x: Vec<f32> = (0..tokens * n).map(|i| (i % 17) as f32 - 8.0).collect();
    let mut q = QuantizedRows::default();
    if format.is_quantized() {
        q.resize(tokens, n, &[]);
        q.fill(row, &x);
    }
    let mut int16 = Int16Rows::default();
    if by == By::Int16 {
        int16.tiles_mut(&x, n).for_each(|tile| row.pack_int16(tile));
    }
    let mut out = vec![0.0; tokens * rows];
    let (start, mut times, mut each) = (Instant::now(), 0, f64::INFINITY);
    while times < 3 || start.elapsed() < Duration::from_millis(400) {
        let begin = Instant::now();
        let out = &mut Columns::new(&mut out, rows);
        match by {
            By::Panels => row.matmul_panels(format, &weights, &q, scratch, out),
            By::Int16 => row.matmul_int16(format, &weights, &int16, scratch, out),
            By::Rows if format.is_quantized() => {
                row.matmul(format, &weights, &q, scratch, out);
            }
            By::Rows => row.matmul_float(format, &weights, &x, scratch, out),
        }
        times += 1;
        each = each.min(begin.elapsed().as_secs_f64());
    }
    println!(
        "{:8} {}{:8} ({rows:5}, {n:5}) x {tokens:3}: {:7.2} GB/s {:8.1} GMAC/s {:10.1} us",
        row.name(),
        match by {
            By::Rows => "",
            By::Panels => "panels of ",
            By::Int16 => "int16 of ",
        },
        format.to_string(),
        weights.len() as f64 / each / 1e9,
        (rows * n * tokens) as f64 / each / 1e9,
        each * 1e6,
    );
}
