//! AVX2 with FMA and F16C (Haswell, Zen and later), and the same with AVX-VNNI (Alder Lake and
//! later, where it is often the best there is).
#![expect(unsafe_code, reason = "the gate: kernels may run only where the processor has them")]

mod decode;
mod dot;
mod floats;
mod int16;
mod load;
mod matmat;
mod matmul;
mod matvec;
mod micro;
mod panels;
mod quantize;
mod step;

use crate::activations::QuantizedRowMut;
use crate::row::Int16Ops;
use crate::tile::{Lack, Tiling};
use crate::{Columns, Format, Int16Rows, Int16Tile, QuantizedRows, Row, Scratch, lanes};

pub(super) static ROW: Row = Row {
    name: "avx2",
    detect,
    quantize,
    matmul: matmul::<false>,
    tiling: Some(tiling(false)),
    matmul_panels: Some(matmul_panels::<false>),
    matmul_float,
    int16: Some(Int16Ops { pack: pack_int16, matmul: matmul_int16::<false> }),
    float: lanes::AVX2,
};

pub(super) static ROW_VNNI: Row = Row {
    name: "avxvnni",
    detect: || detect() && is_x86_feature_detected!("avxvnni"),
    quantize,
    matmul: matmul::<true>,
    tiling: Some(tiling(true)),
    matmul_panels: Some(matmul_panels::<true>),
    matmul_float,
    int16: Some(Int16Ops { pack: pack_int16, matmul: matmul_int16::<true> }),
    float: lanes::AVX2,
};

/// How activations are packed, with VNNI or without, where sums of a group are of 16 bits.
const fn tiling(vnni: bool) -> Tiling {
    let lack = if vnni { Lack::Sum } else { Lack::Pairs };
    Tiling { few: &[1, 2, 3, 4], run: 1, lack }
}

fn detect() -> bool {
    is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("fma")
        && is_x86_feature_detected!("f16c")
}

fn quantize(x: &[f32], out: QuantizedRowMut<'_>) {
    // SAFETY: a `Row` is reached only through `rows()`, which asks `detect` first.
    unsafe { quantize::quantize(x, out) }
}

fn matmul<const VNNI: bool>(
    format: Format,
    weights: &[u8],
    x: &QuantizedRows,
    scratch: &mut Scratch,
    out: &mut Columns<'_>,
) {
    // SAFETY: a `Row` is reached only through `rows()`, which asks `detect` first.
    unsafe { matmul::matmul::<VNNI>(format, weights, x, scratch, out) }
}

fn matmul_panels<const VNNI: bool>(
    format: Format,
    panels: &[u8],
    x: &QuantizedRows,
    scratch: &mut Scratch,
    out: &mut Columns<'_>,
) {
    // SAFETY: a `Row` is reached only through `rows()`, which asks `detect` first.
    unsafe { panels::matmul::<VNNI>(format, panels, x, scratch, out) }
}

fn matmul_float(
    format: Format,
    weights: &[u8],
    x: &[f32],
    scratch: &mut Scratch,
    out: &mut Columns<'_>,
) {
    // SAFETY: a `Row` is reached only through `rows()`, which asks `detect` first.
    unsafe { floats::matmul_float(format, weights, x, scratch, out) }
}

fn pack_int16(tile: Int16Tile<'_>) {
    // SAFETY: a `Row` is reached only through `rows()`, which asks `detect` first.
    unsafe { int16::pack(tile) }
}

fn matmul_int16<const VNNI: bool>(
    format: Format,
    weights: &[u8],
    x: &Int16Rows,
    scratch: &mut Scratch,
    out: &mut Columns<'_>,
) {
    // SAFETY: a `Row` is reached only through `rows()`, which asks `detect` first.
    unsafe { int16::matmul::<VNNI>(format, weights, x, scratch, out) }
}
