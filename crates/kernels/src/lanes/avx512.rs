//! AVX-512: one register holds 16 lanes.

use std::arch::x86_64::*;

use half::f16;

use super::{Isa, Lanes};

/// Proof of AVX-512 F.
#[derive(Clone, Copy)]
pub(super) struct Avx512(());

#[derive(Clone, Copy)]
pub(super) struct F32x16(__m512);

impl Avx512 {
    #[target_feature(enable = "avx512f")]
    pub(super) fn new() -> Self {
        Self(())
    }
}

#[target_feature(enable = "avx512f")]
#[inline]
fn load(x: &[f32; 16]) -> __m512 {
    // SAFETY: `x` is the 64 bytes read.
    unsafe { _mm512_loadu_ps(x.as_ptr()) }
}

#[target_feature(enable = "avx512f")]
#[inline]
fn load_f16(x: &[f16; 16]) -> __m512 {
    // SAFETY: `x` is the 32 bytes read.
    let bits = unsafe { _mm256_loadu_si256(x.as_ptr().cast()) };
    _mm512_cvtph_ps(bits)
}

#[target_feature(enable = "avx512f")]
#[inline]
fn load_i8(x: &[i8; 16]) -> __m512 {
    // SAFETY: `x` is the 16 bytes read.
    let bytes = unsafe { _mm_loadu_si128(x.as_ptr().cast()) };
    _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes))
}

#[target_feature(enable = "avx512f")]
#[inline]
fn store(x: __m512, out: &mut [f32; 16]) {
    // SAFETY: `out` is the 64 bytes written.
    unsafe { _mm512_storeu_ps(out.as_mut_ptr(), x) }
}

#[target_feature(enable = "avx512f")]
#[inline]
fn store_f16(x: __m512, out: &mut [f16; 16]) {
    let bits = _mm512_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(x);
    // SAFETY: `out` is the 32 bytes written.
    unsafe { _mm256_storeu_si256(out.as_mut_ptr().cast(), bits) }
}

#[target_feature(enable = "avx512f")]
#[inline]
fn if_less(a: __m512, b: __m512, yes: __m512, no: __m512) -> __m512 {
    _mm512_mask_blend_ps(_mm512_cmp_ps_mask::<_CMP_LT_OQ>(a, b), no, yes)
}

#[target_feature(enable = "avx512f")]
#[inline]
fn add_exponent(x: __m512, t: __m512) -> __m512 {
    let exponent = _mm512_slli_epi32::<23>(_mm512_castps_si512(t));
    _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(x), exponent))
}

macro_rules! load {
    ($name:ident, $ty:ty) => {
        #[inline(always)]
        fn $name(self, x: &[$ty; 16]) -> F32x16 {
            // SAFETY: `self` proves AVX-512 F.
            F32x16(unsafe { $name(x) })
        }
    };
}

macro_rules! store {
    ($name:ident, $ty:ty) => {
        #[inline(always)]
        fn $name(self, out: &mut [$ty; 16]) {
            // SAFETY: holding a vector proves AVX-512 F.
            unsafe { $name(self.0, out) }
        }
    };
}

macro_rules! op {
    ($name:ident($($arg:ident),*) = $function:ident) => {
        #[inline(always)]
        fn $name(self $(, $arg: Self)*) -> Self {
            // SAFETY: holding a vector proves AVX-512 F.
            Self(unsafe { $function(self.0 $(, $arg.0)*) })
        }
    };
}

impl Isa for Avx512 {
    type V = F32x16;
    const ACCUMULATORS: usize = 24;
    const WIDENS_BEFORE: bool = false;

    #[inline(always)]
    fn splat(self, x: f32) -> F32x16 {
        // SAFETY: `self` proves AVX-512 F.
        F32x16(unsafe { _mm512_set1_ps(x) })
    }

    load!(load, f32);
    load!(load_f16, f16);
    load!(load_i8, i8);

    #[inline(always)]
    fn fetch(self, line: *const u8) {
        // SAFETY: a hint that never faults.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(line.cast()) }
    }
}

impl Lanes for F32x16 {
    store!(store, f32);
    store!(store_f16, f16);
    op!(add(b) = _mm512_add_ps);
    op!(sub(b) = _mm512_sub_ps);
    op!(mul(b) = _mm512_mul_ps);
    op!(div(b) = _mm512_div_ps);
    op!(mul_add(a, b) = _mm512_fmadd_ps);
    op!(neg_mul_add(a, b) = _mm512_fnmadd_ps);
    op!(max(b) = _mm512_max_ps);
    op!(abs() = _mm512_abs_ps);
    op!(if_less(b, yes, no) = if_less);
    op!(add_exponent(t) = add_exponent);
}
