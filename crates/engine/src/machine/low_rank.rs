//! Products with a model's matrix to which adapters add: `factor * B (A x)`.
//!
//! `A x` is small and computed first; `B` of that is added where the product of the matrix itself
//! has just been written, by the same thread. As long as a pass has so few rows that each is computed
//! as it would be alone, so is what is added to it.

use std::ops::Range;

use rushlight_kernels::{Columns, Format};
use rushlight_model::LowRank;

use super::{CHUNKS_PER_THREAD, Machine, Worker};

/// Multiply-adds below which one thread computes them: waking the others costs more.
const ALONE: usize = 1 << 16;
/// Tokens from which on threads share tokens, not rows of `A`: kernels work in tiles from 8 on.
const TILE_TOKENS: usize = 16;
/// Rows of `A` are handed out in multiples of this.
const ROWS: usize = 4;

/// What is added to some rows of a product.
#[derive(Debug)]
pub(crate) struct Added<'a> {
    /// The rows of the input, tokens, that it is for.
    pub(crate) tokens: Range<usize>,
    pub(crate) low: &'a LowRank,
    /// `factor * A x`, `(tokens, rank)`.
    inner: Vec<f32>,
}

impl<'a> Added<'a> {
    pub(crate) fn new(tokens: Range<usize>, low: &'a LowRank) -> Self {
        Self { tokens, low, inner: Vec::new() }
    }
}

/// Some rows of `A` times some tokens.
struct Part<'a> {
    low: &'a LowRank,
    rows: Range<usize>,
    x: &'a [f32],
    out: Columns<'a>,
}

impl Machine {
    /// Computes `A x` for all of them, where `x` is `(tokens, n)`.
    pub(super) fn inner(&self, x: &[f32], n: usize, lists: &mut [Vec<Added<'_>>]) {
        let mut parts: Vec<&mut Added<'_>> = Vec::new();
        let (mut twins, mut work) = (Vec::new(), 0);
        for added in lists.iter_mut().flatten() {
            let same = |other: &&mut Added<'_>| {
                other.tokens == added.tokens && other.low.a.is_same(&added.low.a)
            };
            // Queries, keys and values that are one matrix to the adapter share its `A`.
            if let Some(at) = parts.iter().position(same) {
                twins.push((at, added));
                continue;
            }
            added.inner.resize(added.tokens.len() * added.low.a.rows(), 0.0);
            work += added.inner.len() * n;
            parts.push(added);
        }
        if work < ALONE {
            let mut worker = self.worker(0);
            for added in &mut parts {
                self.times_a(x, n, added, &mut worker);
            }
        } else {
            let mut shares: Vec<Part<'_>> =
                parts.iter_mut().flat_map(|added| self.shares(x, n, added)).collect();
            self.pool.each(&mut shares, |worker, _, part| {
                let scratch = &mut self.worker(worker).scratch;
                let Part { low, rows, x, out } = part;
                let data = low.a.rows_data(rows.clone());
                self.row.matmul_float(low.a.format(), data, x, scratch, out);
            });
        }
        for (at, twin) in twins {
            twin.inner.clone_from(&parts[at].inner);
        }
        for added in lists.iter_mut().flatten() {
            self.row.scale(&mut added.inner, added.low.factor);
        }
    }

    fn times_a(&self, x: &[f32], n: usize, added: &mut Added<'_>, worker: &mut Worker) {
        let (a, tokens) = (&added.low.a, &added.tokens);
        let x = &x[tokens.start * n..tokens.end * n];
        let mut out = Columns::new(&mut added.inner, a.rows());
        self.row.matmul_float(a.format(), a.data(), x, &mut worker.scratch, &mut out);
    }

    /// The work for one of them in shares.
    fn shares<'b>(&self, x: &'b [f32], n: usize, added: &'b mut Added<'_>) -> Vec<Part<'b>> {
        let (low, count) = (added.low, added.tokens.len());
        let (x, rank) = (&x[added.tokens.start * n..][..count * n], low.a.rows());
        let threads = self.pool.threads();
        if count >= TILE_TOKENS {
            let chunk = count.div_ceil(threads * CHUNKS_PER_THREAD).next_multiple_of(TILE_TOKENS);
            let parts = added.inner.chunks_mut(chunk * rank).zip(x.chunks(chunk * n));
            let part = |(out, x)| Part { low, rows: 0..rank, x, out: Columns::new(out, rank) };
            return parts.map(part).collect();
        }
        let chunk = rank.div_ceil(threads).next_multiple_of(ROWS);
        let parts = Columns::new(&mut added.inner, rank).chunks(chunk).into_iter().enumerate();
        let part = |(i, out): (usize, Columns<'b>)| Part {
            low,
            rows: i * chunk..i * chunk + out.columns(),
            x,
            out,
        };
        parts.map(part).collect()
    }

    /// Adds `B` of what [`Machine::inner`] left to some columns of the product.
    pub(super) fn add_low_rank(
        &self,
        list: &[Added<'_>],
        rows: &Range<usize>,
        worker: &mut Worker,
        out: &mut Columns<'_>,
    ) {
        for added in list {
            let (b, columns) = (&added.low.b, rows.len());
            worker.low_rank.resize(added.tokens.len() * columns, 0.0);
            let mut product = Columns::new(&mut worker.low_rank, columns);
            let (format, data): (Format, _) = (b.format(), b.rows_data(rows.clone()));
            self.row.matmul_float(format, data, &added.inner, &mut worker.scratch, &mut product);
            for (i, token) in added.tokens.clone().enumerate() {
                self.row.add(out.row(token), product.row(i));
            }
        }
    }
}
