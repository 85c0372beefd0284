//! Blocks of 32 values with f16 scales: Q4_0, Q4_1, Q5_0, Q5_1, Q8_0.

use bytemuck::{Pod, Zeroable};

use crate::block::{Block, f16};

mod quantize;

/// `d * (q - 8)`, nibbles: low halves are values 0..16, high halves 16..32.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct Q4_0 {
    d: [u8; 2],
    qs: [u8; 16],
}

/// `d * q + m`, nibbles as in [`Q4_0`].
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct Q4_1 {
    d: [u8; 2],
    m: [u8; 2],
    qs: [u8; 16],
}

/// `d * (q - 16)`: nibbles as in [`Q4_0`], the fifth bit of value `i` is bit `i` of `qh`.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct Q5_0 {
    d: [u8; 2],
    qh: [u8; 4],
    qs: [u8; 16],
}

/// `d * q + m`: bits as in [`Q5_0`].
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct Q5_1 {
    d: [u8; 2],
    m: [u8; 2],
    qh: [u8; 4],
    qs: [u8; 16],
}

/// `d * q`.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct Q8_0 {
    d: [u8; 2],
    qs: [i8; 32],
}

impl Block for Q4_0 {
    const LEN: usize = 32;
    const GROUP: usize = 32;
    const HAS_MIN: bool = false;

    #[inline(always)]
    fn unpack(&self, q: &mut [i8], scale: &mut [f32], _min: &mut [f32]) {
        let (low, high) = q[..32].split_at_mut(16);
        for i in 0..16 {
            low[i] = (self.qs[i] & 15) as i8 - 8;
            high[i] = (self.qs[i] >> 4) as i8 - 8;
        }
        scale[0] = f16(self.d);
    }
}

impl Block for Q4_1 {
    const LEN: usize = 32;
    const GROUP: usize = 32;
    const HAS_MIN: bool = true;

    #[inline(always)]
    fn unpack(&self, q: &mut [i8], scale: &mut [f32], min: &mut [f32]) {
        let (low, high) = q[..32].split_at_mut(16);
        for i in 0..16 {
            low[i] = (self.qs[i] & 15) as i8;
            high[i] = (self.qs[i] >> 4) as i8;
        }
        scale[0] = f16(self.d);
        min[0] = f16(self.m);
    }
}

impl Block for Q5_0 {
    const LEN: usize = 32;
    const GROUP: usize = 32;
    const HAS_MIN: bool = false;

    #[inline(always)]
    fn unpack(&self, q: &mut [i8], scale: &mut [f32], _min: &mut [f32]) {
        let fifth = spread_bits(self.qh);
        let (low, high) = q[..32].split_at_mut(16);
        for i in 0..16 {
            low[i] = ((self.qs[i] & 15) | fifth[i] << 4) as i8 - 16;
            high[i] = ((self.qs[i] >> 4) | fifth[i + 16] << 4) as i8 - 16;
        }
        scale[0] = f16(self.d);
    }
}

impl Block for Q5_1 {
    const LEN: usize = 32;
    const GROUP: usize = 32;
    const HAS_MIN: bool = true;

    #[inline(always)]
    fn unpack(&self, q: &mut [i8], scale: &mut [f32], min: &mut [f32]) {
        let fifth = spread_bits(self.qh);
        let (low, high) = q[..32].split_at_mut(16);
        for i in 0..16 {
            low[i] = ((self.qs[i] & 15) | fifth[i] << 4) as i8;
            high[i] = ((self.qs[i] >> 4) | fifth[i + 16] << 4) as i8;
        }
        scale[0] = f16(self.d);
        min[0] = f16(self.m);
    }
}

impl Block for Q8_0 {
    const LEN: usize = 32;
    const GROUP: usize = 32;
    const HAS_MIN: bool = false;

    #[inline(always)]
    fn unpack(&self, q: &mut [i8], scale: &mut [f32], _min: &mut [f32]) {
        q[..32].copy_from_slice(&self.qs);
        scale[0] = f16(self.d);
    }
}

/// Bit `i` of the little-endian `bits`, as the byte `i`: 0 or 1.
#[inline(always)]
fn spread_bits(bits: [u8; 4]) -> [u8; 32] {
    let mut out = [0; 32];
    for (out, byte) in out.as_chunks_mut::<8>().0.iter_mut().zip(bits) {
        for (i, out) in out.iter_mut().enumerate() {
            *out = u8::from(byte & (1 << i) != 0);
        }
    }
    out
}
