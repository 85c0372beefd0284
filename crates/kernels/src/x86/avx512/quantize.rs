//! Activations to int8; equal to the scalar row bit for bit.
#![expect(unsafe_code, reason = "vector loads and stores")]

use std::arch::x86_64::*;

use super::load::load_f32;
use crate::activations::{GROUP, QuantizedRowMut, SUM_GROUP};

#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
pub(super) fn quantize(x: &[f32], out: QuantizedRowMut<'_>) {
    let groups = x.as_chunks::<16>().0.as_chunks::<2>().0.iter();
    let q = out.q.as_chunks_mut::<SUM_GROUP>().0.as_chunks_mut::<2>().0;
    let sum = out.sum.as_chunks_mut::<{ GROUP / SUM_GROUP }>().0;
    for (((x, q), sum), scale) in groups.zip(q).zip(sum).zip(out.scale) {
        let x = [load_f32(&x[0]), load_f32(&x[1])];
        // The second operand wins where the first is NaN, as in `f32::max`.
        let zero = _mm512_setzero_ps();
        let max = _mm512_max_ps(_mm512_abs_ps(x[1]), _mm512_max_ps(_mm512_abs_ps(x[0]), zero));
        *scale = _mm512_reduce_max_ps(max) / 127.0;
        let inverse = _mm512_set1_ps(if *scale > 0.0 { 1.0 / *scale } else { 0.0 });
        for ((x, q), sum) in x.into_iter().zip(q).zip(sum) {
            let x = _mm512_mul_ps(x, inverse);
            let number = _mm512_cmp_ps_mask::<_CMP_ORD_Q>(x, x);
            let limit = _mm512_set1_ps(127.0);
            let x = _mm512_max_ps(_mm512_min_ps(x, limit), _mm512_sub_ps(zero, limit));
            let x = _mm512_maskz_cvtps_epi32(number, x);
            *sum = _mm512_reduce_add_epi32(x) as i16;
            let bytes = _mm512_cvtepi32_epi8(x);
            // SAFETY: `q` is 16 writable bytes; the store needs no alignment.
            unsafe { _mm_storeu_si128(q.as_mut_ptr().cast(), bytes) }
        }
    }
}
