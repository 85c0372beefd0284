//! Activations to int8; equal to the scalar row bit for bit.

use std::arch::aarch64::*;

use super::load::{load_f32, store};
use crate::activations::{GROUP, QuantizedRowMut, SUM_GROUP};

#[inline]
#[target_feature(enable = "neon")]
pub(super) fn quantize(x: &[f32], out: QuantizedRowMut<'_>) {
    let groups = x.as_chunks::<4>().0.as_chunks::<8>().0.iter();
    let q = out.q.as_chunks_mut::<8>().0.as_chunks_mut::<4>().0;
    let sum = out.sum.as_chunks_mut::<{ GROUP / SUM_GROUP }>().0;
    for (((x, q), sum), scale) in groups.zip(q).zip(sum).zip(out.scale) {
        let x = x.each_ref().map(|x| load_f32(x));
        let mut max = vdupq_n_f32(0.0);
        for x in x {
            // No comparison with NaN holds, so that it never becomes the maximum.
            let x = vabsq_f32(x);
            max = vbslq_f32(vcgtq_f32(x, max), x, max);
        }
        *scale = vmaxvq_f32(max) / 127.0;
        let inverse = if *scale > 0.0 { 1.0 / *scale } else { 0.0 };
        let limit = vdupq_n_f32(127.0);
        let words = x.map(|x| {
            let x = vmulq_n_f32(x, inverse);
            let x = vmaxq_f32(vminq_f32(x, limit), vnegq_f32(limit));
            // Rounds to nearest even; NaN becomes zero.
            vqmovn_s32(vcvtnq_s32_f32(x))
        });
        let mut sums = [0; 4];
        for (i, (q, sum)) in q.iter_mut().zip(&mut sums).enumerate() {
            let eight = vcombine_s16(words[2 * i], words[2 * i + 1]);
            store(q, vmovn_s16(eight));
            *sum = vaddvq_s16(eight);
        }
        *sum = [sums[0] + sums[1], sums[2] + sums[3]];
    }
}
