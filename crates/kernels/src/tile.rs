//! Activations packed for the mat-mat kernels: a few tokens interleaved, so that a kernel walks
//! one stream and finds every operand at a constant distance.

use crate::activations::{GROUP, Rows, SUM_GROUP};

/// What one group of 32 values of `T` tokens is packed to, each row holding one word per token:
/// rows 0..8 four `i8` each, in the order of the row's [`Tiling`]; then the scale; what the sum of
/// the group, of its first half and of its second lack to zero, as its [`Lack`]; scale times these
/// sums.
pub(crate) type Record<const T: usize> = [[u32; T]; RECORD];

/// Words per token and group of 32.
pub(crate) const RECORD: usize = 15;
pub(crate) const SCALE: usize = 8;
const NEGATIVE: usize = 9;
const SUM: usize = 12;

/// The row of a [`Record`] that holds what each token's sum of 32 values, or of a half's 16, lacks
/// to zero, as its [`Lack`]: times what unsigned weights exceed the signed ones by, it is what a sum
/// of products starts from.
pub(crate) const fn negative_sum(group: usize, half: usize) -> usize {
    if group == GROUP { NEGATIVE } else { NEGATIVE + 1 + half }
}

/// The row that holds the scale times each token's sum of 32 values, or of a half's 16.
pub(crate) const fn scaled_sum(group: usize, half: usize) -> usize {
    if group == GROUP { SUM } else { SUM + 1 + half }
}

/// How a row of kernels wants activations packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tiling {
    /// Tokens that one call of a micro-kernel computes, rising, where one call does all.
    pub(crate) few: &'static [usize],
    /// Words of a token's `i8` that lie side by side, as the kernel's instruction takes them, then
    /// the next token's: with 1, a row of a record holds a word of every token; with 2, two rows
    /// hold two of each.
    pub(crate) run: usize,
    /// What sums of products start from.
    pub(crate) lack: Lack,
}

/// How what sums lack to zero is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lack {
    /// An `i32`: of all values.
    Sum,
    /// Two `i16`: of the first and second values of all words, and of the others.
    #[cfg_attr(
        not(target_arch = "x86_64"),
        expect(dead_code, reason = "AVX2 alone adds in 16 bits")
    )]
    Pairs,
}

/// Consecutive tokens that one call of a micro-kernel computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tile {
    /// The first token.
    pub(crate) start: usize,
    /// How many tokens of it are real.
    pub(crate) tokens: usize,
    /// How many the kernel computes: one of the widths.
    pub(crate) width: usize,
}

/// Widths of the tiles of int8 activations: with 6, the sums and operands of two registers of weights
/// fill 16 registers, or with the totals 32.
pub(crate) const WIDTHS: [usize; 3] = [2, 4, 6];

/// Cuts `tokens` into tiles of three widths, which rise, or into one of `few`; the last tile may be
/// padded.
pub(crate) fn tiles(
    tokens: usize,
    few: &'static [usize],
    [narrow, middle, wide]: [usize; 3],
) -> impl Iterator<Item = Tile> + Clone {
    let one = few.iter().copied().find(|&width| tokens <= width);
    let mut start = 0;
    std::iter::from_fn(move || {
        let left = tokens - start;
        let width = match left {
            0 => return None,
            _ if one.is_some() => one?,
            _ if left <= narrow => narrow,
            // Two middle tiles waste less than a wide and a narrow one.
            _ if left <= middle || (left > wide && left <= 2 * middle) => middle,
            _ => wide,
        };
        let tile = Tile { start, tokens: left.min(width), width };
        start += tile.tokens;
        Some(tile)
    })
}

/// Calls `$body` with `$T` bound to the width of a tile, one of those listed.
macro_rules! with_width {
    ($width:expr, [$($each:literal)+], $T:ident => $body:expr) => {
        match $width {
            $($each => { const $T: usize = $each; $body })+
            other => unreachable!("tiles of `{other}`"),
        }
    };
}
pub(crate) use with_width;

/// Packs a tile's tokens, whole rows of them.
pub(crate) fn pack(rows: Rows<'_>, tile: Tile, tiling: Tiling, out: &mut [u32]) {
    with_width!(tile.width, [1 2 3 4 6], T => {
        let out = bytemuck::cast_slice_mut(out);
        match tiling.run {
            1 => pack_runs::<T, 1>(rows, tile, tiling.lack, out),
            _ => pack_runs::<T, 2>(rows, tile, tiling.lack, out),
        }
    });
}

fn pack_runs<const T: usize, const RUN: usize>(
    rows: Rows<'_>,
    tile: Tile,
    lack: Lack,
    out: &mut [Record<T>],
) {
    for t in 0..tile.tokens {
        let x = rows.row(tile.start + t);
        let sums = x.sum.as_chunks::<{ GROUP / SUM_GROUP }>().0;
        let parts = x.q.as_chunks::<GROUP>().0.iter().zip(sums).zip(x.scale);
        for (out, ((q, sums), scale)) in out.iter_mut().zip(parts) {
            let runs = q.as_chunks::<4>().0.as_chunks::<RUN>().0;
            for (rows, run) in out.as_chunks_mut::<RUN>().0.iter_mut().zip(runs) {
                set_run(rows, t, run.map(|q| u32::from_le_bytes(q.map(|q| q as u8))));
            }
            let [low, high] = sums.map(i32::from);
            let sums = [low + high, low, high];
            let lacks = match lack {
                Lack::Sum => sums.map(|sum| (-sum) as u32),
                Lack::Pairs => lacking_pairs(q),
            };
            out[SCALE][t] = scale.to_bits();
            for (i, (sum, lack)) in sums.into_iter().zip(lacks).enumerate() {
                out[NEGATIVE + i][t] = lack;
                out[SUM + i][t] = (scale * sum as f32).to_bits();
            }
        }
    }
}

/// [`Lack::Pairs`] of a group, of its first half and of its second.
fn lacking_pairs(q: &[i8; GROUP]) -> [u32; 3] {
    let mut sums = [[0i16; 2]; 2];
    for (sums, half) in sums.iter_mut().zip(q.as_chunks::<SUM_GROUP>().0) {
        // Word by word first, which compiles to vectors.
        let mut words = [0i16; 4];
        for word in half.as_chunks::<4>().0 {
            for (sum, q) in words.iter_mut().zip(word) {
                *sum -= i16::from(*q);
            }
        }
        let [a, b, c, d] = words;
        *sums = [a + b, c + d];
    }
    let word = |[low, high]: [i16; 2]| u32::from(low as u16) | u32::from(high as u16) << 16;
    let [first, second] = sums;
    [word([first[0] + second[0], first[1] + second[1]]), word(first), word(second)]
}

/// Writes run `i` of words that are one run of each token, or of each row of weights.
#[inline(always)]
pub(crate) fn set_run<const LANES: usize, const RUN: usize>(
    rows: &mut [[u32; LANES]; RUN],
    i: usize,
    run: [u32; RUN],
) {
    rows.as_flattened_mut().as_chunks_mut::<RUN>().0[i] = run;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_pairs_lack_is_of_their_own_lane_and_half() {
        let mut q = [0; GROUP];
        (q[0], q[5], q[18], q[31]) = (1, 20, 50, -7);
        let words = lacking_pairs(&q).map(|word| [word as i16, (word >> 16) as i16]);
        assert_eq!(words, [[-21, -43], [-21, 0], [0, -43]]);
    }

    #[test]
    fn tiles_cover_every_token_once() {
        for tokens in 0..100 {
            let mut next = 0;
            for tile in tiles(tokens, &[1, 2, 3, 4], WIDTHS) {
                assert_eq!(tile.start, next, "{tokens} tokens");
                assert!((1..=tile.width).contains(&tile.tokens), "{tile:?} of {tokens} tokens");
                next += tile.tokens;
            }
            assert_eq!(next, tokens);
        }
        let widths =
            |tokens| tiles(tokens, &[1, 2, 3, 4], WIDTHS).map(|t| t.width).collect::<Vec<_>>();
        assert_eq!(widths(3), [3]);
        assert_eq!(widths(5), [6]);
        assert_eq!(widths(13), [6, 4, 4]);
        assert_eq!(widths(8), [4, 4]);
        assert_eq!(widths(16), [6, 6, 4]);
    }
}
