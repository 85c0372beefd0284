//! Activations rounded to int8, one scale per 32 values; finer ones to twice that.

use std::iter::repeat;

use crate::Row;
use crate::tile::{self, RECORD, Tile, Tiling};

/// Values that share an activation scale.
pub(crate) const GROUP: usize = 32;
/// Values that share a sum: the smallest weight group.
pub(crate) const SUM_GROUP: usize = 16;

/// `(tokens, n)` activations as int8: `x[i] ~ scale[i / 32] * q[i]`, with the sums of `q` over
/// each 16 values, which weights with a minimum need.
///
/// A *fine* token has a second row: what the first row's rounding left of `x`, rounded in turn.
/// The kernels multiply all rows alike and add the product of a second row to its token's.
#[derive(Clone, Debug, Default)]
pub struct QuantizedRows {
    n: usize,
    tokens: usize,
    /// The fine tokens, rising; their second rows follow the rows of all tokens.
    fine: Vec<usize>,
    q: Vec<i8>,
    scale: Vec<f32>,
    sum: Vec<i16>,
    tiling: Option<Tiling>,
    tiles: Vec<Tile>,
    /// The tiles' records, each tile's together: [`tile`].
    packed: Vec<u32>,
}

/// Some rows of [`QuantizedRows`], to be packed by [`QuantizedTile::pack`].
#[derive(Debug)]
pub struct QuantizedTile<'a> {
    rows: Rows<'a>,
    tile: Tile,
    tiling: Tiling,
    out: &'a mut [u32],
}

/// The rows of [`QuantizedRows`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rows<'a> {
    n: usize,
    q: &'a [i8],
    scale: &'a [f32],
    sum: &'a [i16],
}

/// One token of [`QuantizedRows`], to be written by [`Row::quantize`].
#[derive(Debug)]
pub struct QuantizedTokenMut<'a> {
    pub(crate) row: QuantizedRowMut<'a>,
    /// Of a fine token.
    pub(crate) rest: Option<QuantizedRowMut<'a>>,
}

/// One row of [`QuantizedRows`].
#[derive(Debug)]
pub(crate) struct QuantizedRowMut<'a> {
    /// The integers, in -127..=127.
    pub(crate) q: &'a mut [i8],
    /// One scale per 32 values.
    pub(crate) scale: &'a mut [f32],
    /// One sum of `q` per 16 values.
    pub(crate) sum: &'a mut [i16],
}

/// One row of [`QuantizedRows`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct QuantizedRow<'a> {
    pub(crate) q: &'a [i8],
    pub(crate) scale: &'a [f32],
    pub(crate) sum: &'a [i16],
}

impl QuantizedRows {
    /// Sets the shape to `(tokens, n)`; the contents are unspecified until written. The tokens of
    /// `fine`, which rise, are fine.
    ///
    /// # Panics
    /// If `n` is not a multiple of 32, or `fine` does not rise or passes `tokens`.
    pub fn resize(&mut self, tokens: usize, n: usize, fine: &[usize]) {
        assert!(n.is_multiple_of(GROUP), "`{n}` activations are not whole groups of {GROUP}");
        assert!(fine.is_sorted_by(|a, b| a < b), "fine tokens do not rise");
        assert!(fine.last().is_none_or(|&t| t < tokens), "fine tokens pass `{tokens}`");
        self.n = n;
        self.tokens = tokens;
        self.fine.clear();
        self.fine.extend_from_slice(fine);
        let rows = self.rows();
        self.q.resize(rows * n, 0);
        self.scale.resize(rows * n / GROUP, 0.0);
        self.sum.resize(rows * n / SUM_GROUP, 0);
    }

    /// Values per token.
    pub fn n(&self) -> usize {
        self.n
    }

    /// Number of tokens.
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// Number of rows that the kernels multiply: one per token, two per fine token.
    pub fn rows(&self) -> usize {
        self.tokens + self.fine.len()
    }

    /// Every token, to be filled by as many threads as one likes.
    pub fn tokens_mut(&mut self) -> impl Iterator<Item = QuantizedTokenMut<'_>> {
        let n = self.n.max(GROUP);
        let (q, q_rest) = self.q.split_at_mut(self.tokens * self.n);
        let (scale, scale_rest) = self.scale.split_at_mut(self.tokens * self.n / GROUP);
        let (sum, sum_rest) = self.sum.split_at_mut(self.tokens * self.n / SUM_GROUP);
        let mut rests = rows_mut(n, q_rest, scale_rest, sum_rest);
        let mut fine = self.fine.iter().peekable();
        rows_mut(n, q, scale, sum).enumerate().map(move |(t, row)| {
            let rest = fine.next_if(|&&f| f == t).and_then(|_| rests.next());
            QuantizedTokenMut { row, rest }
        })
    }

    /// Quantises all of `x`, shape `(tokens, n)`, on this thread.
    ///
    /// # Panics
    /// If `x` has another length.
    pub fn fill(&mut self, row: &Row, x: &[f32]) {
        assert_eq!(x.len(), self.tokens * self.n, "activations have another shape");
        let n = self.n.max(GROUP);
        for (out, x) in self.tokens_mut().zip(x.chunks_exact(n)) {
            row.quantize(x, out);
        }
        self.tiles_mut(row).for_each(QuantizedTile::pack);
    }

    /// Every tile of rows, to be packed for the kernels of `row` when every token is written, by as
    /// many threads as one likes.
    pub fn tiles_mut(&mut self, row: &Row) -> impl Iterator<Item = QuantizedTile<'_>> {
        self.tiling = row.tiling;
        self.tiles.clear();
        if let Some(tiling) = row.tiling {
            self.tiles.extend(tile::tiles(self.tokens + self.fine.len(), tiling.few, tile::WIDTHS));
        }
        let per_token = self.n / GROUP * RECORD;
        let padded: usize = self.tiles.iter().map(|tile| tile.width).sum();
        self.packed.resize(padded * per_token, 0);
        let rows = Rows { n: self.n, q: &self.q, scale: &self.scale, sum: &self.sum };
        let mut rest = self.packed.as_mut_slice();
        let tiles = row.tiling.into_iter().flat_map(|tiling| self.tiles.iter().zip(repeat(tiling)));
        tiles.map(move |(&tile, tiling)| {
            let (out, after) = std::mem::take(&mut rest).split_at_mut(tile.width * per_token);
            rest = after;
            QuantizedTile { rows, tile, tiling, out }
        })
    }

    /// The tiles and their records, as [`tile`] has them, packed for kernels of `tiling`.
    pub(crate) fn tiles(&self, tiling: Tiling) -> impl Iterator<Item = (Tile, &[u32])> + Clone {
        assert_eq!(self.tiling, Some(tiling), "activations are packed for these kernels");
        let per_token = self.n / GROUP * RECORD;
        let mut rest = self.packed.as_slice();
        self.tiles.iter().map(move |&tile| {
            let (words, after) = rest.split_at(tile.width * per_token);
            rest = after;
            (tile, words)
        })
    }

    /// Values of a slab, a multiple of `unit`: those of all rows that fit so many bytes, which a cache
    /// keeps while weights pass. Slabs are about as long as each other: a short last one costs nearly
    /// what a long one does.
    pub(crate) fn slab(&self, bytes: usize, unit: usize) -> usize {
        let all = self.n / GROUP * RECORD * size_of::<u32>() * self.rows();
        self.n.div_ceil(all.div_ceil(bytes).max(1)).next_multiple_of(unit)
    }

    pub(crate) fn row(&self, row: usize) -> QuantizedRow<'_> {
        Rows { n: self.n, q: &self.q, scale: &self.scale, sum: &self.sum }.row(row)
    }

    /// The token that a row belongs to, and whether its product is added to that of an earlier
    /// row.
    #[inline(always)]
    pub(crate) fn target(&self, row: usize) -> (usize, bool) {
        match row.checked_sub(self.tokens) {
            None => (row, false),
            Some(i) => (self.fine[i], true),
        }
    }
}

impl<'a> Rows<'a> {
    pub(crate) fn row(self, row: usize) -> QuantizedRow<'a> {
        let n = self.n;
        QuantizedRow {
            q: &self.q[row * n..][..n],
            scale: &self.scale[row * n / GROUP..][..n / GROUP],
            sum: &self.sum[row * n / SUM_GROUP..][..n / SUM_GROUP],
        }
    }
}

impl QuantizedTile<'_> {
    /// Packs its rows.
    pub fn pack(self) {
        tile::pack(self.rows, self.tile, self.tiling, self.out);
    }
}

fn rows_mut<'a>(
    n: usize,
    q: &'a mut [i8],
    scale: &'a mut [f32],
    sum: &'a mut [i16],
) -> impl Iterator<Item = QuantizedRowMut<'a>> {
    let parts = scale.chunks_exact_mut(n / GROUP).zip(sum.chunks_exact_mut(n / SUM_GROUP));
    let rows = q.chunks_exact_mut(n).zip(parts);
    rows.map(|(q, (scale, sum))| QuantizedRowMut { q, scale, sum })
}

impl QuantizedTokenMut<'_> {
    /// Writes the token by a function that writes one row.
    pub(crate) fn write(self, x: &[f32], quantize: fn(&[f32], QuantizedRowMut<'_>)) {
        let Self { row: QuantizedRowMut { q, scale, sum }, rest } = self;
        quantize(x, QuantizedRowMut { q, scale, sum });
        let Some(rest) = rest else { return };
        const PART: usize = 8 * GROUP;
        let first = x.chunks(PART).zip(q.chunks(PART)).zip(scale.chunks(PART / GROUP));
        let second = rest.q.chunks_mut(PART).zip(rest.scale.chunks_mut(PART / GROUP));
        let second = second.zip(rest.sum.chunks_mut(PART / SUM_GROUP));
        for (((x, q), scale), ((rest_q, rest_scale), rest_sum)) in first.zip(second) {
            let mut left = [0.0; PART];
            for (i, (left, (x, q))) in left.iter_mut().zip(x.iter().zip(q)).enumerate() {
                *left = x - scale[i / GROUP] * f32::from(*q);
            }
            let out = QuantizedRowMut { q: rest_q, scale: rest_scale, sum: rest_sum };
            quantize(&left[..x.len()], out);
        }
    }
}
