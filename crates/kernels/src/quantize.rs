//! `f32` to a storage format: the float formats and those of one f16 scale per 32 values.

use bytemuck::{bytes_of, cast_slice};

use crate::Format;
use crate::block::Block;
use crate::blocks::{Q4_0, Q4_1, Q5_0, Q5_1, Q8_0};

impl Format {
    /// Whether [`quantize_row`] writes this format.
    pub const fn is_writable(self) -> bool {
        matches!(
            self,
            Format::F32
                | Format::F16
                | Format::BF16
                | Format::Q4_0
                | Format::Q4_1
                | Format::Q5_0
                | Format::Q5_1
                | Format::Q8_0
        )
    }
}

/// Appends the values `x` to `out` as bytes of `format`: `format.row_bytes(x.len())` of them.
///
/// Rounds to nearest: ties to even into F16 and BF16, away from zero into Q8_0, upwards in the
/// block's own scale into the rest. The bytes equal those of llama.cpp's reference quantisers.
/// Where `x` has a NaN or an infinity, the block's values are unspecified.
///
/// # Panics
/// If the format is not [writable](Format::is_writable) or `x` is not a whole number of blocks.
pub fn quantize_row(format: Format, x: &[f32], out: &mut Vec<u8>) {
    let bytes = format.row_bytes(x.len());
    let bytes = bytes.unwrap_or_else(|| panic!("`{}` values are not `{format}` blocks", x.len()));
    out.reserve(bytes);
    match format {
        Format::F32 => out.extend(x.iter().flat_map(|x| x.to_le_bytes())),
        Format::F16 => out.extend(x.iter().flat_map(|&x| half::f16::from_f32(x).to_le_bytes())),
        Format::BF16 => out.extend(x.iter().flat_map(|&x| half::bf16::from_f32(x).to_le_bytes())),
        Format::Q4_0 => append::<Q4_0>(x, out),
        Format::Q4_1 => append::<Q4_1>(x, out),
        Format::Q5_0 => append::<Q5_0>(x, out),
        Format::Q5_1 => append::<Q5_1>(x, out),
        Format::Q8_0 => append::<Q8_0>(x, out),
        _ => panic!("`{format}` cannot be written"),
    }
}

fn append<B: Block + for<'a> From<&'a [f32; 32]>>(x: &[f32], out: &mut Vec<u8>) {
    for x in cast_slice::<f32, [f32; 32]>(x) {
        out.extend_from_slice(bytes_of(&B::from(x)));
    }
}
