//! Words of a record: four neighbouring values of each of 4 rows, those of quarter `i` of a panel.
//!
//! Codes are as they are stored, but for those of 8 bits and of tables: these are the weights.

use std::arch::aarch64::*;

use crate::blocks::IQ4;
use crate::neon::load::{load, load_bytes};

/// A quarter of line `l` of a record.
#[inline]
#[target_feature(enable = "neon")]
fn line<const N: usize>(record: &[u8; N], i: usize, l: usize) -> uint8x16_t {
    load_bytes(&record.as_chunks::<16>().0[4 * l + i])
}

/// Bit `from` moved to bit `to`, and with it the others.
#[inline]
#[target_feature(enable = "neon")]
fn moved(bytes: uint8x16_t, from: usize, to: usize) -> uint8x16_t {
    if from == to {
        return bytes;
    }
    vshlq_u8(bytes, vdupq_n_s8(to as i8 - from as i8))
}

/// `low | (high & mask)`.
#[inline]
#[target_feature(enable = "neon")]
fn with(low: uint8x16_t, high: uint8x16_t, mask: u8) -> uint8x16_t {
    vorrq_u8(low, vandq_u8(high, vdupq_n_u8(mask)))
}

#[inline]
#[target_feature(enable = "neon")]
fn low_nibble<const N: usize>(record: &[u8; N], i: usize, k: usize) -> uint8x16_t {
    let both = line(record, i, k / 2);
    if k.is_multiple_of(2) { vandq_u8(both, vdupq_n_u8(15)) } else { vshrq_n_u8::<4>(both) }
}

#[inline]
#[target_feature(enable = "neon")]
fn low_pair<const N: usize>(record: &[u8; N], i: usize, k: usize) -> uint8x16_t {
    let four = moved(line(record, i, k / 4), k % 4 * 2, 0);
    if k % 4 == 3 { four } else { vandq_u8(four, vdupq_n_u8(3)) }
}

/// 8 bits: the weights.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn byte<const N: usize>(record: &[u8; N], i: usize, k: usize) -> int8x16_t {
    vreinterpretq_s8_u8(veorq_u8(line(record, i, k), vdupq_n_u8(128)))
}

/// 4 bits.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn nibble<const N: usize>(record: &[u8; N], i: usize, k: usize) -> int8x16_t {
    vreinterpretq_s8_u8(low_nibble(record, i, k))
}

/// 5 bits.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn nibble_bit<const N: usize>(record: &[u8; N], i: usize, k: usize) -> int8x16_t {
    let high = moved(line(record, i, 4), k, 4);
    vreinterpretq_s8_u8(with(low_nibble(record, i, k), high, 16))
}

/// 6 bits.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn nibble_pair<const N: usize>(record: &[u8; N], i: usize, k: usize) -> int8x16_t {
    let high = moved(line(record, i, 4 + k / 4), k % 4 * 2, 4);
    vreinterpretq_s8_u8(with(low_nibble(record, i, k), high, 48))
}

/// 2 bits.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn pair<const N: usize>(record: &[u8; N], i: usize, k: usize) -> int8x16_t {
    vreinterpretq_s8_u8(low_pair(record, i, k))
}

/// 3 bits.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn pair_bit<const N: usize>(record: &[u8; N], i: usize, k: usize) -> int8x16_t {
    vreinterpretq_s8_u8(with(low_pair(record, i, k), moved(line(record, i, 2), k, 2), 4))
}

/// 4 bits that index the table of IQ4: the weights.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn table<const N: usize>(record: &[u8; N], i: usize, k: usize) -> int8x16_t {
    vqtbl1q_s8(load(&IQ4), low_nibble(record, i, k))
}
