//! 256 weights of one row in registers, and the activations they meet.

use std::arch::x86_64::*;

use super::load::{load, load_32, load_f32x8, load_i32};
use crate::activations::QuantizedRow;
use crate::steps::STEP;

/// 256 consecutive weights: `scale[g] * (q[i] - BIAS) + min[g]`, where the kernel that reads it
/// knows `BIAS` and the group.
#[derive(Clone, Copy)]
pub(super) struct Step {
    /// Unsigned bytes in the row's order.
    pub(super) q: [__m512i; 4],
    /// One per group, so that with groups of 32 only the low 8 lanes mean something.
    pub(super) scale: __m512,
    /// As `scale`.
    pub(super) min: __m512,
}

/// The activations of one step, prepared for any number of weight rows.
pub(super) struct Activations {
    q: [__m512i; 4],
    /// What each lane's accumulator starts from: `-BIAS` times the sum of its activations.
    start: [__m512i; 4],
    scale: __m512,
    /// The scale times the sum of each group.
    sum: __m512,
}

/// Lanes of the broadcast scales of each quarter of a step, for groups of `GROUP`.
const fn lanes<const GROUP: usize>() -> [[i32; 16]; 4] {
    let mut lanes = [[0; 16]; 4];
    let mut i = 0;
    while i < 64 {
        lanes[i / 16][i % 16] = (i * 4 / GROUP) as i32;
        i += 1;
    }
    lanes
}

impl Activations {
    /// The activations of step `s` of a row.
    #[inline]
    #[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
    pub(super) fn new<const GROUP: usize, const BIAS: u8>(x: QuantizedRow<'_>, s: usize) -> Self {
        let q = x.q[s * STEP..].first_chunk::<STEP>().expect("a whole step");
        let scale = x.scale[s * 8..].first_chunk::<8>().expect("a whole step");
        let sum = x.sum[s * 16..].first_chunk::<16>().expect("a whole step");
        let q = bytemuck::cast_ref::<[i8; STEP], [[u8; 64]; 4]>(q);
        let q = [load(&q[0]), load(&q[1]), load(&q[2]), load(&q[3])];
        let bias = _mm512_set1_epi8(BIAS as i8);
        let zero = _mm512_setzero_si512();
        let start = if BIAS == 0 {
            [zero; 4]
        } else {
            q.map(|q| _mm512_sub_epi32(zero, _mm512_dpbusd_epi32(zero, bias, q)))
        };
        let scale = _mm512_zextps256_ps512(load_f32x8(scale));
        let sum = load_32(bytemuck::cast_ref(sum));
        if GROUP == 16 {
            let pairs = _mm512_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7);
            let scale = _mm512_permutexvar_ps(pairs, scale);
            let sum = _mm512_cvtepi32_ps(_mm512_cvtepi16_epi32(sum));
            Self { q, start, scale, sum: _mm512_mul_ps(sum, scale) }
        } else {
            let sum = _mm256_madd_epi16(sum, _mm256_set1_epi16(1));
            let sum = _mm512_zextps256_ps512(_mm256_cvtepi32_ps(sum));
            Self { q, start, scale, sum: _mm512_mul_ps(sum, scale) }
        }
    }

    /// `total` plus the products with the first `64 * QUARTERS` weights of `step`, spread over
    /// the lanes; `groups` has a bit for each group that counts.
    #[inline]
    #[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
    pub(super) fn dot<const GROUP: usize, const HAS_MIN: bool, const QUARTERS: usize>(
        &self,
        step: &Step,
        groups: u16,
        mut total: __m512,
    ) -> __m512 {
        let scale = _mm512_maskz_mul_ps(groups, step.scale, self.scale);
        if HAS_MIN {
            total = _mm512_mask3_fmadd_ps(step.min, self.sum, total, groups);
        }
        let lanes = const { lanes::<GROUP>() };
        for (i, lanes) in lanes.iter().enumerate().take(QUARTERS) {
            let product = _mm512_dpbusd_epi32(self.start[i], step.q[i], self.q[i]);
            let scale = _mm512_permutexvar_ps(load_i32(lanes), scale);
            total = _mm512_fmadd_ps(_mm512_cvtepi32_ps(product), scale, total);
        }
        total
    }
}
