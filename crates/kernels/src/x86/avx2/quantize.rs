//! Activations to int8; equal to the scalar row bit for bit.

use std::arch::x86_64::*;

use super::load::{load_f32, store_16};
use crate::activations::{GROUP, QuantizedRowMut, SUM_GROUP};

/// The greatest of lanes none of which is NaN.
#[inline]
#[target_feature(enable = "avx2")]
fn greatest(x: __m256) -> f32 {
    let four = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps::<1>(x));
    let two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)))
}

#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn quantize(x: &[f32], out: QuantizedRowMut<'_>) {
    let groups = x.as_chunks::<8>().0.as_chunks::<4>().0.iter();
    let q = out.q.as_chunks_mut::<SUM_GROUP>().0.as_chunks_mut::<2>().0;
    let sum = out.sum.as_chunks_mut::<{ GROUP / SUM_GROUP }>().0;
    for (((x, q), sum), scale) in groups.zip(q).zip(sum).zip(out.scale) {
        let x = x.each_ref().map(|x| load_f32(x));
        // The second operand wins where the first is NaN, as in `f32::max`.
        let sign = _mm256_set1_ps(-0.0);
        let mut max = _mm256_setzero_ps();
        for x in x {
            max = _mm256_max_ps(_mm256_andnot_ps(sign, x), max);
        }
        *scale = greatest(max) / 127.0;
        let inverse = _mm256_set1_ps(if *scale > 0.0 { 1.0 / *scale } else { 0.0 });
        let limit = _mm256_set1_ps(127.0);
        let words = x.map(|x| {
            let x = _mm256_mul_ps(x, inverse);
            let number = _mm256_cmp_ps::<_CMP_ORD_Q>(x, x);
            let x = _mm256_max_ps(_mm256_min_ps(x, limit), _mm256_or_ps(limit, sign));
            _mm256_cvtps_epi32(_mm256_and_ps(x, number))
        });
        for (half, (q, sum)) in q.iter_mut().zip(sum).enumerate() {
            let (a, b) = (words[half * 2], words[half * 2 + 1]);
            let both = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packs_epi32(a, b));
            let (low, high) = (_mm256_castsi256_si128(both), _mm256_extracti128_si256::<1>(both));
            store_16(q, _mm_packs_epi16(low, high));
            let four = _mm_madd_epi16(_mm_add_epi16(low, high), _mm_set1_epi16(1));
            let two = _mm_add_epi32(four, _mm_unpackhi_epi64(four, four));
            let one = _mm_add_epi32(two, _mm_shuffle_epi32::<1>(two));
            *sum = _mm_cvtsi128_si32(one) as i16;
        }
    }
}
