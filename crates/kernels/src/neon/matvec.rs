//! Few tokens: each weight row is unpacked once and met by every token.

use std::arch::aarch64::*;

use super::dot::dot;
use super::load::load;
use super::step::{Decode, Step};
use crate::activations::{GROUP as X_GROUP, QuantizedRow, SUM_GROUP};
use crate::steps::{STEP, WeightRows};
use crate::{Columns, QuantizedRows};

/// Every column of `out`, one weight row each.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn matvec<const DOTPROD: bool, const GROUP: usize, const HAS_MIN: bool>(
    weights: WeightRows<'_>,
    x: &QuantizedRows,
    out: &mut Columns<'_>,
    decode: Decode,
) {
    let mut t = 0;
    while t < x.rows() {
        match x.rows() - t {
            1 => {
                tokens::<DOTPROD, GROUP, HAS_MIN, 1>(weights, x, out, t, decode);
                t += 1;
            }
            2 | 3 => {
                tokens::<DOTPROD, GROUP, HAS_MIN, 2>(weights, x, out, t, decode);
                t += 2;
            }
            _ => {
                tokens::<DOTPROD, GROUP, HAS_MIN, 4>(weights, x, out, t, decode);
                t += 4;
            }
        }
    }
}

/// Columns of rows `t..t + T` of the activations.
#[inline]
#[target_feature(enable = "neon")]
fn tokens<const DOTPROD: bool, const GROUP: usize, const HAS_MIN: bool, const T: usize>(
    weights: WeightRows<'_>,
    x: &QuantizedRows,
    out: &mut Columns<'_>,
    t: usize,
    decode: Decode,
) {
    let n = x.n();
    let parts: [_; T] = std::array::from_fn(|i| x.row(t + i));
    let mut step = Step::ZERO;
    for r in 0..out.columns() {
        let row = weights.row_on(r);
        let (mut total, mut extra) = ([vdupq_n_f32(0.0); T], [0.0; T]);
        for (s, start) in (0..n).step_by(STEP).enumerate() {
            weights.last_step(&row[s * weights.step_bytes..], |bytes| decode(bytes, &mut step));
            let values = STEP.min(n - start);
            for t in 0..T {
                let x = part(parts[t], start, values);
                total[t] = products::<DOTPROD, GROUP>(&step, x, total[t]);
                if HAS_MIN {
                    extra[t] += minima::<GROUP>(&step, x);
                }
            }
        }
        for i in 0..T {
            let (token, add) = x.target(t + i);
            let out = &mut out.row(token)[r];
            let sum = vaddvq_f32(total[i]) + extra[i];
            *out = if add { *out + sum } else { sum };
        }
    }
}

#[inline]
#[target_feature(enable = "neon")]
fn part(x: QuantizedRow<'_>, start: usize, values: usize) -> QuantizedRow<'_> {
    QuantizedRow {
        q: &x.q[start..][..values],
        scale: &x.scale[start / X_GROUP..][..values / X_GROUP],
        sum: &x.sum[start / SUM_GROUP..][..values / SUM_GROUP],
    }
}

/// `total` plus the scaled products of a step, spread over the lanes.
#[inline]
#[target_feature(enable = "neon")]
fn products<const DOTPROD: bool, const GROUP: usize>(
    step: &Step,
    x: QuantizedRow<'_>,
    mut total: float32x4_t,
) -> float32x4_t {
    let groups = x.q.as_chunks::<16>().0.as_chunks::<2>().0;
    let weights = step.q.as_chunks::<2>().0;
    for (g, ((x, q), xs)) in groups.iter().zip(weights).zip(x.scale).enumerate() {
        let zero = vdupq_n_s32(0);
        let low = dot::<DOTPROD>(zero, load(&q[0]), load(&x[0]));
        if GROUP == 16 {
            let high = dot::<DOTPROD>(zero, load(&q[1]), load(&x[1]));
            let scale = [step.scale[2 * g] * xs, step.scale[2 * g + 1] * xs];
            total = vfmaq_n_f32(total, vcvtq_f32_s32(low), scale[0]);
            total = vfmaq_n_f32(total, vcvtq_f32_s32(high), scale[1]);
        } else {
            let both = dot::<DOTPROD>(low, load(&q[1]), load(&x[1]));
            total = vfmaq_n_f32(total, vcvtq_f32_s32(both), step.scale[g] * xs);
        }
    }
    total
}

/// What the minima of a step add.
#[inline]
#[target_feature(enable = "neon")]
fn minima<const GROUP: usize>(step: &Step, x: QuantizedRow<'_>) -> f32 {
    let mut total = 0.0;
    for (g, (sum, xs)) in x.sum.as_chunks::<2>().0.iter().zip(x.scale).enumerate() {
        let [low, high] = sum.map(i32::from);
        total += if GROUP == 16 {
            xs * (step.min[2 * g] * low as f32 + step.min[2 * g + 1] * high as f32)
        } else {
            xs * step.min[g] * (low + high) as f32
        };
    }
    total
}
