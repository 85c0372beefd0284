//! Activations packed for the mat-mat kernels: a few tokens interleaved, so that a kernel walks
//! one stream and finds every operand at a constant distance.

use crate::QuantizedRows;
use crate::activations::{GROUP, SUM_GROUP};

/// What one group of 32 values of `T` tokens is packed to, each row holding one word per token:
/// rows 0..8 four `i8` each, in [`pack`]'s order, 8 the scale, 9 and 10 the start of each half's
/// `i32` accumulator, 11 and 12 scale times sum of each half. With groups of 32, rows 9 and 11 cover
/// both halves.
pub(crate) type Record<const T: usize> = [[u32; T]; RECORD];

/// Words per token and group of 32.
pub(crate) const RECORD: usize = 13;
pub(crate) const SCALE: usize = 8;
pub(crate) const START: usize = 9;
pub(crate) const SUM: usize = 11;

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

/// Cuts `tokens` into tiles of `widths`, which rise; the last tile may be padded.
pub(crate) fn tiles(tokens: usize, widths: [usize; 3]) -> impl Iterator<Item = Tile> + Clone {
    let mut start = 0;
    std::iter::from_fn(move || {
        let left = tokens - start;
        let width = match left {
            0 => return None,
            _ if left <= widths[0] => widths[0],
            // Two middle tiles waste less than a wide and a narrow one.
            _ if left <= widths[1] || (left > widths[2] && left <= 2 * widths[1]) => widths[1],
            _ => widths[2],
        };
        let tile = Tile { start, tokens: left.min(width), width };
        start += tile.tokens;
        Some(tile)
    })
}

/// Packs groups `first..first + out.len()` (of 32 values) of a tile's tokens.
///
/// `RUN` words of a token's `i8` lie side by side, as the kernel's instruction takes them, then the
/// next token's: with 1, a row holds a word of every token; with 2, two rows hold two of each.
/// `bias` is what the kernel's unsigned weights exceed the signed ones by; `group` is the
/// weights' group, 16 or 32.
#[inline(always)]
pub(crate) fn pack<const T: usize, const RUN: usize>(
    x: &QuantizedRows,
    tile: Tile,
    first: usize,
    bias: i32,
    group: usize,
    out: &mut [Record<T>],
) {
    for t in 0..tile.tokens {
        let x = x.row(tile.start + t);
        let q = x.q[first * GROUP..].as_chunks::<GROUP>().0;
        let sum = x.sum[first * (GROUP / SUM_GROUP)..].as_chunks::<{ GROUP / SUM_GROUP }>().0;
        let scale = &x.scale[first..];
        for (((out, q), sum), scale) in out.iter_mut().zip(q).zip(sum).zip(scale) {
            let runs = q.as_chunks::<4>().0.as_chunks::<RUN>().0;
            for (rows, run) in out.as_chunks_mut::<RUN>().0.iter_mut().zip(runs) {
                set_run(rows, t, run.map(|q| u32::from_le_bytes(q.map(|q| q as u8))));
            }
            let [low, high] = sum.map(i32::from);
            let sums = if group == SUM_GROUP { [low, high] } else { [low + high, 0] };
            out[SCALE][t] = scale.to_bits();
            for (half, sum) in sums.into_iter().enumerate() {
                out[START + half][t] = (-bias * sum) as u32;
                out[SUM + half][t] = (scale * sum as f32).to_bits();
            }
        }
    }
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
    fn tiles_cover_every_token_once() {
        for tokens in 0..100 {
            let mut next = 0;
            for tile in tiles(tokens, [4, 8, 12]) {
                assert_eq!(tile.start, next, "{tokens} tokens");
                assert!((1..=tile.width).contains(&tile.tokens), "{tile:?} of {tokens} tokens");
                next += tile.tokens;
            }
            assert_eq!(next, tokens);
        }
        let widths = |tokens| tiles(tokens, [4, 8, 12]).map(|t| t.width).collect::<Vec<_>>();
        assert_eq!(widths(16), [8, 8]);
        assert_eq!(widths(27), [12, 8, 8]);
    }
}
