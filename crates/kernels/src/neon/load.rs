//! Loads and stores of slices' contents.
#![expect(unsafe_code, reason = "vector loads and stores")]

use std::arch::aarch64::*;

#[inline]
#[target_feature(enable = "neon")]
pub(super) fn load(bytes: &[i8; 16]) -> int8x16_t {
    // SAFETY: 16 readable bytes; the load needs no alignment.
    unsafe { vld1q_s8(bytes.as_ptr()) }
}

#[inline]
#[target_feature(enable = "neon")]
pub(super) fn load_f32(floats: &[f32; 4]) -> float32x4_t {
    // SAFETY: 16 readable bytes; the load needs no more than an `f32`'s alignment.
    unsafe { vld1q_f32(floats.as_ptr()) }
}

#[inline]
#[target_feature(enable = "neon")]
pub(super) fn load_words(words: &[u32; 4]) -> uint32x4_t {
    // SAFETY: 16 readable bytes; the load needs no more than a `u32`'s alignment.
    unsafe { vld1q_u32(words.as_ptr()) }
}

#[inline]
#[target_feature(enable = "neon")]
pub(super) fn store(out: &mut [i8; 8], x: int8x8_t) {
    // SAFETY: 8 writable bytes; the store needs no alignment.
    unsafe { vst1_s8(out.as_mut_ptr(), x) }
}

#[inline]
#[target_feature(enable = "neon")]
pub(super) fn to_array(x: float32x4_t) -> [f32; 4] {
    let mut out = [0.0; 4];
    // SAFETY: 16 writable bytes; the store needs no more than an `f32`'s alignment.
    unsafe { vst1q_f32(out.as_mut_ptr(), x) };
    out
}
