//! Indices into codebooks of eight values, with signs: IQ2_XXS, IQ2_XS, IQ2_S; of four: IQ3_XXS,
//! IQ3_S.

use bytemuck::{Pod, Zeroable};

use super::{grids, words::ONES};
use crate::block::{Block, f16};

/// `d / 4 * (scale + 1/2) * sign * grid`; per 32 values four index bytes, then a word of four
/// times seven sign bits (see [`grids::EVEN_SIGNS`]) and a 4-bit scale.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct IQ2_XXS {
    d: [u8; 2],
    qs: [[[u8; 4]; 2]; 8],
}

/// `d / 4 * (scale + 1/2) * sign * grid`, a 4-bit scale per 16 values; per 8 values nine bits of
/// index and seven of sign.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct IQ2_XS {
    d: [u8; 2],
    qs: [[u8; 2]; 32],
    scales: [u8; 8],
}

/// `d / 4 * (scale + 1/2) * sign * grid`, a 4-bit scale per 16 values, ten bits of index and eight
/// of sign per 8.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct IQ2_S {
    d: [u8; 2],
    qs: [u8; 32],
    signs: [u8; 32],
    qh: [u8; 8],
    scales: [u8; 8],
}

/// `d / 2 * (scale + 1/2) * sign * grid`, an index byte per 4 values; per 32 values a word as in
/// [`IQ2_XXS`].
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct IQ3_XXS {
    d: [u8; 2],
    qs: [[u8; 8]; 8],
    words: [[u8; 4]; 8],
}

/// `d * (2 * scale + 1) * sign * grid`, a 4-bit scale per 32 values, nine bits of index per 4.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct IQ3_S {
    d: [u8; 2],
    qs: [[u8; 8]; 8],
    qh: [u8; 8],
    signs: [[u8; 4]; 8],
    scales: [u8; 4],
}

impl Block for IQ2_XXS {
    const LEN: usize = 256;
    const GROUP: usize = 32;
    const HAS_MIN: bool = false;

    #[inline(always)]
    fn unpack(&self, q: &mut [i8], scale: &mut [f32], _min: &mut [f32]) {
        let d = f16(self.d);
        let q = q.as_chunks_mut::<32>().0;
        for ((q, scale), [indices, word]) in q.iter_mut().zip(scale).zip(&self.qs) {
            let word = u32::from_le_bytes(*word);
            for (j, q) in q.as_chunks_mut::<8>().0.iter_mut().enumerate() {
                let grid = grids::IQ2_XXS[usize::from(indices[j])];
                *q = signed(grid, even_signs(word, 7 * j));
            }
            *scale = d * (0.5 + (word >> 28) as f32) * 0.25;
        }
    }
}

impl Block for IQ2_XS {
    const LEN: usize = 256;
    const GROUP: usize = 16;
    const HAS_MIN: bool = false;

    #[inline(always)]
    fn unpack(&self, q: &mut [i8], scale: &mut [f32], _min: &mut [f32]) {
        for (q, entry) in q.as_chunks_mut::<8>().0.iter_mut().zip(self.qs) {
            let entry = u16::from_le_bytes(entry);
            let grid = grids::IQ2_XS[usize::from(entry & 511)];
            *q = signed(grid, even_signs(u32::from(entry), 9));
        }
        half_steps(f16(self.d), self.scales, scale);
    }
}

impl Block for IQ2_S {
    const LEN: usize = 256;
    const GROUP: usize = 16;
    const HAS_MIN: bool = false;

    #[inline(always)]
    fn unpack(&self, q: &mut [i8], scale: &mut [f32], _min: &mut [f32]) {
        for (j, q) in q[..256].as_chunks_mut::<8>().0.iter_mut().enumerate() {
            let high = usize::from(self.qh[j / 4] >> (j % 4 * 2) & 3);
            let grid = grids::IQ2_S[usize::from(self.qs[j]) | high << 8];
            *q = signed(grid, grids::SIGNS[usize::from(self.signs[j])]);
        }
        half_steps(f16(self.d), self.scales, scale);
    }
}

impl Block for IQ3_XXS {
    const LEN: usize = 256;
    const GROUP: usize = 32;
    const HAS_MIN: bool = false;

    #[inline(always)]
    fn unpack(&self, q: &mut [i8], scale: &mut [f32], _min: &mut [f32]) {
        let d = f16(self.d);
        let q = q.as_chunks_mut::<32>().0;
        for (((q, scale), indices), word) in q.iter_mut().zip(scale).zip(&self.qs).zip(self.words) {
            let word = u32::from_le_bytes(word);
            for (j, q) in q.as_chunks_mut::<8>().0.iter_mut().enumerate() {
                let grid = |i: usize| grids::IQ3_XXS[usize::from(indices[i])];
                let both = join(grid(2 * j), grid(2 * j + 1));
                *q = signed(both, even_signs(word, 7 * j));
            }
            *scale = d * (0.5 + (word >> 28) as f32) * 0.5;
        }
    }
}

impl Block for IQ3_S {
    const LEN: usize = 256;
    const GROUP: usize = 32;
    const HAS_MIN: bool = false;

    #[inline(always)]
    fn unpack(&self, q: &mut [i8], scale: &mut [f32], _min: &mut [f32]) {
        let d = f16(self.d);
        for (g, q) in q[..256].as_chunks_mut::<32>().0.iter_mut().enumerate() {
            let (indices, high) = (&self.qs[g], usize::from(self.qh[g]));
            for (j, q) in q.as_chunks_mut::<8>().0.iter_mut().enumerate() {
                let grid = |i: usize| grids::IQ3_S[usize::from(indices[i]) | (high >> i & 1) << 8];
                *q = signed(
                    join(grid(2 * j), grid(2 * j + 1)),
                    grids::SIGNS[usize::from(self.signs[g][j])],
                );
            }
            scale[g] = d * f32::from(1 + 2 * (self.scales[g / 2] >> (g % 2 * 4) & 15));
        }
    }
}

/// `d / 4 * (scale + 1/2)` for sixteen nibbles.
#[inline(always)]
fn half_steps(d: f32, scales: [u8; 8], out: &mut [f32]) {
    for (out, nibbles) in out.as_chunks_mut::<2>().0.iter_mut().zip(scales) {
        *out = [nibbles & 15, nibbles >> 4].map(|s| d * (0.5 + f32::from(s)) * 0.25);
    }
}

/// The signs of seven bits of `bits`, from bit `at` on.
#[inline(always)]
fn even_signs(bits: u32, at: usize) -> u64 {
    grids::EVEN_SIGNS[(bits >> at & 127) as usize]
}

/// Eight values above zero, negated where `signs` are 255.
#[inline(always)]
fn signed(values: u64, signs: u64) -> [i8; 8] {
    // The complements are below 255, so that adding one does not carry into the neighbour.
    let values = (values ^ signs) + (signs & ONES);
    values.to_le_bytes().map(|byte| byte as i8)
}

/// Two entries of four values.
#[inline(always)]
fn join(first: u32, second: u32) -> u64 {
    u64::from(first) | u64::from(second) << 32
}
