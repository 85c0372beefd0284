//! Loads and stores of slices' contents.
#![expect(unsafe_code, reason = "vector loads and stores")]

use std::arch::aarch64::*;
use std::arch::asm;

#[inline]
#[target_feature(enable = "neon")]
pub(super) fn load(bytes: &[i8; 16]) -> int8x16_t {
    // SAFETY: 16 readable bytes; the load needs no alignment.
    unsafe { vld1q_s8(bytes.as_ptr()) }
}

#[inline]
#[target_feature(enable = "neon")]
pub(super) fn load_bytes(bytes: &[u8; 16]) -> uint8x16_t {
    // SAFETY: 16 readable bytes; the load needs no alignment.
    unsafe { vld1q_u8(bytes.as_ptr()) }
}

/// Four bytes, widened.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn load_u8x4(bytes: &[u8; 4]) -> uint32x4_t {
    let bytes = vcreate_u8(u64::from(u32::from_le_bytes(*bytes)));
    vmovl_u16(vget_low_u16(vmovl_u8(bytes)))
}

/// Four signed bytes as floats.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn load_i8x4(bytes: &[u8; 4]) -> float32x4_t {
    let bytes = vcreate_s8(u64::from(u32::from_le_bytes(*bytes)));
    vcvtq_f32_s32(vmovl_s16(vget_low_s16(vmovl_s8(bytes))))
}

/// Four `f16`, widened.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn load_f16x4(bytes: &[u8; 8]) -> float32x4_t {
    let bits = vcreate_u16(u64::from_le_bytes(*bytes));
    let wide;
    // The intrinsic takes a type that is not stable. `FCVTL`: Arm ARM C7.2, every ARMv8-A.
    // SAFETY: reads one register and writes another.
    unsafe {
        asm!("fcvtl {wide:v}.4s, {bits:v}.4h", wide = out(vreg) wide, bits = in(vreg) bits,
            options(pure, nomem, nostack, preserves_flags));
    }
    wide
}

#[inline]
#[target_feature(enable = "neon")]
pub(super) fn store_words(out: &mut [u32; 4], x: uint32x4_t) {
    // SAFETY: 16 writable bytes; the store needs no more than a `u32`'s alignment.
    unsafe { vst1q_u32(out.as_mut_ptr(), x) }
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
