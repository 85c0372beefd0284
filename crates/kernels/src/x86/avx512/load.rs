//! Loads and stores of slices' contents.
#![expect(unsafe_code, reason = "vector loads and stores")]

use std::arch::x86_64::*;

#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn load(bytes: &[u8; 64]) -> __m512i {
    // SAFETY: 64 readable bytes; the load needs no alignment.
    unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn load_i32(words: &[i32; 16]) -> __m512i {
    // SAFETY: 64 readable bytes; the load needs no alignment.
    unsafe { _mm512_loadu_si512(words.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn load_f32(floats: &[f32; 16]) -> __m512 {
    // SAFETY: 64 readable bytes; the load needs no alignment.
    unsafe { _mm512_loadu_ps(floats.as_ptr()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn load_f32x8(floats: &[f32; 8]) -> __m256 {
    // SAFETY: 32 readable bytes; the load needs no alignment.
    unsafe { _mm256_loadu_ps(floats.as_ptr()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn load_32(bytes: &[u8; 32]) -> __m256i {
    // SAFETY: 32 readable bytes; the load needs no alignment.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn load_16(bytes: &[u8; 16]) -> __m128i {
    // SAFETY: 16 readable bytes; the load needs no alignment.
    unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn load_words(words: &[u32; 16]) -> __m512i {
    // SAFETY: 64 readable bytes; the load needs no alignment.
    unsafe { _mm512_loadu_si512(words.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn store_words(out: &mut [u32; 16], x: __m512i) {
    // SAFETY: 64 writable bytes; the store needs no alignment.
    unsafe { _mm512_storeu_si512(out.as_mut_ptr().cast(), x) }
}

/// Up to 16 lanes, zeros after them.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn load_lanes(from: &[f32]) -> __m512 {
    assert!((1..=16).contains(&from.len()), "lanes");
    // SAFETY: reads only the lanes of the mask, which `from` has.
    unsafe { _mm512_maskz_loadu_ps(u16::MAX >> (16 - from.len()), from.as_ptr()) }
}

/// Writes the first lanes, or adds them to what is there.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn write_lanes(out: &mut [f32], add: bool, x: __m512) {
    assert!((1..=16).contains(&out.len()), "lanes");
    let lanes = u16::MAX >> (16 - out.len());
    let mut x = x;
    if add {
        x = _mm512_add_ps(load_lanes(out), x);
    }
    // SAFETY: writes only the lanes of the mask, which `out` has.
    unsafe { _mm512_mask_storeu_ps(out.as_mut_ptr(), lanes, x) }
}

/// Asks for every line, at least one, of as many bytes, `AHEAD` of the start of `bytes` and maybe past what
/// is there.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn prefetch<const AHEAD: usize>(bytes: &[u8]) {
    for i in 0..(bytes.len() / 64).max(1) {
        let address = bytes.as_ptr().wrapping_add(AHEAD + i * 64).cast();
        _mm_prefetch::<_MM_HINT_T0>(address);
    }
}

/// A word in every lane.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn broadcast(word: u32) -> __m512i {
    _mm512_set1_epi32(word as i32)
}

/// Transposes 16 rows of 16 words.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn transpose(rows: [__m512i; 16]) -> [__m512i; 16] {
    let mut a = rows;
    for i in 0..8 {
        a[2 * i] = _mm512_unpacklo_epi32(rows[2 * i], rows[2 * i + 1]);
        a[2 * i + 1] = _mm512_unpackhi_epi32(rows[2 * i], rows[2 * i + 1]);
    }
    // Quarter `l` of `b[4 * i + c]` is column `4 * l + c` of rows `4 * i..4 * i + 4`.
    let mut b = a;
    for i in 0..4 {
        b[4 * i] = _mm512_unpacklo_epi64(a[4 * i], a[4 * i + 2]);
        b[4 * i + 1] = _mm512_unpackhi_epi64(a[4 * i], a[4 * i + 2]);
        b[4 * i + 2] = _mm512_unpacklo_epi64(a[4 * i + 1], a[4 * i + 3]);
        b[4 * i + 3] = _mm512_unpackhi_epi64(a[4 * i + 1], a[4 * i + 3]);
    }
    let mut out = b;
    for c in 0..4 {
        let low_01 = _mm512_shuffle_i32x4::<0b01_00_01_00>(b[c], b[4 + c]);
        let high_01 = _mm512_shuffle_i32x4::<0b11_10_11_10>(b[c], b[4 + c]);
        let low_23 = _mm512_shuffle_i32x4::<0b01_00_01_00>(b[8 + c], b[12 + c]);
        let high_23 = _mm512_shuffle_i32x4::<0b11_10_11_10>(b[8 + c], b[12 + c]);
        out[c] = _mm512_shuffle_i32x4::<0b10_00_10_00>(low_01, low_23);
        out[4 + c] = _mm512_shuffle_i32x4::<0b11_01_11_01>(low_01, low_23);
        out[8 + c] = _mm512_shuffle_i32x4::<0b10_00_10_00>(high_01, high_23);
        out[12 + c] = _mm512_shuffle_i32x4::<0b11_01_11_01>(high_01, high_23);
    }
    out
}
