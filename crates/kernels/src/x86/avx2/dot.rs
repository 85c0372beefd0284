//! Products of four neighbouring bytes or two 16-bit integers, summed into 32-bit lanes, or of two
//! bytes into 16-bit lanes.
#![expect(
    unsafe_code,
    reason = "AVX-VNNI is a feature that the callers' instruction set lacks; sums keep their order"
)]

use std::arch::asm;
use std::arch::x86_64::*;

/// The bias of signed weights that are never -128.
pub(super) const SYMMETRIC: u8 = 127;

/// Whether weights of this bias are kept signed: without VNNI, sums of two products overflow 16
/// bits where an unsigned weight exceeds 127.
pub(super) const fn signed(vnni: bool, bias: u8) -> bool {
    !vnni && (bias == 128 || bias == SYMMETRIC)
}

/// Whether sums of a group are 16-bit integers, two to a lane of four bytes, each of half the group's
/// values. A sum starts from `-bias` times its activations, and every product turns its share of that
/// into the product with the weight less `bias`; so it stays within 16 values times 127 times 16 (at
/// most 5 bits less 16, or 4 without a bias), or 8 times 127 times 32 (6 bits in groups of 16): 32512.
pub(super) const fn short(vnni: bool, bias: u8) -> bool {
    !vnni && !signed(vnni, bias)
}

/// `sum + q . x` in each lane of four bytes, `x` in -127..=127.
///
/// `q` is unsigned, and at most 127 without VNNI, or is signed where [`signed`] says so.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn dot<const VNNI: bool, const BIAS: u8>(
    sum: __m256i,
    q: __m256i,
    x: __m256i,
) -> __m256i {
    if VNNI {
        dpbusd(sum, q, x)
    } else {
        let pairs = pairs::<BIAS>(q, x);
        add_words(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
    }
}

/// Sums of two neighbouring products, as [`dot`] without VNNI takes them.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn pairs<const BIAS: u8>(q: __m256i, x: __m256i) -> __m256i {
    if signed(false, BIAS) {
        // |q| <= 128 and |x| <= 127: two products stay below 2^15.
        _mm256_maddubs_epi16(_mm256_abs_epi8(q), _mm256_sign_epi8(x, q))
    } else {
        _mm256_maddubs_epi16(q, x)
    }
}

/// As [`pairs`] of weights that are [`SYMMETRIC`], `magnitude` being that of `x`: one for all weights that
/// meet these activations.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn pairs_of_symmetric(q: __m256i, x: __m256i, magnitude: __m256i) -> __m256i {
    _mm256_maddubs_epi16(magnitude, _mm256_sign_epi8(q, x))
}

/// Functions that add one term after the other: the compiler would add in another order, which needs
/// more registers than there are.
macro_rules! adds_in_order {
    ($($name:ident $instruction:literal)+) => {$(
        /// The sum of each lane.
        #[inline]
        #[target_feature(enable = "avx2")]
        pub(super) fn $name(sum: __m256i, term: __m256i) -> __m256i {
            let mut out = sum;
            // SAFETY: reads and writes only these registers, by an instruction of AVX2.
            unsafe {
                asm!(
                    concat!($instruction, " {0}, {0}, {1}"),
                    inout(ymm_reg) out, in(ymm_reg) term,
                    options(pure, nomem, nostack, preserves_flags),
                );
            }
            out
        }
    )+};
}

adds_in_order! {
    add_pairs "vpaddw"
    add_words "vpaddd"
}

#[inline]
#[target_feature(enable = "avx2")]
fn dpbusd(sum: __m256i, q: __m256i, x: __m256i) -> __m256i {
    let mut out = sum;
    // SAFETY: reads and writes only these registers; `VNNI` is set by the row that detects it.
    unsafe {
        asm!(
            "{{vex}} vpdpbusd {}, {}, {}",
            inout(ymm_reg) out, in(ymm_reg) q, in(ymm_reg) x,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    out
}

/// `sum + w . x` in each lane of two signed 16-bit integers, where AVX-VNNI is.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn dpwssd(sum: __m256i, w: __m256i, x: __m256i) -> __m256i {
    let mut out = sum;
    // SAFETY: reads and writes only these registers; `VNNI` is set by the row that detects it.
    unsafe {
        asm!(
            "{{vex}} vpdpwssd {}, {}, {}",
            inout(ymm_reg) out, in(ymm_reg) w, in(ymm_reg) x,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    out
}
