//! Products of two tokens' bytes with two weight rows', four sums to a register.
//!
//! `smmla` multiplies 2x8 by 8x2 bytes: twice the products of `sdot`, and no activation is broadcast.
#![expect(unsafe_code, reason = "`smmla` is a feature that the callers' instruction set lacks")]

use std::arch::aarch64::*;
use std::arch::asm;

use super::load::load_words;
use super::matmat::{Panel, ROWS};
use crate::activations::GROUP as X_GROUP;
use crate::tile::{self, Record};

/// Words of four bytes that lie side by side: eight consecutive values of a token or weight row.
pub(super) const RUN: usize = 2;

/// As the mat-mat kernel's `products`, of 8 rows and `T` tokens, which are whole pairs.
///
/// Tile `[t][i]` is of tokens `t & !1` and the next, and of weight rows `4 * (t & 1) + 2 * i` and the
/// next; its lanes are both rows of the first token, then of the second.
#[inline(never)]
#[target_feature(enable = "neon")]
pub(super) fn products<const T: usize, const GROUP: usize, const HAS_MIN: bool>(
    panel: &Panel<'_>,
    x: &[Record<T>],
) -> [[float32x4_t; 2]; T] {
    let halves = X_GROUP / GROUP;
    let mut total = [[vdupq_n_f32(0.0); 2]; T];
    let q = panel.q.as_chunks::<{ X_GROUP / 4 }>().0;
    let scale = panel.scale.chunks_exact(halves);
    let min = panel.min.chunks_exact(halves);
    for (((x, q), scale), min) in x.iter().zip(q).zip(scale).zip(min) {
        let q = q.as_chunks::<RUN>().0;
        let runs = x.as_chunks::<RUN>().0;
        for half in 0..halves {
            let mut sum = [[vdupq_n_s32(0); 2]; T];
            for k in half * (GROUP / 8)..(half + 1) * (GROUP / 8) {
                let q: [_; ROWS / 2] = std::array::from_fn(|pair| run_pair(&q[k], pair));
                for t in 0..T {
                    let x = run_pair(&runs[k], t / 2);
                    sum[t] = [0, 1].map(|i| smmla(sum[t][i], x, q[2 * (t % 2) + i]));
                }
            }
            let scale = row_pairs(&scale[half]);
            let min = row_pairs(&min[half]);
            for t in 0..T {
                let xs = token_pair(&x[tile::SCALE], t / 2);
                let x_sum = token_pair(&x[tile::scaled_sum(GROUP, half)], t / 2);
                for i in 0..2 {
                    let rows = 2 * (t % 2) + i;
                    let scaled = vmulq_f32(scale[rows], xs);
                    total[t][i] = vfmaq_f32(total[t][i], vcvtq_f32_s32(sum[t][i]), scaled);
                    if HAS_MIN {
                        total[t][i] = vfmaq_f32(total[t][i], min[rows], x_sum);
                    }
                }
            }
        }
    }
    by_token(total)
}

/// Two neighbours' eight values each.
#[inline]
#[target_feature(enable = "neon")]
fn run_pair<const LANES: usize>(runs: &[[u32; LANES]; RUN], pair: usize) -> int8x16_t {
    vreinterpretq_s8_u32(load_words(&runs.as_flattened().as_chunks::<4>().0[pair]))
}

/// A number of each weight row, pair by pair, as the tiles' lanes want them: both, and again.
#[inline]
#[target_feature(enable = "neon")]
fn row_pairs(words: &[u32; ROWS]) -> [float32x4_t; ROWS / 2] {
    std::array::from_fn(|pair| {
        let words = vreinterpretq_f64_u32(load_words(&words.as_chunks::<4>().0[pair / 2]));
        let twice = if pair % 2 == 0 { vtrn1q_f64(words, words) } else { vtrn2q_f64(words, words) };
        vreinterpretq_f32_f64(twice)
    })
}

/// A number of each token of a pair, as the tiles' lanes want them: each one twice.
#[inline]
#[target_feature(enable = "neon")]
fn token_pair<const T: usize>(words: &[u32; T], pair: usize) -> float32x4_t {
    let [first, second] = words.as_chunks::<2>().0[pair].map(f32::from_bits);
    vcombine_f32(vdup_n_f32(first), vdup_n_f32(second))
}

/// The tiles' lanes as 8 rows of each token.
#[inline]
#[target_feature(enable = "neon")]
fn by_token<const T: usize>(mut total: [[float32x4_t; 2]; T]) -> [[float32x4_t; 2]; T] {
    for [low, high] in total.as_chunks_mut::<2>().0 {
        let [a, b, c, d] = [low[0], low[1], high[0], high[1]].map(|x| vreinterpretq_f64_f32(x));
        *low = [vtrn1q_f64(a, b), vtrn1q_f64(c, d)].map(|x| vreinterpretq_f32_f64(x));
        *high = [vtrn2q_f64(a, b), vtrn2q_f64(c, d)].map(|x| vreinterpretq_f32_f64(x));
    }
    total
}

/// `sum + x . q` in lanes: `x`'s first eight bytes by `q`'s first and by its second eight, then
/// `x`'s second eight by the same.
#[inline]
#[target_feature(enable = "neon")]
fn smmla(sum: int32x4_t, x: int8x16_t, q: int8x16_t) -> int32x4_t {
    let mut out = sum;
    // SAFETY: reads and writes only these registers; only the row that detects `smmla` has runs of
    // two words, which `products` is for.
    unsafe {
        asm!(
            ".arch_extension i8mm",
            "smmla {0:v}.4s, {1:v}.16b, {2:v}.16b",
            inout(vreg) out, in(vreg) x, in(vreg) q,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    out
}
