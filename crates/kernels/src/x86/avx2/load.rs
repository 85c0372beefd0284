//! Loads and stores of slices' contents, and sums over lanes.
#![expect(unsafe_code, reason = "vector loads and stores")]

use std::arch::x86_64::*;

/// A word of each row of both halves of a panel.
pub(super) type Pair = [[u32; 8]; 2];

/// Of 512, 1024 and 2048 bytes the best for weights in memory (Sapphire Rapids, Zen 3).
const AHEAD: usize = 1024;

#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn load(bytes: &[u8; 32]) -> __m256i {
    // SAFETY: 32 readable bytes; the load needs no alignment.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn load_16(bytes: &[u8; 16]) -> __m128i {
    // SAFETY: 16 readable bytes; the load needs no alignment.
    unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn load_8(bytes: &[u8; 8]) -> __m128i {
    // SAFETY: 8 readable bytes; the load needs no alignment.
    unsafe { _mm_loadl_epi64(bytes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn load_f32(floats: &[f32; 8]) -> __m256 {
    // SAFETY: 32 readable bytes; the load needs no alignment.
    unsafe { _mm256_loadu_ps(floats.as_ptr()) }
}

#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn load_words(words: &[u32; 8]) -> __m256i {
    // SAFETY: 32 readable bytes; the load needs no alignment.
    unsafe { _mm256_loadu_si256(words.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn store_words(out: &mut [u32; 8], x: __m256i) {
    // SAFETY: 32 writable bytes; the store needs no alignment.
    unsafe { _mm256_storeu_si256(out.as_mut_ptr().cast(), x) }
}

#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn store_16(out: &mut [i8; 16], x: __m128i) {
    // SAFETY: 16 writable bytes; the store needs no alignment.
    unsafe { _mm_storeu_si128(out.as_mut_ptr().cast(), x) }
}

#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn to_array(x: __m256) -> [f32; 8] {
    let mut out = [0.0; 8];
    // SAFETY: 32 writable bytes; the store needs no alignment.
    unsafe { _mm256_storeu_ps(out.as_mut_ptr(), x) };
    out
}

/// Up to 8 lanes, zeros after them.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn load_lanes(from: &[f32]) -> __m256 {
    if let Ok(from) = <&[f32; 8]>::try_from(from) {
        return load_f32(from);
    }
    let mut lanes = [0.0; 8];
    lanes[..from.len()].copy_from_slice(from);
    load_f32(&lanes)
}

/// Writes the first lanes, or adds them to what is there.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn write_lanes(out: &mut [f32], add: bool, x: __m256) {
    if let Ok(out) = <&mut [f32; 8]>::try_from(&mut *out) {
        let x = if add { _mm256_add_ps(load_f32(out), x) } else { x };
        // SAFETY: 32 writable bytes; the store needs no alignment.
        unsafe { _mm256_storeu_ps(out.as_mut_ptr(), x) }
    } else {
        for (out, x) in out.iter_mut().zip(to_array(x)) {
            *out = if add { *out + x } else { x };
        }
    }
}

/// Writes what a panel yields to the columns from `column` on, as many as there are of 16, or adds it to
/// what is there.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn write_panel(out: &mut [f32], column: usize, add: bool, [low, high]: [__m256; 2]) {
    let out = &mut out[column..];
    if let Some(whole) = out.first_chunk_mut::<16>() {
        write_lanes(&mut whole[..8], add, low);
        write_lanes(&mut whole[8..], add, high);
    } else {
        let (first, second) = out.split_at_mut(out.len().min(8));
        write_lanes(first, add, low);
        write_lanes(second, add, high);
    }
}

/// Asks for the lines of `length` bytes, some way ahead of the start of `bytes` and maybe past their
/// end. All lines: where a processor does not fetch pairs of them, asking for every second one halves
/// the rate of reading (Zen 3: 7 and 15 GB/s).
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn prefetch(bytes: &[u8], length: usize) {
    for i in 0..length.div_ceil(64) {
        let address = bytes.as_ptr().wrapping_add(AHEAD + i * 64).cast();
        _mm_prefetch::<_MM_HINT_T0>(address);
    }
}

/// A word in every lane.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn broadcast(word: u32) -> __m256i {
    _mm256_set1_epi32(word as i32)
}

#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn sum_lanes(x: __m256) -> f32 {
    let x = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps::<1>(x));
    let x = _mm_add_ps(x, _mm_movehl_ps(x, x));
    _mm_cvtss_f32(_mm_add_ss(x, _mm_movehdup_ps(x)))
}

/// Transposes 8 rows of 8 words.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn transpose(rows: [__m256i; 8]) -> [__m256i; 8] {
    let mut a = rows;
    for i in 0..4 {
        a[2 * i] = _mm256_unpacklo_epi32(rows[2 * i], rows[2 * i + 1]);
        a[2 * i + 1] = _mm256_unpackhi_epi32(rows[2 * i], rows[2 * i + 1]);
    }
    // Half `l` of `b[4 * i + c]` is column `4 * l + c` of rows `4 * i..4 * i + 4`.
    let mut b = a;
    for i in 0..2 {
        b[4 * i] = _mm256_unpacklo_epi64(a[4 * i], a[4 * i + 2]);
        b[4 * i + 1] = _mm256_unpackhi_epi64(a[4 * i], a[4 * i + 2]);
        b[4 * i + 2] = _mm256_unpacklo_epi64(a[4 * i + 1], a[4 * i + 3]);
        b[4 * i + 3] = _mm256_unpackhi_epi64(a[4 * i + 1], a[4 * i + 3]);
    }
    let mut out = b;
    for c in 0..4 {
        out[c] = _mm256_permute2x128_si256::<0x20>(b[c], b[4 + c]);
        out[4 + c] = _mm256_permute2x128_si256::<0x31>(b[c], b[4 + c]);
    }
    out
}
