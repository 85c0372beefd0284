//! A panel by a tile of few tokens, words straight from the panel's own bytes.

use std::arch::aarch64::*;

use crate::Columns;
use crate::activations::GROUP as X_GROUP;
use crate::neon::dot::dot;
use crate::neon::load::to_array;
use crate::neon::matmat::Part;
use crate::neon::tiling;
use crate::tile::{self, Record, Tile, with_width};

/// The products of a panel with all activations.
///
/// `word(i, g, k)` is word `k` of group `g` (of 32) of quarter `i`, `BIAS` above the weights;
/// `scales(i, g)` are scale and minimum of group `g` (of `GROUP`).
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn sweep<
    const DOTPROD: bool,
    const RUN: usize,
    const GROUP: usize,
    const HAS_MIN: bool,
    const BIAS: u8,
>(
    part: Part<'_>,
    out: &mut Columns<'_>,
    word: impl Fn(usize, usize, usize) -> int8x16_t + Copy,
    scales: impl Fn(usize, usize) -> (float32x4_t, float32x4_t) + Copy,
) {
    for (tile, words) in part.x.tiles(tiling(RUN)) {
        if tile.width <= 3 {
            // All quarters share each activation; with more tokens they would not fit the registers.
            with_width!(tile.width, [1 2 3], T => {
                let x: &[Record<T>] = bytemuck::cast_slice(words);
                let totals =
                    products::<DOTPROD, 4, T, GROUP, HAS_MIN, BIAS>(x, word, scales);
                write(part, tile, out, 0, &totals);
            });
        } else {
            for h in 0..2 {
                let word = |i: usize, g: usize, k: usize| word(2 * h + i, g, k);
                let scales = |i: usize, g: usize| scales(2 * h + i, g);
                with_width!(tile.width, [4 6], T => {
                    let x: &[Record<T>] = bytemuck::cast_slice(words);
                    let totals =
                        products::<DOTPROD, 2, T, GROUP, HAS_MIN, BIAS>(x, word, scales);
                    write(part, tile, out, 8 * h, &totals);
                });
            }
        }
    }
}

/// Writes totals of 4 rows a quarter, from column `first` of the panel on.
#[inline]
#[target_feature(enable = "neon")]
fn write<const P: usize, const T: usize>(
    part: Part<'_>,
    tile: Tile,
    out: &mut Columns<'_>,
    first: usize,
    totals: &[[float32x4_t; T]; P],
) {
    for t in 0..tile.tokens {
        let (token, second) = part.x.target(tile.start + t);
        let out = out.row(token);
        let start = out.len().min(part.column + first);
        for (out, total) in out[start..].chunks_mut(4).zip(totals) {
            for (out, total) in out.iter_mut().zip(to_array(total[t])) {
                *out = if second { *out + total } else { total };
            }
        }
    }
}

/// `sum_g xs[g] * (scale[g] * (q[g] . xq[g]) + min[g] * sum(xq[g]))` of 4 rows a quarter and `T`
/// tokens, in the order of the groups whatever `P` and `T` are.
#[expect(clippy::needless_range_loop, reason = "one index walks several sets of registers")]
#[inline(never)]
#[target_feature(enable = "neon")]
fn products<
    const DOTPROD: bool,
    const P: usize,
    const T: usize,
    const GROUP: usize,
    const HAS_MIN: bool,
    const BIAS: u8,
>(
    x: &[Record<T>],
    word: impl Fn(usize, usize, usize) -> int8x16_t + Copy,
    scales: impl Fn(usize, usize) -> (float32x4_t, float32x4_t) + Copy,
) -> [[float32x4_t; T]; P] {
    let halves = X_GROUP / GROUP;
    let mut total = [[vdupq_n_f32(0.0); T]; P];
    for (g, x) in x.iter().enumerate() {
        for half in 0..halves {
            let mut sum = [[vdupq_n_s32(0); T]; P];
            if BIAS > 0 {
                let negative = &x[tile::negative_sum(GROUP, half)];
                for t in 0..T {
                    let start = (negative[t] as i32).wrapping_mul(i32::from(BIAS));
                    for sum in &mut sum {
                        sum[t] = vdupq_n_s32(start);
                    }
                }
            }
            for k in half * (GROUP / 4)..(half + 1) * (GROUP / 4) {
                for p in 0..P {
                    let word = word(p, g, k);
                    for t in 0..T {
                        let x = vreinterpretq_s8_u32(vdupq_n_u32(x[k][t]));
                        sum[p][t] = dot::<DOTPROD>(sum[p][t], word, x);
                    }
                }
            }
            for p in 0..P {
                let (scale, min) = scales(p, g * halves + half);
                for t in 0..T {
                    let scaled = vmulq_n_f32(scale, f32::from_bits(x[tile::SCALE][t]));
                    total[p][t] = vfmaq_f32(total[p][t], vcvtq_f32_s32(sum[p][t]), scaled);
                    if HAS_MIN {
                        let sum = f32::from_bits(x[tile::scaled_sum(GROUP, half)][t]);
                        total[p][t] = vfmaq_n_f32(total[p][t], min, sum);
                    }
                }
            }
        }
    }
    total
}
