//! Few tokens: each weight row is decoded once and met by one or four tokens in registers.

use std::arch::x86_64::*;

use super::load::{load_words, prefetch, sum_lanes};
use super::step::{Activations, Step};
use crate::activations::QuantizedRow;
use crate::steps::{STEP, WeightRows};
use crate::x86::tail::Tail;
use crate::{Columns, QuantizedRows};

/// Registers of a step.
const WHOLE: usize = 8;

/// Every column of `out`, one weight row each. The integers of `decode` are `BIAS` above the
/// weights'.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn matvec<const VNNI: bool, const GROUP: usize, const HAS_MIN: bool, const BIAS: u8>(
    weights: WeightRows<'_>,
    x: &QuantizedRows,
    out: &mut Columns<'_>,
    decode: impl Fn(&[u8]) -> Step + Copy,
) {
    let mut t = 0;
    while t < x.rows() {
        match x.rows() - t {
            1 => {
                tokens::<VNNI, GROUP, HAS_MIN, BIAS, 2, 1>(weights, x, out, t, decode);
                t += 1;
            }
            2 | 3 => {
                tokens::<VNNI, GROUP, HAS_MIN, BIAS, 2, 2>(weights, x, out, t, decode);
                t += 2;
            }
            _ => {
                tokens::<VNNI, GROUP, HAS_MIN, BIAS, 1, 4>(weights, x, out, t, decode);
                t += 4;
            }
        }
    }
}

/// Columns of rows `t..t + T` of the activations, `R` at a time.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn tokens<
    const VNNI: bool,
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
        let sums =
            products::<VNNI, GROUP, HAS_MIN, BIAS, R, T>(weights, rows, parts, &tails, decode);
        for (i, sums) in sums.iter().enumerate() {
            write(x, t + i, out, r, run, sums);
        }
    }
    for r in run * R..out.columns() {
        let rows = [weights.row_on(r)];
        let sums =
            products::<VNNI, GROUP, HAS_MIN, BIAS, 1, T>(weights, rows, parts, &tails, decode);
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
#[target_feature(enable = "avx2,fma,f16c")]
fn products<
    const VNNI: bool,
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
    let mut total = [[_mm256_setzero_ps(); R]; T];
    let steps = x[0].q.len() / STEP;
    for s in 0..steps {
        let step = rows.map(|row| {
            let row = &row[s * weights.step_bytes..];
            if T <= 2 {
                prefetch(row, weights.step_bytes);
            }
            decode(row)
        });
        for t in 0..T {
            let x = Activations::new::<VNNI, GROUP, BIAS>(x[t], s);
            for r in 0..R {
                let total = &mut total[t][r];
                *total = x.dot::<VNNI, GROUP, HAS_MIN, BIAS, WHOLE>(&step[r], None, *total);
            }
        }
    }
    let values = x[0].q.len() % STEP;
    if values > 0 {
        let mut groups = [0; 16];
        groups[..values / GROUP].fill(u32::MAX);
        let [low, high] = bytemuck::cast_ref::<[u32; 16], [[u32; 8]; 2]>(&groups);
        let groups = [low, high].map(|half| _mm256_castsi256_ps(load_words(half)));
        let step = rows.map(|row| weights.last_step(&row[steps * weights.step_bytes..], decode));
        for t in 0..T {
            let x = Activations::new::<VNNI, GROUP, BIAS>(tails[t].row(), 0);
            for r in 0..R {
                let (step, total) = (&step[r], &mut total[t][r]);
                *total = match values {
                    0..=64 => x.dot::<VNNI, GROUP, HAS_MIN, BIAS, { WHOLE / 4 }>(
                        step,
                        Some(&groups),
                        *total,
                    ),
                    65..=128 => x.dot::<VNNI, GROUP, HAS_MIN, BIAS, { WHOLE / 2 }>(
                        step,
                        Some(&groups),
                        *total,
                    ),
                    _ => x.dot::<VNNI, GROUP, HAS_MIN, BIAS, WHOLE>(step, Some(&groups), *total),
                };
            }
        }
    }
    total.map(|total| total.map(|lanes| sum_lanes(lanes)))
}
