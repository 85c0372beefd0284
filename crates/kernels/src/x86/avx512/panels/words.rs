//! Words of a record: four neighbouring values of each of 16 rows, as unsigned bytes.

use std::arch::x86_64::*;

use crate::blocks::IQ4;
use crate::panels::LINE;
use crate::x86::avx512::load::{load, load_16};

/// Line `i` of a record.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
fn line<const N: usize>(record: &[u8; N], i: usize) -> __m512i {
    load(&record.as_chunks::<LINE>().0[i])
}

/// Bits `shift..` of each byte, what comes from its neighbour not yet cut.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
fn right(bytes: __m512i, shift: usize) -> __m512i {
    match shift {
        0 => bytes,
        shift => _mm512_srl_epi32(bytes, _mm_cvtsi32_si128(shift as i32)),
    }
}

/// As [`right`], with bit `from` moved to bit `to`.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
fn moved(bytes: __m512i, from: usize, to: usize) -> __m512i {
    match to.checked_sub(from) {
        None => right(bytes, from - to),
        Some(0) => bytes,
        Some(shift) => _mm512_sll_epi32(bytes, _mm_cvtsi32_si128(shift as i32)),
    }
}

/// `low | (high & mask)`.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
fn with(low: __m512i, high: __m512i, mask: i8) -> __m512i {
    _mm512_ternarylogic_epi64::<0xf8>(low, high, _mm512_set1_epi8(mask))
}

/// 8 bits.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
pub(super) fn byte<const N: usize>(record: &[u8; N], k: usize) -> __m512i {
    line(record, k)
}

/// 4 bits.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
pub(super) fn nibble<const N: usize>(record: &[u8; N], k: usize) -> __m512i {
    let both = right(line(record, k / 2), k % 2 * 4);
    _mm512_and_si512(both, _mm512_set1_epi8(15))
}

/// 5 bits.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
pub(super) fn nibble_bit<const N: usize>(record: &[u8; N], k: usize) -> __m512i {
    with(nibble(record, k), moved(line(record, 4), k, 4), 16)
}

/// 6 bits.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
pub(super) fn nibble_pair<const N: usize>(record: &[u8; N], k: usize) -> __m512i {
    with(nibble(record, k), moved(line(record, 4 + k / 4), k % 4 * 2, 4), 48)
}

/// 2 bits.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
pub(super) fn pair<const N: usize>(record: &[u8; N], k: usize) -> __m512i {
    let four = right(line(record, k / 4), k % 4 * 2);
    _mm512_and_si512(four, _mm512_set1_epi8(3))
}

/// 3 bits.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
pub(super) fn pair_bit<const N: usize>(record: &[u8; N], k: usize) -> __m512i {
    with(pair(record, k), moved(line(record, 2), k, 2), 4)
}

/// 4 bits that index the table of IQ4, 128 added.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
pub(super) fn table<const N: usize>(record: &[u8; N], k: usize) -> __m512i {
    let unsigned = _mm_xor_si128(load_16(bytemuck::cast_ref(&IQ4)), _mm_set1_epi8(-128));
    _mm512_shuffle_epi8(_mm512_broadcast_i32x4(unsigned), nibble(record, k))
}
