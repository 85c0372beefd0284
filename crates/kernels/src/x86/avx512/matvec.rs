//! Few tokens: each weight row is decoded once and met by one or four tokens in registers.

use std::arch::x86_64::*;

use super::step::{Activations, STEP, Step};
use crate::activations::QuantizedRow;
use crate::block::Block;
use crate::{Columns, QuantizedRows};

/// The last `n % 256` activations of a row, padded with zeros to a step.
struct Tail {
    q: [i8; STEP],
    scale: [f32; 8],
    sum: [i16; 16],
}

impl Tail {
    fn new(x: QuantizedRow<'_>) -> Self {
        let (steps, values) = (x.q.len() / STEP, x.q.len() % STEP);
        let mut tail = Self { q: [0; STEP], scale: [0.0; 8], sum: [0; 16] };
        tail.q[..values].copy_from_slice(&x.q[steps * STEP..]);
        tail.scale[..values / 32].copy_from_slice(&x.scale[steps * 8..]);
        tail.sum[..values / 16].copy_from_slice(&x.sum[steps * 16..]);
        tail
    }

    fn row(&self) -> QuantizedRow<'_> {
        QuantizedRow { q: &self.q, scale: &self.scale, sum: &self.sum }
    }
}

/// Every column of `out`, one weight row of `blocks` each. `decode` subtracts no bias: its
/// integers are `BIAS` above the weights'.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
pub(super) fn matvec<B: Block, const K: usize, const BIAS: u8>(
    blocks: &[B],
    x: &QuantizedRows,
    out: &mut Columns<'_>,
    decode: impl Fn(&[B; K]) -> Step + Copy,
) {
    let mut t = 0;
    while t < x.tokens() {
        if x.tokens() - t >= 4 {
            tokens::<B, K, BIAS, 2, 4>(blocks, [0, 1, 2, 3].map(|i| x.row(t + i)), out, t, decode);
            t += 4;
        } else {
            tokens::<B, K, BIAS, 4, 1>(blocks, [x.row(t)], out, t, decode);
            t += 1;
        }
    }
}

/// Columns of tokens `t..t + T`, `R` at a time.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
fn tokens<B: Block, const K: usize, const BIAS: u8, const R: usize, const T: usize>(
    blocks: &[B],
    x: [QuantizedRow<'_>; T],
    out: &mut Columns<'_>,
    t: usize,
    decode: impl Fn(&[B; K]) -> Step + Copy,
) {
    let per_row = x[0].q.len() / B::LEN;
    let tails = x.map(Tail::new);
    let whole = out.columns() - out.columns() % R;
    for r in (0..whole).step_by(R) {
        let sums = rows::<B, K, BIAS, R, T>(&blocks[r * per_row..], per_row, x, &tails, decode);
        for (i, sums) in sums.iter().enumerate() {
            out.row(t + i)[r..r + R].copy_from_slice(sums);
        }
    }
    for r in whole..out.columns() {
        let sums = rows::<B, K, BIAS, 1, T>(&blocks[r * per_row..], per_row, x, &tails, decode);
        for (i, sums) in sums.iter().enumerate() {
            out.row(t + i)[r] = sums[0];
        }
    }
}

/// The products of the first `R` weight rows of `blocks` with `T` tokens.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
fn rows<B: Block, const K: usize, const BIAS: u8, const R: usize, const T: usize>(
    blocks: &[B],
    per_row: usize,
    x: [QuantizedRow<'_>; T],
    tails: &[Tail; T],
    decode: impl Fn(&[B; K]) -> Step + Copy,
) -> [[f32; R]; T] {
    let mut total = [[_mm512_setzero_ps(); R]; T];
    let rows: [&[B]; R] = std::array::from_fn(|r| &blocks[r * per_row..]);
    let steps = per_row / K;
    for s in 0..steps {
        let step = rows.map(|row| decode(row[s * K..].first_chunk().expect("a whole step")));
        for t in 0..T {
            let x = activations::<B, BIAS>(x[t], s);
            for r in 0..R {
                total[t][r] = dot::<B, 4>(&x, &step[r], u16::MAX, total[t][r]);
            }
        }
    }
    let values = per_row % K * B::LEN;
    if values > 0 {
        let groups = u16::MAX >> (16 - values / B::GROUP);
        let step = rows.map(|row| {
            let row = &row[steps * K..];
            row.first_chunk().map_or_else(
                || {
                    let mut padded = [B::zeroed(); K];
                    padded[..row.len()].copy_from_slice(row);
                    decode(&padded)
                },
                decode,
            )
        });
        for t in 0..T {
            let x = activations::<B, BIAS>(tails[t].row(), 0);
            for r in 0..R {
                let total = &mut total[t][r];
                *total = match values {
                    0..=64 => dot::<B, 1>(&x, &step[r], groups, *total),
                    65..=128 => dot::<B, 2>(&x, &step[r], groups, *total),
                    _ => dot::<B, 4>(&x, &step[r], groups, *total),
                };
            }
        }
    }
    total.map(|total| total.map(|lanes| _mm512_reduce_add_ps(lanes)))
}

#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
fn activations<B: Block, const BIAS: u8>(x: QuantizedRow<'_>, s: usize) -> Activations {
    if B::GROUP == 16 {
        Activations::new::<16, BIAS>(x, s)
    } else {
        Activations::new::<32, BIAS>(x, s)
    }
}

#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
fn dot<B: Block, const QUARTERS: usize>(
    x: &Activations,
    step: &Step,
    groups: u16,
    total: __m512,
) -> __m512 {
    match (B::GROUP, B::HAS_MIN) {
        (16, false) => x.dot::<16, false, QUARTERS>(step, groups, total),
        (16, true) => x.dot::<16, true, QUARTERS>(step, groups, total),
        (_, false) => x.dot::<32, false, QUARTERS>(step, groups, total),
        (_, true) => x.dot::<32, true, QUARTERS>(step, groups, total),
    }
}
