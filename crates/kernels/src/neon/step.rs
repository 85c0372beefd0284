//! 256 weights of one row, unpacked.

use crate::block::Block;
use crate::steps::STEP;

/// 256 consecutive weights: `scale[g] * q[i] + min[g]`.
pub(super) struct Step {
    pub(super) q: [[i8; 16]; STEP / 16],
    pub(super) scale: [f32; 16],
    pub(super) min: [f32; 16],
}

/// Reads a [`Step`] from a format's bytes.
pub(super) type Decode = fn(&[u8], &mut Step);

impl Step {
    pub(super) const ZERO: Self = Self { q: [[0; 16]; 16], scale: [0.0; 16], min: [0.0; 16] };
}

/// Any format through [`Block::unpack`], which the compiler vectorises.
pub(super) fn decode<B: Block>(bytes: &[u8], step: &mut Step) {
    let blocks: &[B] = bytemuck::cast_slice(&bytes[..STEP / B::LEN * size_of::<B>()]);
    let q = step.q.as_flattened_mut();
    let groups = B::LEN / B::GROUP;
    for (b, block) in blocks.iter().enumerate() {
        block.unpack(
            &mut q[b * B::LEN..][..B::LEN],
            &mut step.scale[b * groups..][..groups],
            &mut step.min[b * groups..][..groups],
        );
    }
}
