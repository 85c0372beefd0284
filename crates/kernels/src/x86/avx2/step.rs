//! 256 weights of one row in registers, and the activations they meet.

use std::arch::x86_64::*;

use super::dot::{dot, signed};
use super::load::{load, load_f32};
use crate::activations::QuantizedRow;
use crate::steps::STEP;

/// 256 consecutive weights: `scale[g] * (q[i] - BIAS) + min[g]`, where the kernel that reads it
/// knows `BIAS` and the group.
#[derive(Clone, Copy)]
pub(super) struct Step {
    /// Unsigned bytes in the row's order.
    pub(super) q: [__m256i; 8],
    /// One per group, so that with groups of 32 only the first register means something.
    pub(super) scale: [__m256; 2],
    /// As `scale`.
    pub(super) min: [__m256; 2],
}

impl Step {
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(super) fn zero() -> Self {
        let zero = _mm256_setzero_ps();
        Self { q: [_mm256_setzero_si256(); 8], scale: [zero; 2], min: [zero; 2] }
    }
}

/// The activations of one step, prepared for any number of weight rows.
pub(super) struct Activations<'a> {
    q: &'a [[u8; 32]; 8],
    /// What each lane's accumulator starts from: `-BIAS` times the sum of its activations.
    start: [__m256i; 8],
    scale: [__m256; 2],
    /// The scale times the sum of each group.
    sum: [__m256; 2],
}

impl<'a> Activations<'a> {
    /// The activations of step `s` of a row.
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    pub(super) fn new<const VNNI: bool, const GROUP: usize, const BIAS: u8>(
        x: QuantizedRow<'a>,
        s: usize,
    ) -> Self {
        let q = x.q[s * STEP..].first_chunk::<STEP>().expect("a whole step");
        let scale = x.scale[s * 8..].first_chunk::<8>().expect("a whole step");
        let sum = x.sum[s * 16..].first_chunk::<16>().expect("a whole step");
        let q = bytemuck::cast_ref::<[i8; STEP], [[u8; 32]; 8]>(q);
        let zero = _mm256_setzero_si256();
        let mut start = [zero; 8];
        if BIAS != 0 && !signed(VNNI, BIAS) {
            let bias = _mm256_set1_epi8(BIAS as i8);
            for (start, q) in start.iter_mut().zip(q) {
                *start = _mm256_sub_epi32(zero, dot::<VNNI, BIAS>(zero, bias, load(q)));
            }
        }
        let scale = load_f32(scale);
        let sum = load(bytemuck::cast_ref(sum));
        if GROUP == 16 {
            let scale = [
                _mm256_permutevar8x32_ps(scale, _mm256_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3)),
                _mm256_permutevar8x32_ps(scale, _mm256_setr_epi32(4, 4, 5, 5, 6, 6, 7, 7)),
            ];
            let sum = [_mm256_castsi256_si128(sum), _mm256_extracti128_si256::<1>(sum)];
            let sum = sum.map(|sum| _mm256_cvtepi32_ps(_mm256_cvtepi16_epi32(sum)));
            let sum = [_mm256_mul_ps(sum[0], scale[0]), _mm256_mul_ps(sum[1], scale[1])];
            Self { q, start, scale, sum }
        } else {
            let sum = _mm256_cvtepi32_ps(_mm256_madd_epi16(sum, _mm256_set1_epi16(1)));
            Self { q, start, scale: [scale; 2], sum: [_mm256_mul_ps(sum, scale); 2] }
        }
    }

    /// `total` plus the products with the first `32 * PARTS` weights of `step`, spread over the
    /// lanes; `groups` is all ones in each lane whose group counts.
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    pub(super) fn dot<
        const VNNI: bool,
        const GROUP: usize,
        const HAS_MIN: bool,
        const BIAS: u8,
        const PARTS: usize,
    >(
        &self,
        step: &Step,
        groups: Option<&[__m256; 2]>,
        mut total: __m256,
    ) -> __m256 {
        let cut = |i: usize, x: __m256| groups.map_or(x, |groups| _mm256_and_ps(x, groups[i]));
        let scale = [0, 1].map(|i| _mm256_mul_ps(cut(i, step.scale[i]), self.scale[i]));
        if HAS_MIN {
            total = _mm256_fmadd_ps(cut(0, step.min[0]), self.sum[0], total);
            if GROUP == 16 {
                total = _mm256_fmadd_ps(cut(1, step.min[1]), self.sum[1], total);
            }
        }
        for i in 0..PARTS {
            let q = if signed(VNNI, BIAS) {
                _mm256_xor_si256(step.q[i], _mm256_set1_epi8(-128))
            } else {
                step.q[i]
            };
            let product = dot::<VNNI, BIAS>(self.start[i], q, load(&self.q[i]));
            let scale = if GROUP == 16 {
                let (low, high) = ((i % 4 * 2) as i32, (i % 4 * 2 + 1) as i32);
                let lanes = _mm256_setr_epi32(low, low, low, low, high, high, high, high);
                _mm256_permutevar8x32_ps(scale[i / 4], lanes)
            } else {
                _mm256_permutevar8x32_ps(scale[0], _mm256_set1_epi32(i as i32))
            };
            total = _mm256_fmadd_ps(_mm256_cvtepi32_ps(product), scale, total);
        }
        total
    }
}
