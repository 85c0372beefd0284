//! Rows for 64-bit ARM.
#![expect(unsafe_code, reason = "the gate: kernels may run only where the processor has them")]

mod dot;
mod floats;
mod i8mm;
mod load;
mod matmat;
mod matmul;
mod matvec;
mod panels;
mod quantize;
mod step;

use crate::activations::QuantizedRowMut;
use crate::tile::{Lack, Tiling};
use crate::{Columns, Format, QuantizedRows, Row, Scratch, lanes};

/// In order of speed.
pub(crate) const ROWS: [&Row; 3] = [&ROW, &ROW_DOTPROD, &ROW_I8MM];

/// What every 64-bit ARM processor has (Cortex-A53, A72).
static ROW: Row = Row {
    name: "neon",
    detect: || true,
    quantize,
    matmul: matmul::<false, 1>,
    tiling: Some(tiling(1)),
    matmul_panels: Some(matmul_panels::<false, 1>),
    matmul_float,
    int16: None,
    float: lanes::NEON,
};

/// With the dot product instructions (Cortex-A55, A76 and later).
static ROW_DOTPROD: Row = Row {
    name: "dotprod",
    detect: || std::arch::is_aarch64_feature_detected!("dotprod"),
    quantize,
    matmul: matmul::<true, 1>,
    tiling: Some(tiling(1)),
    matmul_panels: Some(matmul_panels::<true, 1>),
    matmul_float,
    int16: None,
    float: lanes::NEON,
};

/// With the matrix instructions for integers too (Cortex-A510, A710, Neoverse V1, N2 and later).
static ROW_I8MM: Row = Row {
    name: "i8mm",
    detect: || (ROW_DOTPROD.detect)() && std::arch::is_aarch64_feature_detected!("i8mm"),
    quantize,
    matmul: matmul::<true, { i8mm::RUN }>,
    tiling: Some(tiling(i8mm::RUN)),
    matmul_panels: Some(matmul_panels::<true, { i8mm::RUN }>),
    matmul_float,
    int16: None,
    float: lanes::NEON,
};

/// Of kernels whose instruction multiplies runs of `run` words.
const fn tiling(run: usize) -> Tiling {
    Tiling { few: if run == 1 { &[1, 2, 3, 4] } else { &[1] }, run, lack: Lack::Sum }
}

fn quantize(x: &[f32], out: QuantizedRowMut<'_>) {
    // SAFETY: every 64-bit ARM processor that runs Linux has NEON.
    unsafe { quantize::quantize(x, out) }
}

fn matmul<const DOTPROD: bool, const RUN: usize>(
    format: Format,
    weights: &[u8],
    x: &QuantizedRows,
    scratch: &mut Scratch,
    out: &mut Columns<'_>,
) {
    // SAFETY: every 64-bit ARM processor that runs Linux has NEON; `DOTPROD` and runs of two words
    // are of the rows that detect what they need.
    unsafe { matmul::matmul::<DOTPROD, RUN>(format, weights, x, scratch, out) }
}

fn matmul_panels<const DOTPROD: bool, const RUN: usize>(
    format: Format,
    panels: &[u8],
    x: &QuantizedRows,
    scratch: &mut Scratch,
    out: &mut Columns<'_>,
) {
    // SAFETY: as of `matmul`.
    unsafe { panels::matmul::<DOTPROD, RUN>(format, panels, x, scratch, out) }
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
