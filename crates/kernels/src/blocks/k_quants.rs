//! Superblocks of 256 values whose group scales are themselves quantised: Q2_K to Q6_K.

use bytemuck::{Pod, Zeroable};

use super::words::nibbles;
use crate::block::{Block, f16};

/// `d * scale * q - dmin * min`: 2 bits, a 4-bit scale and minimum per 16 values.
///
/// Bits `2 * j` and `2 * j + 1` of 32 bytes are the `j`-th 32 of 128 values.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct Q2_K {
    scales: [u8; 16],
    qs: [u8; 64],
    d: [u8; 2],
    dmin: [u8; 2],
}

/// `d * (scale - 32) * (q - 4)`: 3 bits, a 6-bit scale per 16 values.
///
/// The low two bits lie as in [`Q2_K`]; the third of value `32 * j + i` is bit `j` of `hmask[i]`.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct Q3_K {
    hmask: [u8; 32],
    qs: [u8; 64],
    scales: [u8; 12],
    d: [u8; 2],
}

/// `d * scale * q - dmin * min`: 4 bits, a 6-bit scale and minimum per 32 values.
///
/// Each 32 bytes hold 64 values: the low nibbles are the first 32 of them, the high the last.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct Q4_K {
    d: [u8; 2],
    dmin: [u8; 2],
    scales: [u8; 12],
    qs: [u8; 128],
}

/// As [`Q4_K`] with a fifth bit: that of value `32 * j + i` is bit `j` of `qh[i]`.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct Q5_K {
    d: [u8; 2],
    dmin: [u8; 2],
    scales: [u8; 12],
    qh: [u8; 32],
    qs: [u8; 128],
}

/// `d * scale * (q - 32)`: 6 bits, an i8 scale per 16 values.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct Q6_K {
    ql: [u8; 128],
    qh: [u8; 64],
    scales: [i8; 16],
    d: [u8; 2],
}

impl Block for Q2_K {
    const LEN: usize = 256;
    const GROUP: usize = 16;
    const HAS_MIN: bool = true;

    #[inline(always)]
    fn unpack(&self, q: &mut [i8], scale: &mut [f32], min: &mut [f32]) {
        let (d, dmin) = (f16(self.d), -f16(self.dmin));
        for ((scale, min), packed) in scale.iter_mut().zip(min).zip(self.scales) {
            *scale = d * f32::from(packed & 15);
            *min = dmin * f32::from(packed >> 4);
        }
        for (q, qs) in q.as_chunks_mut::<128>().0.iter_mut().zip(self.qs.as_chunks::<32>().0) {
            for i in 0..32 {
                q[i] = (qs[i] & 3) as i8;
                q[i + 32] = (qs[i] >> 2 & 3) as i8;
                q[i + 64] = (qs[i] >> 4 & 3) as i8;
                q[i + 96] = (qs[i] >> 6) as i8;
            }
        }
    }
}

impl Block for Q3_K {
    const LEN: usize = 256;
    const GROUP: usize = 16;
    const HAS_MIN: bool = false;

    #[inline(always)]
    fn unpack(&self, q: &mut [i8], scale: &mut [f32], _min: &mut [f32]) {
        // The low nibbles of the first eight bytes, then the high; two more bits of each from the
        // last four bytes.
        let d = f16(self.d);
        let [a, b, high] = words(self.scales);
        let [nibbles, pairs] = [0x0f0f_0f0f, 0x0303_0303];
        let low = [a & nibbles, b & nibbles, a >> 4 & nibbles, b >> 4 & nibbles];
        for (j, (scale, low)) in scale.as_chunks_mut::<4>().0.iter_mut().zip(low).enumerate() {
            let six = low | (high >> (2 * j) & pairs) << 4;
            for (scale, s) in scale.iter_mut().zip(six.to_le_bytes()) {
                *scale = d * f32::from(s as i8 - 32);
            }
        }
        let q = q.as_chunks_mut::<128>().0;
        for (half, (q, qs)) in q.iter_mut().zip(self.qs.as_chunks::<32>().0).enumerate() {
            for (j, q) in q.as_chunks_mut::<32>().0.iter_mut().enumerate() {
                for i in 0..32 {
                    let third = self.hmask[i] >> (4 * half + j) & 1;
                    q[i] = ((qs[i] >> (2 * j) & 3) | third << 2) as i8 - 4;
                }
            }
        }
    }
}

impl Block for Q4_K {
    const LEN: usize = 256;
    const GROUP: usize = 32;
    const HAS_MIN: bool = true;

    #[inline(always)]
    fn unpack(&self, q: &mut [i8], scale: &mut [f32], min: &mut [f32]) {
        scales_and_minima(self.d, self.dmin, self.scales, scale, min);
        let q = q.as_chunks_mut::<64>().0;
        for (q, bytes) in q.iter_mut().zip(self.qs.as_chunks::<32>().0) {
            nibbles(bytes, q, |_, word| word);
        }
    }
}

impl Block for Q5_K {
    const LEN: usize = 256;
    const GROUP: usize = 32;
    const HAS_MIN: bool = true;

    #[inline(always)]
    fn unpack(&self, q: &mut [i8], scale: &mut [f32], min: &mut [f32]) {
        scales_and_minima(self.d, self.dmin, self.scales, scale, min);
        let q = q.as_chunks_mut::<64>().0;
        for (j, (q, bytes)) in q.iter_mut().zip(self.qs.as_chunks::<32>().0).enumerate() {
            for i in 0..32 {
                let fifth = self.qh[i] >> (2 * j);
                q[i] = ((bytes[i] & 15) | (fifth & 1) << 4) as i8;
                q[i + 32] = ((bytes[i] >> 4) | (fifth >> 1 & 1) << 4) as i8;
            }
        }
    }
}

impl Block for Q6_K {
    const LEN: usize = 256;
    const GROUP: usize = 16;
    const HAS_MIN: bool = false;

    #[inline(always)]
    fn unpack(&self, q: &mut [i8], scale: &mut [f32], _min: &mut [f32]) {
        let d = f16(self.d);
        for (scale, s) in scale.iter_mut().zip(self.scales) {
            *scale = d * f32::from(s);
        }
        for half in 0..2 {
            let ql = &self.ql[half * 64..][..64];
            let qh = &self.qh[half * 32..][..32];
            let q = &mut q[half * 128..][..128];
            for i in 0..32 {
                q[i] = ((ql[i] & 15) | ((qh[i] & 3) << 4)) as i8 - 32;
                q[i + 32] = ((ql[i + 32] & 15) | ((qh[i] >> 2 & 3) << 4)) as i8 - 32;
                q[i + 64] = ((ql[i] >> 4) | ((qh[i] >> 4 & 3) << 4)) as i8 - 32;
                q[i + 96] = ((ql[i + 32] >> 4) | ((qh[i] >> 6) << 4)) as i8 - 32;
            }
        }
    }
}

/// The eight 6-bit scales and minima of [`Q4_K`] and [`Q5_K`], times `d` and `-dmin`.
///
/// Bytes 0..4 hold the low six bits of scales 0..4, bytes 4..8 those of minima 0..4; bytes 8..12
/// the low four bits of scales and minima 4..8, whose upper two bits top the first eight bytes.
#[inline(always)]
fn scales_and_minima(
    d: [u8; 2],
    dmin: [u8; 2],
    packed: [u8; 12],
    scale: &mut [f32],
    min: &mut [f32],
) {
    let (d, dmin) = (f16(d), -f16(dmin));
    let [s, m, both] = words(packed);
    let nibbles = 0x0f0f_0f0f;
    let pairs = 0x3030_3030;
    let s = [s & (nibbles | pairs), (both & nibbles) | (s >> 2 & pairs)];
    let m = [m & (nibbles | pairs), (both >> 4 & nibbles) | (m >> 2 & pairs)];
    let bytes = |[low, high]: [u32; 2]| (u64::from(low) | u64::from(high) << 32).to_le_bytes();
    for (scale, s) in scale[..8].iter_mut().zip(bytes(s)) {
        *scale = d * f32::from(s);
    }
    for (min, m) in min[..8].iter_mut().zip(bytes(m)) {
        *min = dmin * f32::from(m);
    }
}

/// Twelve bytes as three words.
#[inline(always)]
fn words(packed: [u8; 12]) -> [u32; 3] {
    let [a, b, c, d, e, f, g, h, i, j, k, l] = packed;
    [[a, b, c, d], [e, f, g, h], [i, j, k, l]].map(u32::from_le_bytes)
}
