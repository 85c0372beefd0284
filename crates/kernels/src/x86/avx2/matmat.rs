//! Many tokens: panels of 8 weight rows, unpacked once, meet tiles of up to 6 tokens.
//!
//! A register holds four consecutive weights of each of 8 rows; they meet four activations of one
//! token, broadcast. Integer sums are exact within a group, then scaled.

use std::arch::x86_64::*;

use super::dot::{dot, pairs, signed};
use super::load::{broadcast, load_lanes, load_words, store_words, transpose, write_lanes};
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
pub(super) struct Half<'a> {
    pub(super) q: &'a mut [[u32; ROWS]],
    pub(super) scale: &'a mut [[u32; ROWS]],
    pub(super) min: &'a mut [[u32; ROWS]],
}

impl<'a> Half<'a> {
    /// With room for so many values of each row.
    pub(super) fn new(values: usize, group: usize, scratch: &'a mut Scratch) -> Self {
        let (words, groups) = (values / 4, values / group);
        scratch.lines.resize((words + 2 * groups).div_ceil(2), bytemuck::Zeroable::zeroed());
        let (q, scales) = bytemuck::cast_slice_mut(&mut scratch.lines).split_at_mut(words);
        let (scale, min) = scales.split_at_mut(groups);
        Self { q, scale, min }
    }
}

/// Some values of some weight rows and of all activations.
#[derive(Clone, Copy)]
pub(super) struct Part<'a> {
    pub(super) x: &'a QuantizedRows,
    /// The first value, and how many; sums go on from what is there unless the first is 0.
    pub(super) start: usize,
    pub(super) values: usize,
    /// Where the products of the first panel go, and how many columns further those of each other.
    pub(super) column: usize,
    pub(super) apart: usize,
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
    let mut panel = Half::new(depth, GROUP, scratch);

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
            let part = Part { x, start, values: groups * X_GROUP, column, apart: 0 };
            sweep::<VNNI, GROUP, HAS_MIN, BIAS, ADDS>(&panel, part, out);
        }
    }
}

/// The products of 8 rows with all activations.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn sweep<
    const VNNI: bool,
    const GROUP: usize,
    const HAS_MIN: bool,
    const BIAS: u8,
    const ADDS: usize,
>(
    panel: &Half<'_>,
    part: Part<'_>,
    out: &mut Columns<'_>,
) {
    let groups = part.start / X_GROUP..(part.start + part.values) / X_GROUP;
    for (tile, words) in part.x.tiles(TILING) {
        with_width!(tile.width, [2 4 6], T => {
            let x: &[Record<T>] = &bytemuck::cast_slice(words)[groups.clone()];
            write(part, tile, out, |totals: &mut [[__m256; T]; 1]| {
                products::<VNNI, T, GROUP, HAS_MIN, BIAS, ADDS>(panel, x, &mut totals[0]);
            });
        });
    }
}

/// Writes the products that `add` adds to totals of 8 rows a half and `T` tokens; neighbours are the
/// halves of a panel.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn write<const P: usize, const T: usize>(
    part: Part<'_>,
    tile: Tile,
    out: &mut Columns<'_>,
    add: impl FnOnce(&mut [[__m256; T]; P]),
) {
    let columns = |i: usize, all: usize| {
        let start = part.column + i / 2 * part.apart + i % 2 * ROWS;
        all.min(start)..all.min(start + ROWS)
    };
    let mut totals = [[_mm256_setzero_ps(); T]; P];
    if part.start > 0 {
        for t in 0..tile.tokens {
            let (token, second) = part.x.target(tile.start + t);
            if !second {
                let out = out.row(token);
                for (i, total) in totals.iter_mut().enumerate() {
                    total[t] = load_lanes(&out[columns(i, out.len())]);
                }
            }
        }
    }
    add(&mut totals);
    for t in 0..tile.tokens {
        let (token, second) = part.x.target(tile.start + t);
        let out = out.row(token);
        for (i, total) in totals.iter().enumerate() {
            let columns = columns(i, out.len());
            write_lanes(&mut out[columns], second, total[t]);
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
    panel: &mut Half<'_>,
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

/// Adds `sum_g xs[g] * (scale[g] * (q[g] . xq[g]) + min[g] * sum(xq[g]))` of 8 rows and `T` tokens,
/// in the order of the groups.
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
    panel: &Half<'_>,
    x: &[Record<T>],
    totals: &mut [__m256; T],
) {
    let halves = X_GROUP / GROUP;
    let mut total = *totals;
    let q = panel.q.as_chunks::<{ X_GROUP / 4 }>().0;
    let scale = panel.scale.chunks_exact(halves);
    let min = panel.min.chunks_exact(halves);
    for (((x, q), scale), min) in x.iter().zip(q).zip(scale).zip(min) {
        for half in 0..halves {
            let mut sum = starts::<VNNI, BIAS, T>(&x[tile::negative_sum(GROUP, half)]);
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
    *totals = total;
}

/// What sums of products start from, where `negative` are the negated sums of the activations.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn starts<const VNNI: bool, const BIAS: u8, const T: usize>(
    negative: &[u32; T],
) -> [__m256i; T] {
    let mut starts = [_mm256_setzero_si256(); T];
    if BIAS != 0 && !signed(VNNI, BIAS) {
        let shift = _mm_cvtsi32_si128(BIAS.trailing_zeros() as i32);
        for t in 0..T {
            starts[t] = _mm256_sll_epi32(broadcast(negative[t]), shift);
        }
    }
    starts
}
