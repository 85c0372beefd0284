//! Many tokens: panels of 16 weight rows, unpacked once, meet tiles of up to 6 tokens.
//!
//! A register holds four consecutive weights of each of 8 rows, a half of a panel; both halves meet
//! four activations of one token, broadcast once. Integer sums are exact within a group, then scaled.
//! The 12 sums of a group are in registers, and the totals in memory, which are touched once a group:
//! so there are fewer loads than products.

use std::arch::x86_64::*;

use super::dot::{add_pairs, dot, pairs, short, signed};
use super::load::{broadcast, load_lanes, load_words, store_words, transpose, write_lanes};
use super::step::Step;
use crate::activations::GROUP as X_GROUP;
use crate::steps::{STEP, WeightRows};
use crate::tile::{self, Record, Tile, with_width};
use crate::x86::avx2::tiling;
use crate::{Columns, QuantizedRows, Scratch};

/// Weight rows of half a panel: the lanes of a register.
const ROWS: usize = 8;
/// Packed activations that are walked once per panel: they should stay in a private L2.
const SLAB_BYTES: usize = 768 << 10;

/// Words that the innermost loop takes at a time.
const UNROLL: usize = 2;

/// A word, scale or minimum of each row of both halves.
type Pair = [[u32; ROWS]; 2];

/// 16 weight rows, four values each to a pair of registers; then per group a pair of scales and one
/// of minima.
pub(super) struct Lines<'a> {
    pub(super) q: &'a mut [Pair],
    pub(super) scale: &'a mut [Pair],
    pub(super) min: &'a mut [Pair],
}

impl<'a> Lines<'a> {
    /// With room for so many values of each row.
    pub(super) fn new(values: usize, group: usize, scratch: &'a mut Scratch) -> Self {
        let (words, groups) = (values / 4, values / group);
        scratch.lines.resize(words + 2 * groups, bytemuck::Zeroable::zeroed());
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

/// As [`super::matvec::matvec`], for many tokens: sums are of weights less `CENTER`, and what that
/// exceeds `BIAS` by is in the minima.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn matmat<
    const VNNI: bool,
    const GROUP: usize,
    const HAS_MIN: bool,
    const BIAS: u8,
    const CENTER: u8,
>(
    weights: WeightRows<'_>,
    x: &QuantizedRows,
    scratch: &mut Scratch,
    out: &mut Columns<'_>,
    decode: impl Fn(&[u8]) -> Step + Copy,
) {
    let (n, columns) = (x.n(), out.columns());
    let depth = x.slab(SLAB_BYTES);
    let mut lines = Lines::new(depth, GROUP, scratch);

    for start in (0..n).step_by(depth) {
        let groups = depth.min(n - start) / X_GROUP;
        for column in (0..columns).step_by(2 * ROWS) {
            let first = start / STEP * weights.step_bytes;
            for half in 0..2 {
                let row = |r: usize| (column + half * ROWS + r).min(columns - 1);
                let rows = std::array::from_fn(|r| &weights.row_on(row(r))[first..]);
                unpack::<VNNI, GROUP, HAS_MIN, BIAS, CENTER>(
                    weights,
                    rows,
                    groups * X_GROUP,
                    half,
                    &mut lines,
                    decode,
                );
            }
            let part = Part { x, start, values: groups * X_GROUP, column, apart: 0 };
            sweep::<VNNI, GROUP, HAS_MIN, CENTER>(&lines, part, out);
        }
    }
}

/// The products of 16 rows with all activations.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn sweep<const VNNI: bool, const GROUP: usize, const HAS_MIN: bool, const BIAS: u8>(
    lines: &Lines<'_>,
    part: Part<'_>,
    out: &mut Columns<'_>,
) {
    let groups = part.start / X_GROUP..(part.start + part.values) / X_GROUP;
    for (tile, words) in part.x.tiles(tiling(VNNI)) {
        with_width!(tile.width, [2 4 6], T => {
            let x: &[Record<T>] = &bytemuck::cast_slice(words)[groups.clone()];
            write(part, tile, out, |totals: &mut [[__m256; T]; 2]| {
                products::<VNNI, T, GROUP, HAS_MIN, BIAS>(lines, x, totals);
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

/// Decodes `values` of each row and interleaves them as half a panel.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn unpack<
    const VNNI: bool,
    const GROUP: usize,
    const HAS_MIN: bool,
    const BIAS: u8,
    const CENTER: u8,
>(
    weights: WeightRows<'_>,
    rows: [&[u8]; ROWS],
    values: usize,
    half: usize,
    lines: &mut Lines<'_>,
    decode: impl Fn(&[u8]) -> Step + Copy,
) {
    let above = _mm256_set1_ps(f32::from(CENTER) - f32::from(BIAS));
    let cut = _mm256_set1_epi8(if signed(VNNI, BIAS) { -128 } else { 0 });
    for s in 0..values.div_ceil(STEP) {
        let steps = rows.map(|row| weights.last_step(&row[s * weights.step_bytes..], decode));
        for part in 0..8 {
            let q = transpose(steps.map(|step| _mm256_xor_si256(step.q[part], cut)));
            for (out, q) in lines.q[s * 64 + part * 8..].iter_mut().zip(q) {
                store_words(&mut out[half], q);
            }
        }
        let groups = STEP / GROUP;
        for eight in 0..groups / 8 {
            let at = s * groups + eight * 8;
            let scale = transpose(steps.map(|step| _mm256_castps_si256(step.scale[eight])));
            for (out, scale) in lines.scale[at..][..8].iter_mut().zip(scale) {
                store_words(&mut out[half], scale);
            }
            if HAS_MIN {
                let min = steps.map(|step| match CENTER == BIAS {
                    true => step.min[eight],
                    false => _mm256_fmadd_ps(step.scale[eight], above, step.min[eight]),
                });
                let min = transpose(min.map(|min| _mm256_castps_si256(min)));
                for (out, min) in lines.min[at..][..8].iter_mut().zip(min) {
                    store_words(&mut out[half], min);
                }
            }
        }
    }
}

/// Adds `sum_g xs[g] * (scale[g] * (q[g] . xq[g]) + min[g] * sum(xq[g]))` of 16 rows and `T` tokens,
/// in the order of the groups.
#[inline(never)]
#[target_feature(enable = "avx2,fma,f16c")]
fn products<
    const VNNI: bool,
    const T: usize,
    const GROUP: usize,
    const HAS_MIN: bool,
    const BIAS: u8,
>(
    lines: &Lines<'_>,
    x: &[Record<T>],
    totals: &mut [[__m256; T]; 2],
) {
    let halves = X_GROUP / GROUP;
    // A constant to us but not to the compiler, which would unroll the loop over it and keep
    // weights in memory to finish one token after the other.
    let words = lines.q.len() / lines.scale.len().max(1);
    const { assert!(BIAS <= 16 || BIAS == 128 || GROUP == 16) };
    const { assert!((GROUP / 4).is_multiple_of(UNROLL)) };
    debug_assert!(lines.q.is_empty() || words == GROUP / 4);
    let q = lines.q.chunks_exact(words * halves);
    let scale = lines.scale.chunks_exact(halves);
    let min = lines.min.chunks_exact(halves);
    let mut total = *totals;
    for (((x, q), scale), min) in x.iter().zip(q).zip(scale).zip(min) {
        for half in 0..halves {
            let (scale, min) = (&scale[half], &min[half]);
            let of = |all: usize| half * all..(half + 1) * all;
            let group = Group { q: &q[of(words)], x: &x[of(words)], scale, min };
            let sums = [tile::negative_sum(GROUP, half), tile::scaled_sum(GROUP, half)];
            if signed(VNNI, BIAS) && T == 6 {
                // With more sums, neither the weights nor their magnitudes would be in registers.
                add_group::<VNNI, T, 3, HAS_MIN, BIAS>(group, x, sums, 0, &mut total);
                add_group::<VNNI, T, 3, HAS_MIN, BIAS>(group, x, sums, 3, &mut total);
            } else {
                add_group::<VNNI, T, T, HAS_MIN, BIAS>(group, x, sums, 0, &mut total);
            }
        }
    }
    *totals = total;
}

/// The values of 16 rows and `T` tokens that share a scale of the weights.
#[derive(Clone, Copy)]
struct Group<'a, const T: usize> {
    q: &'a [Pair],
    x: &'a [[u32; T]],
    scale: &'a Pair,
    min: &'a Pair,
}

/// Adds the products of a group with `S` tokens from `first` on, whose sums are in rows `sums` of
/// their record.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn add_group<
    const VNNI: bool,
    const T: usize,
    const S: usize,
    const HAS_MIN: bool,
    const BIAS: u8,
>(
    Group { q, x: words, scale, min }: Group<'_, T>,
    x: &Record<T>,
    [negative, scaled]: [usize; 2],
    first: usize,
    totals: &mut [[__m256; T]; 2],
) {
    let of = |row: usize| x[row][first..].first_chunk::<S>().expect("tokens of the tile");
    let mut sum = [starts::<VNNI, BIAS, S>(of(negative)); 2];
    for (x, q) in words.as_chunks().0.iter().zip(q.as_chunks().0) {
        let (x, q): (&[[u32; T]; UNROLL], &[Pair; UNROLL]) = (x, q);
        for i in 0..UNROLL {
            let q = [load_words(&q[i][0]), load_words(&q[i][1])];
            for t in 0..S {
                let x = broadcast(x[i][first + t]);
                for p in 0..2 {
                    sum[p][t] = if const { short(VNNI, BIAS) } {
                        add_pairs(sum[p][t], pairs::<BIAS>(q[p], x))
                    } else {
                        dot::<VNNI, BIAS>(sum[p][t], q[p], x)
                    };
                }
            }
        }
    }
    if const { short(VNNI, BIAS) } {
        for sum in sum.as_flattened_mut() {
            *sum = _mm256_madd_epi16(*sum, _mm256_set1_epi16(1));
        }
    }
    for t in 0..S {
        let word = |row: usize| _mm256_castsi256_ps(broadcast(of(row)[t]));
        for p in 0..2 {
            let scale = _mm256_castsi256_ps(load_words(&scale[p]));
            let scale = _mm256_mul_ps(scale, word(tile::SCALE));
            let total = &mut totals[p][first + t];
            *total = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum[p][t]), scale, *total);
            if HAS_MIN {
                let min = _mm256_castsi256_ps(load_words(&min[p]));
                *total = _mm256_fmadd_ps(min, word(scaled), *total);
            }
        }
    }
}

/// What sums of products start from, where `negative` are what the activations lack to zero.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn starts<const VNNI: bool, const BIAS: u8, const T: usize>(
    negative: &[u32; T],
) -> [__m256i; T] {
    let mut starts = [_mm256_setzero_si256(); T];
    if BIAS != 0 && !signed(VNNI, BIAS) {
        let shift = _mm_cvtsi32_si128(BIAS.trailing_zeros() as i32);
        for t in 0..T {
            let negative = broadcast(negative[t]);
            starts[t] = match short(VNNI, BIAS) {
                true => _mm256_sll_epi16(negative, shift),
                false => _mm256_sll_epi32(negative, shift),
            };
        }
    }
    starts
}
