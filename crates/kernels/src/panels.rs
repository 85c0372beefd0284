//! Weights as panels: the layout that the vector kernels want, made once from a file's blocks.
//!
//! A panel holds 16 rows of a matrix, padded with rows of zeros. Its integers lie in records of 32
//! values a row, in lines of 64 bytes that hold a word (four neighbouring values) of each row: a
//! kernel multiplies a whole line with four activations of a token, broadcast, and needs no sum
//! across lanes. Integers of fewer than 8 bits lie in *planes*: a line of nibbles holds two words
//! of each row, one of pairs of bits four, one of single bits eight. Together they take the bits
//! of the file's blocks, and unpack with a shift and a mask.
//!
//! ```text
//! panel    scales of block 0, 1, …   padded to a line   record 0, 1, …
//! scales   f16 d x 16   [f16 minimum x 16]                         formats of 32 values a block
//!          f16 d x 16   [f16 -dmin x 16]   i8 scale x 16 a group   [i8 minimum x 16 a group]
//! record   [8 bytes a row]  or  [nibble lines 0..4]  [pair lines 0..2]  [bit line]
//! ```
//!
//! Nothing is rounded: `f16` scales and the integer scales of superblocks stay what they are.
//! Line `i` of nibbles has word `2 * i` low and `2 * i + 1` high; bits `2 * m..` of line `i` of
//! pairs are word `4 * i + m`; bit `k` of a line of bits is word `k`.

mod pack;
#[cfg(target_arch = "x86_64")]
mod sets;
mod shape;

pub(crate) use pack::Panel;
#[cfg(target_arch = "x86_64")]
pub(crate) use sets::{Set, sets};

use crate::Format;

/// Rows of a panel.
pub const PANEL_ROWS: usize = 16;

/// Names the layout of panels: other bytes, another name.
pub const PANEL_LAYOUT: &str = "panel16-1";

/// Bytes of a line.
pub(crate) const LINE: usize = 64;

/// Calls `$body` with `$B` bound to the block type of a format that has panels, else `$other`.
macro_rules! with_panel {
    ($format:expr, $B:ident => $body:expr, _ => $other:expr) => {
        crate::panels::with_panel!($format, $B => $body, _ => $other,
            Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Q2_K Q3_K Q4_K Q5_K Q6_K IQ4_NL IQ4_XS
        )
    };
    ($format:expr, $B:ident => $body:expr, _ => $other:expr, $($name:ident)+) => {
        match $format {
            $(crate::Format::$name => {
                type $B = crate::blocks::$name;
                $body
            })+
            _ => $other,
        }
    };
}
pub(crate) use with_panel;

impl Format {
    /// Bytes of one panel of rows of `n` values, a multiple of 64; `None` where the format has no
    /// panels or `n` is not a whole number of blocks.
    pub fn panel_bytes(self, n: usize) -> Option<usize> {
        let shape = with_panel!(self, B => B::SHAPE, _ => return None);
        n.is_multiple_of(self.block_len()).then(|| shape.panel_bytes(n))?
    }
}

/// Writes `weights`, whole rows of `n` values, as panels; rows that are missing in the last panel
/// are zeros.
///
/// # Panics
/// If the format has no panels or the lengths do not fit.
pub fn pack_panels(format: Format, n: usize, weights: &[u8], out: &mut [u8]) {
    let row_bytes = format.row_bytes(n).expect("whole blocks");
    let panel_bytes = format.panel_bytes(n).expect("a format with panels");
    if row_bytes == 0 {
        return;
    }
    let panels = weights.len().div_ceil(row_bytes * PANEL_ROWS);
    assert!(weights.len().is_multiple_of(row_bytes), "`{format}` bytes are not whole rows");
    assert_eq!(out.len(), panels * panel_bytes, "bytes of `{panels}` panels of `{format}`");
    let rows = weights.chunks(row_bytes * PANEL_ROWS).zip(out.chunks_exact_mut(panel_bytes));
    for (rows, panel) in rows {
        with_panel!(format, B => pack::pack::<B>(n, rows, panel), _ => unreachable!("checked"));
    }
}
