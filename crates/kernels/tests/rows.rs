//! Every row that this processor has against the scalar row.

use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use rushlight_kernels::{
    Caches, Columns, Format, Int16Rows, PANEL_ROWS, QuantizedRows, Row, Scratch, by_name,
    pack_panels, quantize_row, rows,
};

/// A linear congruential generator (Knuth, MMIX).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u32 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as u32
    }

    fn below(&mut self, end: usize) -> usize {
        self.next() as usize % end
    }

    /// In -1..1.
    fn float(&mut self) -> f32 {
        self.next() as f32 / (1u64 << 30) as f32 - 1.0
    }
}

fn scalar() -> &'static Row {
    by_name("scalar").expect("runs everywhere")
}

fn quantized() -> impl Iterator<Item = Format> {
    Format::ALL.into_iter().filter(|format| format.is_quantized())
}

fn largest(values: &[f32]) -> f32 {
    values.iter().fold(0.0, |max, v| max.max(v.abs()))
}

/// Blocks of random bytes whose values are of the same magnitude, so that none hides the others.
fn blocks(format: Format, random: &mut Random) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let mut values = vec![0.0; format.block_len()];
    while found.len() < 24 {
        let block: Vec<u8> = (0..format.block_bytes()).map(|_| random.next() as u8).collect();
        scalar().dequantize(format, &block, &mut values);
        if (0.25..16.0).contains(&largest(&values)) && values.iter().all(|v| v.is_finite()) {
            found.push(block);
        }
    }
    found
}

fn matrix(
    format: Format,
    rows: usize,
    n: usize,
    blocks: &[Vec<u8>],
    random: &mut Random,
) -> Vec<u8> {
    (0..rows * n / format.block_len())
        .flat_map(|_| blocks[random.below(blocks.len())].iter().copied())
        .collect()
}

/// What products of other shapes and kernels have left behind, which must not matter.
fn scratch() -> MutexGuard<'static, Scratch> {
    static SCRATCH: LazyLock<Mutex<Scratch>> = LazyLock::new(Mutex::default);
    SCRATCH.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is wrong with the rows' products: their error's bound is `1e-5 * max|w| * sum|x|`.
fn compare(format: Format, shape: (usize, usize, usize), weights: &[u8], x: &[f32]) -> Vec<String> {
    let late: Vec<usize> = (shape.2 / 2..shape.2).collect();
    let mut wrong = compare_fine(format, shape, weights, x, &[]);
    if format.is_quantized() {
        wrong.extend(compare_fine(format, shape, weights, x, &late));
    }
    wrong.extend(compare_int16(format, shape, weights, x));
    wrong
}

/// As [`compare`], some tokens being fine.
fn compare_fine(
    format: Format,
    (height, n, tokens): (usize, usize, usize),
    weights: &[u8],
    x: &[f32],
    fine: &[usize],
) -> Vec<String> {
    // One more column on either side, to see that a kernel stays within its own.
    let width = height + 2;
    let panels = format.panel_bytes(n).map(|bytes| {
        let mut panels = vec![0xa5; height.div_ceil(PANEL_ROWS) * bytes];
        pack_panels(format, n, weights, &mut panels);
        panels
    });
    let products = |row: &Row, panels: Option<&[u8]>| {
        let mut out = vec![7.0; tokens * width];
        let (_, columns) = Columns::new(&mut out, width).split_at(1);
        let (mut columns, _) = columns.split_at(height);
        let scratch = &mut *scratch();
        if format.is_quantized() {
            let mut q = QuantizedRows::default();
            q.resize(tokens, n, fine);
            q.fill(row, x);
            match panels {
                Some(panels) => row.matmul_panels(format, panels, &q, scratch, &mut columns),
                None => row.matmul(format, weights, &q, scratch, &mut columns),
            }
        } else {
            row.matmul_float(format, weights, x, scratch, &mut columns);
        }
        out
    };
    let mut values = vec![0.0; height * n];
    scalar().dequantize(format, weights, &mut values);
    let largest = largest(&values);
    let want = products(scalar(), None);
    let first_wrong = |(row, panels): (&Row, Option<&[u8]>)| {
        let got = products(row, panels);
        let what = if panels.is_some() { "panels of " } else { "" };
        for t in 0..tokens {
            let sum: f32 = x[t * n..][..n].iter().map(|x| x.abs()).sum();
            let bound = 1e-5 * largest * sum;
            for r in 0..width {
                let (got, want) = (got[t * width + r], want[t * width + r]);
                let edge = r == 0 || r == width - 1;
                let close = (got - want).abs() <= if edge { 0.0 } else { bound };
                let close = close || (got.is_nan() && want.is_nan());
                if !close {
                    return Some(format!(
                        "{} {what}{format} ({height}, {n}) by {tokens} tokens, {fine:?} fine: [{t}, {r} - 1] is {got}, not {want} within {bound}",
                        row.name()
                    ));
                }
            }
        }
        None
    };
    let by_panels = rows().iter().filter(|row| row.takes_panels(format, n));
    let by_panels = by_panels.map(|row| (*row, panels.as_deref()));
    rows().iter().skip(1).map(|row| (*row, None)).chain(by_panels).filter_map(first_wrong).collect()
}

/// Products by 16-bit integers against those by floats, within the bound of their documentation.
fn compare_int16(
    format: Format,
    (height, n, tokens): (usize, usize, usize),
    weights: &[u8],
    x: &[f32],
) -> Option<String> {
    let mut values = vec![0.0; height * n];
    scalar().dequantize(format, weights, &mut values);
    let width = height + 2;
    for row in rows().iter().filter(|row| row.takes_int16(format, n)) {
        let mut out = vec![7.0; tokens * width];
        let (_, columns) = Columns::new(&mut out, width).split_at(1);
        let (mut columns, _) = columns.split_at(height);
        let mut rounded = Int16Rows::default();
        rounded.tiles_mut(x, n).for_each(|tile| row.pack_int16(tile));
        row.matmul_int16(format, weights, &rounded, &mut scratch(), &mut columns);
        for (out, x) in out.chunks_exact(width).zip(x.chunks_exact(n)) {
            let found = out[1..=height].iter().zip(values.chunks_exact(n));
            let edges = (out[0], out[width - 1]) == (7.0, 7.0);
            for (r, (&got, w)) in found.enumerate() {
                let (want, bound) = product_by_int16(x, w);
                let close = (f64::from(got) - want).abs() <= bound;
                if !edges || !(close || (got.is_nan() && want.is_nan())) {
                    return Some(format!(
                        "{} int16 of {format} ({height}, {n}) by {tokens} tokens: {r} is {got}, not {want} within {bound}; edges kept: {edges}",
                        row.name()
                    ));
                }
            }
        }
    }
    None
}

/// `x . w` and how far from it a product by 16-bit integers may be.
fn product_by_int16(x: &[f32], w: &[f32]) -> (f64, f64) {
    let (mut product, mut bound) = (0.0, 0.0);
    for (x, w) in x.chunks(32).zip(w.chunks(32)) {
        let sum = |v: &[f32]| v.iter().map(|v| f64::from(v.abs())).sum::<f64>();
        let (sum_x, sum_w) = (sum(x), sum(w));
        product += x.iter().zip(w).map(|(x, w)| f64::from(*x) * f64::from(*w)).sum::<f64>();
        bound += f64::from(largest(x)) * sum_w + f64::from(largest(w)) * sum_x;
    }
    (product, bound / 16382.0 * 1.001 + 1e-30)
}

/// Emulators run these tests too, and one that lacks an instruction set would pass without it.
#[test]
fn demanded_rows_are_there() {
    let Ok(demanded) = std::env::var("RUSHLIGHT_TEST_ROWS") else { return };
    let found: Vec<&str> = rows().iter().map(|row| row.name()).collect();
    assert_eq!(found, demanded.split(' ').collect::<Vec<_>>());
}

fn fail_if_any(failures: &[String]) {
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

/// Lengths that are one block, several, and not a whole number of 64 or 256 values.
fn lengths(format: Format) -> &'static [usize] {
    match format.block_len() {
        1 => &[3, 63, 33, 1, 16, 40, 100, 576],
        128 | 256 => &[256, 768, 1536],
        64 => &[64, 192, 576],
        _ => &[32, 96, 448, 576, 1440],
    }
}

#[test]
fn matmul_agrees_at_odd_sizes() {
    let mut random = Random(1);
    let mut failures = Vec::new();
    for format in Format::ALL {
        let pool = if format.is_quantized() {
            blocks(format, &mut random)
        } else {
            float_values(format, &mut random)
        };
        let mut sizes = Vec::new();
        for rows in [1, 3, 15, 16, 17, 33] {
            sizes.extend(lengths(format).iter().map(|&n| (rows, n, 1 + rows % 5)));
        }
        for tokens in [1, 2, 3, 5, 6, 7, 8, 13, 16, 17, 33, 100] {
            sizes.extend(lengths(format).iter().take(3).map(|&n| (17, n, tokens)));
        }
        // Panels enough that two or four are read by turns, with one or two tiles of tokens, or that tiles
        // meet four of them before the next.
        for (height, tokens) in [(64, 1), (65, 2), (80, 5), (81, 8), (150, 3), (150, 20)] {
            sizes.extend(lengths(format).iter().take(2).map(|&n| (height, n, tokens)));
        }
        for (height, n, tokens) in sizes {
            let weights = matrix(format, height, n, &pool, &mut random);
            let x: Vec<f32> = (0..tokens * n).map(|_| random.float()).collect();
            failures.extend(compare(format, (height, n, tokens), &weights, &x));
        }
    }
    fail_if_any(&failures);
}

/// Single values of a float format.
fn float_values(format: Format, random: &mut Random) -> Vec<Vec<u8>> {
    (0..64)
        .map(|_| {
            let bits = random.float().to_bits();
            match format {
                Format::F32 => bits.to_le_bytes().to_vec(),
                Format::BF16 => bits.to_le_bytes()[2..].to_vec(),
                // Half precision of the same sign, between 1/4 and 2.
                _ => (0x3400 + (bits & 0x8bff) as u16).to_le_bytes().to_vec(),
            }
        })
        .collect()
}

#[test]
fn matmul_agrees_on_long_rows() {
    let mut random = Random(2);
    let mut failures = Vec::new();
    for format in Format::ALL {
        let pool = if format.is_quantized() {
            blocks(format, &mut random)
        } else {
            float_values(format, &mut random)
        };
        // The last length: slabs that are not alike, and several sets of panels.
        let uneven = 2048 + format.block_len().max(32);
        for (height, n, tokens) in [(18, 8192, 100), (5, 8192, 1), (150, uneven, 20)] {
            let weights = matrix(format, height, n, &pool, &mut random);
            let x: Vec<f32> = (0..tokens * n).map(|_| random.float()).collect();
            failures.extend(compare(format, (height, n, tokens), &weights, &x));
        }
    }
    fail_if_any(&failures);
}

/// Few tokens and many take other ways through the kernels of panels.
#[test]
fn a_token_does_not_depend_on_those_beside_it() {
    let mut random = Random(4);
    for format in quantized().filter(|&f| f.panel_bytes(2304).is_some()) {
        let pool = blocks(format, &mut random);
        let (height, n, tokens) = (150, 2304, 20);
        let weights = matrix(format, height, n, &pool, &mut random);
        let bytes = format.panel_bytes(n).expect("a format with panels");
        let mut panels = vec![0; height.div_ceil(PANEL_ROWS) * bytes];
        pack_panels(format, n, &weights, &mut panels);
        let x: Vec<f32> = (0..tokens * n).map(|_| random.float()).collect();
        for row in rows().iter().filter(|row| row.takes_panels(format, n)) {
            let products = |tokens: usize| {
                let mut q = QuantizedRows::default();
                q.resize(tokens, n, &[]);
                q.fill(row, &x[..tokens * n]);
                let mut out = vec![7.0; tokens * height];
                let columns = &mut Columns::new(&mut out, height);
                row.matmul_panels(format, &panels, &q, &mut scratch(), columns);
                out
            };
            let many = products(tokens);
            for few in [1, 2, 5, 12, 13] {
                assert!(products(few) == many[..few * height], "{} {format}, {few}", row.name());
            }
        }
    }
}

/// Caches decide what is multiplied together, and no more of what comes out than its last bits: whether
/// all rows are cut, some are, or none is.
#[test]
fn blocks_cut_to_any_caches_give_the_same_products() {
    let mut random = Random(6);
    let (height, tokens) = (150, 20);
    let caches = |first, second| Caches { first_bytes: Some(first), second_bytes: Some(second) };
    let sizes = [caches(0, 0), caches(12 << 10, 48 << 10), caches(usize::MAX, usize::MAX)];
    for format in Format::ALL {
        // The last part is no whole step, unless a block is one.
        let n = 2304 + format.block_len().max(32);
        let pool = match format.is_quantized() {
            true => blocks(format, &mut random),
            false => float_values(format, &mut random),
        };
        let weights = matrix(format, height, n, &pool, &mut random);
        let mut values = vec![0.0; height * n];
        scalar().dequantize(format, &weights, &mut values);
        let panels = format.panel_bytes(n).map(|bytes| {
            let mut panels = vec![0; height.div_ceil(PANEL_ROWS) * bytes];
            pack_panels(format, n, &weights, &mut panels);
            panels
        });
        let x: Vec<f32> = (0..tokens * n).map(|_| random.float()).collect();
        let bound = 1e-5 * largest(&values) * n as f32 / 2.0;
        for row in rows().iter().filter(|row| row.name() != "scalar") {
            let by_panels = panels.as_ref().filter(|_| row.takes_panels(format, n));
            let by_int16 = row.takes_int16(format, n);
            let mut q = QuantizedRows::default();
            if format.is_quantized() {
                q.resize(tokens, n, &[]);
                q.fill(row, &x);
            }
            let mut int16 = Int16Rows::default();
            if by_int16 {
                int16.tiles_mut(&x, n).for_each(|tile| row.pack_int16(tile));
            }
            // By the file's own layout, and by what else the row has.
            let products = |caches: Caches| {
                let scratch = &mut Scratch::new(caches);
                let mut out = [vec![7.0; tokens * height], vec![7.0; tokens * height]];
                let [mut own, mut other] = out.each_mut().map(|out| Columns::new(out, height));
                match format.is_quantized() {
                    true => row.matmul(format, &weights, &q, scratch, &mut own),
                    false => row.matmul_float(format, &weights, &x, scratch, &mut own),
                }
                if let Some(panels) = by_panels {
                    row.matmul_panels(format, panels, &q, scratch, &mut other);
                } else if by_int16 {
                    row.matmul_int16(format, &weights, &int16, scratch, &mut other);
                }
                out.concat()
            };
            let want = products(Caches::default());
            // Sums go on from slab to slab, but those of floats and of NEON are added.
            let exact = format.is_quantized() && row.name().starts_with("avx");
            for caches in sizes {
                let got = products(caches);
                let what = format!("{} {format}, {caches:?}", row.name());
                if exact {
                    assert!(got == want, "{what}");
                }
                for (i, (got, want)) in got.iter().zip(&want).enumerate() {
                    assert!((got - want).abs() <= bound, "{what}: {got}, not {want}, at {i}");
                }
            }
        }
    }
}

/// Few tokens of floats are multiplied by one, two or four, whose sums have the same order.
#[test]
fn a_token_of_floats_does_not_depend_on_those_beside_it() {
    let mut random = Random(5);
    for format in Format::ALL.into_iter().filter(|f| !f.is_quantized()) {
        let pool = float_values(format, &mut random);
        let (height, n, tokens) = (17, 79, 7);
        let weights = matrix(format, height, n, &pool, &mut random);
        let x: Vec<f32> = (0..tokens * n).map(|_| random.float()).collect();
        // AVX-512's and NEON's promise less.
        for row in rows().iter().filter(|row| ["avx2", "avxvnni"].contains(&row.name())) {
            let products = |x: &[f32]| {
                let mut out = vec![7.0; x.len() / n * height];
                let columns = &mut Columns::new(&mut out, height);
                row.matmul_float(format, &weights, x, &mut scratch(), columns);
                out
            };
            let many = products(&x);
            for few in 1..tokens {
                let same = products(&x[..few * n]) == many[..few * height];
                assert!(same, "{} {format}, {few}", row.name());
            }
        }
    }
}

#[test]
fn matmul_agrees_at_the_extremes() {
    let mut failures = Vec::new();
    let random = &mut Random(3);
    for format in quantized() {
        let pool = blocks(format, random);
        // Bytes that make every integer extreme, with the scale of a plausible block.
        let patterns: [u8; 4] = [0x80, 0x7f, 0xff, 0x00];
        for pattern in patterns {
            let mut block = pool[0].clone();
            let mut values = vec![0.0; format.block_len()];
            for i in 0..block.len() {
                let before = std::mem::replace(&mut block[i], pattern);
                scalar().dequantize(format, &block, &mut values);
                if !values.iter().all(|v| v.abs() < 1e5) {
                    block[i] = before;
                }
            }
            // The last two: all that one 16-bit lane of a sum can have, and nothing in the other.
            for signs in [
                [1.0, 1.0, 1.0, 1.0],
                [-1.0, -1.0, -1.0, -1.0],
                [1.0, -1.0, 1.0, -1.0],
                [1.0, 1.0, 0.0, 0.0],
                [0.0, 0.0, -1.0, -1.0],
            ] {
                let (n, tokens) = (512, 9);
                let weights = block.repeat(16 * n / format.block_len());
                let x: Vec<f32> = (0..tokens * n).map(|i| signs[i % 4]).collect();
                failures.extend(compare(format, (16, n, tokens), &weights, &x));
                failures.extend(compare(format, (16, n, 1), &weights, &x[..n]));
            }
        }
    }
    fail_if_any(&failures);
}

/// The greatest sums that 16-bit integers can have, and activations that are no numbers.
#[test]
fn int16_holds_at_the_extremes() {
    let mut failures = Vec::new();
    let (height, n, tokens) = (17, 64, 9);
    for (format, one) in [(Format::F16, 0x3c00u16), (Format::BF16, 0x3f80)] {
        for signs in [[0, 0], [0x8000, 0x8000], [0, 0x8000]] {
            let weights: Vec<u8> =
                (0..height * n).flat_map(|i| (one | signs[i % 2]).to_le_bytes()).collect();
            for x in [[1.0, 1.0], [-1.0, -1.0], [1.0, -1.0], [1e-36, 0.0], [1e30, -1e-30]] {
                let x: Vec<f32> = (0..tokens * n).map(|i| x[i % 2]).collect();
                failures.extend(compare_int16(format, (height, n, tokens), &weights, &x));
            }
            for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                let mut x = vec![0.5; tokens * n];
                x[4 * n + 7] = bad;
                for row in rows().iter().filter(|row| row.takes_int16(format, n)) {
                    let mut rounded = Int16Rows::default();
                    rounded.tiles_mut(&x, n).for_each(|tile| row.pack_int16(tile));
                    let mut out = vec![7.0; tokens * height];
                    let columns = &mut Columns::new(&mut out, height);
                    let scratch = &mut Scratch::default();
                    row.matmul_int16(format, &weights, &rounded, scratch, columns);
                    for (t, out) in out.chunks_exact(height).enumerate() {
                        if out.iter().any(|x| x.is_finite() != (t != 4)) {
                            failures.push(format!("{} {format} {bad}, {t}: {out:?}", row.name()));
                        }
                    }
                }
            }
        }
    }
    fail_if_any(&failures);
}

/// The value that a group is rounded by may lie at any place of it, far above all others.
#[test]
fn int16_finds_the_greatest_at_every_place() {
    let mut failures = Vec::new();
    let (height, n, tokens) = (33, 64, 32);
    let peak = |row: usize, i: usize| (row + i).is_multiple_of(32);
    for (format, one, small) in [(Format::F16, 0x3c00u16, 0x1400), (Format::BF16, 0x3f80, 0x3a80)] {
        let weights = (0..height * n).map(|i| if peak(i / n, i % n) { one } else { small });
        let weights: Vec<u8> = weights.flat_map(u16::to_le_bytes).collect();
        let x = (0..tokens * n).map(|i| if peak(i / n, i % n) { -1.0 } else { 1e-3 });
        let x: Vec<f32> = x.collect();
        failures.extend(compare_int16(format, (height, n, tokens), &weights, &x));
    }
    fail_if_any(&failures);
}

/// Kernels read whole registers past a row's end: what lies there must not reach its sum.
#[test]
fn a_row_of_nan_leaves_its_neighbours_alone() {
    let mut failures = Vec::new();
    let random = &mut Random(5);
    for format in Format::ALL {
        let pool = if format.is_quantized() {
            blocks(format, random)
        } else {
            float_values(format, random)
        };
        let mut values = vec![0.0; format.block_len()];
        // TQ and MXFP4 blocks of random bytes may never be NaN: then there is nothing to leak.
        let bad = (0..5000).find_map(|_| {
            let mut block = pool[0].clone();
            for byte in &mut block {
                *byte = if random.below(2) == 0 { 0xff } else { random.next() as u8 };
            }
            scalar().dequantize(format, &block, &mut values);
            values.iter().any(|v| v.is_nan()).then_some(block)
        });
        let Some(bad) = bad else { continue };
        for n in lengths(format) {
            let row = matrix(format, 1, *n, &pool, random);
            let weights = [row, bad.repeat(n / format.block_len())].concat().repeat(3);
            for tokens in [1, 4, 9] {
                let x: Vec<f32> = (0..tokens * n).map(|_| random.float()).collect();
                failures.extend(compare(format, (6, *n, tokens), &weights, &x));
            }
        }
    }
    fail_if_any(&failures);
}

#[test]
fn nothing_in_gives_nothing_or_zero_out() {
    for row in rows() {
        for format in Format::ALL {
            let mut out = [7.0; 6];
            let mut x = QuantizedRows::default();
            x.resize(2, 0, &[]);
            let columns = &mut Columns::new(&mut out, 3);
            let scratch = &mut Scratch::default();
            if format.is_quantized() {
                row.matmul(format, &[], &x, scratch, columns);
            } else {
                row.matmul_float(format, &[], &[], scratch, columns);
            }
            assert_eq!(out, [0.0; 6], "{} {format}", row.name());
        }
    }
}

#[test]
fn fine_tokens_are_nearer_the_product_of_floats() {
    let mut random = Random(5);
    let (n, tokens) = (320, 9);
    let weights: Vec<f32> = (0..n).map(|_| random.float()).collect();
    let x: Vec<f32> = (0..tokens * n).map(|_| random.float()).collect();
    let mut bytes = Vec::new();
    quantize_row(Format::Q8_0, &weights, &mut bytes);
    let mut exact = vec![0.0; n];
    scalar().dequantize(Format::Q8_0, &bytes, &mut exact);
    for row in rows() {
        let mut q = QuantizedRows::default();
        q.resize(tokens, n, &[1, 8]);
        q.fill(row, &x);
        let mut out = vec![0.0; tokens];
        let columns = &mut Columns::new(&mut out, 1);
        row.matmul(Format::Q8_0, &bytes, &q, &mut Scratch::default(), columns);
        let errors: Vec<f32> = x
            .chunks_exact(n)
            .zip(&out)
            .map(|(x, y)| (x.iter().zip(&exact).map(|(x, w)| x * w).sum::<f32>() - y).abs())
            .collect();
        let coarse: f32 = (2..8).map(|t| errors[t]).fold(0.0, f32::max);
        let fine = errors[1].max(errors[8]);
        assert!(fine < 0.02 * coarse, "{}: {fine} beside {coarse}", row.name());
    }
}

#[test]
fn quantize_equals_scalar() {
    let mut random = Random(4);
    let mut cases: Vec<Vec<f32>> = vec![vec![]];
    for n in [32, 64, 96, 576] {
        cases.push((0..n).map(|_| random.float()).collect());
        cases.push((0..n).map(|_| f32::from_bits(random.next() << 1)).collect());
        cases.push((0..n).map(|i| [0.5, 1.5, 2.5, -63.5, 127.0][i % 5]).collect());
    }
    for special in [0.0, -0.0, 1e-45, 1e-42, f32::MIN_POSITIVE, f32::MAX, f32::INFINITY, f32::NAN] {
        cases.push(vec![special; 32]);
        cases.push(vec![-special; 32]);
        cases.push((0..64).map(|i| if i % 7 == 0 { special } else { i as f32 - 30.0 }).collect());
    }
    let mut failures = Vec::new();
    for x in &cases {
        let mut want = QuantizedRows::default();
        want.resize(1, x.len(), &[0]);
        want.tokens_mut().for_each(|token| scalar().quantize(x, token));
        for row in rows() {
            let mut got = QuantizedRows::default();
            got.resize(1, x.len(), &[0]);
            got.tokens_mut().for_each(|token| row.quantize(x, token));
            if format!("{got:?}") != format!("{want:?}") {
                failures.push(format!("{} {x:?}:\n {got:?}\n {want:?}", row.name()));
            }
        }
    }
    fail_if_any(&failures);
}
