//! Products with weights in F32, F16 and BF16; sums in `f32`.

use std::arch::aarch64::*;

use super::load::load_f32;
use crate::block::f16;
use crate::{Columns, Format, Scratch};

/// Values that are widened at once.
const STEP: usize = 128;

#[inline]
#[target_feature(enable = "neon")]
pub(super) fn matmul_float(
    format: Format,
    weights: &[u8],
    x: &[f32],
    _scratch: &mut Scratch,
    out: &mut Columns<'_>,
) {
    let brain = |b: [u8; 2]| f32::from_bits(u32::from(u16::from_le_bytes(b)) << 16);
    match format {
        Format::F32 => run(weights.as_chunks().0, x, out, f32::from_le_bytes),
        Format::F16 => run(weights.as_chunks().0, x, out, f16),
        _ => run(weights.as_chunks().0, x, out, brain),
    }
}

/// `W` bytes a weight; each part of a row is widened once and met by every token.
#[inline]
#[target_feature(enable = "neon")]
fn run<const W: usize>(
    weights: &[[u8; W]],
    x: &[f32],
    out: &mut Columns<'_>,
    widen: impl Fn([u8; W]) -> f32,
) {
    let n = x.len() / out.tokens().max(1);
    let mut wide = [0.0; STEP];
    for r in 0..out.columns() {
        let row = &weights[r * n..][..n];
        (0..out.tokens()).for_each(|t| out.row(t)[r] = 0.0);
        for (start, part) in (0..n).step_by(STEP).zip(row.chunks(STEP)) {
            let wide = &mut wide[..part.len()];
            for (wide, part) in wide.iter_mut().zip(part) {
                *wide = widen(*part);
            }
            for t in 0..out.tokens() {
                out.row(t)[r] += dot(wide, &x[t * n + start..][..part.len()]);
            }
        }
    }
}

#[inline]
#[target_feature(enable = "neon")]
fn dot(w: &[f32], x: &[f32]) -> f32 {
    let ((w, w_rest), (x, x_rest)) = (w.as_chunks::<4>(), x.as_chunks::<4>());
    let mut total = [vdupq_n_f32(0.0); 4];
    for (i, (w, x)) in w.iter().zip(x).enumerate() {
        total[i % 4] = vfmaq_f32(total[i % 4], load_f32(w), load_f32(x));
    }
    let total = vaddq_f32(vaddq_f32(total[0], total[1]), vaddq_f32(total[2], total[3]));
    let rest: f32 = w_rest.iter().zip(x_rest).map(|(w, x)| w * x).sum();
    vaddvq_f32(total) + rest
}
