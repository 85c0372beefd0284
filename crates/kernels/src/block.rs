//! What every quantised format is made of: small integers, a scale and a minimum per group.

use bytemuck::Pod;

/// A block of quantised weights, as its bytes lie in the file.
///
/// Every format of llama.cpp can be written `value[i] = scale[g] * q[i] + min[g]` with `q` an
/// `i8` and `g = i / GROUP`; a kernel needs to know nothing else about a format. All fields are
/// byte arrays, so that a block may lie at any address.
pub(crate) trait Block: Pod {
    /// Values per block: 32 or 256.
    const LEN: usize;
    /// Values that share a scale and a minimum: 16 or 32.
    const GROUP: usize;
    /// Whether any `min` can differ from zero.
    const HAS_MIN: bool;

    /// Writes `LEN` integers, `LEN / GROUP` scales and, where `HAS_MIN`, as many minima.
    ///
    /// Implementations are `#[inline(always)]`, so that each instruction set's kernel compiles
    /// its own copy.
    fn unpack(&self, q: &mut [i8], scale: &mut [f32], min: &mut [f32]);
}

/// An `f16` from its little-endian bytes.
#[inline(always)]
pub(crate) fn f16(bytes: [u8; 2]) -> f32 {
    half::f16::from_le_bytes(bytes).to_f32()
}

/// Calls `$body` with `$B` bound to the block type of a quantised `$format`.
macro_rules! with_block {
    ($format:expr, $B:ident => $body:expr) => {{
        use crate::Format;
        use crate::blocks::*;
        match $format {
            Format::Q4_0 => {
                type $B = Q4_0;
                $body
            }
            Format::Q4_1 => {
                type $B = Q4_1;
                $body
            }
            Format::Q8_0 => {
                type $B = Q8_0;
                $body
            }
            Format::Q6_K => {
                type $B = Q6_K;
                $body
            }
            other => unreachable!("`{other}` has no blocks"),
        }
    }};
}
pub(crate) use with_block;
