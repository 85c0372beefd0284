//! Superblocks of 256 values whose group scales are themselves quantised.

use std::arch::x86_64::*;

use crate::x86::avx512::load::{load, load_16, load_32};
use crate::x86::avx512::step::Step;
use crate::x86::six_bits;

/// Shifts each half of 64 bytes, the halves being the same 32 bytes of a block.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
fn both<const LOW: i64, const HIGH: i64>(bytes: __m256i) -> __m512i {
    let both = _mm512_broadcast_i64x4(bytes);
    _mm512_srlv_epi64(both, _mm512_setr_epi64(LOW, LOW, LOW, LOW, HIGH, HIGH, HIGH, HIGH))
}

/// The 32 bytes at `at`.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
fn part<const N: usize>(block: &[u8; N], at: usize) -> __m256i {
    load_32(block[at..].first_chunk().expect("32 bytes of the block"))
}

/// The `f16` at `at` in every lane.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
fn half<const N: usize>(block: &[u8; N], at: usize) -> __m512 {
    let bits = i16::from_le_bytes([block[at], block[at + 1]]);
    _mm512_broadcastss_ps(_mm_cvtph_ps(_mm_cvtsi32_si128(i32::from(bits))))
}

#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
fn floats(bytes: __m128i) -> __m512 {
    _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(bytes))
}

/// Scales and minima of Q4_K and Q5_K, in the low 8 lanes.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
fn scales<const N: usize>(block: &[u8; N]) -> (__m512, __m512) {
    let six = six_bits::q4_k(block[4..].first_chunk().expect("`scales`"));
    let six = load_16(&six);
    let scale = _mm512_mul_ps(floats(six), half(block, 0));
    let min = _mm512_mul_ps(floats(_mm_unpackhi_epi64(six, six)), half(block, 2));
    (scale, _mm512_sub_ps(_mm512_setzero_ps(), min))
}

/// `BIAS` is 0.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
pub(in crate::x86::avx512) fn q2_k(bytes: &[u8]) -> Step {
    let block: &[u8; 84] = bytes.first_chunk().expect("a whole step");
    let three = _mm512_set1_epi8(3);
    let (a, b) = (part(block, 16), part(block, 48));
    let q = [both::<0, 2>(a), both::<4, 6>(a), both::<0, 2>(b), both::<4, 6>(b)];
    let packed = load_16(block.first_chunk().expect("`scales`"));
    let low = _mm_set1_epi8(15);
    let (scale, min) =
        (_mm_and_si128(packed, low), _mm_and_si128(_mm_srli_epi16::<4>(packed), low));
    let dmin = _mm512_sub_ps(_mm512_setzero_ps(), half(block, 82));
    Step {
        q: q.map(|q| _mm512_and_si512(q, three)),
        scale: _mm512_mul_ps(floats(scale), half(block, 80)),
        min: _mm512_mul_ps(floats(min), dmin),
    }
}

/// `BIAS` is 4.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
pub(in crate::x86::avx512) fn q3_k(bytes: &[u8]) -> Step {
    let block: &[u8; 110] = bytes.first_chunk().expect("a whole step");
    let (third, a, b) = (part(block, 0), part(block, 32), part(block, 64));
    let low = [both::<0, 2>(a), both::<4, 6>(a), both::<0, 2>(b), both::<4, 6>(b)];
    let four = _mm512_set1_epi8(4);
    let third = _mm512_broadcast_i64x4(third);
    let two = _mm512_setr_epi64(0, 0, 0, 0, 1, 1, 1, 1);
    let third = _mm512_srlv_epi64(third, two);
    let third = [
        _mm512_slli_epi16::<2>(third),
        third,
        _mm512_srli_epi16::<2>(third),
        _mm512_srli_epi16::<4>(third),
    ];
    let join = |i: usize| {
        let low = _mm512_and_si512(low[i], _mm512_set1_epi8(3));
        // `low | (third & four)`
        _mm512_ternarylogic_epi64::<0xf8>(low, third[i], four)
    };
    let six = six_bits::q3_k(block[96..].first_chunk().expect("`scales`"));
    let six = _mm_sub_epi8(load_16(&six), _mm_set1_epi8(32));
    let scale = _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(six));
    Step {
        q: [join(0), join(1), join(2), join(3)],
        scale: _mm512_mul_ps(scale, half(block, 108)),
        min: _mm512_setzero_ps(),
    }
}

/// `BIAS` is 0.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
pub(in crate::x86::avx512) fn q4_k(bytes: &[u8]) -> Step {
    let block: &[u8; 144] = bytes.first_chunk().expect("a whole step");
    let (scale, min) = scales(block);
    let q = [16, 48, 80, 112]
        .map(|at| _mm512_and_si512(both::<0, 4>(part(block, at)), _mm512_set1_epi8(15)));
    Step { q, scale, min }
}

/// `BIAS` is 0.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
pub(in crate::x86::avx512) fn q5_k(bytes: &[u8]) -> Step {
    let block: &[u8; 176] = bytes.first_chunk().expect("a whole step");
    let (scale, min) = scales(block);
    let fifth = both::<0, 1>(part(block, 16));
    let fifth = [
        _mm512_slli_epi16::<4>(fifth),
        _mm512_slli_epi16::<2>(fifth),
        fifth,
        _mm512_srli_epi16::<2>(fifth),
    ];
    let join = |i: usize| {
        let low = both::<0, 4>(part(block, 48 + 32 * i));
        let low = _mm512_and_si512(low, _mm512_set1_epi8(15));
        // `low | (fifth & sixteen)`
        _mm512_ternarylogic_epi64::<0xf8>(low, fifth[i], _mm512_set1_epi8(16))
    };
    Step { q: [join(0), join(1), join(2), join(3)], scale, min }
}

/// `BIAS` is 32.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
pub(in crate::x86::avx512) fn q6_k(bytes: &[u8]) -> Step {
    let block: &[u8; 210] = bytes.first_chunk().expect("a whole step");
    let low = _mm512_set1_epi8(15);
    let six = _mm512_set1_epi8(63);
    let quarters = |h: usize| {
        let ql = load(block[h * 64..].first_chunk().expect("`ql`"));
        let qh = load_32(block[128 + h * 32..].first_chunk().expect("`qh`"));
        let qh = _mm512_inserti64x4::<1>(_mm512_castsi256_si512(qh), qh);
        // The upper two bits of each value, moved to bits 4 and 5; what is around them is cut.
        let first = _mm512_sllv_epi64(qh, _mm512_setr_epi64(4, 4, 4, 4, 2, 2, 2, 2));
        let second = _mm512_srlv_epi64(qh, _mm512_setr_epi64(0, 0, 0, 0, 2, 2, 2, 2));
        // `low ? ql : upper`
        let first = _mm512_ternarylogic_epi64::<0xca>(low, ql, first);
        let second = _mm512_ternarylogic_epi64::<0xca>(low, _mm512_srli_epi16::<4>(ql), second);
        [_mm512_and_si512(first, six), _mm512_and_si512(second, six)]
    };
    let ([a, b], [c, d]) = (quarters(0), quarters(1));
    let scales = load_16(block[192..].first_chunk().expect("`scales`"));
    Step {
        q: [a, b, c, d],
        scale: _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(scales)), half(block, 208)),
        min: _mm512_setzero_ps(),
    }
}
