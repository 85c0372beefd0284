//! Many tokens: panels of 8 weight rows, unpacked once, meet tiles of up to 6 tokens.
//!
//! A register holds four consecutive weights of each of 8 rows; they meet four activations of one
//! token, broadcast. Integer sums are exact within a group, then scaled.

use std::arch::x86_64::*;

use super::dot::{dot, pairs, signed};
use super::load::{broadcast, load_words, store_words, transpose, write_lanes};
use super::step::Step;
use crate::activations::GROUP as X_GROUP;
use crate::steps::{STEP, WeightRows};
use crate::tile::{self, Record, Tile, with_width};
use crate::x86::avx2::TILING;
use crate::{Columns, QuantizedRows, Scratch};

/// Weight rows of a panel: the lanes of a register.
const ROWS: usize = 8;
/// Packed activations that are walked once per panel: they should stay in a private L2.
const SLAB_BYTES: usize = 256 << 10;

/// 8 weight rows, four values each to a register; then per group a register of scales and one of
/// minima.
struct Panel<'a> {
    q: &'a mut [[u32; 8]],
    scale: &'a mut [[u32; 8]],
    min: &'a mut [[u32; 8]],
}

/// Where the products of a panel and a tile go.
#[derive(Clone, Copy)]
struct Place<'a> {
    x: &'a QuantizedRows,
    tile: Tile,
    column: usize,
    rows: usize,
    /// Whether to add to what is there.
    add: bool,
}

/// As [`super::matvec::matvec`], for many tokens.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn matmat<
    const VNNI: bool,
    const GROUP: usize,
    const HAS_MIN: bool,
    const BIAS: u8,
    const ADDS: usize,
>(
    weights: WeightRows<'_>,
    x: &QuantizedRows,
    scratch: &mut Scratch,
    out: &mut Columns<'_>,
    decode: impl Fn(&[u8]) -> Step + Copy,
) {
    let (n, columns) = (x.n(), out.columns());
    let tiles = x.tiles(TILING);
    let padded: usize = tiles.clone().map(|(tile, _)| tile.width).sum();
    let depth = (SLAB_BYTES / padded / STEP * STEP).clamp(STEP, n.next_multiple_of(STEP));
    scratch.lines.resize(depth / 8 + depth / GROUP, bytemuck::Zeroable::zeroed());
    let (q, rest) = bytemuck::cast_slice_mut(&mut scratch.lines).split_at_mut(depth / 4);
    let (scale, min) = rest.split_at_mut(depth / GROUP);
    let mut panel = Panel { q, scale, min };

    for start in (0..n).step_by(depth) {
        let groups = depth.min(n - start) / X_GROUP;
        for column in (0..columns).step_by(ROWS) {
            let real = ROWS.min(columns - column);
            let first = start / STEP * weights.step_bytes;
            let rows = std::array::from_fn(|r| &weights.row_on(column + r.min(real - 1))[first..]);
            unpack::<VNNI, GROUP, HAS_MIN, BIAS>(
                weights,
                rows,
                groups * X_GROUP,
                &mut panel,
                decode,
            );
            for (tile, words) in tiles.clone() {
                let at = Place { x, tile, column, rows: real, add: start > 0 };
                let first = start / X_GROUP;
                with_width!(tile.width, [2 4 6], T => {
                    let x: &[Record<T>] = bytemuck::cast_slice(words);
                    let x = &x[first..][..groups];
                    multiply::<VNNI, GROUP, HAS_MIN, BIAS, ADDS, T>(&panel, x, at, out);
                });
            }
        }
    }
}

/// Decodes `values` of each row and interleaves them.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn unpack<const VNNI: bool, const GROUP: usize, const HAS_MIN: bool, const BIAS: u8>(
    weights: WeightRows<'_>,
    rows: [&[u8]; ROWS],
    values: usize,
    panel: &mut Panel<'_>,
    decode: impl Fn(&[u8]) -> Step + Copy,
) {
    let cut = _mm256_set1_epi8(if signed(VNNI, BIAS) { -128 } else { 0 });
    for s in 0..values.div_ceil(STEP) {
        let steps = rows.map(|row| weights.last_step(&row[s * weights.step_bytes..], decode));
        for part in 0..8 {
            let q = transpose(steps.map(|step| _mm256_xor_si256(step.q[part], cut)));
            for (out, q) in panel.q[s * 64 + part * 8..].iter_mut().zip(q) {
                store_words(out, q);
            }
        }
        let groups = STEP / GROUP;
        for half in 0..groups / 8 {
            let at = s * groups + half * 8;
            let scale = transpose(steps.map(|step| _mm256_castps_si256(step.scale[half])));
            for (out, scale) in panel.scale[at..][..8].iter_mut().zip(scale) {
                store_words(out, scale);
            }
            if HAS_MIN {
                let min = transpose(steps.map(|step| _mm256_castps_si256(step.min[half])));
                for (out, min) in panel.min[at..][..8].iter_mut().zip(min) {
                    store_words(out, min);
                }
            }
        }
    }
}

/// Adds or writes the products of a panel with a tile of `T` tokens.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn multiply<
    const VNNI: bool,
    const GROUP: usize,
    const HAS_MIN: bool,
    const BIAS: u8,
    const ADDS: usize,
    const T: usize,
>(
    panel: &Panel<'_>,
    x: &[Record<T>],
    at: Place<'_>,
    out: &mut Columns<'_>,
) {
    let totals = products::<VNNI, T, GROUP, HAS_MIN, BIAS, ADDS>(panel, x);
    for (t, total) in totals.into_iter().take(at.tile.tokens).enumerate() {
        let (token, add) = at.x.target(at.tile.start + t);
        let out = &mut out.row(token)[at.column..][..at.rows];
        write_lanes(out, at.add || add, total);
    }
}

/// `sum_g xs[g] * (scale[g] * (q[g] . xq[g]) + min[g] * sum(xq[g]))` of 8 rows and `T` tokens.
#[inline(never)]
#[target_feature(enable = "avx2,fma,f16c")]
fn products<
    const VNNI: bool,
    const T: usize,
    const GROUP: usize,
    const HAS_MIN: bool,
    const BIAS: u8,
    const ADDS: usize,
>(
    panel: &Panel<'_>,
    x: &[Record<T>],
) -> [__m256; T] {
    let halves = X_GROUP / GROUP;
    let mut total = [_mm256_setzero_ps(); T];
    let q = panel.q.as_chunks::<{ X_GROUP / 4 }>().0;
    let scale = panel.scale.chunks_exact(halves);
    let min = panel.min.chunks_exact(halves);
    for (((x, q), scale), min) in x.iter().zip(q).zip(scale).zip(min) {
        for half in 0..halves {
            let start = x[tile::negative_sum(GROUP, half)];
            let mut sum = [_mm256_setzero_si256(); T];
            if BIAS != 0 && !signed(VNNI, BIAS) {
                let shift = _mm_cvtsi32_si128(BIAS.trailing_zeros() as i32);
                for t in 0..T {
                    sum[t] = _mm256_sll_epi32(broadcast(start[t]), shift);
                }
            }
            let whole = half * (GROUP / 4)..(half + 1) * (GROUP / 4);
            if VNNI || ADDS == 1 {
                for k in whole {
                    let q = load_words(&q[k]);
                    for t in 0..T {
                        sum[t] = dot::<VNNI, BIAS>(sum[t], q, broadcast(x[k][t]));
                    }
                }
            } else {
                let ones = _mm256_set1_epi16(1);
                for first in whole.step_by(ADDS) {
                    let mut short = [_mm256_setzero_si256(); T];
                    for k in first..first + ADDS.min(GROUP / 4) {
                        let q = load_words(&q[k]);
                        for t in 0..T {
                            let pairs = pairs::<BIAS>(q, broadcast(x[k][t]));
                            short[t] = _mm256_add_epi16(short[t], pairs);
                        }
                    }
                    for t in 0..T {
                        sum[t] = _mm256_add_epi32(sum[t], _mm256_madd_epi16(short[t], ones));
                    }
                }
            }
            let scale = _mm256_castsi256_ps(load_words(&scale[half]));
            let min = _mm256_castsi256_ps(load_words(&min[half]));
            for t in 0..T {
                let word = |row: usize| _mm256_castsi256_ps(broadcast(x[row][t]));
                let scale = _mm256_mul_ps(scale, word(tile::SCALE));
                total[t] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum[t]), scale, total[t]);
                if HAS_MIN {
                    total[t] = _mm256_fmadd_ps(min, word(tile::scaled_sum(GROUP, half)), total[t]);
                }
            }
        }
    }
    total
}
