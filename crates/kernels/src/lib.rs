//! Hot loops on plain slices: one row of functions per instruction set.
//!
//! A weight matrix stays in its file's bytes, in one of the storage [`Format`]s. Activations are
//! `f32`; for quantised formats they are first rounded to int8 ([`QuantizedRows`]). A [`Row`] is
//! the set of kernels of one instruction set; the scalar row is the specification that every other
//! row is tested against.
//!
//! ```
//! use rushlight_kernels::{Columns, Format, QuantizedRows, Scratch, rows};
//!
//! // A (2, 32) matrix of ones in Q8_0 times one token of ones.
//! let block: Vec<u8> = [0x00, 0x3c].into_iter().chain([1u8; 32]).collect(); // f16 1.0, 32 x 1
//! let weights = [block.clone(), block].concat();
//! let mut x = QuantizedRows::default();
//! let mut out = [0.0; 2];
//! for row in rows() {
//!     x.resize(1, 32, &[]);
//!     x.fill(row, &[1.0; 32]);
//!     row.matmul(Format::Q8_0, &weights, &x, &mut Scratch::default(), &mut Columns::new(&mut out, 2));
//!     assert_eq!(out, [32.0, 32.0]);
//! }
//! ```

mod activations;
mod attention;
mod block;
mod blocks;
mod caches;
mod columns;
mod float;
mod format;
mod int16;
mod lanes;
#[cfg(target_arch = "aarch64")]
mod neon;
mod panels;
mod quantize;
mod row;
mod scalar;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod steps;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod tile;
#[cfg(target_arch = "x86_64")]
mod x86;

pub use activations::{QuantizedRows, QuantizedTokenMut};
pub use attention::{Attend, AttendState, PAGE, Page, PageMut, Span, Visit};
pub use caches::Caches;
pub use columns::Columns;
pub use float::Pairing;
pub use format::Format;
pub use half::f16;
pub use int16::{Int16Rows, Int16Tile};
pub use panels::{PANEL_LAYOUT, PANEL_ROWS, pack_panels};
pub use quantize::quantize_row;
pub use row::{Row, Scratch, best, by_name, rows};
