//! Panels by a tile of few tokens, words straight from the panels' own bytes.

use std::arch::x86_64::*;

use super::{FEW, STREAMS};
use crate::Columns;
use crate::activations::GROUP as X_GROUP;
use crate::tile::{self, Record, with_width};
use crate::x86::avx512::TILING;
use crate::x86::avx512::load::broadcast;
use crate::x86::avx512::matmat::{PANELS, Part, biased, word as float, write};

/// The products of `count` panels with all activations.
///
/// `word(p, g, k)` is word `k` of group `g` (of 32) of a panel, unsigned, `BIAS` above the weights;
/// `scales(p, i)` are scale and minimum of group `i` (of `GROUP`);
/// `ahead(p, g)` asks for what follows group `g`.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
pub(super) fn sweep<const GROUP: usize, const HAS_MIN: bool, const BIAS: u8>(
    count: usize,
    part: Part<'_>,
    out: &mut Columns<'_>,
    word: impl Fn(usize, usize, usize) -> __m512i + Copy,
    scales: impl Fn(usize, usize) -> (__m512, __m512) + Copy,
    ahead: impl Fn(usize, usize) + Copy,
) {
    for (tile, words) in part.x.tiles(TILING) {
        let few = tile.width <= FEW;
        match (count, few) {
            (STREAMS, true) => with_width!(tile.width, [1 2], T => {
                write(part, tile, out, |totals: &mut [[__m512; T]; STREAMS]| {
                    let x: &[Record<T>] = bytemuck::cast_slice(words);
                    products::<STREAMS, T, GROUP, HAS_MIN, BIAS>(x, totals, word, scales, ahead);
                });
            }),
            (1, _) => with_width!(tile.width, [1 2 3 4 6], T => {
                write(part, tile, out, |totals: &mut [[__m512; T]; 1]| {
                    let x: &[Record<T>] = bytemuck::cast_slice(words);
                    products::<1, T, GROUP, HAS_MIN, BIAS>(x, totals, word, scales, ahead);
                });
            }),
            _ => with_width!(tile.width, [1 2 3 4 6], T => {
                write(part, tile, out, |totals: &mut [[__m512; T]; PANELS]| {
                    let x: &[Record<T>] = bytemuck::cast_slice(words);
                    products::<PANELS, T, GROUP, HAS_MIN, BIAS>(x, totals, word, scales, ahead);
                });
            }),
        }
    }
}

/// Adds `sum_g xs[g] * (scale[g] * (q[g] . xq[g]) + min[g] * sum(xq[g]))` to the totals of 16 rows
/// a panel and `T` tokens, in the order of the groups whatever `P` and `T` are.
#[expect(clippy::needless_range_loop, reason = "one index walks several sets of registers")]
#[inline(never)]
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
fn products<
    const P: usize,
    const T: usize,
    const GROUP: usize,
    const HAS_MIN: bool,
    const BIAS: u8,
>(
    x: &[Record<T>],
    totals: &mut [[__m512; T]; P],
    word: impl Fn(usize, usize, usize) -> __m512i + Copy,
    scales: impl Fn(usize, usize) -> (__m512, __m512) + Copy,
    ahead: impl Fn(usize, usize) + Copy,
) {
    let halves = X_GROUP / GROUP;
    let mut total = *totals;
    for (g, x) in x.iter().enumerate() {
        if T <= FEW {
            (0..P).for_each(|p| ahead(p, g));
        }
        for half in 0..halves {
            let start = &x[tile::negative_sum(GROUP, half)];
            let mut sum = [[_mm512_setzero_si512(); T]; P];
            for t in 0..T {
                let start = biased::<BIAS>(start[t]);
                for sum in &mut sum {
                    sum[t] = start;
                }
            }
            for k in half * (GROUP / 4)..(half + 1) * (GROUP / 4) {
                let mut words = [_mm512_setzero_si512(); P];
                for p in 0..P {
                    words[p] = word(p, g, k);
                }
                for t in 0..T {
                    let x = broadcast(x[k][t]);
                    for p in 0..P {
                        sum[p][t] = _mm512_dpbusd_epi32(sum[p][t], words[p], x);
                    }
                }
            }
            for p in 0..P {
                let (scale, min) = scales(p, g * halves + half);
                for t in 0..T {
                    let scale = _mm512_mul_ps(scale, float(x[tile::SCALE][t]));
                    total[p][t] =
                        _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum[p][t]), scale, total[p][t]);
                }
                if HAS_MIN {
                    for t in 0..T {
                        let sum = float(x[tile::scaled_sum(GROUP, half)][t]);
                        total[p][t] = _mm512_fmadd_ps(min, sum, total[p][t]);
                    }
                }
            }
        }
    }
    *totals = total;
}
