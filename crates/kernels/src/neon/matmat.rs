//! Many tokens: panels of 8 weight rows, unpacked once, meet tiles of up to 6 tokens.
//!
//! A register holds four consecutive weights of each of 4 rows; it meets four activations of one
//! token, broadcast. With `smmla` ([`super::i8mm`]) it holds eight of each of 2 rows, and meets
//! eight of each of 2 tokens. Integer sums are exact within a group, then scaled.

use std::arch::aarch64::*;

use super::dot::dot;
use super::i8mm;
use super::load::{load_words, to_array};
use super::step::{Decode, Step};
use crate::activations::GROUP as X_GROUP;
use crate::steps::{STEP, WeightRows};
use crate::tile::{self, Record, Tile, with_width};
use crate::{Columns, QuantizedRows, Scratch};

/// Weight rows of a panel: the lanes of two registers.
pub(super) const ROWS: usize = 8;
/// Packed activations that are walked once per panel, at most: they should stay in
/// a private L2.
const SLAB_BYTES: usize = 256 << 10;

/// 8 weight rows: per run of words a run of each; per group a scale and a minimum of each.
pub(super) struct Panel<'a> {
    pub(super) q: &'a mut [[u32; ROWS]],
    pub(super) scale: &'a mut [[u32; ROWS]],
    pub(super) min: &'a mut [[u32; ROWS]],
}

impl<'a> Panel<'a> {
    /// With room for so many values of each row.
    pub(super) fn new(values: usize, group: usize, scratch: &'a mut Scratch) -> Self {
        let (words, groups) = (values / 4, values / group);
        scratch.lines.resize((words + 2 * groups).div_ceil(2), bytemuck::Zeroable::zeroed());
        let (q, scales) = bytemuck::cast_slice_mut(&mut scratch.lines).split_at_mut(words);
        let (scale, min) = scales.split_at_mut(groups);
        Self { q, scale, min }
    }
}

/// Some values of a panel's rows and of all activations.
#[derive(Clone, Copy)]
pub(super) struct Part<'a> {
    pub(super) x: &'a QuantizedRows,
    /// The first value, and how many; products are added to what is there unless the first is 0.
    pub(super) start: usize,
    pub(super) values: usize,
    /// Where the products go.
    pub(super) column: usize,
}

/// As [`super::matvec::matvec`], for many tokens; an instruction multiplies runs of `RUN` words, of
/// four values each.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn matmat<
    const DOTPROD: bool,
    const RUN: usize,
    const GROUP: usize,
    const HAS_MIN: bool,
>(
    weights: WeightRows<'_>,
    x: &QuantizedRows,
    scratch: &mut Scratch,
    out: &mut Columns<'_>,
    decode: Decode,
) {
    let (n, columns) = (x.n(), out.columns());
    let depth = x.slab(scratch.caches.second(SLAB_BYTES), STEP);
    let mut panel = Panel::new(depth, GROUP, scratch);

    for start in (0..n).step_by(depth) {
        let groups = depth.min(n - start) / X_GROUP;
        for column in (0..columns).step_by(ROWS) {
            let real = ROWS.min(columns - column);
            for r in 0..real {
                let row = &weights.row_on(column + r)[start / STEP * weights.step_bytes..];
                unpack::<RUN, GROUP>(weights, row, groups * X_GROUP, r, &mut panel, decode);
            }
            let part = Part { x, start, values: groups * X_GROUP, column };
            sweep::<DOTPROD, RUN, GROUP, HAS_MIN>(&panel, part, out);
        }
    }
}

/// The products of 8 rows with all activations.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn sweep<
    const DOTPROD: bool,
    const RUN: usize,
    const GROUP: usize,
    const HAS_MIN: bool,
>(
    panel: &Panel<'_>,
    part: Part<'_>,
    out: &mut Columns<'_>,
) {
    let groups = part.start / X_GROUP..(part.start + part.values) / X_GROUP;
    for (tile, words) in part.x.tiles(super::tiling(RUN)) {
        with_width!(tile.width, [2 4 6], T => {
            let x: &[Record<T>] = &bytemuck::cast_slice(words)[groups.clone()];
            multiply::<DOTPROD, RUN, GROUP, HAS_MIN, T>(panel, x, part, tile, out);
        });
    }
}

/// Decodes `values` of a row into the panel, as its row `r`.
#[inline]
#[target_feature(enable = "neon")]
fn unpack<const RUN: usize, const GROUP: usize>(
    weights: WeightRows<'_>,
    row: &[u8],
    values: usize,
    r: usize,
    panel: &mut Panel<'_>,
    decode: Decode,
) {
    let mut step = Step::ZERO;
    for s in 0..values.div_ceil(STEP) {
        weights.last_step(&row[s * weights.step_bytes..], |bytes| decode(bytes, &mut step));
        let runs = step.q.as_flattened().as_chunks::<4>().0.as_chunks::<RUN>().0;
        let out = panel.q[s * (STEP / 4)..].as_chunks_mut::<RUN>().0;
        for (out, run) in out.iter_mut().zip(runs) {
            tile::set_run(out, r, run.map(|word| u32::from_le_bytes(word.map(|q| q as u8))));
        }
        let groups = s * (STEP / GROUP)..(s + 1) * (STEP / GROUP);
        let out = panel.scale[groups.clone()].iter_mut().zip(&mut panel.min[groups]);
        for ((scale, min), (from_scale, from_min)) in out.zip(step.scale.iter().zip(&step.min)) {
            scale[r] = from_scale.to_bits();
            min[r] = from_min.to_bits();
        }
    }
}

/// Adds or writes the products of a panel with a tile of `T` tokens.
#[inline]
#[target_feature(enable = "neon")]
fn multiply<
    const DOTPROD: bool,
    const RUN: usize,
    const GROUP: usize,
    const HAS_MIN: bool,
    const T: usize,
>(
    panel: &Panel<'_>,
    x: &[Record<T>],
    part: Part<'_>,
    tile: Tile,
    out: &mut Columns<'_>,
) {
    let totals = if RUN == i8mm::RUN {
        i8mm::products::<T, GROUP, HAS_MIN>(panel, x)
    } else {
        products::<DOTPROD, T, GROUP, HAS_MIN>(panel, x)
    };
    for (t, total) in totals.into_iter().take(tile.tokens).enumerate() {
        let (token, second) = part.x.target(tile.start + t);
        let out = out.row(token);
        let start = out.len().min(part.column);
        let total = total.map(|lanes| to_array(lanes));
        for (out, total) in out[start..].iter_mut().zip(total.as_flattened()) {
            *out = if part.start > 0 || second { *out + total } else { *total };
        }
    }
}

/// `sum_g xs[g] * (scale[g] * (q[g] . xq[g]) + min[g] * sum(xq[g]))` of 8 rows and `T` tokens.
#[inline(never)]
#[target_feature(enable = "neon")]
fn products<const DOTPROD: bool, const T: usize, const GROUP: usize, const HAS_MIN: bool>(
    panel: &Panel<'_>,
    x: &[Record<T>],
) -> [[float32x4_t; 2]; T] {
    let halves = X_GROUP / GROUP;
    let mut total = [[vdupq_n_f32(0.0); 2]; T];
    let q = panel.q.as_chunks::<{ X_GROUP / 4 }>().0;
    let scale = panel.scale.chunks_exact(halves);
    let min = panel.min.chunks_exact(halves);
    for (((x, q), scale), min) in x.iter().zip(q).zip(scale).zip(min) {
        for half in 0..halves {
            let mut sum = [[vdupq_n_s32(0); 2]; T];
            for k in half * (GROUP / 4)..(half + 1) * (GROUP / 4) {
                let q = split(&q[k]).map(|q| vreinterpretq_s8_u32(q));
                for t in 0..T {
                    let x = vreinterpretq_s8_u32(vdupq_n_u32(x[k][t]));
                    sum[t] = [0, 1].map(|i| dot::<DOTPROD>(sum[t][i], q[i], x));
                }
            }
            let scale = split(&scale[half]).map(|scale| vreinterpretq_f32_u32(scale));
            let min = split(&min[half]).map(|min| vreinterpretq_f32_u32(min));
            for t in 0..T {
                let xs = f32::from_bits(x[tile::SCALE][t]);
                for i in 0..2 {
                    let scaled = vmulq_n_f32(scale[i], xs);
                    total[t][i] = vfmaq_f32(total[t][i], vcvtq_f32_s32(sum[t][i]), scaled);
                    if HAS_MIN {
                        let sum = f32::from_bits(x[tile::scaled_sum(GROUP, half)][t]);
                        total[t][i] = vfmaq_n_f32(total[t][i], min[i], sum);
                    }
                }
            }
        }
    }
    total
}

#[inline]
#[target_feature(enable = "neon")]
fn split(words: &[u32; ROWS]) -> [uint32x4_t; 2] {
    let [low, high] = bytemuck::cast_ref::<[u32; ROWS], [[u32; 4]; 2]>(words);
    [load_words(low), load_words(high)]
}
