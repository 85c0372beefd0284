//! Blocks of 32 values with f16 scales: Q4_0, Q4_1, Q5_0, Q5_1, Q8_0.

use bytemuck::{Pod, Zeroable};

use super::k_quants::Super;
use super::words::{less, nibbles, sixteens};
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
        nibbles(&self.qs, q, |_, word| less(word, 8));
        scale[0] = f16(self.d);
    }
}

impl Block for Q4_1 {
    const LEN: usize = 32;
    const GROUP: usize = 32;
    const HAS_MIN: bool = true;

    #[inline(always)]
    fn unpack(&self, q: &mut [i8], scale: &mut [f32], min: &mut [f32]) {
        nibbles(&self.qs, q, |_, word| word);
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
        nibbles(&self.qs, q, |i, word| less(word | sixteens(self.qh[i]), 16));
        scale[0] = f16(self.d);
    }
}

impl Block for Q5_1 {
    const LEN: usize = 32;
    const GROUP: usize = 32;
    const HAS_MIN: bool = true;

    #[inline(always)]
    fn unpack(&self, q: &mut [i8], scale: &mut [f32], min: &mut [f32]) {
        nibbles(&self.qs, q, |i, word| word | sixteens(self.qh[i]));
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

impl Q4_0 {
    pub(crate) fn stored_scales(&self) -> Super {
        Super { d: self.d, ..Super::default() }
    }
}

impl Q5_0 {
    pub(crate) fn stored_scales(&self) -> Super {
        Super { d: self.d, ..Super::default() }
    }
}

impl Q8_0 {
    pub(crate) fn stored_scales(&self) -> Super {
        Super { d: self.d, ..Super::default() }
    }
}

impl Q4_1 {
    pub(crate) fn stored_scales(&self) -> Super {
        Super { d: self.d, min: self.m, ..Super::default() }
    }
}

impl Q5_1 {
    pub(crate) fn stored_scales(&self) -> Super {
        Super { d: self.d, min: self.m, ..Super::default() }
    }
}
