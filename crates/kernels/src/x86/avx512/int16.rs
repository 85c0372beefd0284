//! Products with F16 and BF16 weights by 16-bit integers: pairs of panels of 16 weight rows,
//! rounded once, meet tiles of up to 6 tokens.
//!
//! A register holds two consecutive weights of each of 16 rows; `vpdpwssd` multiplies it with two
//! activations of one token, broadcast.

use std::arch::x86_64::*;

use super::floats::{brain, half};
use super::load::{broadcast, load_words, store_words, transpose, write_lanes};
use crate::int16::{GROUP, Int16Rows, Int16Tile, LEAST, LIMIT, Record, WORDS};
use crate::row::Line;
use crate::tile::{Tile, with_width};
use crate::{Columns, Format, Scratch};

/// Weight rows of a panel: the lanes of a register.
const ROWS: usize = 16;
/// Panels that meet a tile together: each broadcast of activations then feeds two products.
const PANELS: usize = 2;
/// Packed activations that are walked once per pair of panels, at most: they should stay in
/// a private L2.
const SLAB_BYTES: usize = 1 << 20;

/// A group of 32 values of 16 rows, of each panel: two integers of each row to a line, then the
/// scales.
type Group = [[Line; PANELS]; WORDS + 1];

#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
pub(super) fn pack(tile: Int16Tile<'_>) {
    crate::int16::pack(tile);
}

#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
pub(super) fn matmul(
    format: Format,
    weights: &[u8],
    x: &Int16Rows,
    scratch: &mut Scratch,
    out: &mut Columns<'_>,
) {
    let weights = weights.as_chunks::<2>().0;
    match format {
        Format::F16 => run(weights, x, scratch, out, |b| half(b)),
        _ => run(weights, x, scratch, out, |b| brain(b)),
    }
}

#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
fn run(
    weights: &[[u8; 2]],
    x: &Int16Rows,
    scratch: &mut Scratch,
    out: &mut Columns<'_>,
    decode: impl Fn(&[[u8; 2]; ROWS]) -> __m512 + Copy,
) {
    let (n, columns) = (x.n(), out.columns());
    let depth = x.slab(scratch.caches.second(SLAB_BYTES));
    scratch.lines.resize(PANELS * (WORDS + 1) * depth / GROUP, Line([0; 16]));
    let groups: &mut [Group] = bytemuck::cast_slice_mut(&mut scratch.lines);
    for start in (0..n).step_by(depth) {
        let values = depth.min(n - start);
        let slab = start / GROUP..(start + values) / GROUP;
        for column in (0..columns).step_by(PANELS * ROWS) {
            let rows = (PANELS * ROWS).min(columns - column);
            for p in 0..rows.div_ceil(ROWS) {
                let row = |r: usize| column + (p * ROWS + r).min(rows - 1);
                let row = |r: usize| &weights[row(r) * n + start..][..values];
                round(std::array::from_fn(row), p, groups, decode);
            }
            for (tile, words) in x.tiles() {
                with_width!(tile.width, [2 4 6], T => {
                    let x: &[Record<T>] = &bytemuck::cast_slice(words)[slab.clone()];
                    let mut totals = [[_mm512_setzero_ps(); T]; PANELS];
                    products(groups, x, &mut totals);
                    write(&totals, tile, start > 0, column..column + rows, out);
                });
            }
        }
    }
}

/// Writes or adds the products of a tile.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
fn write<const T: usize>(
    totals: &[[__m512; T]; PANELS],
    tile: Tile,
    add: bool,
    columns: std::ops::Range<usize>,
    out: &mut Columns<'_>,
) {
    for t in 0..tile.tokens {
        let out = &mut out.row(tile.start + t)[columns.clone()];
        for (out, total) in out.chunks_mut(ROWS).zip(totals) {
            write_lanes(out, add, total[t]);
        }
    }
}

/// Rounds the values of 16 rows and interleaves them as panel `p`.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
fn round(
    rows: [&[[u8; 2]]; ROWS],
    p: usize,
    groups: &mut [Group],
    decode: impl Fn(&[[u8; 2]; ROWS]) -> __m512 + Copy,
) {
    let magnitude = _mm512_set1_epi32(0x7fff_ffff);
    for (g, group) in groups.iter_mut().enumerate().take(rows[0].len() / GROUP) {
        let mut columns = [[_mm512_setzero_si512(); ROWS]; GROUP / ROWS];
        for (i, columns) in columns.iter_mut().enumerate() {
            for (column, row) in columns.iter_mut().zip(rows) {
                let values = row[g * GROUP + i * ROWS..].first_chunk().expect("whole groups");
                *column = _mm512_castps_si512(decode(values));
            }
            *columns = transpose(*columns);
        }
        // Magnitudes are in the order of their bits, NaN last.
        let mut max = _mm512_setzero_si512();
        for column in columns.as_flattened() {
            max = _mm512_max_epi32(max, _mm512_and_si512(*column, magnitude));
        }
        let max = _mm512_castsi512_ps(max);
        let limit = _mm512_set1_ps(LIMIT);
        let least = _mm512_set1_ps(LEAST);
        let large = _mm512_cmp_ps_mask::<_CMP_GT_OQ>(max, least);
        let inverse = _mm512_maskz_div_ps(large, limit, max);
        let not_small = _mm512_cmp_ps_mask::<_CMP_NLE_UQ>(max, least);
        let scale = _mm512_maskz_div_ps(not_small, max, limit);
        let integers = |x| _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_castsi512_ps(x), inverse));
        let (pairs, _) = columns.as_flattened().as_chunks::<2>();
        for (lines, &[low, high]) in group.iter_mut().zip(pairs) {
            let high = _mm512_slli_epi32::<16>(integers(high));
            let word = _mm512_mask_blend_epi16(0xaaaa_aaaa, integers(low), high);
            store_words(&mut lines[p].0, word);
        }
        store_words(&mut group[WORDS][p].0, _mm512_castps_si512(scale));
    }
}

/// Adds `sum_g xs[g] * ws[g] * (wq[g] . xq[g])` of 16 rows a panel and `T` tokens.
#[inline(never)]
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
fn products<const T: usize>(groups: &[Group], x: &[Record<T>], totals: &mut [[__m512; T]; PANELS]) {
    let mut total = *totals;
    for (w, x) in groups.iter().zip(x) {
        let mut sum = [[_mm512_setzero_si512(); T]; PANELS];
        for k in 0..WORDS {
            let mut lines = [_mm512_setzero_si512(); PANELS];
            for p in 0..PANELS {
                lines[p] = load_words(&w[k][p].0);
            }
            for t in 0..T {
                let x = broadcast(x[k][t]);
                for p in 0..PANELS {
                    sum[p][t] = _mm512_dpwssd_epi32(sum[p][t], lines[p], x);
                }
            }
        }
        for p in 0..PANELS {
            let scale = _mm512_castsi512_ps(load_words(&w[WORDS][p].0));
            for t in 0..T {
                let x = _mm512_castsi512_ps(broadcast(x[WORDS][t]));
                let scale = _mm512_mul_ps(scale, x);
                total[p][t] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum[p][t]), scale, total[p][t]);
            }
        }
    }
    *totals = total;
}
