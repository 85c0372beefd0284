//! Products with F16 and BF16 weights by 16-bit integers: panels of 16 weight rows, rounded once,
//! meet tiles of up to 6 tokens.
//!
//! A register holds two consecutive weights of each of 8 rows; `vpdpwssd` of AVX-VNNI multiplies it
//! with two activations of one token, broadcast. AVX2 alone needs two instructions for that, which
//! with two registers of weights to each broadcast are still faster than products of floats.

use std::arch::x86_64::*;

use super::dot::dpwssd;
use super::floats::{brain, half};
use super::load::{Pair, broadcast, load_words, store_words, transpose, write_panel};
use super::micro::{WORDS as AT_ONCE, add_scaled, add_shorts};
use crate::int16::{GROUP, Int16Rows, Int16Tile, LEAST, LIMIT, Record, WORDS};
use crate::row::Line;
use crate::tile::{WIDTHS, with_width};
use crate::{Columns, Format, Scratch};

/// Weight rows of half a panel: the lanes of a register.
const ROWS: usize = 8;

/// A group of 32 values of 16 rows: two integers of each row to a pair of registers, then the scales.
type Group = [Pair; WORDS + 1];

#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn pack(tile: Int16Tile<'_>) {
    crate::int16::pack(tile);
}

#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn matmul<const VNNI: bool>(
    format: Format,
    weights: &[u8],
    x: &Int16Rows,
    scratch: &mut Scratch,
    out: &mut Columns<'_>,
) {
    let weights = weights.as_chunks::<2>().0;
    match format {
        Format::F16 => run::<VNNI>(weights, x, scratch, out, |b| half(b)),
        _ => run::<VNNI>(weights, x, scratch, out, |b| brain(b)),
    }
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn run<const VNNI: bool>(
    weights: &[[u8; 2]],
    x: &Int16Rows,
    scratch: &mut Scratch,
    out: &mut Columns<'_>,
    decode: impl Fn(&[[u8; 2]; ROWS]) -> __m256 + Copy,
) {
    let (n, columns) = (x.n(), out.columns());
    let depth = scratch.caches.depth(n, size_of::<Record<{ WIDTHS[2] }>>(), GROUP);
    let panels = scratch.caches.panels(depth / GROUP * size_of::<Group>());
    scratch.lines.resize(panels * (WORDS + 1) * depth / GROUP, Line([0; 16]));
    let groups: &mut [Group] = bytemuck::cast_slice_mut(&mut scratch.lines);
    for start in (0..n).step_by(depth) {
        let values = depth.min(n - start);
        let slab = start / GROUP..(start + values) / GROUP;
        for column in (0..columns).step_by(2 * ROWS * panels) {
            let count = panels.min((columns - column).div_ceil(2 * ROWS));
            let unpacked = groups.chunks_exact_mut(depth / GROUP).take(count);
            for (p, groups) in unpacked.enumerate() {
                for half in 0..2 {
                    let first = column + (2 * p + half) * ROWS;
                    let row = |r: usize| (first + r).min(columns - 1);
                    let values = |r: usize| &weights[row(r) * n + start..][..values];
                    round(std::array::from_fn(values), groups, half, decode);
                }
            }
            for (tile, words) in x.tiles() {
                for (p, groups) in groups.chunks_exact(depth / GROUP).take(count).enumerate() {
                    with_width!(tile.width, [2 4 6], T => {
                        let x: &[Record<T>] = &bytemuck::cast_slice(words)[slab.clone()];
                        let [low, high] = products::<VNNI, T>(groups, x);
                        let column = column + 2 * ROWS * p;
                        for (t, (low, high)) in low.into_iter().zip(high).enumerate().take(tile.tokens) {
                            let out = out.row(tile.start + t);
                            write_panel(out, column, start > 0, [low, high]);
                        }
                    });
                }
            }
        }
    }
}

/// Rounds the values of 8 rows and interleaves them as half a panel.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn round(
    rows: [&[[u8; 2]]; ROWS],
    groups: &mut [Group],
    half: usize,
    decode: impl Fn(&[[u8; 2]; ROWS]) -> __m256 + Copy,
) {
    let magnitude = _mm256_set1_epi32(0x7fff_ffff);
    for (g, group) in groups.iter_mut().enumerate().take(rows[0].len() / GROUP) {
        let mut columns = [[_mm256_setzero_si256(); ROWS]; GROUP / ROWS];
        for (i, columns) in columns.iter_mut().enumerate() {
            for (column, row) in columns.iter_mut().zip(rows) {
                let values = row[g * GROUP + i * ROWS..].first_chunk().expect("whole groups");
                *column = _mm256_castps_si256(decode(values));
            }
            *columns = transpose(*columns);
        }
        // Magnitudes are in the order of their bits, NaN last.
        let mut max = _mm256_setzero_si256();
        for column in columns.as_flattened() {
            max = _mm256_max_epi32(max, _mm256_and_si256(*column, magnitude));
        }
        let max = _mm256_castsi256_ps(max);
        let (limit, least) = (_mm256_set1_ps(LIMIT), _mm256_set1_ps(LEAST));
        let large = _mm256_cmp_ps::<_CMP_GT_OQ>(max, least);
        let inverse = _mm256_and_ps(large, _mm256_div_ps(limit, max));
        let not_small = _mm256_cmp_ps::<_CMP_NLE_UQ>(max, least);
        let scale = _mm256_and_ps(not_small, _mm256_div_ps(max, limit));
        let integers = |x| _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_castsi256_ps(x), inverse));
        let (pairs, _) = columns.as_flattened().as_chunks::<2>();
        for (line, &[low, high]) in group.iter_mut().zip(pairs) {
            let high = _mm256_slli_epi32::<16>(integers(high));
            store_words(&mut line[half], _mm256_blend_epi16::<0b1010_1010>(integers(low), high));
        }
        store_words(&mut group[WORDS][half], _mm256_castps_si256(scale));
    }
}

/// `sum_g xs[g] * ws[g] * (wq[g] . xq[g])` of 16 rows and `T` tokens.
#[inline(never)]
#[target_feature(enable = "avx2,fma,f16c")]
fn products<const VNNI: bool, const T: usize>(
    groups: &[Group],
    x: &[Record<T>],
) -> [[__m256; T]; 2] {
    let mut totals = [[_mm256_setzero_ps(); T]; 2];
    for (w, x) in groups.iter().zip(x) {
        let mut sum = [[_mm256_setzero_si256(); T]; 2];
        if VNNI {
            for (line, x) in w.iter().zip(x).take(WORDS) {
                let line = [load_words(&line[0]), load_words(&line[1])];
                for t in 0..T {
                    let x = broadcast(x[t]);
                    for half in 0..2 {
                        sum[half][t] = dpwssd(sum[half][t], line[half], x);
                    }
                }
            }
        } else {
            let words = w.as_chunks::<AT_ONCE>().0.iter().zip(x.as_chunks::<AT_ONCE>().0);
            for (q, x) in words {
                add_shorts::<T>(&mut sum, q, x);
            }
        }
        let scales = [0, 1].map(|half| &w[WORDS][half]);
        for t in 0..T {
            let x = _mm256_castsi256_ps(broadcast(x[WORDS][t]));
            for half in 0..2 {
                let scale = _mm256_mul_ps(_mm256_castsi256_ps(load_words(scales[half])), x);
                add_scaled(&mut totals[half][t], _mm256_cvtepi32_ps(sum[half][t]), scale);
            }
        }
    }
    totals
}
