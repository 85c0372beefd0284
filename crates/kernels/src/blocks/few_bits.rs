//! One to two bits a value without a codebook: Q1_0, Q2_0, TQ1_0, TQ2_0.

use bytemuck::{Pod, Zeroable};

use crate::block::{Block, f16};

/// 128 values: `d` where the bit is set, else `-d`.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct Q1_0 {
    d: [u8; 2],
    qs: [u8; 16],
}

/// 64 values `d * (q - 1)`, two bits each, first value in the low bits.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct Q2_0 {
    d: [u8; 2],
    qs: [u8; 16],
}

/// `d * (q - 1)` with five base-3 digits to a byte: a byte is `ceil(number * 256 / 243)`, so that
/// a digit leaves as the carry of a multiplication by 3, the most significant first.
///
/// Digits 0..5 of `qs[..32]` are the values 0..160 (digit by digit), those of `qs[32..]` the
/// values 160..240, digits 0..4 of `qh` the rest.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct TQ1_0 {
    qs: [u8; 48],
    qh: [u8; 4],
    d: [u8; 2],
}

/// `d * (q - 1)`: bits `2 * j` and `2 * j + 1` of 32 bytes are the `j`-th 32 of 128 values.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct TQ2_0 {
    qs: [u8; 64],
    d: [u8; 2],
}

impl Block for Q1_0 {
    const LEN: usize = 128;
    const GROUP: usize = 32;
    const HAS_MIN: bool = false;

    #[inline(always)]
    fn unpack(&self, q: &mut [i8], scale: &mut [f32], _min: &mut [f32]) {
        for (q, byte) in q.as_chunks_mut::<8>().0.iter_mut().zip(self.qs) {
            for (i, q) in q.iter_mut().enumerate() {
                *q = if byte & (1 << i) == 0 { -1 } else { 1 };
            }
        }
        scale[..4].fill(f16(self.d));
    }
}

impl Block for Q2_0 {
    const LEN: usize = 64;
    const GROUP: usize = 32;
    const HAS_MIN: bool = false;

    #[inline(always)]
    fn unpack(&self, q: &mut [i8], scale: &mut [f32], _min: &mut [f32]) {
        for (q, byte) in q.as_chunks_mut::<4>().0.iter_mut().zip(self.qs) {
            for (i, q) in q.iter_mut().enumerate() {
                *q = (byte >> (2 * i) & 3) as i8 - 1;
            }
        }
        scale[..2].fill(f16(self.d));
    }
}

impl Block for TQ1_0 {
    const LEN: usize = 256;
    const GROUP: usize = 32;
    const HAS_MIN: bool = false;

    #[inline(always)]
    fn unpack(&self, q: &mut [i8], scale: &mut [f32], _min: &mut [f32]) {
        let (first, rest) = q[..256].split_at_mut(160);
        let (second, third) = rest.split_at_mut(80);
        let (a, b) = self.qs.split_at(32);
        base_3_digits(a, first);
        base_3_digits(b, second);
        base_3_digits(&self.qh, third);
        scale[..8].fill(f16(self.d));
    }
}

impl Block for TQ2_0 {
    const LEN: usize = 256;
    const GROUP: usize = 32;
    const HAS_MIN: bool = false;

    #[inline(always)]
    fn unpack(&self, q: &mut [i8], scale: &mut [f32], _min: &mut [f32]) {
        for (q, qs) in q.as_chunks_mut::<128>().0.iter_mut().zip(self.qs.as_chunks::<32>().0) {
            for (j, q) in q.as_chunks_mut::<32>().0.iter_mut().enumerate() {
                for (q, byte) in q.iter_mut().zip(qs) {
                    *q = (byte >> (2 * j) & 3) as i8 - 1;
                }
            }
        }
        scale[..8].fill(f16(self.d));
    }
}

/// The first digit of every byte, then the second of every byte, and so on until `q` is full.
#[inline(always)]
fn base_3_digits(bytes: &[u8], q: &mut [i8]) {
    let mut power = 1u8;
    for q in q.chunks_exact_mut(bytes.len()) {
        for (q, byte) in q.iter_mut().zip(bytes) {
            *q = ((u16::from(byte.wrapping_mul(power)) * 3) >> 8) as i8 - 1;
        }
        power = power.wrapping_mul(3);
    }
}
