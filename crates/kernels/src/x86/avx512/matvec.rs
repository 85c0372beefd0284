//! Few tokens: each weight row is decoded once and met by one or four tokens in registers.

use std::arch::x86_64::*;

use super::load::prefetch;
use super::step::{Activations, Step};
use crate::activations::QuantizedRow;
use crate::steps::{STEP, WeightRows};
use crate::x86::tail::Tail;
use crate::{Columns, QuantizedRows};

/// How far ahead of a row's steps the next ones are asked for: of 512, 1024 and 2048 bytes the best
/// for weights in memory (Sapphire Rapids).
const AHEAD: usize = 1024;

/// Registers of a step.
const WHOLE: usize = 4;

/// Every column of `out`, one weight row each. The integers of `decode` are `BIAS` above the
/// weights'.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
pub(super) fn matvec<const GROUP: usize, const HAS_MIN: bool, const BIAS: u8>(
    weights: WeightRows<'_>,
    x: &QuantizedRows,
    out: &mut Columns<'_>,
    decode: impl Fn(&[u8]) -> Step + Copy,
) {
    let mut t = 0;
    while t < x.rows() {
        match x.rows() - t {
            1 => {
                tokens::<GROUP, HAS_MIN, BIAS, 4, 1>(weights, x, out, t, decode);
                t += 1;
            }
            2 | 3 => {
                tokens::<GROUP, HAS_MIN, BIAS, 2, 2>(weights, x, out, t, decode);
                t += 2;
            }
            _ => {
                tokens::<GROUP, HAS_MIN, BIAS, 2, 4>(weights, x, out, t, decode);
                t += 4;
            }
        }
    }
}

/// Columns of rows `t..t + T` of the activations, `R` at a time.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
fn tokens<
    const GROUP: usize,
    const HAS_MIN: bool,
    const BIAS: u8,
    const R: usize,
    const T: usize,
>(
    weights: WeightRows<'_>,
    x: &QuantizedRows,
    out: &mut Columns<'_>,
    t: usize,
    decode: impl Fn(&[u8]) -> Step + Copy,
) {
    let parts = std::array::from_fn(|i| x.row(t + i));
    let tails = parts.map(Tail::new);
    // `R` runs of rows, so that the processor's prefetching sees as many long streams.
    let run = out.columns() / R;
    for r in 0..run {
        let rows = weights.rows_on(r, run);
        let sums = products::<GROUP, HAS_MIN, BIAS, R, T>(weights, rows, parts, &tails, decode);
        for (i, sums) in sums.iter().enumerate() {
            write(x, t + i, out, r, run, sums);
        }
    }
    for r in run * R..out.columns() {
        let rows = [weights.row_on(r)];
        let sums = products::<GROUP, HAS_MIN, BIAS, 1, T>(weights, rows, parts, &tails, decode);
        for (i, sums) in sums.iter().enumerate() {
            write(x, t + i, out, r, run, sums);
        }
    }
}

/// Writes the products of a row of activations, `run` columns apart from `r` on.
#[inline(always)]
fn write<const R: usize>(
    x: &QuantizedRows,
    row: usize,
    out: &mut Columns<'_>,
    r: usize,
    run: usize,
    sums: &[f32; R],
) {
    let (token, add) = x.target(row);
    let out = out.row(token);
    for (i, sum) in sums.iter().enumerate() {
        let out = &mut out[r + i * run];
        *out = if add { *out + sum } else { *sum };
    }
}

/// The products of `R` weight rows with `T` rows of activations.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
fn products<
    const GROUP: usize,
    const HAS_MIN: bool,
    const BIAS: u8,
    const R: usize,
    const T: usize,
>(
    weights: WeightRows<'_>,
    rows: [&[u8]; R],
    x: [QuantizedRow<'_>; T],
    tails: &[Tail; T],
    decode: impl Fn(&[u8]) -> Step + Copy,
) -> [[f32; R]; T] {
    let mut total = [[_mm512_setzero_ps(); R]; T];
    let steps = x[0].q.len() / STEP;
    for s in 0..steps {
        let step = rows.map(|row| {
            let row = &row[s * weights.step_bytes..];
            if T <= 2 {
                prefetch::<AHEAD>(&row[..weights.step_bytes]);
            }
            decode(row)
        });
        for t in 0..T {
            let x = Activations::new::<GROUP, BIAS>(x[t], s);
            for r in 0..R {
                let total = &mut total[t][r];
                *total = x.dot::<GROUP, HAS_MIN, WHOLE>(&step[r], u16::MAX, *total);
            }
        }
    }
    let values = x[0].q.len() % STEP;
    if values > 0 {
        let groups = u16::MAX >> (16 - values / GROUP);
        let step = rows.map(|row| weights.last_step(&row[steps * weights.step_bytes..], decode));
        for t in 0..T {
            let x = Activations::new::<GROUP, BIAS>(tails[t].row(), 0);
            for r in 0..R {
                let (step, total) = (&step[r], &mut total[t][r]);
                *total = match values {
                    0..=64 => x.dot::<GROUP, HAS_MIN, { WHOLE / 4 }>(step, groups, *total),
                    65..=128 => x.dot::<GROUP, HAS_MIN, { WHOLE / 2 }>(step, groups, *total),
                    _ => x.dot::<GROUP, HAS_MIN, WHOLE>(step, groups, *total),
                };
            }
        }
    }
    total.map(|total| total.map(|lanes| _mm512_reduce_add_ps(lanes)))
}
