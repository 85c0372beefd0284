//! Rows for 64-bit ARM.
#![expect(unsafe_code, reason = "the gate: kernels may run only where the processor has them")]

mod dot;
mod floats;
mod load;
mod matmat;
mod matmul;
mod matvec;
mod quantize;
mod step;

use crate::activations::QuantizedRowMut;
use crate::{Columns, Format, QuantizedRows, Row, Scratch, lanes};

/// In order of speed.
pub(crate) const ROWS: [&Row; 2] = [&ROW, &ROW_DOTPROD];

/// What every 64-bit ARM processor has (Cortex-A53, A72).
static ROW: Row = Row {
    name: "neon",
    detect: || true,
    quantize,
    matmul: matmul::<false>,
    matmul_float,
    float: lanes::NEON,
};

/// With the dot product instructions (Cortex-A55, A76 and later).
static ROW_DOTPROD: Row = Row {
    name: "dotprod",
    detect: || std::arch::is_aarch64_feature_detected!("dotprod"),
    quantize,
    matmul: matmul::<true>,
    matmul_float,
    float: lanes::NEON,
};

fn quantize(x: &[f32], out: QuantizedRowMut<'_>) {
    // SAFETY: every 64-bit ARM processor that runs Linux has NEON.
    unsafe { quantize::quantize(x, out) }
}

fn matmul<const DOTPROD: bool>(
    format: Format,
    weights: &[u8],
    x: &QuantizedRows,
    scratch: &mut Scratch,
    out: &mut Columns<'_>,
) {
    // SAFETY: every 64-bit ARM processor that runs Linux has NEON; `DOTPROD` is of the row that
    // detects it.
    unsafe { matmul::matmul::<DOTPROD>(format, weights, x, scratch, out) }
}

fn matmul_float(
    format: Format,
    weights: &[u8],
    x: &[f32],
    scratch: &mut Scratch,
    out: &mut Columns<'_>,
) {
    // SAFETY: every 64-bit ARM processor that runs Linux has NEON.
    unsafe { floats::matmul_float(format, weights, x, scratch, out) }
}
