//! What every quantised format is made of: small integers, a scale and a minimum per group.

use bytemuck::Pod;

use crate::Format;

/// A block of quantised weights, as its bytes lie in the file.
///
/// Every format of llama.cpp can be written `value[i] = scale[g] * q[i] + min[g]` with `q` an
/// `i8` and `g = i / GROUP`; a kernel needs to know nothing else about a format. All fields are
/// byte arrays, so that a block may lie at any address.
pub(crate) trait Block: Pod {
    /// Values per block: 32, 64, 128 or 256.
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
///
/// Without a branch, so that it vectorises in any caller: the bits moved to a single's place are
/// the value over 2^112, subnormals included; only infinities and NaN keep another exponent.
#[inline(always)]
pub(crate) fn f16(bytes: [u8; 2]) -> f32 {
    const TWO_POW_112: f32 = f32::from_bits((127 + 112) << 23);
    let bits = i32::from(i16::from_le_bytes(bytes)) << 13;
    let value = f32::from_bits(bits as u32 & 0x8fff_e000) * TWO_POW_112;
    const ENDLESS: i32 = 0x7c00 << 13;
    let endless = if bits & ENDLESS == ENDLESS { 0xff << 23 } else { 0 };
    f32::from_bits(value.to_bits() | endless)
}

/// Fails to compile where a block's layout and its format disagree.
pub(crate) const fn check<B: Block>(format: Format) {
    assert!(size_of::<B>() == format.block_bytes() && align_of::<B>() == 1);
    assert!(B::LEN == format.block_len() && B::LEN <= 256);
    assert!((B::GROUP == 16 || B::GROUP == 32) && B::LEN.is_multiple_of(B::GROUP));
}

/// Calls `$body` with `$B` bound to the block type of a quantised `$format`.
///
/// The list holds every block type; each bears the name of its [`crate::Format`].
macro_rules! with_block {
    ($format:expr, $B:ident => $body:expr) => {
        crate::block::with_block!($format, $B => $body,
            Q4_0 Q4_1 Q5_0 Q5_1 Q8_0
            Q2_K Q3_K Q4_K Q5_K Q6_K
            IQ1_S IQ1_M IQ2_XXS IQ2_XS IQ2_S IQ3_XXS IQ3_S IQ4_NL IQ4_XS
            MXFP4 NVFP4 Q1_0 Q2_0 TQ1_0 TQ2_0
        )
    };
    ($format:expr, $B:ident => $body:expr, $($name:ident)+) => {
        match $format {
            $(crate::Format::$name => {
                type $B = crate::blocks::$name;
                const { crate::block::check::<$B>(crate::Format::$name) };
                $body
            })+
            other => unreachable!("`{other}` has no blocks"),
        }
    };
}
pub(crate) use with_block;

#[cfg(test)]
mod tests {
    use super::f16;

    #[test]
    fn every_f16_widens_exactly() {
        let wrong = |bits: &u16| {
            let (got, want) = (f16(bits.to_le_bytes()), half::f16::from_bits(*bits).to_f32());
            got.to_bits() != want.to_bits() && !(got.is_nan() && want.is_nan())
        };
        assert_eq!((0..=u16::MAX).filter(wrong).collect::<Vec<_>>(), Vec::<u16>::new());
    }
}
