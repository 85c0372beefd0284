//! Scales and minima of 8 rows, those of half `h` of a panel.

use std::arch::x86_64::*;

use crate::panels::PANEL_ROWS;
use crate::x86::avx2::load::{load_8, load_16};

/// The `f16` of each row that are the `i`-th of a block.
#[inline]
#[target_feature(enable = "avx2,f16c")]
pub(super) fn half<const N: usize>(block: &[u8; N], h: usize, i: usize) -> __m256 {
    _mm256_cvtph_ps(load_16(&block.as_chunks::<PANEL_ROWS>().0[2 * i + h]))
}

/// [`half`] times the `i8` of each row at `at`.
#[inline]
#[target_feature(enable = "avx2,f16c")]
pub(super) fn scaled<const N: usize>(block: &[u8; N], h: usize, i: usize, at: usize) -> __m256 {
    let scales = load_8(&block.as_chunks::<{ PANEL_ROWS / 2 }>().0[at / (PANEL_ROWS / 2) + h]);
    let scales = _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(scales));
    _mm256_mul_ps(scales, half(block, h, i))
}

/// Scale and minimum of group `g` of Q2_K.
#[inline]
#[target_feature(enable = "avx2,f16c")]
pub(super) fn nibbles<const N: usize>(block: &[u8; N], h: usize, g: usize) -> (__m256, __m256) {
    let packed = load_8(&block.as_chunks::<{ PANEL_ROWS / 2 }>().0[2 * (4 + g) + h]);
    let packed = _mm256_cvtepu8_epi32(packed);
    let scale = _mm256_and_si256(packed, _mm256_set1_epi32(15));
    let min = _mm256_srli_epi32::<4>(packed);
    (
        _mm256_mul_ps(_mm256_cvtepi32_ps(scale), half(block, h, 0)),
        _mm256_mul_ps(_mm256_cvtepi32_ps(min), half(block, h, 1)),
    )
}

/// Scale and minimum of weights less `CENTER`.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) fn centered<const CENTER: u8>(scale: __m256, min: __m256) -> (__m256, __m256) {
    (scale, _mm256_fmadd_ps(scale, _mm256_set1_ps(f32::from(CENTER)), min))
}
