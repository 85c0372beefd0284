//! AVX-512 with VNNI (Ice Lake, Zen 4 and later).
#![expect(unsafe_code, reason = "the gate: kernels may run only where the processor has them")]

mod decode;
mod floats;
mod int16;
mod load;
mod matmat;
mod matmul;
mod matvec;
mod panels;
mod quantize;
mod step;

use crate::activations::QuantizedRowMut;
use crate::row::Int16Ops;
use crate::tile::{Lack, Tiling};
use crate::{Columns, Format, Int16Rows, Int16Tile, QuantizedRows, Row, Scratch, lanes};

pub(super) static ROW: Row = Row {
    name: "avx512",
    detect: || {
        is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512vnni")
    },
    quantize,
    matmul,
    tiling: Some(TILING),
    matmul_panels: Some(matmul_panels),
    matmul_float,
    int16: Some(Int16Ops { pack: pack_int16, matmul: matmul_int16 }),
    float: lanes::AVX512,
};

const TILING: Tiling = Tiling { few: &[1, 2, 3, 4], run: 1, lack: Lack::Sum };

fn quantize(x: &[f32], out: QuantizedRowMut<'_>) {
    // SAFETY: a `Row` is reached only through `rows()`, which asks `detect` first.
    unsafe { quantize::quantize(x, out) }
}

fn matmul(
    format: Format,
    weights: &[u8],
    x: &QuantizedRows,
    scratch: &mut Scratch,
    out: &mut Columns<'_>,
) {
    // SAFETY: a `Row` is reached only through `rows()`, which asks `detect` first.
    unsafe { matmul::matmul(format, weights, x, scratch, out) }
}

fn matmul_panels(
    format: Format,
    panels: &[u8],
    x: &QuantizedRows,
    scratch: &mut Scratch,
    out: &mut Columns<'_>,
) {
    // SAFETY: a `Row` is reached only through `rows()`, which asks `detect` first.
    unsafe { panels::matmul(format, panels, x, scratch, out) }
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

fn matmul_int16(
    format: Format,
    weights: &[u8],
    x: &Int16Rows,
    scratch: &mut Scratch,
    out: &mut Columns<'_>,
) {
    // SAFETY: a `Row` is reached only through `rows()`, which asks `detect` first.
    unsafe { int16::matmul(format, weights, x, scratch, out) }
}
