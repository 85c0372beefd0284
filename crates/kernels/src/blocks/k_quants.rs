//! Superblocks of 256 values whose group scales are themselves quantised: Q2_K to Q6_K.

use bytemuck::{Pod, Zeroable};

use super::words::nibbles;
use crate::block::{Block, f16};

/// The scales of a block as it stores them; those of superblocks are `d * scales[g]` and
/// `min * minima[g]`.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Super {
    /// An `f16`.
    pub(crate) d: [u8; 2],
    /// An `f16`.
    pub(crate) min: [u8; 2],
    pub(crate) scales: [i8; 16],
    pub(crate) minima: [i8; 16],
}

/// The same `f16` with the other sign.
fn negative(half: [u8; 2]) -> [u8; 2] {
    [half[0], half[1] ^ 0x80]
}

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
        let d = f16(self.d);
        for (scale, six) in scale.as_chunks_mut::<4>().0.iter_mut().zip(self.six_bits()) {
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

impl Q2_K {
    pub(crate) fn stored_scales(&self) -> Super {
        let scales = self.scales.map(|packed| (packed & 15) as i8);
        let minima = self.scales.map(|packed| (packed >> 4) as i8);
        Super { d: self.d, min: negative(self.dmin), scales, minima }
    }
}

impl Q3_K {
    pub(crate) fn stored_scales(&self) -> Super {
        let mut scales = [0; 16];
        for (scales, six) in scales.as_chunks_mut::<4>().0.iter_mut().zip(self.six_bits()) {
            *scales = six.to_le_bytes().map(|s| s as i8 - 32);
        }
        Super { d: self.d, scales, ..Super::default() }
    }

    /// The scales, 32 added, four to a word: the low nibbles of the first eight bytes, then the
    /// high; two more bits of each from the last four bytes.
    #[inline(always)]
    fn six_bits(&self) -> [u32; 4] {
        let [a, b, high] = words(self.scales);
        let [nibbles, pairs] = [0x0f0f_0f0f, 0x0303_0303];
        let low = [a & nibbles, b & nibbles, a >> 4 & nibbles, b >> 4 & nibbles];
        let high = [0, 2, 4, 6].map(|shift| (high >> shift & pairs) << 4);
        [low[0] | high[0], low[1] | high[1], low[2] | high[2], low[3] | high[3]]
    }
}

impl Q4_K {
    pub(crate) fn stored_scales(&self) -> Super {
        stored_six_bits(self.d, self.dmin, self.scales)
    }
}

impl Q5_K {
    pub(crate) fn stored_scales(&self) -> Super {
        stored_six_bits(self.d, self.dmin, self.scales)
    }
}

impl Q6_K {
    pub(crate) fn stored_scales(&self) -> Super {
        Super { d: self.d, scales: self.scales, ..Super::default() }
    }
}

fn stored_six_bits(d: [u8; 2], dmin: [u8; 2], packed: [u8; 12]) -> Super {
    let mut all = Super { d, min: negative(dmin), ..Super::default() };
    let (scales, minima) = six_bits(packed);
    all.scales[..8].copy_from_slice(&scales.map(|s| s as i8));
    all.minima[..8].copy_from_slice(&minima.map(|m| m as i8));
    all
}

/// The eight 6-bit scales and minima of [`Q4_K`] and [`Q5_K`], times `d` and `-dmin`.
#[inline(always)]
fn scales_and_minima(
    d: [u8; 2],
    dmin: [u8; 2],
    packed: [u8; 12],
    scale: &mut [f32],
    min: &mut [f32],
) {
    let (d, dmin) = (f16(d), -f16(dmin));
    let (s, m) = six_bits(packed);
    for (scale, s) in scale[..8].iter_mut().zip(s) {
        *scale = d * f32::from(s);
    }
    for (min, m) in min[..8].iter_mut().zip(m) {
        *min = dmin * f32::from(m);
    }
}

/// Eight scales and eight minima of 6 bits.
///
/// Bytes 0..4 hold the low six bits of scales 0..4, bytes 4..8 those of minima 0..4; bytes 8..12
/// the low four bits of scales and minima 4..8, whose upper two bits top the first eight bytes.
#[inline(always)]
fn six_bits(packed: [u8; 12]) -> ([u8; 8], [u8; 8]) {
    let [s, m, both] = words(packed);
    let nibbles = 0x0f0f_0f0f;
    let pairs = 0x3030_3030;
    let s = [s & (nibbles | pairs), (both & nibbles) | (s >> 2 & pairs)];
    let m = [m & (nibbles | pairs), (both >> 4 & nibbles) | (m >> 2 & pairs)];
    let bytes = |[low, high]: [u32; 2]| (u64::from(low) | u64::from(high) << 32).to_le_bytes();
    (bytes(s), bytes(m))
}

/// Twelve bytes as three words.
#[inline(always)]
fn words(packed: [u8; 12]) -> [u32; 3] {
    let [a, b, c, d, e, f, g, h, i, j, k, l] = packed;
    [[a, b, c, d], [e, f, g, h], [i, j, k, l]].map(u32::from_le_bytes)
}
