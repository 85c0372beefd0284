//! Activations for products of F16 and BF16 weights by integers: the processor multiplies pairs of
//! 16-bit integers at up to twice the rate of single floats, and with a scale per 32 values they are
//! about as near to the weights and activations as F16 is.
#![cfg_attr(
    not(target_arch = "x86_64"),
    expect(dead_code, reason = "only x86-64 has instructions for it that floats have not")
)]

use crate::Row;
use crate::row::Int16Ops;
use crate::tile::{self, Tile, with_width};
use crate::{Columns, Format, Scratch};

/// Values that share a scale, of weights and of activations.
pub(crate) const GROUP: usize = 32;
/// The greatest magnitude of the integers: the products of 32 pairs sum to less than 2^31.
pub(crate) const LIMIT: f32 = 8191.0;
/// Groups under this are zeros, as the inverse of their scale might be infinite.
pub(crate) const LEAST: f32 = 1e-34;
/// Words of a token's integers in a group, two to a word, the first one lower.
pub(crate) const WORDS: usize = GROUP / 2;

/// What one group of 32 values of `T` tokens is packed to, each row holding one word per token: two
/// `i16` each, then the scale.
pub(crate) type Record<const T: usize> = [[u32; T]; WORDS + 1];

/// `(tokens, n)` activations as integers of magnitude at most 8191, `x[i] ~ scale[i / 32] * q[i]`
/// with `scale = max|x| / 8191`, packed as the kernels of [`Row::matmul_int16`] take them.
#[derive(Clone, Debug, Default)]
pub struct Int16Rows {
    n: usize,
    tokens: usize,
    tiles: Vec<Tile>,
    packed: Vec<u32>,
}

/// Some tokens of [`Int16Rows`], to be rounded by [`Row::pack_int16`].
#[derive(Debug)]
pub struct Int16Tile<'a> {
    /// Of all tokens.
    x: &'a [f32],
    n: usize,
    tile: Tile,
    out: &'a mut [u32],
}

impl Int16Rows {
    /// Sets the shape to that of `x`, `(tokens, n)`; every tile is then to be rounded by
    /// [`Row::pack_int16`], by as many threads as one likes.
    ///
    /// # Panics
    /// If `n` is 0 or no multiple of 32, or `x` not whole rows.
    pub fn tiles_mut<'a>(
        &'a mut self,
        x: &'a [f32],
        n: usize,
    ) -> impl Iterator<Item = Int16Tile<'a>> {
        assert!(n > 0 && n.is_multiple_of(GROUP), "`{n}` activations are not groups of {GROUP}");
        assert!(x.len().is_multiple_of(n), "activations are not whole rows of `{n}`");
        (self.n, self.tokens) = (n, x.len() / n);
        self.tiles.clear();
        self.tiles.extend(tile::tiles(self.tokens, &[], tile::WIDTHS));
        let per_token = n / GROUP * (WORDS + 1);
        let padded: usize = self.tiles.iter().map(|tile| tile.width).sum();
        self.packed.resize(padded * per_token, 0);
        let mut rest = self.packed.as_mut_slice();
        self.tiles.iter().map(move |&tile| {
            let (out, after) = std::mem::take(&mut rest).split_at_mut(tile.width * per_token);
            rest = after;
            Int16Tile { x, n, tile, out }
        })
    }

    /// Values per token.
    pub fn n(&self) -> usize {
        self.n
    }

    /// Number of tokens.
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// Values of a slab, whole groups: those of activations that fill so many bytes, so that they
    /// stay in a cache while weights pass. Slabs are about as long as each other.
    pub(crate) fn slab(&self, bytes: usize) -> usize {
        let all = self.packed.len() * size_of::<u32>();
        self.n.div_ceil(all.div_ceil(bytes).max(1)).next_multiple_of(GROUP)
    }

    /// The tiles and their records.
    pub(crate) fn tiles(&self) -> impl Iterator<Item = (Tile, &[u32])> + Clone {
        let per_token = self.n / GROUP * (WORDS + 1);
        let mut rest = self.packed.as_slice();
        self.tiles.iter().map(move |&tile| {
            let (words, after) = rest.split_at(tile.width * per_token);
            rest = after;
            (tile, words)
        })
    }
}

/// # Products by 16-bit integers
impl Row {
    /// Whether this row has kernels that round weights of the format and activations to integers.
    pub fn takes_int16(&self, format: Format, n: usize) -> bool {
        let fits = matches!(format, Format::F16 | Format::BF16) && n > 0 && n.is_multiple_of(GROUP);
        fits && self.int16.is_some()
    }

    /// Rounds the tokens of a tile.
    ///
    /// # Panics
    /// If the row has no kernels for them.
    pub fn pack_int16(&self, tile: Int16Tile<'_>) {
        (self.int16().pack)(tile);
    }

    /// As [`Row::matmul_float`], with weights rounded as the activations are: by groups of 32, to
    /// at most 8191.
    ///
    /// Error at most, over all groups, the sum of `max|x| sum|w| + max|w| sum|x|`, over 16382; and
    /// the rounding of single floats; a thousandth more for both roundings together. Values of a
    /// group that are all under 1e-34 count as zero; one that is infinite makes NaN of its products.
    ///
    /// # Panics
    /// If [`Row::takes_int16`] says no or the lengths do not fit.
    pub fn matmul_int16(
        &self,
        format: Format,
        weights: &[u8],
        x: &Int16Rows,
        scratch: &mut Scratch,
        out: &mut Columns<'_>,
    ) {
        assert!(self.takes_int16(format, x.n), "`{format}` in rows of `{}`", x.n);
        crate::row::check(format, weights, x.n, x.tokens, out);
        (self.int16().matmul)(format, weights, x, scratch, out);
    }

    fn int16(&self) -> &Int16Ops {
        self.int16.as_ref().expect("a row with kernels for int16")
    }
}

/// Rounds a tile; to be compiled for an instruction set by inlining.
#[inline(always)]
pub(crate) fn pack(tile: Int16Tile<'_>) {
    let Int16Tile { x, n, tile, out } = tile;
    with_width!(tile.width, [2 4 6], T => {
        for t in 0..tile.tokens {
            let x = &x[(tile.start + t) * n..][..n];
            let groups = x.as_chunks::<GROUP>().0.iter();
            for (out, x) in bytemuck::cast_slice_mut::<u32, Record<T>>(out).iter_mut().zip(groups) {
                let (q, scale) = round(x);
                let (scales, words) = out.split_last_mut().expect("a row of scales");
                scales[t] = scale.to_bits();
                for (out, word) in words.iter_mut().zip(bytemuck::cast::<_, [u32; WORDS]>(q)) {
                    out[t] = word;
                }
            }
        }
    });
}

/// Integers and their scale, not finite where a value is not.
#[inline(always)]
fn round(x: &[f32; GROUP]) -> ([i16; GROUP], f32) {
    // Magnitudes are in the order of their bits, NaN last.
    let bits = x.iter().fold(0, |max, x| max.max(x.to_bits() & 0x7fff_ffff));
    let max = f32::from_bits(bits);
    let inverse = if max > LEAST { LIMIT / max } else { 0.0 };
    // Adding this rounds a small number to an integer, ties to even, in the lowest bits.
    const SHIFT: f32 = 12_582_912.0;
    let mut q = [0; GROUP];
    for (q, x) in q.iter_mut().zip(x) {
        *q = (x * inverse + SHIFT).to_bits().wrapping_sub(SHIFT.to_bits()) as i16;
    }
    (q, if max <= LEAST { 0.0 } else { max / LIMIT })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_within_half_a_step() {
        for n in 0..200 {
            let x: [f32; GROUP] = std::array::from_fn(|i| ((i * 37 + n * 11) % 101) as f32 - 50.3);
            let (q, scale) = round(&x);
            assert_eq!(q.iter().map(|q| q.abs()).max(), Some(LIMIT as i16));
            for (q, x) in q.iter().zip(x) {
                assert!((f32::from(*q) * scale - x).abs() <= scale * 0.5001, "{x}: {q} x {scale}");
            }
        }
    }

    #[test]
    fn what_is_not_finite_shows_in_the_scale_and_tiny_values_vanish() {
        let with = |x: f32| std::array::from_fn(|i| if i == 5 { x } else { 1e-38 });
        assert!(round(&with(f32::NAN)).1.is_nan());
        assert_eq!(round(&with(f32::NEG_INFINITY)).1, f32::INFINITY);
        assert_eq!(round(&with(1e-37)), ([0; GROUP], 0.0));
    }
}
