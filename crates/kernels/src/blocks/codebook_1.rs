//! Indices into the codebook of eight ternary values that IQ1_S and IQ1_M share.
//!
//! A value is `scale * (grid + delta)` with `delta` an eighth, of either sign. The integers are
//! `8 * grid + 8 * delta`, the scales an eighth, and no minimum is left.

use bytemuck::{Pod, Zeroable};

use super::{grids, words::less};
use crate::block::{Block, f16};

/// `d * (2 * scale + 1) * (grid + delta)`: per 32 values an index byte per 8 and a word of three
/// more index bits per 8, a 3-bit scale and the sign of delta.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct IQ1_S {
    d: [u8; 2],
    qs: [[u8; 4]; 8],
    words: [[u8; 2]; 8],
}

/// As [`IQ1_S`]; a nibble of `qh` per 8 values holds three index bits and the sign of delta. Each
/// of the four words `scales` holds four 3-bit scales of 16 values and four bits of `d`.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct IQ1_M {
    qs: [u8; 32],
    qh: [u8; 16],
    scales: [[u8; 2]; 4],
}

impl Block for IQ1_S {
    const LEN: usize = 256;
    const GROUP: usize = 32;
    const HAS_MIN: bool = false;

    #[inline(always)]
    fn unpack(&self, q: &mut [i8], scale: &mut [f32], _min: &mut [f32]) {
        let d = f16(self.d) * 0.125;
        let q = q.as_chunks_mut::<32>().0;
        for (((q, scale), low), word) in q.iter_mut().zip(scale).zip(&self.qs).zip(self.words) {
            let word = u16::from_le_bytes(word);
            for (j, q) in q.as_chunks_mut::<8>().0.iter_mut().enumerate() {
                *q = eighths(low[j], word >> (3 * j), word >> 15 != 0);
            }
            *scale = d * f32::from(2 * (word >> 12 & 7) + 1);
        }
    }
}

impl Block for IQ1_M {
    const LEN: usize = 256;
    const GROUP: usize = 16;
    const HAS_MIN: bool = false;

    #[inline(always)]
    fn unpack(&self, q: &mut [i8], scale: &mut [f32], _min: &mut [f32]) {
        let q = q.as_chunks_mut::<16>().0;
        for ((q, low), high) in q.iter_mut().zip(self.qs.as_chunks::<2>().0).zip(self.qh) {
            for (j, q) in q.as_chunks_mut::<8>().0.iter_mut().enumerate() {
                let high = high >> (4 * j);
                *q = eighths(low[j], u16::from(high), high & 8 != 0);
            }
        }
        let words = self.scales.map(u16::from_le_bytes);
        let d = words.iter().rev().fold(0, |d, word| d << 4 | word >> 12);
        let d = f16(d.to_le_bytes()) * 0.125;
        for (scale, word) in scale.as_chunks_mut::<4>().0.iter_mut().zip(words) {
            for (j, scale) in scale.iter_mut().enumerate() {
                *scale = d * f32::from(2 * (word >> (3 * j) & 7) + 1);
            }
        }
    }
}

/// Eight times the entry of index `low` and the low three bits of `high`, less or more one.
#[inline(always)]
fn eighths(low: u8, high: u16, minus: bool) -> [i8; 8] {
    let entry = grids::IQ1[usize::from(low) | usize::from(high & 7) << 8];
    less(entry, if minus { 18 } else { 16 }).to_le_bytes().map(|byte| byte as i8)
}
