//! The specification: plainest Rust, never optimised.

mod attention;
pub(crate) mod float;

use bytemuck::cast_slice;

use crate::activations::{GROUP, QuantizedRow, QuantizedRowMut, SUM_GROUP};
use crate::block::{Block, with_block};
use crate::{Columns, Format, QuantizedRows, Row, Scratch};

pub(crate) static ROW: Row = Row {
    name: "scalar",
    detect: || true,
    quantize,
    matmul,
    tiling: None,
    matmul_panels: None,
    matmul_float,
    int16: None,
    float: float::OPS,
};

pub(crate) fn quantize(x: &[f32], out: QuantizedRowMut<'_>) {
    for (g, x) in x.chunks_exact(GROUP).enumerate() {
        let max = x.iter().fold(0.0f32, |m, v| m.max(v.abs()));
        let scale = max / 127.0;
        let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
        let q = &mut out.q[g * GROUP..][..GROUP];
        for (q, x) in q.iter_mut().zip(x) {
            *q = (x * inverse).clamp(-127.0, 127.0).round_ties_even() as i8;
        }
        out.scale[g] = scale;
        for (sum, q) in out.sum[g * 2..][..2].iter_mut().zip(q.chunks_exact(SUM_GROUP)) {
            *sum = q.iter().map(|&q| i16::from(q)).sum();
        }
    }
}

pub(crate) fn dequantize(format: Format, bytes: &[u8], out: &mut [f32]) {
    match format {
        Format::F32 => {
            for (x, b) in out.iter_mut().zip(bytes.as_chunks::<4>().0) {
                *x = f32::from_le_bytes(*b);
            }
        }
        Format::F16 => {
            for (x, b) in out.iter_mut().zip(bytes.as_chunks::<2>().0) {
                *x = half::f16::from_le_bytes(*b).to_f32();
            }
        }
        Format::BF16 => {
            for (x, b) in out.iter_mut().zip(bytes.as_chunks::<2>().0) {
                *x = half::bf16::from_le_bytes(*b).to_f32();
            }
        }
        _ => with_block!(format, B => dequantize_blocks(cast_slice::<u8, B>(bytes), out)),
    }
}

fn dequantize_blocks<B: Block>(blocks: &[B], out: &mut [f32]) {
    let (mut q, mut scale, mut min) = ([0i8; 256], [0.0; 16], [0.0; 16]);
    for (block, out) in blocks.iter().zip(out.chunks_exact_mut(B::LEN)) {
        block.unpack(
            &mut q[..B::LEN],
            &mut scale[..B::LEN / B::GROUP],
            &mut min[..B::LEN / B::GROUP],
        );
        for (i, x) in out.iter_mut().enumerate() {
            *x = scale[i / B::GROUP] * f32::from(q[i]) + min[i / B::GROUP];
        }
    }
}

pub(crate) fn matmul(
    format: Format,
    weights: &[u8],
    x: &QuantizedRows,
    _scratch: &mut Scratch,
    out: &mut Columns<'_>,
) {
    with_block!(format, B => {
        let rows = cast_slice::<u8, B>(weights);
        for t in 0..x.rows() {
            let (token, add) = x.target(t);
            let x = x.row(t);
            let per_row = x.q.len() / B::LEN;
            for (r, y) in out.row(token).iter_mut().enumerate() {
                let before = if add { *y } else { 0.0 };
                *y = before + dot(&rows[r * per_row..][..per_row], x);
            }
        }
    });
}

/// `sum_g scale[g] * xs[g] * (q . xq) + min[g] * xs[g] * sum(xq)`, the products exact in `i32`.
fn dot<B: Block>(blocks: &[B], x: QuantizedRow<'_>) -> f32 {
    let (mut q, mut scale, mut min) = ([0i8; 256], [0.0; 16], [0.0; 16]);
    let mut total = 0.0;
    for (b, block) in blocks.iter().enumerate() {
        block.unpack(
            &mut q[..B::LEN],
            &mut scale[..B::LEN / B::GROUP],
            &mut min[..B::LEN / B::GROUP],
        );
        for g in 0..B::LEN / B::GROUP {
            let start = b * B::LEN + g * B::GROUP;
            let xq = &x.q[start..][..B::GROUP];
            let q = &q[g * B::GROUP..][..B::GROUP];
            let product: i32 = q.iter().zip(xq).map(|(&a, &b)| i32::from(a) * i32::from(b)).sum();
            let sum: i32 = x.sum[start / SUM_GROUP..][..B::GROUP / SUM_GROUP]
                .iter()
                .map(|&s| i32::from(s))
                .sum();
            total += x.scale[start / GROUP] * (scale[g] * product as f32 + min[g] * sum as f32);
        }
    }
    total
}

fn matmul_float(
    format: Format,
    weights: &[u8],
    x: &[f32],
    _scratch: &mut Scratch,
    out: &mut Columns<'_>,
) {
    let n = x.len() / out.tokens().max(1);
    let mut w = vec![0.0; n];
    let row_bytes = format.row_bytes(n).expect("checked by `Row::matmul_float`");
    for r in 0..out.columns() {
        dequantize(format, &weights[r * row_bytes..][..row_bytes], &mut w);
        for t in 0..out.tokens() {
            out.row(t)[r] = w.iter().zip(&x[t * n..][..n]).map(|(a, b)| a * b).sum();
        }
    }
}
