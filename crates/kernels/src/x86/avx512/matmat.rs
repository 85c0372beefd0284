//! Many tokens: pairs of panels of 16 weight rows, unpacked once, meet tiles of up to 6 tokens.
//!
//! A register holds four consecutive weights of each of 16 rows; `vpdpbusd` multiplies it with
//! four activations of one token, broadcast. Integer sums are exact within a group, then scaled.

use std::arch::x86_64::*;

use super::load::{broadcast, load_lanes, load_words, store_words, transpose, write_lanes};
use super::step::Step;
use crate::activations::GROUP as X_GROUP;
use crate::row::Line;
use crate::steps::{STEP, WeightRows};
use crate::tile::{self, Record, Tile, with_width};
use crate::x86::avx512::TILING;
use crate::{Columns, QuantizedRows, Scratch};

/// Weight rows of a panel: the lanes of a register.
pub(super) const ROWS: usize = 16;
/// Panels that meet a tile together: each broadcast of activations then feeds two products. With
/// one panel and 12 tokens loads were as many as products, and both as slow.
pub(super) const PANELS: usize = 2;
/// Packed activations that are walked once per pair of panels, at most: they should stay in
/// a private L2.
const SLAB_BYTES: usize = 1 << 20;

/// The lines of each panel side by side.
pub(super) type Lines = [Line; PANELS];

/// Panels of 16 weight rows, four values of each row to a line; then per group a line of scales and
/// one of minima.
pub(super) struct Panels<'a> {
    pub(super) q: &'a mut [Lines],
    pub(super) scale: &'a mut [Lines],
    pub(super) min: &'a mut [Lines],
}

impl<'a> Panels<'a> {
    /// With room for so many values of each row.
    pub(super) fn new(values: usize, group: usize, scratch: &'a mut Scratch) -> Self {
        let (words, groups) = (values / 4, values / group);
        scratch.lines.resize(PANELS * (words + 2 * groups), Line([0; 16]));
        let (q, scales) = scratch.lines.as_chunks_mut().0.split_at_mut(words);
        let (scale, min) = scales.split_at_mut(groups);
        Self { q, scale, min }
    }
}

/// As [`super::matvec::matvec`], for many tokens.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
pub(super) fn matmat<const GROUP: usize, const HAS_MIN: bool, const BIAS: u8>(
    weights: WeightRows<'_>,
    x: &QuantizedRows,
    scratch: &mut Scratch,
    out: &mut Columns<'_>,
    decode: impl Fn(&[u8]) -> Step + Copy,
) {
    let (n, columns) = (x.n(), out.columns());
    let depth = x.slab(scratch.caches.second(SLAB_BYTES), STEP);
    let mut panels = Panels::new(depth, GROUP, scratch);
    for start in (0..n).step_by(depth) {
        let groups = depth.min(n - start) / X_GROUP;
        for column in (0..columns).step_by(PANELS * ROWS) {
            let real = (PANELS * ROWS).min(columns - column);
            let first = start / STEP * weights.step_bytes;
            for p in 0..real.div_ceil(ROWS) {
                let row = |r: usize| column + (p * ROWS + r).min(real - 1);
                let rows = std::array::from_fn(|r| &weights.row_on(row(r))[first..]);
                unpack::<GROUP, HAS_MIN>(weights, rows, groups * X_GROUP, p, &mut panels, decode);
            }
            let part = Part { x, start, values: groups * X_GROUP, column, apart: ROWS };
            sweep::<GROUP, HAS_MIN, BIAS>(&panels, real.div_ceil(ROWS), part, out);
        }
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

impl Part<'_> {
    /// The columns of panel `p` in a row of them.
    fn columns(self, p: usize, all: usize) -> std::ops::Range<usize> {
        let start = self.column + p * self.apart;
        start..all.min(start + ROWS)
    }
}

/// The products of one or two panels with all activations.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
pub(super) fn sweep<const GROUP: usize, const HAS_MIN: bool, const BIAS: u8>(
    panels: &Panels<'_>,
    count: usize,
    part: Part<'_>,
    out: &mut Columns<'_>,
) {
    let groups = part.start / X_GROUP..(part.start + part.values) / X_GROUP;
    for (tile, words) in part.x.tiles(TILING) {
        with_width!(tile.width, [2 4 6], T => {
            let x: &[Record<T>] = &bytemuck::cast_slice(words)[groups.clone()];
            if count > 1 {
                write(part, tile, out, |totals: &mut [[__m512; T]; PANELS]| {
                    products::<PANELS, T, GROUP, HAS_MIN, BIAS>(panels, x, totals);
                });
            } else {
                write(part, tile, out, |totals: &mut [[__m512; T]; 1]| {
                    products::<1, T, GROUP, HAS_MIN, BIAS>(panels, x, totals);
                });
            }
        });
    }
}

/// Writes the products that `add` adds to totals of 16 rows a panel and `T` tokens.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
pub(super) fn write<const P: usize, const T: usize>(
    part: Part<'_>,
    tile: Tile,
    out: &mut Columns<'_>,
    add: impl FnOnce(&mut [[__m512; T]; P]),
) {
    let mut totals = [[_mm512_setzero_ps(); T]; P];
    if part.start > 0 {
        for t in 0..tile.tokens {
            let (token, second) = part.x.target(tile.start + t);
            if !second {
                let out = out.row(token);
                for (p, total) in totals.iter_mut().enumerate() {
                    total[t] = load_lanes(&out[part.columns(p, out.len())]);
                }
            }
        }
    }
    add(&mut totals);
    for t in 0..tile.tokens {
        let (token, second) = part.x.target(tile.start + t);
        let out = out.row(token);
        for (p, total) in totals.iter().enumerate() {
            let columns = part.columns(p, out.len());
            write_lanes(&mut out[columns], second, total[t]);
        }
    }
}

/// Decodes `values` of each row and interleaves them as panel `p`.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
fn unpack<const GROUP: usize, const HAS_MIN: bool>(
    weights: WeightRows<'_>,
    rows: [&[u8]; ROWS],
    values: usize,
    p: usize,
    panels: &mut Panels<'_>,
    decode: impl Fn(&[u8]) -> Step + Copy,
) {
    for s in 0..values.div_ceil(STEP) {
        // Loops, not `map`: its closures would be compiled without this function's instructions.
        let zero = _mm512_setzero_si512();
        let (mut quarters, mut scale, mut min) = ([[zero; ROWS]; 4], [zero; ROWS], [zero; ROWS]);
        for r in 0..ROWS {
            let step = weights.last_step(&rows[r][s * weights.step_bytes..], decode);
            for (quarter, q) in quarters.iter_mut().zip(step.q) {
                quarter[r] = q;
            }
            scale[r] = _mm512_castps_si512(step.scale);
            min[r] = _mm512_castps_si512(step.min);
        }
        for (i, quarter) in quarters.into_iter().enumerate() {
            let q = transpose(quarter);
            for (lines, q) in panels.q[s * 64 + i * 16..].iter_mut().zip(q) {
                store_words(&mut lines[p].0, q);
            }
        }
        let groups = STEP / GROUP;
        let lines = panels.scale[s * groups..][..groups].iter_mut();
        for (lines, scale) in lines.zip(transpose(scale)) {
            store_words(&mut lines[p].0, scale);
        }
        if HAS_MIN {
            let lines = panels.min[s * groups..][..groups].iter_mut();
            for (lines, min) in lines.zip(transpose(min)) {
                store_words(&mut lines[p].0, min);
            }
        }
    }
}

/// Adds `sum_g xs[g] * (scale[g] * (q[g] . xq[g]) + min[g] * sum(xq[g]))` of 16 rows a panel and
/// `T` tokens, in the order of the groups whatever `P` and `T` are.
#[inline(never)]
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
fn products<
    const P: usize,
    const T: usize,
    const GROUP: usize,
    const HAS_MIN: bool,
    const BIAS: u8,
>(
    panels: &Panels<'_>,
    x: &[Record<T>],
    totals: &mut [[__m512; T]; P],
) {
    let halves = X_GROUP / GROUP;
    let mut total = *totals;
    let q = panels.q.as_chunks::<{ X_GROUP / 4 }>().0;
    let scale = panels.scale.chunks_exact(halves);
    let min = panels.min.chunks_exact(halves);
    for (((x, q), scale), min) in x.iter().zip(q).zip(scale).zip(min) {
        for half in 0..halves {
            let start = x[tile::negative_sum(GROUP, half)];
            let mut sum = [[_mm512_setzero_si512(); T]; P];
            for t in 0..T {
                let start = biased::<BIAS>(start[t]);
                for sum in &mut sum {
                    sum[t] = start;
                }
            }
            for k in half * (GROUP / 4)..(half + 1) * (GROUP / 4) {
                let mut lines = [_mm512_setzero_si512(); P];
                for p in 0..P {
                    lines[p] = load_words(&q[k][p].0);
                }
                for t in 0..T {
                    let x = broadcast(x[k][t]);
                    for p in 0..P {
                        sum[p][t] = _mm512_dpbusd_epi32(sum[p][t], lines[p], x);
                    }
                }
            }
            for p in 0..P {
                let scale = _mm512_castsi512_ps(load_words(&scale[half][p].0));
                for t in 0..T {
                    let scale = _mm512_mul_ps(scale, word(x[tile::SCALE][t]));
                    total[p][t] =
                        _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum[p][t]), scale, total[p][t]);
                }
                if HAS_MIN {
                    let min = _mm512_castsi512_ps(load_words(&min[half][p].0));
                    for t in 0..T {
                        total[p][t] = _mm512_fmadd_ps(
                            min,
                            word(x[tile::scaled_sum(GROUP, half)][t]),
                            total[p][t],
                        );
                    }
                }
            }
        }
    }
    *totals = total;
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn word(bits: u32) -> __m512 {
    _mm512_castsi512_ps(broadcast(bits))
}

/// What a sum of products starts from, where `negative` is the negated sum of the activations.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn biased<const BIAS: u8>(negative: u32) -> __m512i {
    match BIAS {
        0 => _mm512_setzero_si512(),
        bias => {
            let shift = _mm_cvtsi32_si128(bias.trailing_zeros() as i32);
            _mm512_sll_epi32(broadcast(negative), shift)
        }
    }
}
