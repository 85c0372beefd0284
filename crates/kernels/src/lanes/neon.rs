//! NEON: four registers hold 16 lanes.

use std::arch::aarch64::*;
use std::arch::asm;

use half::f16;

use super::{Isa, Lanes};

/// Proof of NEON.
#[derive(Clone, Copy)]
pub(super) struct Neon(());

#[derive(Clone, Copy)]
pub(super) struct F32x16([float32x4_t; 4]);

impl Neon {
    #[target_feature(enable = "neon")]
    pub(super) fn new() -> Self {
        Self(())
    }
}

#[target_feature(enable = "neon")]
#[inline]
fn load4(x: &[f32; 4]) -> float32x4_t {
    // SAFETY: `x` is the 16 bytes read.
    unsafe { vld1q_f32(x.as_ptr()) }
}

#[target_feature(enable = "neon")]
#[inline]
fn load4_f16(x: &[f16; 4]) -> float32x4_t {
    // SAFETY: `x` is the 8 bytes read.
    let bits = unsafe { vld1_u16(x.as_ptr().cast()) };
    let wide;
    // The intrinsic takes a type that is not stable. `FCVTL`: Arm ARM C7.2, every ARMv8-A.
    // SAFETY: reads one register and writes another.
    unsafe {
        asm!("fcvtl {wide:v}.4s, {bits:v}.4h", wide = out(vreg) wide, bits = in(vreg) bits,
            options(pure, nomem, nostack, preserves_flags));
    }
    wide
}

#[target_feature(enable = "neon")]
#[inline]
fn load4_i8(x: &[i8; 4]) -> float32x4_t {
    let words = x.map(i32::from);
    // SAFETY: `words` is the 16 bytes read.
    let words = unsafe { vld1q_s32(words.as_ptr()) };
    vcvtq_f32_s32(words)
}

#[target_feature(enable = "neon")]
#[inline]
fn store4(x: float32x4_t, out: &mut [f32; 4]) {
    // SAFETY: `out` is the 16 bytes written.
    unsafe { vst1q_f32(out.as_mut_ptr(), x) }
}

#[target_feature(enable = "neon")]
#[inline]
fn store4_f16(x: float32x4_t, out: &mut [f16; 4]) {
    let bits: uint16x4_t;
    // `FCVTN` rounds as FPCR says, to nearest even unless changed.
    // SAFETY: reads one register and writes another.
    unsafe {
        asm!("fcvtn {bits:v}.4h, {wide:v}.4s", bits = out(vreg) bits, wide = in(vreg) x,
            options(pure, nomem, nostack, preserves_flags));
    }
    // SAFETY: `out` is the 8 bytes written.
    unsafe { vst1_u16(out.as_mut_ptr().cast(), bits) }
}

#[target_feature(enable = "neon")]
#[inline]
fn mul_add4(x: float32x4_t, a: float32x4_t, b: float32x4_t) -> float32x4_t {
    vfmaq_f32(b, x, a)
}

#[target_feature(enable = "neon")]
#[inline]
fn neg_mul_add4(x: float32x4_t, a: float32x4_t, b: float32x4_t) -> float32x4_t {
    vfmsq_f32(b, x, a)
}

/// `a` where `a > b`, so `b` where either is NaN.
#[target_feature(enable = "neon")]
#[inline]
fn max4(a: float32x4_t, b: float32x4_t) -> float32x4_t {
    vbslq_f32(vcgtq_f32(a, b), a, b)
}

#[target_feature(enable = "neon")]
#[inline]
fn if_less4(a: float32x4_t, b: float32x4_t, yes: float32x4_t, no: float32x4_t) -> float32x4_t {
    vbslq_f32(vcltq_f32(a, b), yes, no)
}

#[target_feature(enable = "neon")]
#[inline]
fn add_exponent4(x: float32x4_t, t: float32x4_t) -> float32x4_t {
    let exponent = vshlq_n_u32::<23>(vreinterpretq_u32_f32(t));
    vreinterpretq_f32_u32(vaddq_u32(vreinterpretq_u32_f32(x), exponent))
}

macro_rules! load {
    ($name:ident, $ty:ty, $load4:ident) => {
        #[inline(always)]
        fn $name(self, x: &[$ty; 16]) -> F32x16 {
            // SAFETY: `self` proves NEON.
            let zero = unsafe { vdupq_n_f32(0.0) };
            let mut out = [zero; 4];
            for (out, x) in out.iter_mut().zip(x.as_chunks::<4>().0) {
                // SAFETY: `self` proves NEON.
                *out = unsafe { $load4(x) };
            }
            F32x16(out)
        }
    };
}

macro_rules! store {
    ($name:ident, $ty:ty, $store4:ident) => {
        #[inline(always)]
        fn $name(self, out: &mut [$ty; 16]) {
            for (x, out) in self.0.into_iter().zip(out.as_chunks_mut::<4>().0) {
                // SAFETY: holding a vector proves NEON.
                unsafe { $store4(x, out) };
            }
        }
    };
}

macro_rules! op {
    ($name:ident($($arg:ident),+) = $function:ident) => {
        #[inline(always)]
        fn $name(self $(, $arg: Self)+) -> Self {
            let mut out = self.0;
            for (i, x) in out.iter_mut().enumerate() {
                // SAFETY: holding a vector proves NEON.
                *x = unsafe { $function(*x $(, $arg.0[i])+) };
            }
            Self(out)
        }
    };
}

impl Isa for Neon {
    type V = F32x16;
    const ACCUMULATORS: usize = 6;
    const WIDENS_BEFORE: bool = false;

    #[inline(always)]
    fn splat(self, x: f32) -> F32x16 {
        // SAFETY: `self` proves NEON.
        F32x16([unsafe { vdupq_n_f32(x) }; 4])
    }

    load!(load, f32, load4);
    load!(load_f16, f16, load4_f16);
    load!(load_i8, i8, load4_i8);

    #[inline(always)]
    fn fetch(self, line: *const u8) {
        // SAFETY: a hint that never faults.
        unsafe {
            asm!("prfm pldl2keep, [{}]", in(reg) line, options(nostack, preserves_flags, readonly));
        }
    }
}

impl Lanes for F32x16 {
    store!(store, f32, store4);
    store!(store_f16, f16, store4_f16);
    op!(add(b) = vaddq_f32);
    op!(sub(b) = vsubq_f32);
    op!(mul(b) = vmulq_f32);
    op!(div(b) = vdivq_f32);
    op!(mul_add(a, b) = mul_add4);
    op!(neg_mul_add(a, b) = neg_mul_add4);
    op!(max(b) = max4);

    #[inline(always)]
    fn abs(self) -> Self {
        let mut out = self.0;
        for x in &mut out {
            // SAFETY: holding a vector proves NEON.
            *x = unsafe { vabsq_f32(*x) };
        }
        Self(out)
    }

    op!(if_less(b, yes, no) = if_less4);
    op!(add_exponent(t) = add_exponent4);
}
