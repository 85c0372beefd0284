//! Halves of panels by a tile of few tokens, words straight from the panels' own bytes.

use std::arch::x86_64::*;

use super::STREAMS;
use crate::Columns;
use crate::activations::GROUP as X_GROUP;
use crate::tile::{self, Record, with_width};
use crate::x86::avx2::TILING;
use crate::x86::avx2::dot::{dot, pairs};
use crate::x86::avx2::load::broadcast;
use crate::x86::avx2::matmat::{Part, starts, write};

/// The products of `count` panels with all activations.
///
/// `word(i, g, k)` is word `k` of group `g` (of 32) of half `i` (two to a panel), as [`dot`] takes it;
/// `scales(i, g)` are scale and minimum of group `g` (of `GROUP`); `ahead(p, g)` asks for what follows
/// group `g` of a panel.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn sweep<
    const VNNI: bool,
    const GROUP: usize,
    const HAS_MIN: bool,
    const BIAS: u8,
    const ADDS: usize,
>(
    count: usize,
    part: Part<'_>,
    out: &mut Columns<'_>,
    word: impl Fn(usize, usize, usize) -> __m256i + Copy,
    scales: impl Fn(usize, usize) -> (__m256, __m256) + Copy,
    ahead: impl Fn(usize, usize) + Copy,
) {
    for (tile, words) in part.x.tiles(TILING) {
        if count == STREAMS {
            write(part, tile, out, |totals: &mut [[__m256; 1]; 2 * STREAMS]| {
                let x: &[Record<1>] = bytemuck::cast_slice(words);
                products::<VNNI, { 2 * STREAMS }, 1, GROUP, HAS_MIN, BIAS, ADDS>(
                    x, totals, word, scales, ahead,
                );
            });
        } else if tile.width <= 3 {
            // Both halves share each activation; more tokens would not fit the registers.
            with_width!(tile.width, [1 2 3], T => {
                write(part, tile, out, |totals: &mut [[__m256; T]; 2]| {
                    let x: &[Record<T>] = bytemuck::cast_slice(words);
                    products::<VNNI, 2, T, GROUP, HAS_MIN, BIAS, ADDS>(
                        x, totals, word, scales, ahead,
                    );
                });
            });
        } else {
            for h in 0..2 {
                let word = |_, g: usize, k: usize| word(h, g, k);
                let scales = |_, g: usize| scales(h, g);
                let part = Part { column: part.column + 8 * h, ..part };
                with_width!(tile.width, [4 6], T => {
                    write(part, tile, out, |totals: &mut [[__m256; T]; 1]| {
                        let x: &[Record<T>] = bytemuck::cast_slice(words);
                        products::<VNNI, 1, T, GROUP, HAS_MIN, BIAS, ADDS>(
                            x, totals, word, scales, ahead,
                        );
                    });
                });
            }
        }
    }
}

/// Adds `sum_g xs[g] * (scale[g] * (q[g] . xq[g]) + min[g] * sum(xq[g]))` to the totals of 8 rows a
/// half and `T` tokens, in the order of the groups whatever `P` and `T` are.
#[expect(clippy::needless_range_loop, reason = "one index walks several sets of registers")]
#[inline(never)]
#[target_feature(enable = "avx2,fma,f16c")]
fn products<
    const VNNI: bool,
    const P: usize,
    const T: usize,
    const GROUP: usize,
    const HAS_MIN: bool,
    const BIAS: u8,
    const ADDS: usize,
>(
    x: &[Record<T>],
    totals: &mut [[__m256; T]; P],
    word: impl Fn(usize, usize, usize) -> __m256i + Copy,
    scales: impl Fn(usize, usize) -> (__m256, __m256) + Copy,
    ahead: impl Fn(usize, usize) + Copy,
) {
    let halves = X_GROUP / GROUP;
    let mut total = *totals;
    for (g, x) in x.iter().enumerate() {
        if T == 1 {
            (0..P / 2).for_each(|p| ahead(p, g));
        }
        for half in 0..halves {
            let mut sum = [starts::<VNNI, BIAS, T>(&x[tile::negative_sum(GROUP, half)]); P];
            let whole = half * (GROUP / 4)..(half + 1) * (GROUP / 4);
            if VNNI || ADDS == 1 {
                for k in whole {
                    for p in 0..P {
                        let word = word(p, g, k);
                        for t in 0..T {
                            sum[p][t] = dot::<VNNI, BIAS>(sum[p][t], word, broadcast(x[k][t]));
                        }
                    }
                }
            } else {
                let ones = _mm256_set1_epi16(1);
                for first in whole.step_by(ADDS) {
                    let mut short = [[_mm256_setzero_si256(); T]; P];
                    for k in first..first + ADDS.min(GROUP / 4) {
                        for p in 0..P {
                            let word = word(p, g, k);
                            for t in 0..T {
                                let pairs = pairs::<BIAS>(word, broadcast(x[k][t]));
                                short[p][t] = _mm256_add_epi16(short[p][t], pairs);
                            }
                        }
                    }
                    for p in 0..P {
                        for t in 0..T {
                            let wide = _mm256_madd_epi16(short[p][t], ones);
                            sum[p][t] = _mm256_add_epi32(sum[p][t], wide);
                        }
                    }
                }
            }
            for p in 0..P {
                let (scale, min) = scales(p, g * halves + half);
                for t in 0..T {
                    let float = |row: usize| _mm256_castsi256_ps(broadcast(x[row][t]));
                    let scale = _mm256_mul_ps(scale, float(tile::SCALE));
                    let sum = _mm256_cvtepi32_ps(sum[p][t]);
                    total[p][t] = _mm256_fmadd_ps(sum, scale, total[p][t]);
                    if HAS_MIN {
                        let sum = float(tile::scaled_sum(GROUP, half));
                        total[p][t] = _mm256_fmadd_ps(min, sum, total[p][t]);
                    }
                }
            }
        }
    }
    *totals = total;
}
