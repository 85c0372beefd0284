//! Products with weights in F32, F16 and BF16; sums in `f32`.

use std::arch::x86_64::*;

use bytemuck::{Pod, Zeroable};

use super::load::{
    broadcast, load_16, load_f32, load_words, prefetch, store_words, sum_lanes, transpose,
    write_lanes,
};
use crate::tile::{self, Tile};
use crate::x86::tail::padded;
use crate::{Columns, Format, Scratch};

/// Weight rows of a panel: the lanes of a register.
const ROWS: usize = 8;
/// Registers of a row that few tokens meet between prefetches: a line of 16-bit weights.
const AT_ONCE: usize = 4;
/// Tokens of a tile: their sums are held in registers.
const WIDTHS: [usize; 3] = [4, 8, 12];
/// Packed activations that are walked once per panel, at most: they should stay in
/// a private L2.
const SLAB_BYTES: usize = 512 << 10;
/// From this many tokens on, unpacking a panel of rows pays.
const MATMAT_TOKENS: usize = 8;

#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn matmul_float(
    format: Format,
    weights: &[u8],
    x: &[f32],
    scratch: &mut Scratch,
    out: &mut Columns<'_>,
) {
    let n = x.len() / out.tokens().max(1);
    if n == 0 {
        (0..out.tokens()).for_each(|t| out.row(t).fill(0.0));
        return;
    }
    match format {
        Format::F32 => run(weights.as_chunks::<4>().0, x, n, scratch, out, |b| single(b)),
        Format::F16 => run(weights.as_chunks::<2>().0, x, n, scratch, out, |b| half(b)),
        _ => run(weights.as_chunks::<2>().0, x, n, scratch, out, |b| brain(b)),
    }
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn single(bytes: &[[u8; 4]; ROWS]) -> __m256 {
    load_f32(bytemuck::cast_ref(bytes))
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn half(bytes: &[[u8; 2]; ROWS]) -> __m256 {
    _mm256_cvtph_ps(load_16(bytemuck::cast_ref(bytes)))
}

/// The upper half of a single.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn brain(bytes: &[[u8; 2]; ROWS]) -> __m256 {
    let words = _mm256_cvtepu16_epi32(load_16(bytemuck::cast_ref(bytes)));
    _mm256_castsi256_ps(_mm256_slli_epi32::<16>(words))
}

/// `W` is the bytes of one weight; `decode` widens one for each lane.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn run<W: Pod>(
    weights: &[W],
    x: &[f32],
    n: usize,
    scratch: &mut Scratch,
    out: &mut Columns<'_>,
    decode: impl Fn(&[W; ROWS]) -> __m256 + Copy,
) {
    if out.tokens() >= MATMAT_TOKENS {
        return matmat(weights, x, n, scratch, out, decode);
    }
    let mut t = 0;
    while t < out.tokens() {
        let x = &x[t * n..];
        t += match out.tokens() - t {
            1 => tokens::<W, 3, 1>(weights, x, n, out, t, decode),
            2 | 3 => tokens::<W, 2, 2>(weights, x, n, out, t, decode),
            _ => tokens::<W, 2, 4>(weights, x, n, out, t, decode),
        };
    }
}

/// Columns of tokens `t..t + T`, whose `n` values each `x` begins with, `R` at a time; returns `T`.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn tokens<W: Pod, const R: usize, const T: usize>(
    weights: &[W],
    x: &[f32],
    n: usize,
    out: &mut Columns<'_>,
    t: usize,
    decode: impl Fn(&[W; ROWS]) -> __m256 + Copy,
) -> usize {
    let x = std::array::from_fn(|i| &x[i * n..][..n]);
    // `R` runs of rows, so that the processor's prefetching sees as many long streams.
    let run = out.columns() / R;
    for r in 0..run {
        let from = std::array::from_fn(|i| &weights[(r + i * run) * n..]);
        for (i, sums) in rows::<W, R, T>(from, x, decode).iter().enumerate() {
            let out = out.row(t + i);
            sums.iter().enumerate().for_each(|(i, sum)| out[r + i * run] = *sum);
        }
    }
    for r in run * R..out.columns() {
        for (i, sums) in rows::<W, 1, T>([&weights[r * n..]], x, decode).iter().enumerate() {
            out.row(t + i)[r] = sums[0];
        }
    }
    T
}

/// The products of `R` weight rows, each with what follows it, with `T` tokens.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn rows<W: Pod, const R: usize, const T: usize>(
    rows: [&[W]; R],
    x: [&[f32]; T],
    decode: impl Fn(&[W; ROWS]) -> __m256 + Copy,
) -> [[f32; R]; T] {
    let n = x[0].len();
    let mut total = [[_mm256_setzero_ps(); R]; T];
    let at_once = n - n % (AT_ONCE * ROWS);
    for i in (0..at_once).step_by(AT_ONCE * ROWS) {
        for row in rows {
            let weights = &row[i..][..AT_ONCE * ROWS];
            prefetch(bytemuck::cast_slice(weights), size_of_val(weights));
        }
        for u in 0..AT_ONCE {
            step(rows, x, i + u * ROWS, &mut total, decode);
        }
    }
    let whole = n - n % ROWS;
    for i in (at_once..whole).step_by(ROWS) {
        step(rows, x, i, &mut total, decode);
    }
    if whole < n {
        let lanes: [u32; 8] = std::array::from_fn(|i| if whole + i < n { u32::MAX } else { 0 });
        let lanes = _mm256_castsi256_ps(load_words(&lanes));
        let w = rows.map(|row| _mm256_and_ps(lanes, padded(&row[whole..], decode)));
        for t in 0..T {
            let x = padded(&x[t][whole..], |x| load_f32(x));
            for r in 0..R {
                total[t][r] = _mm256_fmadd_ps(w[r], x, total[t][r]);
            }
        }
    }
    total.map(|total| total.map(|lanes| sum_lanes(lanes)))
}

/// Adds the products of values `i..i + 8`.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn step<W: Pod, const R: usize, const T: usize>(
    rows: [&[W]; R],
    x: [&[f32]; T],
    i: usize,
    totals: &mut [[__m256; R]; T],
    decode: impl Fn(&[W; ROWS]) -> __m256 + Copy,
) {
    for r in 0..R {
        let w = decode(rows[r][i..].first_chunk().expect("whole registers"));
        for t in 0..T {
            let x = load_f32(x[t][i..].first_chunk().expect("whole registers"));
            totals[t][r] = _mm256_fmadd_ps(w, x, totals[t][r]);
        }
    }
}

/// Many tokens: panels of weight rows, widened and interleaved once, meet tiles of tokens.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn matmat<W: Pod>(
    weights: &[W],
    x: &[f32],
    n: usize,
    scratch: &mut Scratch,
    out: &mut Columns<'_>,
    decode: impl Fn(&[W; ROWS]) -> __m256 + Copy,
) {
    let (tokens, columns) = (out.tokens(), out.columns());
    let tiles = tile::tiles(tokens, &[], WIDTHS);
    let padded: usize = tiles.clone().map(|tile| tile.width).sum();
    let depth = (scratch.caches.second(SLAB_BYTES) / 4 / padded / 64 * 64)
        .clamp(64, n.next_multiple_of(64));
    scratch.words.resize(padded * depth, 0);
    scratch.lines.resize(depth.div_ceil(2), Zeroable::zeroed());
    for start in (0..n).step_by(depth) {
        let values = depth.min(n - start);
        for tile in tiles.clone() {
            let words = &mut scratch.words[tile.start * values..][..tile.width * values];
            pack(&x[tile.start * n + start..], n, tile, words);
        }
        for column in (0..columns).step_by(ROWS) {
            let rows = ROWS.min(columns - column);
            let row = |r: usize| &weights[(column + r.min(rows - 1)) * n + start..];
            let panel: &mut [[u32; ROWS]] = bytemuck::cast_slice_mut(&mut scratch.lines);
            unpack(std::array::from_fn(row), values, panel, decode);
            for tile in tiles.clone() {
                let words = &scratch.words[tile.start * values..][..tile.width * values];
                let mut store = |t: usize, total| {
                    let out = &mut out.row(tile.start + t)[column..][..rows];
                    write_lanes(out, start > 0, total);
                };
                let real = 0..tile.tokens;
                match tile.width {
                    4 => real.zip(products::<4>(panel, words)).for_each(|(t, y)| store(t, y)),
                    8 => real.zip(products::<8>(panel, words)).for_each(|(t, y)| store(t, y)),
                    _ => real.zip(products::<12>(panel, words)).for_each(|(t, y)| store(t, y)),
                }
            }
        }
    }
}

/// Interleaves the tokens of a tile: one word each per value.
fn pack(x: &[f32], n: usize, tile: Tile, words: &mut [u32]) {
    for t in 0..tile.tokens {
        for (words, x) in words.chunks_exact_mut(tile.width).zip(&x[t * n..]) {
            words[t] = x.to_bits();
        }
    }
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn unpack<W: Pod>(
    rows: [&[W]; ROWS],
    values: usize,
    panel: &mut [[u32; ROWS]],
    decode: impl Fn(&[W; ROWS]) -> __m256 + Copy,
) {
    for (i, panel) in (0..values).step_by(ROWS).zip(panel.as_chunks_mut::<ROWS>().0) {
        let rows = rows.map(|row| _mm256_castps_si256(padded(&row[i..], decode)));
        for (out, column) in panel.iter_mut().zip(transpose(rows)) {
            store_words(out, column);
        }
    }
}

#[inline(never)]
#[target_feature(enable = "avx2,fma,f16c")]
fn products<const T: usize>(panel: &[[u32; ROWS]], words: &[u32]) -> [__m256; T] {
    let mut total = [_mm256_setzero_ps(); T];
    for (w, x) in panel.iter().zip(words.as_chunks::<T>().0) {
        let w = _mm256_castsi256_ps(load_words(w));
        for t in 0..T {
            total[t] = _mm256_fmadd_ps(w, _mm256_castsi256_ps(broadcast(x[t])), total[t]);
        }
    }
    total
}
