//! Scales and minima of 4 rows, those of quarter `i` of a panel.

use std::arch::aarch64::*;

use crate::neon::load::{load_f16x4, load_i8x4, load_u8x4};

/// The `f16` of each row that are the `j`-th of a block.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn half<const N: usize>(block: &[u8; N], i: usize, j: usize) -> float32x4_t {
    load_f16x4(&block.as_chunks::<8>().0[4 * j + i])
}

/// [`half`] times the `i8` of each row at `at`.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn scaled<const N: usize>(
    block: &[u8; N],
    i: usize,
    j: usize,
    at: usize,
) -> float32x4_t {
    vmulq_f32(load_i8x4(&block.as_chunks::<4>().0[at / 4 + i]), half(block, i, j))
}

/// Scale and minimum of group `g` of Q2_K.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn nibbles<const N: usize>(
    block: &[u8; N],
    i: usize,
    g: usize,
) -> (float32x4_t, float32x4_t) {
    let packed = load_u8x4(&block.as_chunks::<4>().0[4 * (4 + g) + i]);
    let scale = vcvtq_f32_u32(vandq_u32(packed, vdupq_n_u32(15)));
    let min = vcvtq_f32_u32(vshrq_n_u32::<4>(packed));
    (vmulq_f32(scale, half(block, i, 0)), vmulq_f32(min, half(block, i, 1)))
}
