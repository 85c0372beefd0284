//! Scales and minima of 16 rows.

use std::arch::x86_64::*;

use crate::panels::PANEL_ROWS;
use crate::x86::avx512::load::{load_16, load_32};

/// The `f16` of each row that are the `i`-th of a block.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
pub(super) fn half<const N: usize>(block: &[u8; N], i: usize) -> __m512 {
    _mm512_cvtph_ps(load_32(&block.as_chunks::<{ 2 * PANEL_ROWS }>().0[i]))
}

/// [`half`] times the `i8` of each row at `at`.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
pub(super) fn scaled<const N: usize>(block: &[u8; N], i: usize, at: usize) -> __m512 {
    let scales = load_16(&block.as_chunks::<PANEL_ROWS>().0[at / PANEL_ROWS]);
    let scales = _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(scales));
    _mm512_mul_ps(scales, half(block, i))
}

/// Scale and minimum of group `g` of Q2_K.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
pub(super) fn nibbles<const N: usize>(block: &[u8; N], g: usize) -> (__m512, __m512) {
    let packed = load_16(&block.as_chunks::<PANEL_ROWS>().0[4 + g]);
    let packed = _mm512_cvtepu8_epi32(packed);
    let scale = _mm512_and_si512(packed, _mm512_set1_epi32(15));
    let min = _mm512_srli_epi32::<4>(packed);
    (
        _mm512_mul_ps(_mm512_cvtepi32_ps(scale), half(block, 0)),
        _mm512_mul_ps(_mm512_cvtepi32_ps(min), half(block, 1)),
    )
}
