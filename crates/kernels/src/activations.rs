//! Activations rounded to int8, one scale per 32 values.

use crate::Row;

/// Values that share an activation scale.
pub(crate) const GROUP: usize = 32;
/// Values that share a sum: the smallest weight group.
pub(crate) const SUM_GROUP: usize = 16;

/// `(tokens, n)` activations as int8: `x[i] ~ scale[i / 32] * q[i]`, with the sums of `q` over
/// each 16 values, which weights with a minimum need.
#[derive(Clone, Debug, Default)]
pub struct QuantizedRows {
    n: usize,
    tokens: usize,
    q: Vec<i8>,
    scale: Vec<f32>,
    sum: Vec<i16>,
}

/// One row of [`QuantizedRows`], to be written by [`Row::quantize`].
#[derive(Debug)]
pub struct QuantizedRowMut<'a> {
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
    /// Sets the shape to `(tokens, n)`; the contents are unspecified until written.
    ///
    /// # Panics
    /// If `n` is not a multiple of 32.
    pub fn resize(&mut self, tokens: usize, n: usize) {
        assert!(n.is_multiple_of(GROUP), "`{n}` activations are not whole groups of {GROUP}");
        self.n = n;
        self.tokens = tokens;
        self.q.resize(tokens * n, 0);
        self.scale.resize(tokens * n / GROUP, 0.0);
        self.sum.resize(tokens * n / SUM_GROUP, 0);
    }

    /// Values per token.
    pub fn n(&self) -> usize {
        self.n
    }

    /// Number of tokens.
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// Every row, to be filled by as many threads as one likes.
    pub fn rows_mut(&mut self) -> impl Iterator<Item = QuantizedRowMut<'_>> {
        let n = self.n.max(GROUP);
        self.q
            .chunks_exact_mut(n)
            .zip(self.scale.chunks_exact_mut(n / GROUP))
            .zip(self.sum.chunks_exact_mut(n / SUM_GROUP))
            .map(|((q, scale), sum)| QuantizedRowMut { q, scale, sum })
    }

    /// Quantises all of `x`, shape `(tokens, n)`, on this thread.
    ///
    /// # Panics
    /// If `x` has another length.
    pub fn fill(&mut self, row: &Row, x: &[f32]) {
        assert_eq!(x.len(), self.tokens * self.n, "activations have another shape");
        let n = self.n.max(GROUP);
        for (out, x) in self.rows_mut().zip(x.chunks_exact(n)) {
            row.quantize(x, out);
        }
    }

    pub(crate) fn row(&self, token: usize) -> QuantizedRow<'_> {
        let n = self.n;
        QuantizedRow {
            q: &self.q[token * n..][..n],
            scale: &self.scale[token * n / GROUP..][..n / GROUP],
            sum: &self.sum[token * n / SUM_GROUP..][..n / SUM_GROUP],
        }
    }
}
