//! Many tokens: panels of 16 weight rows, unpacked once, meet tiles of up to 12 tokens.
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
/// Tokens of a tile: with 12, sums, totals and operands fill the 32 registers.
const WIDTHS: [usize; 3] = [4, 8, 12];
/// Packed activations that are walked once per panel: they should stay in a private L2.
const SLAB_BYTES: usize = 512 << 10;

/// 16 weight rows, four values each to a line; then per group a line of scales and one of minima.
struct Panel<'a> {
    q: &'a mut [Line],
    scale: &'a mut [Line],
    min: &'a mut [Line],
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
    scratch.lines.resize(depth / 4 + 2 * (depth / GROUP), Line([0; 16]));
    let (q, rest) = scratch.lines.split_at_mut(depth / 4);
    let (scale, min) = rest.split_at_mut(depth / GROUP);
    let mut panel = Panel { q, scale, min };

    for start in (0..n).step_by(depth) {
        let groups = depth.min(n - start) / X_GROUP;
        let words = |tile: Tile| tile.start * groups * RECORD..;
        for tile in tiles.clone() {
            let words = &mut scratch.words[words(tile)];
            let (first, bias) = (start / X_GROUP, i32::from(BIAS));
            match tile.width {
                4 => tile::pack::<4>(x, tile, first, bias, GROUP, records(words, groups)),
                8 => tile::pack::<8>(x, tile, first, bias, GROUP, records(words, groups)),
                _ => tile::pack::<12>(x, tile, first, bias, GROUP, records(words, groups)),
            }
        }
        for column in (0..columns).step_by(ROWS) {
            let real = ROWS.min(columns - column);
            let first = start / STEP * weights.step_bytes;
            let rows = std::array::from_fn(|r| &weights.row_on(column + r.min(real - 1))[first..]);
            unpack::<GROUP, HAS_MIN>(weights, rows, groups * X_GROUP, &mut panel, decode);
            for tile in tiles.clone() {
                let words = &scratch.words[words(tile)];
                let at = Place { x, tile, column, rows: real, add: start > 0 };
                match tile.width {
                    4 => multiply::<GROUP, HAS_MIN, 4>(&panel, words, groups, at, out),
                    8 => multiply::<GROUP, HAS_MIN, 8>(&panel, words, groups, at, out),
                    _ => multiply::<GROUP, HAS_MIN, 12>(&panel, words, groups, at, out),
                }
            }
        }
    }
}

/// Where the products of a panel and a tile go.
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

/// Decodes `values` of each row and interleaves them.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
fn unpack<const GROUP: usize, const HAS_MIN: bool>(
    weights: WeightRows<'_>,
    rows: [&[u8]; ROWS],
    values: usize,
    panel: &mut Panel<'_>,
    decode: impl Fn(&[u8]) -> Step + Copy,
) {
    for s in 0..values.div_ceil(STEP) {
        let steps = rows.map(|row| weights.last_step(&row[s * weights.step_bytes..], decode));
        for quarter in 0..4 {
            let q = transpose(steps.map(|step| step.q[quarter]));
            for (line, q) in panel.q[s * 64 + quarter * 16..].iter_mut().zip(q) {
                store_words(&mut line.0, q);
            }
        }
        let groups = STEP / GROUP;
        let scale = transpose(steps.map(|step| _mm512_castps_si512(step.scale)));
        for (line, scale) in panel.scale[s * groups..][..groups].iter_mut().zip(scale) {
            store_words(&mut line.0, scale);
        }
        if HAS_MIN {
            let min = transpose(steps.map(|step| _mm512_castps_si512(step.min)));
            for (line, min) in panel.min[s * groups..][..groups].iter_mut().zip(min) {
                store_words(&mut line.0, min);
            }
        }
    }
}

/// Adds or writes the products of a panel with a tile of `T` tokens.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
fn multiply<const GROUP: usize, const HAS_MIN: bool, const T: usize>(
    panel: &Panel<'_>,
    words: &[u32],
    groups: usize,
    at: Place<'_>,
    out: &mut Columns<'_>,
) {
    let x: &[Record<T>] = bytemuck::cast_slice(&words[..groups * RECORD * T]);
    let totals = products::<T, GROUP, HAS_MIN>(panel, x);
    for (t, total) in totals.into_iter().take(at.tile.tokens).enumerate() {
        let (token, add) = at.x.target(at.tile.start + t);
        let out = &mut out.row(token)[at.column..][..at.rows];
        write_lanes(out, at.add || add, total);
    }
}

/// `sum_g xs[g] * (scale[g] * (q[g] . xq[g]) + min[g] * sum(xq[g]))` of 16 rows and `T` tokens.
#[inline(never)]
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
fn products<const T: usize, const GROUP: usize, const HAS_MIN: bool>(
    panel: &Panel<'_>,
    x: &[Record<T>],
) -> [__m512; T] {
    let halves = X_GROUP / GROUP;
    let mut total = [_mm512_setzero_ps(); T];
    let q = panel.q.as_chunks::<{ X_GROUP / 4 }>().0;
    let scale = panel.scale.chunks_exact(halves);
    let min = panel.min.chunks_exact(halves);
    for (((x, q), scale), min) in x.iter().zip(q).zip(scale).zip(min) {
        for half in 0..halves {
            let mut sum = x[tile::START + half].map(|start| broadcast(start));
            for k in half * (GROUP / 4)..(half + 1) * (GROUP / 4) {
                let q = load_words(&q[k].0);
                for t in 0..T {
                    sum[t] = _mm512_dpbusd_epi32(sum[t], q, broadcast(x[k][t]));
                }
            }
            let scale = _mm512_castsi512_ps(load_words(&scale[half].0));
            let min = _mm512_castsi512_ps(load_words(&min[half].0));
            for t in 0..T {
                let scale = _mm512_mul_ps(scale, word(x[tile::SCALE][t]));
                total[t] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum[t]), scale, total[t]);
                if HAS_MIN {
                    total[t] = _mm512_fmadd_ps(min, word(x[tile::SUM + half][t]), total[t]);
                }
            }
        }
    }
    total
}

#[inline]
#[target_feature(enable = "avx512f")]
fn word(bits: u32) -> __m512 {
    _mm512_castsi512_ps(broadcast(bits))
}
