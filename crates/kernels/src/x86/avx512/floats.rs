//! Products with weights in F32, F16 and BF16; sums in `f32`.

use std::arch::x86_64::*;

use bytemuck::{Pod, Zeroable};

use super::load::{
    broadcast, load_32, load_f32, load_words, prefetch, store_words, transpose, write_lanes,
};
use crate::tile::{self, Tile};
use crate::x86::tail::padded;
use crate::{Columns, Format, Scratch};

/// Weight rows of a panel: the lanes of a register.
const ROWS: usize = 16;
/// Panels that meet a tile together: each broadcast of activations then feeds two products.
const PANELS: usize = 2;
/// Tokens of a tile: the sums of both panels are held in registers.
const WIDTHS: [usize; 3] = [2, 4, 6];
/// Packed activations that are walked once per panel, at most: they should stay in
/// a private L2.
const SLAB_BYTES: usize = 1 << 20;
/// From this many tokens on, unpacking a panel of rows pays.
const MATMAT_TOKENS: usize = 8;
/// Bytes ahead of the weights in use that are fetched from memory.
const AHEAD: usize = 2048;

#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
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
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
fn single(bytes: &[[u8; 4]; ROWS]) -> __m512 {
    load_f32(bytemuck::cast_ref(bytes))
}

#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
pub(super) fn half(bytes: &[[u8; 2]; ROWS]) -> __m512 {
    _mm512_cvtph_ps(load_32(bytemuck::cast_ref(bytes)))
}

/// The upper half of a single.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
pub(super) fn brain(bytes: &[[u8; 2]; ROWS]) -> __m512 {
    let words = _mm512_cvtepu16_epi32(load_32(bytemuck::cast_ref(bytes)));
    _mm512_castsi512_ps(_mm512_slli_epi32::<16>(words))
}

/// `W` is the bytes of one weight; `decode` widens one for each lane.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
fn run<W: Pod>(
    weights: &[W],
    x: &[f32],
    n: usize,
    scratch: &mut Scratch,
    out: &mut Columns<'_>,
    decode: impl Fn(&[W; ROWS]) -> __m512 + Copy,
) {
    if out.tokens() >= MATMAT_TOKENS {
        return matmat(weights, x, n, scratch, out, decode);
    }
    let mut t = 0;
    while t < out.tokens() {
        let x = &x[t * n..];
        if out.tokens() - t >= 4 {
            let x = [0, 1, 2, 3].map(|i| &x[i * n..][..n]);
            tokens::<W, 4, 4>(weights, x, out, t, decode);
            t += 4;
        } else {
            tokens::<W, 4, 1>(weights, [&x[..n]], out, t, decode);
            t += 1;
        }
    }
}

/// Columns of tokens `t..t + T`, `R` at a time.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
fn tokens<W: Pod, const R: usize, const T: usize>(
    weights: &[W],
    x: [&[f32]; T],
    out: &mut Columns<'_>,
    t: usize,
    decode: impl Fn(&[W; ROWS]) -> __m512 + Copy,
) {
    let n = x[0].len();
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
}

/// The products of `R` weight rows, each with what follows it, with `T` tokens.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
fn rows<W: Pod, const R: usize, const T: usize>(
    rows: [&[W]; R],
    x: [&[f32]; T],
    decode: impl Fn(&[W; ROWS]) -> __m512 + Copy,
) -> [[f32; R]; T] {
    let n = x[0].len();
    let mut total = [[_mm512_setzero_ps(); R]; T];
    let whole = n - n % ROWS;
    for i in (0..whole).step_by(ROWS) {
        let w = rows.map(|row| {
            let weights = row[i..].first_chunk().expect("whole registers");
            prefetch::<AHEAD>(bytemuck::cast_slice(weights));
            decode(weights)
        });
        for t in 0..T {
            let x = load_f32(x[t][i..].first_chunk().expect("whole registers"));
            for r in 0..R {
                total[t][r] = _mm512_fmadd_ps(w[r], x, total[t][r]);
            }
        }
    }
    if whole < n {
        let lanes = u16::MAX >> (ROWS - (n - whole));
        let w = rows.map(|row| _mm512_maskz_mov_ps(lanes, padded(&row[whole..], decode)));
        for t in 0..T {
            let x = padded(&x[t][whole..], |x| load_f32(x));
            for r in 0..R {
                total[t][r] = _mm512_fmadd_ps(w[r], x, total[t][r]);
            }
        }
    }
    total.map(|total| total.map(|lanes| _mm512_reduce_add_ps(lanes)))
}

/// Many tokens: panels of weight rows, widened and interleaved once, meet tiles of tokens.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
fn matmat<W: Pod>(
    weights: &[W],
    x: &[f32],
    n: usize,
    scratch: &mut Scratch,
    out: &mut Columns<'_>,
    decode: impl Fn(&[W; ROWS]) -> __m512 + Copy,
) {
    let (tokens, columns) = (out.tokens(), out.columns());
    let tiles = tile::tiles(tokens, &[], WIDTHS);
    let padded: usize = tiles.clone().map(|tile| tile.width).sum();
    let depth = (scratch.caches.second(SLAB_BYTES) / 4 / padded / 64 * 64)
        .clamp(64, n.next_multiple_of(64));
    scratch.words.resize(padded * depth, 0);
    scratch.lines.resize(PANELS * depth, Zeroable::zeroed());
    for start in (0..n).step_by(depth) {
        let values = depth.min(n - start);
        for tile in tiles.clone() {
            let words = &mut scratch.words[tile.start * values..][..tile.width * values];
            let x = &x[tile.start * n + start..];
            match tile.width {
                2 => pack::<2>(x, n, tile, words),
                4 => pack::<4>(x, n, tile, words),
                _ => pack::<6>(x, n, tile, words),
            }
        }
        for column in (0..columns).step_by(PANELS * ROWS) {
            let rows = (PANELS * ROWS).min(columns - column);
            let panels: &mut [Lines] = bytemuck::cast_slice_mut(&mut scratch.lines);
            for p in 0..rows.div_ceil(ROWS) {
                let row = |r: usize| column + (p * ROWS + r).min(rows - 1);
                let row = |r: usize| &weights[row(r) * n + start..];
                unpack(std::array::from_fn(row), values, p, panels, decode);
            }
            for tile in tiles.clone() {
                let words = &scratch.words[tile.start * values..][..tile.width * values];
                let at = Place { tile, column, rows, add: start > 0 };
                match tile.width {
                    2 => multiply::<2>(panels, words, at, out),
                    4 => multiply::<4>(panels, words, at, out),
                    _ => multiply::<6>(panels, words, at, out),
                }
            }
        }
    }
}

/// One value of 16 rows, of each panel.
type Lines = [[u32; ROWS]; PANELS];

/// Where the products of the panels and a tile go.
#[derive(Clone, Copy)]
struct Place {
    tile: Tile,
    column: usize,
    rows: usize,
    /// Whether to add to what is there.
    add: bool,
}

/// Interleaves the tokens of a tile: one word each per value.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
fn pack<const T: usize>(x: &[f32], n: usize, tile: Tile, words: &mut [u32]) {
    for (i, words) in words.as_chunks_mut::<T>().0.chunks_mut(16).enumerate() {
        let mut rows = [_mm512_setzero_si512(); 16];
        for (t, row) in rows.iter_mut().enumerate().take(tile.tokens) {
            *row = _mm512_castps_si512(padded(&x[t * n + i * 16..], |x| load_f32(x)));
        }
        for (words, column) in words.iter_mut().zip(transpose(rows)) {
            let mut lanes = [0; 16];
            store_words(&mut lanes, column);
            words.copy_from_slice(&lanes[..T]);
        }
    }
}

/// Interleaves `values` of each row as panel `p`.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
fn unpack<W: Pod>(
    rows: [&[W]; ROWS],
    values: usize,
    p: usize,
    panels: &mut [Lines],
    decode: impl Fn(&[W; ROWS]) -> __m512 + Copy,
) {
    for (i, lines) in (0..values).step_by(ROWS).zip(panels.as_chunks_mut::<ROWS>().0) {
        let rows = rows.map(|row| _mm512_castps_si512(padded(&row[i..], decode)));
        for (lines, column) in lines.iter_mut().zip(transpose(rows)) {
            store_words(&mut lines[p], column);
        }
    }
}

/// Adds or writes the products of the panels with a tile of `T` tokens.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
fn multiply<const T: usize>(panels: &[Lines], words: &[u32], at: Place, out: &mut Columns<'_>) {
    let mut totals = [[_mm512_setzero_ps(); T]; PANELS];
    products(panels, words, &mut totals);
    for t in 0..at.tile.tokens {
        let out = &mut out.row(at.tile.start + t)[at.column..][..at.rows];
        for (out, total) in out.chunks_mut(ROWS).zip(&totals) {
            write_lanes(out, at.add, total[t]);
        }
    }
}

#[inline(never)]
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
fn products<const T: usize>(panels: &[Lines], words: &[u32], totals: &mut [[__m512; T]; PANELS]) {
    let mut total = *totals;
    for (w, x) in panels.iter().zip(words.as_chunks::<T>().0) {
        let mut lines = [_mm512_setzero_ps(); PANELS];
        for p in 0..PANELS {
            lines[p] = _mm512_castsi512_ps(load_words(&w[p]));
        }
        for t in 0..T {
            let x = _mm512_castsi512_ps(broadcast(x[t]));
            for p in 0..PANELS {
                total[p][t] = _mm512_fmadd_ps(lines[p], x, total[p][t]);
            }
        }
    }
    *totals = total;
}
