//! Words of a record: four neighbouring values of each of 8 rows, those of half `h` of a
//! panel, as unsigned bytes, or where they are [`signed`] as those.

use std::arch::x86_64::*;

use crate::blocks::IQ4;
use crate::panels::LINE;
use crate::x86::avx2::dot::signed;
use crate::x86::avx2::load::{load, load_16};

/// Half of line `i` of a record.
#[inline]
#[target_feature(enable = "avx2")]
fn line<const N: usize>(record: &[u8; N], h: usize, i: usize) -> __m256i {
    load(&record.as_chunks::<{ LINE / 2 }>().0[2 * i + h])
}

/// Bits `shift..` of each byte, what comes from its neighbour not yet cut.
#[inline]
#[target_feature(enable = "avx2")]
fn right(bytes: __m256i, shift: usize) -> __m256i {
    match shift {
        0 => bytes,
        shift => _mm256_srl_epi32(bytes, _mm_cvtsi32_si128(shift as i32)),
    }
}

/// As [`right`], with bit `from` moved to bit `to`.
#[inline]
#[target_feature(enable = "avx2")]
fn moved(bytes: __m256i, from: usize, to: usize) -> __m256i {
    match to.checked_sub(from) {
        None => right(bytes, from - to),
        Some(0) => bytes,
        Some(shift) => _mm256_sll_epi32(bytes, _mm_cvtsi32_si128(shift as i32)),
    }
}

/// `low | (high & mask)`.
#[inline]
#[target_feature(enable = "avx2")]
fn with(low: __m256i, high: __m256i, mask: i8) -> __m256i {
    _mm256_or_si256(low, _mm256_and_si256(high, _mm256_set1_epi8(mask)))
}

/// 8 bits, without VNNI signed.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn byte<const VNNI: bool, const N: usize>(
    record: &[u8; N],
    h: usize,
    k: usize,
) -> __m256i {
    let word = line(record, h, k);
    if signed(VNNI, 128) { _mm256_xor_si256(word, _mm256_set1_epi8(-128)) } else { word }
}

/// 4 bits.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn nibble<const N: usize>(record: &[u8; N], h: usize, k: usize) -> __m256i {
    let both = right(line(record, h, k / 2), k % 2 * 4);
    _mm256_and_si256(both, _mm256_set1_epi8(15))
}

/// 5 bits.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn nibble_bit<const N: usize>(record: &[u8; N], h: usize, k: usize) -> __m256i {
    with(nibble(record, h, k), moved(line(record, h, 4), k, 4), 16)
}

/// 6 bits.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn nibble_pair<const N: usize>(record: &[u8; N], h: usize, k: usize) -> __m256i {
    with(nibble(record, h, k), moved(line(record, h, 4 + k / 4), k % 4 * 2, 4), 48)
}

/// 2 bits.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn pair<const N: usize>(record: &[u8; N], h: usize, k: usize) -> __m256i {
    let four = right(line(record, h, k / 4), k % 4 * 2);
    _mm256_and_si256(four, _mm256_set1_epi8(3))
}

/// 3 bits.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn pair_bit<const N: usize>(record: &[u8; N], h: usize, k: usize) -> __m256i {
    with(pair(record, h, k), moved(line(record, h, 2), k, 2), 4)
}

/// 4 bits that index the table of IQ4: signed, or with VNNI 128 more.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn table<const VNNI: bool, const N: usize>(
    record: &[u8; N],
    h: usize,
    k: usize,
) -> __m256i {
    let mut table = load_16(bytemuck::cast_ref(&IQ4));
    if VNNI {
        table = _mm_xor_si128(table, _mm_set1_epi8(-128));
    }
    _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(table), nibble(record, h, k))
}
