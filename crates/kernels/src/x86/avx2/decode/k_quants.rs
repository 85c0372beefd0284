//! Superblocks of 256 values whose group scales are themselves quantised.

use std::arch::x86_64::*;

use crate::x86::avx2::load::{load, load_8};
use crate::x86::avx2::step::Step;
use crate::x86::six_bits;

/// The 32 bytes at `at`.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn part<const N: usize>(block: &[u8; N], at: usize) -> __m256i {
    load(block[at..].first_chunk().expect("32 bytes of the block"))
}

/// The `f16` at `at` in every lane.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn half<const N: usize>(block: &[u8; N], at: usize) -> __m256 {
    let bits = i16::from_le_bytes([block[at], block[at + 1]]);
    _mm256_broadcastss_ps(_mm_cvtph_ps(_mm_cvtsi32_si128(i32::from(bits))))
}

/// 8 of 16 bytes from `at`, as floats.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn floats(bytes: &[u8; 16], at: usize) -> __m256 {
    let bytes = load_8(bytes[at..].first_chunk().expect("8 of 16"));
    _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes))
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn negative(x: __m256) -> __m256 {
    _mm256_xor_ps(x, _mm256_set1_ps(-0.0))
}

/// Scales and minima of Q4_K and Q5_K.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn scales<const N: usize>(block: &[u8; N]) -> ([__m256; 2], [__m256; 2]) {
    let six = six_bits::q4_k(block[4..].first_chunk().expect("`scales`"));
    let scale = _mm256_mul_ps(floats(&six, 0), half(block, 0));
    let min = _mm256_mul_ps(floats(&six, 8), negative(half(block, 2)));
    ([scale; 2], [min; 2])
}

/// 32 bytes shifted right by 0, 2, 4 and 6 bits.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn shifts(bytes: __m256i) -> [__m256i; 4] {
    [
        bytes,
        _mm256_srli_epi16::<2>(bytes),
        _mm256_srli_epi16::<4>(bytes),
        _mm256_srli_epi16::<6>(bytes),
    ]
}

/// `BIAS` is 0.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(in crate::x86::avx2) fn q2_k(bytes: &[u8]) -> Step {
    let block: &[u8; 84] = bytes.first_chunk().expect("a whole step");
    let ([a, b, c, d], [e, f, g, h]) = (shifts(part(block, 16)), shifts(part(block, 48)));
    let packed: &[u8; 16] = block.first_chunk().expect("`scales`");
    let (low, high) = (packed.map(|s| s & 15), packed.map(|s| s >> 4));
    let (d_all, dmin) = (half(block, 80), negative(half(block, 82)));
    Step {
        q: [a, b, c, d, e, f, g, h].map(|q| _mm256_and_si256(q, _mm256_set1_epi8(3))),
        scale: [0, 8].map(|at| _mm256_mul_ps(floats(&low, at), d_all)),
        min: [0, 8].map(|at| _mm256_mul_ps(floats(&high, at), dmin)),
    }
}

/// `BIAS` is 4.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(in crate::x86::avx2) fn q3_k(bytes: &[u8]) -> Step {
    let block: &[u8; 110] = bytes.first_chunk().expect("a whole step");
    let third = part(block, 0);
    let ([a, b, c, d], [e, f, g, h]) = (shifts(part(block, 32)), shifts(part(block, 64)));
    let (three, four) = (_mm256_set1_epi8(3), _mm256_set1_epi8(4));
    let join = |low: __m256i, third: __m256i| {
        _mm256_or_si256(_mm256_and_si256(low, three), _mm256_and_si256(third, four))
    };
    let six = six_bits::q3_k(block[96..].first_chunk().expect("`scales`"));
    let six = six.map(|s| s.wrapping_sub(32));
    let d_all = half(block, 108);
    Step {
        q: [
            join(a, _mm256_slli_epi16::<2>(third)),
            join(b, _mm256_slli_epi16::<1>(third)),
            join(c, third),
            join(d, _mm256_srli_epi16::<1>(third)),
            join(e, _mm256_srli_epi16::<2>(third)),
            join(f, _mm256_srli_epi16::<3>(third)),
            join(g, _mm256_srli_epi16::<4>(third)),
            join(h, _mm256_srli_epi16::<5>(third)),
        ],
        scale: [0, 8].map(|at| _mm256_mul_ps(floats(&six, at), d_all)),
        min: [_mm256_setzero_ps(); 2],
    }
}

/// `BIAS` is 0.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(in crate::x86::avx2) fn q4_k(bytes: &[u8]) -> Step {
    let block: &[u8; 144] = bytes.first_chunk().expect("a whole step");
    let (scale, min) = scales(block);
    let mut q = [_mm256_setzero_si256(); 8];
    for (i, q) in q.as_chunks_mut::<2>().0.iter_mut().enumerate() {
        let bytes = part(block, 16 + 32 * i);
        *q = [bytes, _mm256_srli_epi16::<4>(bytes)]
            .map(|q| _mm256_and_si256(q, _mm256_set1_epi8(15)));
    }
    Step { q, scale, min }
}

/// `BIAS` is 0.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(in crate::x86::avx2) fn q5_k(bytes: &[u8]) -> Step {
    let block: &[u8; 176] = bytes.first_chunk().expect("a whole step");
    let (scale, min) = scales(block);
    let mut q = [_mm256_setzero_si256(); 8];
    let mut fifth = part(block, 16);
    for (i, q) in q.iter_mut().enumerate() {
        let bytes = part(block, 48 + 32 * (i / 2));
        let low = if i % 2 == 0 { bytes } else { _mm256_srli_epi16::<4>(bytes) };
        let low = _mm256_and_si256(low, _mm256_set1_epi8(15));
        let set = _mm256_and_si256(fifth, _mm256_set1_epi8(1));
        *q = _mm256_or_si256(low, _mm256_slli_epi16::<4>(set));
        fifth = _mm256_srli_epi16::<1>(fifth);
    }
    Step { q, scale, min }
}

/// `BIAS` is 32.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(in crate::x86::avx2) fn q6_k(bytes: &[u8]) -> Step {
    let block: &[u8; 210] = bytes.first_chunk().expect("a whole step");
    let (low, upper) = (_mm256_set1_epi8(15), _mm256_set1_epi8(0x30));
    let quarters = |h: usize| {
        let (a, b, qh) = (part(block, h * 64), part(block, h * 64 + 32), part(block, 128 + h * 32));
        let join = |l, h| _mm256_or_si256(_mm256_and_si256(l, low), _mm256_and_si256(h, upper));
        [
            join(a, _mm256_slli_epi16::<4>(qh)),
            join(b, _mm256_slli_epi16::<2>(qh)),
            join(_mm256_srli_epi16::<4>(a), qh),
            join(_mm256_srli_epi16::<4>(b), _mm256_srli_epi16::<2>(qh)),
        ]
    };
    let ([a, b, c, d], [e, f, g, h]) = (quarters(0), quarters(1));
    let d_all = half(block, 208);
    let scales: &[u8; 16] = block[192..].first_chunk().expect("`scales`");
    Step {
        q: [a, b, c, d, e, f, g, h],
        scale: [0, 8].map(|at| _mm256_mul_ps(floats(scales, at), d_all)),
        min: [_mm256_setzero_ps(); 2],
    }
}
