//! AVX2, FMA and F16C: two registers hold 16 lanes.

use std::arch::x86_64::*;

use half::f16;

use super::{Isa, Lanes};

/// Proof of AVX2, FMA and F16C.
#[derive(Clone, Copy)]
pub(super) struct Avx2(());

#[derive(Clone, Copy)]
pub(super) struct F32x16(__m256, __m256);

impl Avx2 {
    #[target_feature(enable = "avx2,fma,f16c")]
    pub(super) fn new() -> Self {
        Self(())
    }
}

#[target_feature(enable = "avx2")]
#[inline]
fn load8(x: &[f32; 8]) -> __m256 {
    // SAFETY: `x` is the 32 bytes read.
    unsafe { _mm256_loadu_ps(x.as_ptr()) }
}

#[target_feature(enable = "f16c")]
#[inline]
fn load8_f16(x: &[f16; 8]) -> __m256 {
    // SAFETY: `x` is the 16 bytes read.
    let bits = unsafe { _mm_loadu_si128(x.as_ptr().cast()) };
    _mm256_cvtph_ps(bits)
}

#[target_feature(enable = "avx2")]
#[inline]
fn load8_i8(x: &[i8; 8]) -> __m256 {
    // SAFETY: `x` is the 8 bytes read.
    let bytes = unsafe { _mm_loadl_epi64(x.as_ptr().cast()) };
    _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes))
}

#[target_feature(enable = "avx2")]
#[inline]
fn store8(x: __m256, out: &mut [f32; 8]) {
    // SAFETY: `out` is the 32 bytes written.
    unsafe { _mm256_storeu_ps(out.as_mut_ptr(), x) }
}

#[target_feature(enable = "f16c")]
#[inline]
fn store8_f16(x: __m256, out: &mut [f16; 8]) {
    let bits = _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(x);
    // SAFETY: `out` is the 16 bytes written.
    unsafe { _mm_storeu_si128(out.as_mut_ptr().cast(), bits) }
}

#[target_feature(enable = "avx2")]
#[inline]
fn abs8(x: __m256) -> __m256 {
    _mm256_andnot_ps(_mm256_set1_ps(-0.0), x)
}

#[target_feature(enable = "avx2")]
#[inline]
fn if_less8(a: __m256, b: __m256, yes: __m256, no: __m256) -> __m256 {
    _mm256_blendv_ps(no, yes, _mm256_cmp_ps::<_CMP_LT_OQ>(a, b))
}

#[target_feature(enable = "avx2")]
#[inline]
fn add_exponent8(x: __m256, t: __m256) -> __m256 {
    let exponent = _mm256_slli_epi32::<23>(_mm256_castps_si256(t));
    _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(x), exponent))
}

/// What [`Lanes::sum`] and [`Lanes::greatest`] are, by `$step8` and `$step4` of the lanes of the
/// second half and of the first.
macro_rules! reduce {
    ($name:ident, $step8:ident, $step4:ident) => {
        #[target_feature(enable = "avx2")]
        #[inline]
        fn $name(low: __m256, high: __m256) -> f32 {
            let eight = $step8(high, low);
            let four = $step4(_mm256_extractf128_ps::<1>(eight), _mm256_castps256_ps128(eight));
            let two = $step4(_mm_movehl_ps(four, four), four);
            _mm_cvtss_f32($step4(_mm_movehdup_ps(two), two))
        }
    };
}

reduce!(sum_16, _mm256_add_ps, _mm_add_ps);
reduce!(greatest_16, _mm256_max_ps, _mm_max_ps);

/// The two halves of an array.
#[inline(always)]
fn halves<T>(x: &[T; 16]) -> [&[T; 8]; 2] {
    let (low, high) = x.split_first_chunk().expect("16 are at least 8");
    [low, high.first_chunk().expect("16 less 8 are 8")]
}

/// The two halves of an array.
#[inline(always)]
fn halves_mut<T>(x: &mut [T; 16]) -> [&mut [T; 8]; 2] {
    let (low, high) = x.split_first_chunk_mut().expect("16 are at least 8");
    [low, high.first_chunk_mut().expect("16 less 8 are 8")]
}

macro_rules! load {
    ($name:ident, $ty:ty, $load8:ident) => {
        #[inline(always)]
        fn $name(self, x: &[$ty; 16]) -> F32x16 {
            let [low, high] = halves(x);
            // SAFETY: `self` proves the instructions.
            let low = unsafe { $load8(low) };
            // SAFETY: `self` proves the instructions.
            let high = unsafe { $load8(high) };
            F32x16(low, high)
        }
    };
}

macro_rules! store {
    ($name:ident, $ty:ty, $store8:ident) => {
        #[inline(always)]
        fn $name(self, out: &mut [$ty; 16]) {
            let [low, high] = halves_mut(out);
            // SAFETY: holding a vector proves the instructions.
            unsafe { $store8(self.0, low) };
            // SAFETY: holding a vector proves the instructions.
            unsafe { $store8(self.1, high) };
        }
    };
}

macro_rules! op {
    ($name:ident($($arg:ident),*) = $function:ident) => {
        #[inline(always)]
        fn $name(self $(, $arg: Self)*) -> Self {
            // SAFETY: holding a vector proves the instructions.
            let low = unsafe { $function(self.0 $(, $arg.0)*) };
            // SAFETY: holding a vector proves the instructions.
            let high = unsafe { $function(self.1 $(, $arg.1)*) };
            Self(low, high)
        }
    };
}

impl Isa for Avx2 {
    type V = F32x16;
    const ACCUMULATORS: usize = 6;
    const WIDENS_BEFORE: bool = true;

    #[inline(always)]
    fn splat(self, x: f32) -> F32x16 {
        // SAFETY: `self` proves AVX.
        let x = unsafe { _mm256_set1_ps(x) };
        F32x16(x, x)
    }

    load!(load, f32, load8);
    load!(load_f16, f16, load8_f16);
    load!(load_i8, i8, load8_i8);

    #[inline(always)]
    fn fetch(self, line: *const u8) {
        // SAFETY: a hint that never faults.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(line.cast()) }
    }
}

impl Lanes for F32x16 {
    store!(store, f32, store8);
    store!(store_f16, f16, store8_f16);
    op!(add(b) = _mm256_add_ps);
    op!(sub(b) = _mm256_sub_ps);
    op!(mul(b) = _mm256_mul_ps);
    op!(div(b) = _mm256_div_ps);
    op!(mul_add(a, b) = _mm256_fmadd_ps);
    op!(neg_mul_add(a, b) = _mm256_fnmadd_ps);
    op!(max(b) = _mm256_max_ps);
    op!(abs() = abs8);
    op!(if_less(b, yes, no) = if_less8);
    op!(add_exponent(t) = add_exponent8);

    #[inline(always)]
    fn sum(self) -> f32 {
        // SAFETY: holding a vector proves the instructions.
        unsafe { sum_16(self.0, self.1) }
    }

    #[inline(always)]
    fn greatest(self) -> f32 {
        // SAFETY: holding a vector proves the instructions.
        unsafe { greatest_16(self.0, self.1) }
    }
}
