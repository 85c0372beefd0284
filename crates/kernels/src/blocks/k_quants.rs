//! Superblocks of 256 values whose group scales are themselves quantised: Q2_K to Q6_K.

use bytemuck::{Pod, Zeroable};

use crate::block::{Block, f16};

/// `d * scale * (q - 32)`: 6 bits, an i8 scale per 16 values.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct Q6_K {
    ql: [u8; 128],
    qh: [u8; 64],
    scales: [i8; 16],
    d: [u8; 2],
}

impl Block for Q6_K {
    const LEN: usize = 256;
    const GROUP: usize = 16;
    const HAS_MIN: bool = false;

    #[inline(always)]
    fn unpack(&self, q: &mut [i8], scale: &mut [f32], _min: &mut [f32]) {
        let d = f16(self.d);
        for i in 0..16 {
            scale[i] = d * f32::from(self.scales[i]);
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
