//! Multiply-adds in registers, as many as the processor can do.
//!
//! Each function repeats one instruction on twelve independent sums, more than latency times units
//! of the processors there are, and says how many multiply-adds that were.

/// Sums that do not wait for each other.
const SUMS: usize = 12;

/// A loop of so many rounds; how many multiply-adds it did.
pub(crate) type Loop = fn(u64) -> u64;

/// The loops that this processor runs. An int8 loop's name ends with the row of kernels that
/// uses the same instruction.
#[cfg(target_arch = "aarch64")]
pub(crate) use arm::all;
#[cfg(target_arch = "x86_64")]
pub(crate) use x86::all;

/// Repeats `$do` on every sum and two operands; gives the multiply-adds.
macro_rules! repeat {
    ($rounds:expr, $lanes:expr, $zero:expr, $a:expr, $b:expr, |$sum:ident, $x:ident, $y:ident| $do:expr) => {{
        let (zero, $x, $y) = std::hint::black_box(($zero, $a, $b));
        let mut sums = [zero; SUMS];
        for _ in 0..$rounds {
            for sum in &mut sums {
                let $sum = *sum;
                *sum = $do;
            }
        }
        std::hint::black_box(sums);
        $rounds * SUMS as u64 * $lanes
    }};
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    #![expect(unsafe_code, reason = "calls of functions with target features, once detected")]

    use std::arch::x86_64::*;

    use super::{Loop, SUMS};

    pub(crate) fn all() -> Vec<(&'static str, Loop)> {
        let mut all: Vec<(&'static str, Loop)> = Vec::new();
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: AVX2 is there.
            all.push(("int8_avx2", |n| unsafe { maddubs(n) }));
            // SAFETY: FMA is there.
            all.push(("f32_avx2", |n| unsafe { fma_256(n) }));
        }
        if is_x86_feature_detected!("avxvnni") {
            // SAFETY: AVX-VNNI is there.
            all.push(("int8_avxvnni", |n| unsafe { dot_256(n) }));
        }
        if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vnni") {
            // SAFETY: AVX-512 VNNI is there.
            all.push(("int8_avx512", |n| unsafe { dot_512(n) }));
            // SAFETY: AVX-512 is there.
            all.push(("f32_avx512", |n| unsafe { fma_512(n) }));
        }
        if is_x86_feature_detected!("avx512bf16") {
            // SAFETY: AVX-512 BF16 is there.
            all.push(("bf16_avx512", |n| unsafe { dot_bf16(n) }));
        }
        all
    }

    /// 32 products take three instructions: in pairs into 16 bits, in fours into 32, the sum.
    #[target_feature(enable = "avx2")]
    fn maddubs(rounds: u64) -> u64 {
        let (zero, one) = (_mm256_setzero_si256(), _mm256_set1_epi16(1));
        repeat!(rounds, 32, zero, _mm256_set1_epi8(1), one, |sum, x, y| {
            // The operand is different for each sum: otherwise one product would do for all.
            _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(x, sum), y))
        })
    }

    #[target_feature(enable = "avxvnni")]
    fn dot_256(rounds: u64) -> u64 {
        let one = _mm256_set1_epi8(1);
        repeat!(rounds, 32, _mm256_setzero_si256(), one, one, |sum, x, y| {
            _mm256_dpbusd_avx_epi32(sum, x, y)
        })
    }

    #[target_feature(enable = "avx512f,avx512vnni")]
    fn dot_512(rounds: u64) -> u64 {
        let one = _mm512_set1_epi8(1);
        repeat!(rounds, 64, _mm512_setzero_si512(), one, one, |sum, x, y| {
            _mm512_dpbusd_epi32(sum, x, y)
        })
    }

    #[target_feature(enable = "avx512f,avx512bf16")]
    fn dot_bf16(rounds: u64) -> u64 {
        let one = _mm512_cvtne2ps_pbh(_mm512_set1_ps(1.0), _mm512_set1_ps(1.0));
        repeat!(rounds, 32, _mm512_setzero_ps(), one, one, |sum, x, y| {
            _mm512_dpbf16_ps(sum, x, y)
        })
    }

    #[target_feature(enable = "avx2,fma")]
    fn fma_256(rounds: u64) -> u64 {
        let one = _mm256_set1_ps(1.0);
        repeat!(rounds, 8, _mm256_setzero_ps(), one, one, |sum, x, y| _mm256_fmadd_ps(x, y, sum))
    }

    #[target_feature(enable = "avx512f")]
    fn fma_512(rounds: u64) -> u64 {
        let one = _mm512_set1_ps(1.0);
        repeat!(rounds, 16, _mm512_setzero_ps(), one, one, |sum, x, y| _mm512_fmadd_ps(x, y, sum))
    }
}

#[cfg(target_arch = "aarch64")]
mod arm {
    #![expect(unsafe_code, reason = "as above, and `sdot` is not yet a stable intrinsic")]

    use std::arch::aarch64::*;
    use std::arch::asm;

    use super::{Loop, SUMS};

    pub(crate) fn all() -> Vec<(&'static str, Loop)> {
        let mut all: Vec<(&'static str, Loop)> = Vec::new();
        if std::arch::is_aarch64_feature_detected!("neon") {
            // SAFETY: NEON is there.
            all.push(("int8_neon", |n| unsafe { mlal(n) }));
            // SAFETY: NEON is there.
            all.push(("f32_neon", |n| unsafe { fma(n) }));
        }
        if std::arch::is_aarch64_feature_detected!("dotprod") {
            // SAFETY: `sdot` is there, and with it NEON.
            all.push(("int8_dotprod", |n| unsafe { sdot(n) }));
        }
        all
    }

    /// 16 products: in two halves into 16 bits, in pairs into 32, the sums.
    #[target_feature(enable = "neon")]
    fn mlal(rounds: u64) -> u64 {
        let zero = vdupq_n_s32(0);
        repeat!(rounds, 16, zero, vdupq_n_s8(1), zero, |sum, x, y| {
            // The operand is different for each sum: otherwise one product would do for all.
            let other = vreinterpretq_s8_s32(vorrq_s32(sum, y));
            let low = vpaddlq_s16(vmull_s8(vget_low_s8(x), vget_low_s8(other)));
            let high = vpaddlq_s16(vmull_high_s8(x, other));
            vaddq_s32(sum, vpaddq_s32(low, high))
        })
    }

    #[target_feature(enable = "neon")]
    fn sdot(rounds: u64) -> u64 {
        let one = vdupq_n_s8(1);
        repeat!(rounds, 16, vdupq_n_s32(0), one, one, |sum, x, y| {
            let mut out: int32x4_t = sum;
            // SAFETY: reads and writes only these registers; `all` has found the instruction.
            unsafe {
                asm!(
                    ".arch_extension dotprod",
                    "sdot {0:v}.4s, {1:v}.16b, {2:v}.16b",
                    inout(vreg) out, in(vreg) x, in(vreg) y,
                    options(pure, nomem, nostack, preserves_flags),
                );
            }
            out
        })
    }

    #[target_feature(enable = "neon")]
    fn fma(rounds: u64) -> u64 {
        let one = vdupq_n_f32(1.0);
        repeat!(rounds, 4, vdupq_n_f32(0.0), one, one, |sum, x, y| vfmaq_f32(sum, x, y))
    }
}
