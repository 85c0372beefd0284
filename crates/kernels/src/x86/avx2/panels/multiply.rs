//! Panels by a tile of few tokens, words straight from the panels' own bytes.

use std::arch::x86_64::*;

use crate::Columns;
use crate::activations::GROUP as X_GROUP;
use crate::tile::{self, Record, with_width};
use crate::x86::avx2::dot::{
    SYMMETRIC, add_pairs, add_words, dot, pairs, pairs_of_symmetric, short,
};
use crate::x86::avx2::load::broadcast;
use crate::x86::avx2::matmat::{Part, starts, write};
use crate::x86::avx2::tiling;

/// The products of `count` panels with all activations.
///
/// `word(i, g, k)` is word `k` of group `g` (of 32) of half `i` (two to a panel), as [`dot`] takes it;
/// `scales(i, g)` are scale and minimum of group `g` (of `GROUP`); `ahead(p, g)` asks for what follows
/// group `g` of a panel.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn sweep<const VNNI: bool, const GROUP: usize, const HAS_MIN: bool, const BIAS: u8>(
    count: usize,
    part: Part<'_>,
    out: &mut Columns<'_>,
    word: impl Fn(usize, usize, usize) -> __m256i + Copy,
    scales: impl Fn(usize, usize) -> (__m256, __m256) + Copy,
    ahead: impl Fn(usize, usize) + Copy,
) {
    for (tile, words) in part.x.tiles(tiling(VNNI)) {
        with_width!(tile.width, [1 2 3 4 6], T => {
            let x: &[Record<T>] = bytemuck::cast_slice(words);
            match count {
                4 if VNNI => write(part, tile, out, |totals: &mut [[__m256; T]; 8]| {
                    products::<VNNI, T, GROUP, HAS_MIN, BIAS>(x, totals, word, scales, ahead);
                }),
                2 if !VNNI => write(part, tile, out, |totals: &mut [[__m256; T]; 4]| {
                    products::<VNNI, T, GROUP, HAS_MIN, BIAS>(x, totals, word, scales, ahead);
                }),
                1 => write(part, tile, out, |totals: &mut [[__m256; T]; 2]| {
                    products::<VNNI, T, GROUP, HAS_MIN, BIAS>(x, totals, word, scales, ahead);
                }),
                _ => unreachable!("`{count}` panels by turns"),
            }
        });
    }
}

/// Adds `sum_g xs[g] * (scale[g] * (q[g] . xq[g]) + min[g] * sum(xq[g]))` to the totals of 8 rows a
/// half and `T` tokens, in the order of the groups however many panels there are. Both halves of a
/// panel share each activation.
#[inline(never)]
#[target_feature(enable = "avx2,fma,f16c")]
fn products<
    const VNNI: bool,
    const T: usize,
    const GROUP: usize,
    const HAS_MIN: bool,
    const BIAS: u8,
>(
    x: &[Record<T>],
    totals: &mut [[__m256; T]],
    word: impl Fn(usize, usize, usize) -> __m256i + Copy,
    scales: impl Fn(usize, usize) -> (__m256, __m256) + Copy,
    ahead: impl Fn(usize, usize) + Copy,
) {
    const { assert!(!VNNI || BIAS != SYMMETRIC) };
    let halves = X_GROUP / GROUP;
    for (g, x) in x.iter().enumerate() {
        for (p, totals) in totals.as_chunks_mut::<2>().0.iter_mut().enumerate() {
            ahead(p, g);
            let word = |h: usize, k: usize| word(2 * p + h, g, k);
            let scales = |h: usize, half: usize| scales(2 * p + h, g * halves + half);
            group::<VNNI, T, GROUP, HAS_MIN, BIAS, 0>(x, totals, word, scales);
            if const { GROUP < X_GROUP } {
                group::<VNNI, T, GROUP, HAS_MIN, BIAS, 1>(x, totals, word, scales);
            }
        }
    }
}

/// Adds the products of group `HALF` of a record.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn group<
    const VNNI: bool,
    const T: usize,
    const GROUP: usize,
    const HAS_MIN: bool,
    const BIAS: u8,
    const HALF: usize,
>(
    x: &Record<T>,
    totals: &mut [[__m256; T]; 2],
    word: impl Fn(usize, usize) -> __m256i,
    scales: impl Fn(usize, usize) -> (__m256, __m256),
) {
    let mut sum = [starts::<VNNI, BIAS, T>(&x[tile::negative_sum(GROUP, HALF)]); 2];
    each_word!(k => if k / (GROUP / 4) == HALF {
        let words = [word(0, k), word(1, k)];
        for t in 0..T {
            let x = broadcast(x[k][t]);
            let magnitude = _mm256_abs_epi8(x);
            for h in 0..2 {
                sum[h][t] = if const { short(VNNI, BIAS) } {
                    add_pairs(sum[h][t], pairs::<BIAS>(words[h], x))
                } else if const { BIAS == SYMMETRIC } {
                    let pairs = pairs_of_symmetric(words[h], x, magnitude);
                    add_words(sum[h][t], _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
                } else {
                    dot::<VNNI, BIAS>(sum[h][t], words[h], x)
                };
            }
        }
    });
    if const { short(VNNI, BIAS) } {
        for sum in sum.as_flattened_mut() {
            *sum = _mm256_madd_epi16(*sum, _mm256_set1_epi16(1));
        }
    }
    for h in 0..2 {
        let (scale, min) = scales(h, HALF);
        for t in 0..T {
            let float = |row: usize| _mm256_castsi256_ps(broadcast(x[row][t]));
            let scale = _mm256_mul_ps(scale, float(tile::SCALE));
            let mut total = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum[h][t]), scale, totals[h][t]);
            if HAS_MIN {
                total = _mm256_fmadd_ps(min, float(tile::scaled_sum(GROUP, HALF)), total);
            }
            totals[h][t] = total;
        }
    }
}
