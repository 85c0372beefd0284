//! Nibbles that index a table of sixteen values: IQ4_NL, IQ4_XS, MXFP4, NVFP4.

use bytemuck::{Pod, Zeroable};

use super::k_quants::Super;
use super::words::nibbles;
use crate::block::{Block, f16};

/// The values of IQ4_NL and IQ4_XS.
pub(crate) const IQ4: [i8; 16] =
    [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

/// Twice the values of FP4 E2M1 (OCP Microscaling Formats v1.0, 5.3.3).
pub(crate) const FP4: [i8; 16] = [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12];

/// `d * IQ4[nibble]`: low nibbles are values 0..16, high nibbles 16..32.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct IQ4_NL {
    d: [u8; 2],
    qs: [u8; 16],
}

/// `d * (scale - 32) * IQ4[nibble]`: a 6-bit scale per 32 values, nibbles of each 32 as in
/// [`IQ4_NL`].
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct IQ4_XS {
    d: [u8; 2],
    scales_h: [u8; 2],
    scales_l: [u8; 4],
    qs: [u8; 128],
}

/// `2^(e - 128) * FP4[nibble]`, nibbles as in [`IQ4_NL`].
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct MXFP4 {
    e: u8,
    qs: [u8; 16],
}

/// `d[g] / 2 * FP4[nibble]`: 64 values, an E4M3 scale per 16, of which low nibbles are the first
/// eight.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct NVFP4 {
    d: [u8; 4],
    qs: [u8; 32],
}

impl IQ4_NL {
    pub(crate) fn stored_scales(&self) -> Super {
        Super { d: self.d, ..Super::default() }
    }

    /// The indices of its values in the table.
    pub(crate) fn stored_codes(&self, out: &mut [u8]) {
        indices(&self.qs, out);
    }
}

impl IQ4_XS {
    pub(crate) fn stored_scales(&self) -> Super {
        let mut scales = [0; 16];
        scales[..8].copy_from_slice(&self.six_bits());
        Super { d: self.d, scales, ..Super::default() }
    }

    /// The indices of its values in the table.
    pub(crate) fn stored_codes(&self, out: &mut [u8]) {
        for (out, qs) in out.as_chunks_mut::<32>().0.iter_mut().zip(self.qs.as_chunks::<16>().0) {
            indices(qs, out);
        }
    }

    #[inline(always)]
    fn six_bits(&self) -> [i8; 8] {
        let high = u16::from_le_bytes(self.scales_h);
        std::array::from_fn(|i| {
            let low = self.scales_l[i / 2] >> (i % 2 * 4) & 15;
            let high = (high >> (i * 2) & 3) as u8;
            (low | high << 4) as i8 - 32
        })
    }

    /// Writes the eight scales.
    #[inline(always)]
    pub(crate) fn scales(&self, scale: &mut [f32]) {
        let d = f16(self.d);
        for (scale, s) in scale[..8].iter_mut().zip(self.six_bits()) {
            *scale = d * f32::from(s);
        }
    }
}

fn indices(qs: &[u8; 16], out: &mut [u8]) {
    let (low, high) = out.split_at_mut(16);
    for ((low, high), byte) in low.iter_mut().zip(high).zip(qs) {
        (*low, *high) = (byte & 15, byte >> 4);
    }
}

impl MXFP4 {
    /// The power of two that all values share.
    #[inline(always)]
    pub(crate) fn scale(&self) -> f32 {
        // The exponents 0 and 1 give the subnormals 2^-128 and 2^-127.
        let e = u32::from(self.e);
        f32::from_bits(if e < 2 { 1 << (21 + e) } else { (e - 1) << 23 })
    }
}

impl Block for IQ4_NL {
    const LEN: usize = 32;
    const GROUP: usize = 32;
    const HAS_MIN: bool = false;

    #[inline(always)]
    fn unpack(&self, q: &mut [i8], scale: &mut [f32], _min: &mut [f32]) {
        nibbles(&self.qs, q, |_, word| word);
        look_up(&IQ4, &mut q[..32]);
        scale[0] = f16(self.d);
    }
}

impl Block for IQ4_XS {
    const LEN: usize = 256;
    const GROUP: usize = 32;
    const HAS_MIN: bool = false;

    #[inline(always)]
    fn unpack(&self, q: &mut [i8], scale: &mut [f32], _min: &mut [f32]) {
        self.scales(scale);
        for (q, qs) in q.as_chunks_mut::<32>().0.iter_mut().zip(self.qs.as_chunks::<16>().0) {
            nibbles(qs, q, |_, word| word);
        }
        look_up(&IQ4, &mut q[..256]);
    }
}

impl Block for MXFP4 {
    const LEN: usize = 32;
    const GROUP: usize = 32;
    const HAS_MIN: bool = false;

    #[inline(always)]
    fn unpack(&self, q: &mut [i8], scale: &mut [f32], _min: &mut [f32]) {
        nibbles(&self.qs, q, |_, word| word);
        look_up(&FP4, &mut q[..32]);
        scale[0] = self.scale();
    }
}

impl Block for NVFP4 {
    const LEN: usize = 64;
    const GROUP: usize = 16;
    const HAS_MIN: bool = false;

    #[inline(always)]
    fn unpack(&self, q: &mut [i8], scale: &mut [f32], _min: &mut [f32]) {
        for (q, qs) in q.as_chunks_mut::<16>().0.iter_mut().zip(self.qs.as_chunks::<8>().0) {
            nibbles(qs, q, |_, word| word);
        }
        look_up(&FP4, &mut q[..64]);
        for (scale, d) in scale.iter_mut().zip(self.d) {
            *scale = e4m3(d) * 0.5;
        }
    }
}

/// Replaces each index below 16 by its value in the table.
///
/// A tree of selections by the bits of the index, made of masks: compilers vectorise that, and
/// neither a look-up nor an `if`.
#[inline(always)]
fn look_up(table: &[i8; 16], q: &mut [i8]) {
    for q in q {
        let pick = |bit: u8, a: i8, b: i8| {
            let mask = 0i8.wrapping_sub(*q >> bit & 1);
            a ^ (mask & (a ^ b))
        };
        let pair = |i: usize| pick(0, table[i], table[i + 1]);
        let quad = |i: usize| pick(1, pair(i), pair(i + 2));
        *q = pick(3, pick(2, quad(0), quad(4)), pick(2, quad(8), quad(12)));
    }
}

/// FP8 E4M3 without its sign (OCP 8-bit Floating Point v1.0, 5.1); NaN reads as zero.
#[inline(always)]
fn e4m3(byte: u8) -> f32 {
    const TWO_POW_120: f32 = f32::from_bits((127 + 120) << 23);
    let magnitude = u32::from(byte & 0x7f);
    let finite = if byte == 0x7f { 0 } else { magnitude };
    f32::from_bits(finite << 20) * TWO_POW_120
}
