//! Many tokens: panels of 16 weight rows, unpacked once, meet tiles of up to 6 tokens.
//!
//! A register holds four consecutive weights of each of 8 rows, a half of a panel; both halves meet
//! four activations of one token, broadcast once. Integer sums are exact within a group, then scaled.
//! The 12 sums of a group are in registers, and the totals in memory, which are touched once a group:
//! so there are fewer loads than products.
//!
//! Weights that are kept signed ([`signed`]) are widened to 16 bits, two of each row to a register, and
//! so are the activations they meet: that takes as many instructions as products of bytes whose signs
//! are moved, but only two of the four are bound to two of the ports.
//!
//! A tile of tokens meets several panels in turn: it stays in the first-level cache, and what it
//! yields is written line after line.

use std::arch::x86_64::*;

use super::dot::{SYMMETRIC, dot, short, signed};
use super::load::{Pair, broadcast, load_lanes, load_words, store_words, transpose, write_panel};
use super::micro::{
    WORDS, add_bytes, add_scaled, add_scaled_and_min, add_shorts, start_bytes, start_shorts,
};
use super::step::Step;
use crate::activations::GROUP as X_GROUP;
use crate::row::Line;
use crate::steps::{STEP, WeightRows};
use crate::tile::{self, Record, Tile, with_width};
use crate::x86::avx2::tiling;
use crate::{Caches, Columns, QuantizedRows, Scratch};

/// Weight rows of half a panel: the lanes of a register.
const ROWS: usize = 8;

/// Words that the innermost loop takes at a time with VNNI.
const UNROLL: usize = 2;

/// Panels of 16 weight rows, one after the other: four values of each row to a pair of registers (or
/// two, where they are [`signed`]: of 32 values the first two of each four, then the others), then per
/// group a pair of scales and one of minima.
pub(super) struct Lines<'a> {
    data: &'a mut [Pair],
    words: usize,
    groups: usize,
}

/// A panel of [`Lines`].
pub(super) struct LinesMut<'a> {
    pub(super) q: &'a mut [Pair],
    pub(super) scale: &'a mut [Pair],
    pub(super) min: &'a mut [Pair],
}

impl<'a> Lines<'a> {
    /// With room for so many values of each row of some panels.
    pub(super) fn new<const VNNI: bool, const GROUP: usize, const BIAS: u8>(
        panels: usize,
        values: usize,
        lines: &'a mut Vec<Line>,
    ) -> Self {
        let words = values / X_GROUP * words(VNNI, BIAS);
        let groups = values / GROUP;
        let length = panels * (words + 2 * groups);
        lines.resize(lines.len().max(length), Line([0; 16]));
        Self { data: bytemuck::cast_slice_mut(lines), words, groups }
    }

    pub(super) fn panel(&mut self, p: usize) -> LinesMut<'_> {
        let length = self.words + 2 * self.groups;
        let (q, scales) = self.data[p * length..][..length].split_at_mut(self.words);
        let (scale, min) = scales.split_at_mut(self.groups);
        LinesMut { q, scale, min }
    }
}

impl LinesMut<'_> {
    /// Sets word `k` of all rows of a half, four weights of each.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(super) fn set<const VNNI: bool, const BIAS: u8>(
        &mut self,
        k: usize,
        half: usize,
        word: __m256i,
    ) {
        if signed(VNNI, BIAS) {
            let at = k / 8 * 16 + k % 8;
            let [first, second] = widen(word);
            store_words(&mut self.q[at][half], first);
            store_words(&mut self.q[at + 8][half], second);
        } else {
            store_words(&mut self.q[k][half], word);
        }
    }
}

/// Pairs of registers that hold 32 values of each row of a panel.
const fn words(vnni: bool, bias: u8) -> usize {
    if signed(vnni, bias) { 16 } else { 8 }
}

/// The first two bytes of each word as 16-bit integers, and the other two.
#[inline]
#[target_feature(enable = "avx2")]
fn widen(word: __m256i) -> [__m256i; 2] {
    let first = _mm_setr_epi8(-1, 0, -1, 1, -1, 4, -1, 5, -1, 8, -1, 9, -1, 12, -1, 13);
    let second = _mm_setr_epi8(-1, 2, -1, 3, -1, 6, -1, 7, -1, 10, -1, 11, -1, 14, -1, 15);
    let mut out = [first, second].map(|order| _mm256_broadcastsi128_si256(order));
    for out in &mut out {
        *out = _mm256_srai_epi16::<8>(_mm256_shuffle_epi8(word, *out));
    }
    out
}

/// How much of a product goes together.
pub(super) struct Blocks {
    /// Values of each row.
    pub(super) depth: usize,
    /// Panels that a tile meets before the next one does.
    pub(super) panels: usize,
}

impl Blocks {
    /// Of rows of `n`.
    pub(super) fn new<const VNNI: bool, const GROUP: usize, const BIAS: u8>(
        n: usize,
        caches: Caches,
    ) -> Self {
        let tile = size_of::<Record<{ tile::WIDTHS[2] }>>();
        let wide = if signed(VNNI, BIAS) { size_of::<[[u32; tile::WIDTHS[2]]; 16]>() } else { 0 };
        let depth = caches.depth(n, tile + wide, STEP);
        let pairs = words(VNNI, BIAS) + 2 * X_GROUP / GROUP;
        let bytes = depth / X_GROUP * pairs * size_of::<Pair>();
        Self { depth, panels: caches.panels(bytes) }
    }
}

/// Some values of some weight rows and of all activations.
#[derive(Clone, Copy)]
pub(super) struct Part<'a> {
    pub(super) x: &'a QuantizedRows,
    /// The first value, and how many; sums go on from what is there unless the first is 0.
    pub(super) start: usize,
    pub(super) values: usize,
    /// Where the products of the first panel go, and how many columns further those of each other that
    /// [`write`] has at once.
    pub(super) column: usize,
    pub(super) apart: usize,
}

/// As [`super::matvec::matvec`], for many tokens: sums are of weights less `CENTER`, and what that
/// exceeds `BIAS` by is in the minima.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn matmat<
    const VNNI: bool,
    const GROUP: usize,
    const HAS_MIN: bool,
    const BIAS: u8,
    const CENTER: u8,
>(
    weights: WeightRows<'_>,
    x: &QuantizedRows,
    scratch: &mut Scratch,
    out: &mut Columns<'_>,
    decode: impl Fn(&[u8]) -> Step + Copy,
) {
    let (n, columns) = (x.n(), out.columns());
    let Scratch { caches, lines, words: wide, .. } = scratch;
    let Blocks { depth, panels } = Blocks::new::<VNNI, GROUP, CENTER>(n, *caches);
    let mut lines = Lines::new::<VNNI, GROUP, CENTER>(panels, depth, lines);
    let mut steps = [Step::zero(); ROWS];
    for start in (0..n).step_by(depth) {
        let values = depth.min(n - start);
        for column in (0..columns).step_by(2 * ROWS * panels) {
            let first = start / STEP * weights.step_bytes;
            let count = panels.min((columns - column).div_ceil(2 * ROWS));
            for half in 0..2 * count {
                let row = |r: usize| (column + half * ROWS + r).min(columns - 1);
                let rows = std::array::from_fn(|r| &weights.row_on(row(r))[first..]);
                unpack::<VNNI, GROUP, HAS_MIN, BIAS, CENTER>(
                    weights,
                    rows,
                    values,
                    half % 2,
                    lines.panel(half / 2),
                    &mut steps,
                    decode,
                );
            }
            let part = Part { x, start, values, column, apart: 0 };
            sweep::<VNNI, GROUP, HAS_MIN, CENTER>(count, &mut lines, wide, part, out);
        }
    }
}

/// The products of `count` neighbouring panels with all activations; `wide` is room for those of a tile
/// as 16-bit integers.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn sweep<const VNNI: bool, const GROUP: usize, const HAS_MIN: bool, const BIAS: u8>(
    count: usize,
    lines: &mut Lines<'_>,
    wide: &mut Vec<u32>,
    part: Part<'_>,
    out: &mut Columns<'_>,
) {
    let groups = part.start / X_GROUP..(part.start + part.values) / X_GROUP;
    for (tile, words) in part.x.tiles(tiling(VNNI)) {
        // Narrower ones are of fewer tokens than are worth unpacking for.
        with_width!(tile.width, [4 6], T => {
            let x: &[Record<T>] = &bytemuck::cast_slice(words)[groups.clone()];
            let x = match signed(VNNI, BIAS) {
                true => Operands { x, wide: widen_all(x, wide) },
                false => Operands { x, wide: &[] },
            };
            for p in 0..count {
                let lines = lines.panel(p);
                let part = Part { column: part.column + 2 * ROWS * p, ..part };
                write(part, tile, out, |totals: &mut [[__m256; T]; 2]| {
                    products::<VNNI, T, GROUP, HAS_MIN, BIAS>(&lines, x, totals);
                });
            }
        });
    }
}

/// The activations of a tile, and where weights are [`signed`] of 16 bits too: of 32 values of each
/// token the first two of each four, then the others.
#[derive(Clone, Copy)]
struct Operands<'a, const T: usize> {
    x: &'a [Record<T>],
    wide: &'a [[[u32; T]; 16]],
}

/// [`Operands::wide`] of a tile.
#[inline]
#[target_feature(enable = "avx2")]
fn widen_all<'a, const T: usize>(x: &[Record<T>], out: &'a mut Vec<u32>) -> &'a [[[u32; T]; 16]] {
    let length = x.len() * 16 * T;
    out.resize(out.len().max(length), 0);
    let out = &mut out[..length];
    for (x, out) in x.iter().zip(out.chunks_exact_mut(16 * T)) {
        let (first, second) = out.split_at_mut(8 * T);
        let out = first.as_chunks_mut().0.iter_mut().zip(second.as_chunks_mut().0);
        for (word, (first, second)) in x[..8].as_flattened().as_chunks().0.iter().zip(out) {
            let wide = widen(load_words(word));
            store_words(first, wide[0]);
            store_words(second, wide[1]);
        }
    }
    bytemuck::cast_slice(out)
}

/// Writes the products that `add` adds to totals of 8 rows a half and `T` tokens; neighbours are the
/// halves of a panel.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn write<const P: usize, const T: usize>(
    part: Part<'_>,
    tile: Tile,
    out: &mut Columns<'_>,
    add: impl FnOnce(&mut [[__m256; T]; P]),
) {
    let columns = |i: usize, all: usize| {
        let start = part.column + i / 2 * part.apart + i % 2 * ROWS;
        all.min(start)..all.min(start + ROWS)
    };
    let mut totals = [[_mm256_setzero_ps(); T]; P];
    if part.start > 0 {
        for t in 0..tile.tokens {
            let (token, second) = part.x.target(tile.start + t);
            if !second {
                let out = out.row(token);
                for (i, total) in totals.iter_mut().enumerate() {
                    total[t] = load_lanes(&out[columns(i, out.len())]);
                }
            }
        }
    }
    add(&mut totals);
    for t in 0..tile.tokens {
        let (token, second) = part.x.target(tile.start + t);
        let out = out.row(token);
        for (p, [low, high]) in totals.as_chunks::<2>().0.iter().enumerate() {
            write_panel(out, part.column + p * part.apart, second, [low[t], high[t]]);
        }
    }
}

/// Decodes `values` of each row, a step at a time into `steps`, and interleaves them as half a panel.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn unpack<
    const VNNI: bool,
    const GROUP: usize,
    const HAS_MIN: bool,
    const BIAS: u8,
    const CENTER: u8,
>(
    weights: WeightRows<'_>,
    rows: [&[u8]; ROWS],
    values: usize,
    half: usize,
    mut lines: LinesMut<'_>,
    steps: &mut [Step; ROWS],
    decode: impl Fn(&[u8]) -> Step + Copy,
) {
    let above = _mm256_set1_ps(f32::from(CENTER) - f32::from(BIAS));
    let cut = _mm256_set1_epi8(if signed(VNNI, BIAS) { -128 } else { 0 });
    for s in 0..values.div_ceil(STEP) {
        // One by one into their places: `map` copies all 3 KiB once more.
        for (step, row) in steps.iter_mut().zip(rows) {
            *step = weights.last_step(&row[s * weights.step_bytes..], decode);
        }
        for part in 0..8 {
            let q = transpose(steps.each_ref().map(|step| _mm256_xor_si256(step.q[part], cut)));
            for (k, q) in q.into_iter().enumerate() {
                lines.set::<VNNI, CENTER>(s * 64 + part * 8 + k, half, q);
            }
        }
        let groups = STEP / GROUP;
        for eight in 0..groups / 8 {
            let at = s * groups + eight * 8;
            let scale = steps.each_ref().map(|step| _mm256_castps_si256(step.scale[eight]));
            let scale = transpose(scale);
            for (out, scale) in lines.scale[at..][..8].iter_mut().zip(scale) {
                store_words(&mut out[half], scale);
            }
            if HAS_MIN {
                let min = steps.each_ref().map(|step| match CENTER == BIAS {
                    true => step.min[eight],
                    false => _mm256_fmadd_ps(step.scale[eight], above, step.min[eight]),
                });
                let min = transpose(min.map(|min| _mm256_castps_si256(min)));
                for (out, min) in lines.min[at..][..8].iter_mut().zip(min) {
                    store_words(&mut out[half], min);
                }
            }
        }
    }
}

/// Adds `sum_g xs[g] * (scale[g] * (q[g] . xq[g]) + min[g] * sum(xq[g]))` of 16 rows and `T` tokens,
/// in the order of the groups.
#[inline(never)]
#[target_feature(enable = "avx2,fma,f16c")]
fn products<
    const VNNI: bool,
    const T: usize,
    const GROUP: usize,
    const HAS_MIN: bool,
    const BIAS: u8,
>(
    lines: &LinesMut<'_>,
    Operands { x, wide }: Operands<'_, T>,
    totals: &mut [[__m256; T]; 2],
) {
    let halves = X_GROUP / GROUP;
    let words = match VNNI {
        false => words(VNNI, BIAS),
        // A constant to us but not to the compiler, which would unroll the loop over it and keep
        // weights in memory to finish one token after the other.
        true => lines.q.len() * halves / lines.scale.len().max(1),
    };
    const { assert!(BIAS <= 16 || BIAS == 128 || BIAS == SYMMETRIC || GROUP == 16) };
    const { assert!(!VNNI || BIAS != SYMMETRIC) };
    const { assert!((GROUP / 4).is_multiple_of(UNROLL) && (GROUP / 4).is_multiple_of(WORDS)) };
    let q = lines.q.chunks_exact(words);
    let scale = lines.scale.chunks_exact(halves);
    let min = lines.min.chunks_exact(halves);
    for (g, (((x, q), scale), min)) in x.iter().zip(q).zip(scale).zip(min).enumerate() {
        let wide = if signed(VNNI, BIAS) { &wide[g][..] } else { &[] };
        let group = Group { q, x, wide, scale, min };
        add_group::<VNNI, T, GROUP, HAS_MIN, BIAS, 0>(group, totals);
        if const { GROUP < X_GROUP } {
            add_group::<VNNI, T, GROUP, HAS_MIN, BIAS, 1>(group, totals);
        }
    }
}

/// 32 values of 16 rows and `T` tokens, with scales and minima of their halves or of all.
#[derive(Clone, Copy)]
struct Group<'a, const T: usize> {
    q: &'a [Pair],
    x: &'a Record<T>,
    /// As [`Operands::wide`].
    wide: &'a [[u32; T]],
    scale: &'a [Pair],
    min: &'a [Pair],
}

/// Adds the products of the values that share a scale: half `HALF`, or all.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn add_group<
    const VNNI: bool,
    const T: usize,
    const GROUP: usize,
    const HAS_MIN: bool,
    const BIAS: u8,
    const HALF: usize,
>(
    Group { q, x, wide, scale, min }: Group<'_, T>,
    totals: &mut [[__m256; T]; 2],
) {
    let (scale, min) = (&scale[HALF], &min[HALF]);
    let mut sum = [starts::<VNNI, BIAS, T>(&x[tile::negative_sum(GROUP, HALF)]); 2];
    if VNNI {
        let count = q.len() * GROUP / X_GROUP;
        let of = HALF * count..(HALF + 1) * count;
        for (x, q) in x[of.clone()].as_chunks().0.iter().zip(q[of].as_chunks().0) {
            let (x, q): (&[[u32; T]; UNROLL], &[Pair; UNROLL]) = (x, q);
            for i in 0..UNROLL {
                let q = [load_words(&q[i][0]), load_words(&q[i][1])];
                for t in 0..T {
                    let x = broadcast(x[i][t]);
                    for p in 0..2 {
                        sum[p][t] = dot::<VNNI, BIAS>(sum[p][t], q[p], x);
                    }
                }
            }
        }
    } else if signed(VNNI, BIAS) {
        // Of a half of the values every second run of words, the first two of each four and the others.
        let (first, step) = if GROUP == X_GROUP { (0, 1) } else { (HALF, 2) };
        let (q, x) = (q.as_chunks().0, wide.as_chunks().0);
        start_shorts(&mut sum, &q[first], &x[first]);
        for i in (first + step..4).step_by(step) {
            add_shorts(&mut sum, &q[i], &x[i]);
        }
    } else {
        let count = GROUP / 4 / WORDS;
        let q: &[[Pair; WORDS]; 2] = q.as_chunks().0.first_chunk().expect("8 words");
        let x = x[..8].as_chunks().0;
        for i in HALF * count..(HALF + 1) * count {
            match BIAS == 0 && i == HALF * count {
                true => start_bytes(&mut sum, &q[i], &x[i]),
                false => add_bytes(&mut sum, &q[i], &x[i]),
            }
        }
        for sum in sum.as_flattened_mut() {
            *sum = _mm256_madd_epi16(*sum, _mm256_set1_epi16(1));
        }
    }
    let scaled = tile::scaled_sum(GROUP, HALF);
    for t in 0..T {
        let word = |row: usize| _mm256_castsi256_ps(broadcast(x[row][t]));
        for p in 0..2 {
            let scale = _mm256_castsi256_ps(load_words(&scale[p]));
            let scale = _mm256_mul_ps(scale, word(tile::SCALE));
            let total = &mut totals[p][t];
            let sum = _mm256_cvtepi32_ps(sum[p][t]);
            match HAS_MIN {
                false => add_scaled(total, sum, scale),
                true => {
                    let min = _mm256_castsi256_ps(load_words(&min[p]));
                    add_scaled_and_min(total, sum, scale, min, word(scaled));
                }
            }
        }
    }
}

/// What sums of products start from, where `negative` are what the activations lack to zero.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn starts<const VNNI: bool, const BIAS: u8, const T: usize>(
    negative: &[u32; T],
) -> [__m256i; T] {
    let mut starts = [_mm256_setzero_si256(); T];
    if BIAS != 0 && !signed(VNNI, BIAS) {
        let shift = _mm_cvtsi32_si128(BIAS.trailing_zeros() as i32);
        for t in 0..T {
            let negative = broadcast(negative[t]);
            starts[t] = match short(VNNI, BIAS) {
                true => _mm256_sll_epi16(negative, shift),
                false => _mm256_sll_epi32(negative, shift),
            };
        }
    }
    starts
}
