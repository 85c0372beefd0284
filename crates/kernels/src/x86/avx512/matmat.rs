//! Many tokens: pairs of panels of 16 weight rows, unpacked once, meet tiles of up to 6 tokens.
//!
//! A register holds four consecutive weights of each of 16 rows; `vpdpbusd` multiplies it with
//! four activations of one token, broadcast. Integer sums are exact within a group, then scaled.

use std::arch::x86_64::*;

use super::load::{broadcast, load_words, store_words, transpose, write_lanes};
use super::step::Step;
use crate::activations::GROUP as X_GROUP;
use crate::row::Line;
use crate::steps::{STEP, WeightRows};
use crate::tile::{self, RECORD, Record, Tile};
use crate::{Columns, QuantizedRows, Scratch};

/// Weight rows of a panel: the lanes of a register.
const ROWS: usize = 16;
/// Panels that meet a tile together: each broadcast of activations then feeds two products. With
/// one panel and 12 tokens loads were as many as products, and both as slow.
const PANELS: usize = 2;
/// Tokens of a tile: with 6, sums, totals and operands fill the 32 registers.
const WIDTHS: [usize; 3] = [2, 4, 6];
/// Packed activations that are walked once per pair of panels: they should stay in a private L2.
const SLAB_BYTES: usize = 512 << 10;

/// The lines of each panel side by side.
type Lines = [Line; PANELS];

/// Panels of 16 weight rows, four values of each row to a line; then per group a line of scales and
/// one of minima.
struct Panels<'a> {
    q: &'a mut [Lines],
    scale: &'a mut [Lines],
    min: &'a mut [Lines],
}

/// As [`super::matvec::matvec`], for many tokens.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
pub(super) fn matmat<const GROUP: usize, const HAS_MIN: bool, const BIAS: u8>(
    weights: WeightRows<'_>,
    x: &QuantizedRows,
    scratch: &mut Scratch,
    out: &mut Columns<'_>,
    decode: impl Fn(&[u8]) -> Step + Copy,
) {
    let (n, columns) = (x.n(), out.columns());
    let tiles = tile::tiles(x.rows(), WIDTHS);
    let padded: usize = tiles.clone().map(|tile| tile.width).sum();
    let depth = (SLAB_BYTES / padded / STEP * STEP).clamp(STEP, n.next_multiple_of(STEP));
    let groups = depth / X_GROUP;
    scratch.words.resize(padded * groups * RECORD, 0);
    let lines = depth / 4 + 2 * (depth / GROUP);
    scratch.lines.resize(PANELS * lines, Line([0; 16]));
    let lines = scratch.lines.as_chunks_mut().0;
    let (q, lines) = lines.split_at_mut(depth / 4);
    let (scale, min) = lines.split_at_mut(depth / GROUP);
    let mut panels = Panels { q, scale, min };

    for start in (0..n).step_by(depth) {
        let groups = depth.min(n - start) / X_GROUP;
        let words = |tile: Tile| tile.start * groups * RECORD..;
        for tile in tiles.clone() {
            let words = &mut scratch.words[words(tile)];
            let (first, bias) = (start / X_GROUP, i32::from(BIAS));
            match tile.width {
                2 => tile::pack::<2, 1>(x, tile, first, bias, GROUP, records(words, groups)),
                4 => tile::pack::<4, 1>(x, tile, first, bias, GROUP, records(words, groups)),
                _ => tile::pack::<6, 1>(x, tile, first, bias, GROUP, records(words, groups)),
            }
        }
        for column in (0..columns).step_by(PANELS * ROWS) {
            let real = (PANELS * ROWS).min(columns - column);
            let first = start / STEP * weights.step_bytes;
            for p in 0..real.div_ceil(ROWS) {
                let row = |r: usize| column + (p * ROWS + r).min(real - 1);
                let rows = std::array::from_fn(|r| &weights.row_on(row(r))[first..]);
                unpack::<GROUP, HAS_MIN>(weights, rows, groups * X_GROUP, p, &mut panels, decode);
            }
            for tile in tiles.clone() {
                let words = &scratch.words[words(tile)];
                let at = Place { x, tile, column, rows: real, add: start > 0 };
                match tile.width {
                    2 => multiply::<GROUP, HAS_MIN, 2>(&panels, words, groups, at, out),
                    4 => multiply::<GROUP, HAS_MIN, 4>(&panels, words, groups, at, out),
                    _ => multiply::<GROUP, HAS_MIN, 6>(&panels, words, groups, at, out),
                }
            }
        }
    }
}

/// Where the products of the panels and a tile go.
#[derive(Clone, Copy)]
struct Place<'a> {
    x: &'a QuantizedRows,
    tile: Tile,
    column: usize,
    rows: usize,
    /// Whether to add to what is there.
    add: bool,
}

fn records<const T: usize>(words: &mut [u32], groups: usize) -> &mut [Record<T>] {
    bytemuck::cast_slice_mut(&mut words[..groups * RECORD * T])
}

/// Decodes `values` of each row and interleaves them as panel `p`.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
fn unpack<const GROUP: usize, const HAS_MIN: bool>(
    weights: WeightRows<'_>,
    rows: [&[u8]; ROWS],
    values: usize,
    p: usize,
    panels: &mut Panels<'_>,
    decode: impl Fn(&[u8]) -> Step + Copy,
) {
    for s in 0..values.div_ceil(STEP) {
        // Loops, not `map`: its closures would be compiled without this function's instructions.
        let zero = _mm512_setzero_si512();
        let (mut quarters, mut scale, mut min) = ([[zero; ROWS]; 4], [zero; ROWS], [zero; ROWS]);
        for r in 0..ROWS {
            let step = weights.last_step(&rows[r][s * weights.step_bytes..], decode);
            for (quarter, q) in quarters.iter_mut().zip(step.q) {
                quarter[r] = q;
            }
            scale[r] = _mm512_castps_si512(step.scale);
            min[r] = _mm512_castps_si512(step.min);
        }
        for (i, quarter) in quarters.into_iter().enumerate() {
            let q = transpose(quarter);
            for (lines, q) in panels.q[s * 64 + i * 16..].iter_mut().zip(q) {
                store_words(&mut lines[p].0, q);
            }
        }
        let groups = STEP / GROUP;
        let lines = panels.scale[s * groups..][..groups].iter_mut();
        for (lines, scale) in lines.zip(transpose(scale)) {
            store_words(&mut lines[p].0, scale);
        }
        if HAS_MIN {
            let lines = panels.min[s * groups..][..groups].iter_mut();
            for (lines, min) in lines.zip(transpose(min)) {
                store_words(&mut lines[p].0, min);
            }
        }
    }
}

/// Adds or writes the products of the panels with a tile of `T` tokens.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
fn multiply<const GROUP: usize, const HAS_MIN: bool, const T: usize>(
    panels: &Panels<'_>,
    words: &[u32],
    groups: usize,
    at: Place<'_>,
    out: &mut Columns<'_>,
) {
    let x: &[Record<T>] = bytemuck::cast_slice(&words[..groups * RECORD * T]);
    let mut totals = [[_mm512_setzero_ps(); T]; PANELS];
    if at.rows > ROWS {
        products::<PANELS, T, GROUP, HAS_MIN>(panels, x, &mut totals);
    } else {
        let [total, _] = &mut totals;
        products::<1, T, GROUP, HAS_MIN>(panels, x, std::array::from_mut(total));
    }
    for t in 0..at.tile.tokens {
        let (token, add) = at.x.target(at.tile.start + t);
        let out = &mut out.row(token)[at.column..][..at.rows];
        for (out, total) in out.chunks_mut(ROWS).zip(&totals) {
            write_lanes(out, at.add || add, total[t]);
        }
    }
}

/// `sum_g xs[g] * (scale[g] * (q[g] . xq[g]) + min[g] * sum(xq[g]))` of 16 rows a panel and `T`
/// tokens.
#[inline(never)]
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
fn products<const P: usize, const T: usize, const GROUP: usize, const HAS_MIN: bool>(
    panels: &Panels<'_>,
    x: &[Record<T>],
    totals: &mut [[__m512; T]; P],
) {
    let halves = X_GROUP / GROUP;
    let mut total = *totals;
    let q = panels.q.as_chunks::<{ X_GROUP / 4 }>().0;
    let scale = panels.scale.chunks_exact(halves);
    let min = panels.min.chunks_exact(halves);
    for (((x, q), scale), min) in x.iter().zip(q).zip(scale).zip(min) {
        for half in 0..halves {
            let start = x[tile::START + half];
            let mut sum = [[_mm512_setzero_si512(); T]; P];
            for t in 0..T {
                let start = broadcast(start[t]);
                for sum in &mut sum {
                    sum[t] = start;
                }
            }
            for k in half * (GROUP / 4)..(half + 1) * (GROUP / 4) {
                let mut lines = [_mm512_setzero_si512(); P];
                for p in 0..P {
                    lines[p] = load_words(&q[k][p].0);
                }
                for t in 0..T {
                    let x = broadcast(x[k][t]);
                    for p in 0..P {
                        sum[p][t] = _mm512_dpbusd_epi32(sum[p][t], lines[p], x);
                    }
                }
            }
            for p in 0..P {
                let scale = _mm512_castsi512_ps(load_words(&scale[half][p].0));
                for t in 0..T {
                    let scale = _mm512_mul_ps(scale, word(x[tile::SCALE][t]));
                    total[p][t] =
                        _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum[p][t]), scale, total[p][t]);
                }
                if HAS_MIN {
                    let min = _mm512_castsi512_ps(load_words(&min[half][p].0));
                    for t in 0..T {
                        total[p][t] =
                            _mm512_fmadd_ps(min, word(x[tile::SUM + half][t]), total[p][t]);
                    }
                }
            }
        }
    }
    *totals = total;
}

#[inline]
#[target_feature(enable = "avx512f")]
fn word(bits: u32) -> __m512 {
    _mm512_castsi512_ps(broadcast(bits))
}
