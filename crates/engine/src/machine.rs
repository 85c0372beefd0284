//! The threads and kernels of an engine, and the products that they compute together.

mod low_rank;
mod shares;

use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rushlight_host::Pool;
use rushlight_host::probe::cpu::CoreCaches;
use rushlight_kernels::{
    AttendState, Caches, Columns, Format, Int16Rows, QuantizedRows, Row, Scratch, Span,
};
use rushlight_model::{Linear, Matrix};

pub(crate) use low_rank::Added;
use shares::{Shares, Sizes};

/// Tokens from which work per token is shared between threads: below, waking them costs more.
const SHARED_TOKENS: usize = 4;
/// Chunks of tokens handed out per thread, so that uneven cores end together.
const CHUNKS_PER_THREAD: usize = 4;

/// Rows of activations from which the kernels work in tiles.
const TILE_ACTIVATIONS: usize = 8;
/// The fewest bytes of weights of a call that reads them for few tokens. With 32 and 128 KiB answers of
/// small models were slower, of large ones they were the same.
const LEAST_BYTES: usize = 64 << 10;

/// Threads, kernels and each thread's working memory.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) pool: Pool,
    pub(crate) row: &'static Row,
    workers: Vec<Mutex<Worker>>,
}

/// One thread's working memory.
#[derive(Debug, Default)]
pub(crate) struct Worker {
    pub(crate) scratch: Scratch,
    pub(crate) attend: AttendState,
    pub(crate) attend_part: AttendState,
    pub(crate) queries: Vec<f32>,
    pub(crate) spans: Vec<Span>,
    pub(crate) out: Vec<f32>,
    /// What an adapter adds to a part of a product.
    low_rank: Vec<f32>,
}

/// Activations rounded for the matrices that take them so.
#[derive(Debug, Default)]
pub(crate) struct Rounded {
    /// For the quantised formats.
    int8: QuantizedRows,
    /// For F16 and BF16.
    int16: Int16Rows,
}

/// Activations `(tokens, n)`, and the same rounded.
pub(crate) struct Input<'a> {
    x: &'a [f32],
    int8: &'a QuantizedRows,
    /// For tokens enough that it pays, unless all are fine.
    int16: Option<&'a Int16Rows>,
    tokens: usize,
    /// Rows that the kernels see: of the fine tokens two.
    rows: usize,
}

/// How many tokens there are, and which of them are rounded to twice int8, rising.
#[derive(Clone, Copy)]
pub(crate) struct Tokens<'a> {
    pub(crate) count: usize,
    pub(crate) fine: &'a [usize],
}

/// Some rows of one matrix, to be multiplied by one thread.
struct Chunk<'a> {
    weight: &'a Matrix,
    bias: Option<&'a [f32]>,
    added: &'a [Added<'a>],
    rows: Range<usize>,
    out: Columns<'a>,
}

impl Machine {
    pub(crate) fn new(pool: Pool, row: &'static Row) -> Self {
        let caches = caches(pool.caches());
        let worker = || Worker { scratch: Scratch::new(caches), ..Worker::default() };
        let workers = (0..pool.threads()).map(|_| Mutex::new(worker())).collect();
        Self { pool, row, workers }
    }

    pub(crate) fn worker(&self, index: usize) -> MutexGuard<'_, Worker> {
        self.workers[index].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls `f(token, row)` for each row of `data`, shape `(tokens, width)`.
    pub(crate) fn each_row(
        &self,
        data: &mut [f32],
        width: usize,
        f: impl Fn(usize, &mut [f32]) + Sync,
    ) {
        let tokens = data.len() / width;
        if tokens < SHARED_TOKENS {
            data.chunks_exact_mut(width).enumerate().for_each(|(t, row)| f(t, row));
            return;
        }
        let chunk = tokens.div_ceil(self.pool.threads() * CHUNKS_PER_THREAD);
        let mut parts: Vec<_> = data.chunks_mut(chunk * width).collect();
        self.pool.each(&mut parts, |_, i, part| {
            for (t, row) in part.chunks_exact_mut(width).enumerate() {
                f(i * chunk + t, row);
            }
        });
    }

    /// The input `x`, shape `(tokens, n)`, of the matrices; rounded in `out` as they take it.
    pub(crate) fn input<'a, 'm>(
        &self,
        x: &'a [f32],
        tokens: Tokens<'_>,
        out: &'a mut Rounded,
        matrices: impl IntoIterator<Item = &'m Matrix>,
    ) -> Input<'a> {
        let Tokens { count, fine } = tokens;
        let n = x.len() / count;
        let integers = fine.len() < count && count >= TILE_ACTIVATIONS;
        let (mut by_int8, mut by_int16) = (false, false);
        for matrix in matrices {
            let format = matrix.format();
            by_int8 |= format.is_quantized();
            by_int16 |= integers && self.row.takes_int16(format, n);
        }
        let mut rows = count;
        if by_int8 {
            out.int8.resize(count, n, fine);
            rows = out.int8.rows();
            self.quantize(x, &mut out.int8);
        }
        if by_int16 {
            let mut tiles: Vec<_> = out.int16.tiles_mut(x, n).map(Some).collect();
            self.each_part(&mut tiles, |_, tile| self.row.pack_int16(tile));
        }
        Input { x, int8: &out.int8, int16: by_int16.then_some(&out.int16), tokens: count, rows }
    }

    fn quantize(&self, x: &[f32], out: &mut QuantizedRows) {
        let (tokens, n) = (out.tokens(), out.n());
        if tokens < SHARED_TOKENS {
            out.fill(self.row, x);
            return;
        }
        let mut rows: Vec<_> = out.tokens_mut().map(Some).collect();
        self.each_part(&mut rows, |t, row| self.row.quantize(&x[t * n..][..n], row));
        drop(rows);
        let mut tiles: Vec<_> = out.tiles_mut(self.row).map(Some).collect();
        self.each_part(&mut tiles, |_, tile| tile.pack());
    }

    /// Calls `f(index, item)` once for each item, neighbours on the same thread.
    fn each_part<T: Send>(&self, items: &mut [Option<T>], f: impl Fn(usize, T) + Sync) {
        let chunk = items.len().div_ceil(self.pool.threads() * CHUNKS_PER_THREAD).max(1);
        let mut parts: Vec<_> = items.chunks_mut(chunk).collect();
        self.pool.each(&mut parts, |_, i, part| {
            for (t, item) in part.iter_mut().enumerate() {
                if let Some(item) = item.take() {
                    f(i * chunk + t, item);
                }
            }
        });
    }

    /// `out = weight x + bias` for each pair, all sharing one input, and what adapters add to it.
    pub(crate) fn linears<'a, const N: usize>(
        &self,
        input: &Input<'_>,
        jobs: [(&'a Linear, &'a mut [f32]); N],
        mut added: [Vec<Added<'_>>; N],
    ) {
        if added.iter().any(|list| !list.is_empty()) {
            self.inner(input.x, input.x.len() / input.tokens, &mut added);
        }
        let rows: usize = jobs.iter().map(|(l, _)| l.weight.rows()).sum();
        let sizes = if input.rows < TILE_ACTIVATIONS {
            let bytes = jobs.iter().map(|(l, _)| l.weight.data().len()).sum();
            Sizes::reading(rows, bytes, LEAST_BYTES)
        } else if jobs.iter().all(|(l, _)| self.takes_integers(input, &l.weight)) {
            Sizes::tiles()
        } else {
            Sizes::packing()
        };
        let threads = self.pool.threads();
        let mut shares = Shares::new(rows, threads, sizes);
        let mut chunks = Vec::with_capacity(8 * threads + N);
        for ((linear, out), added) in jobs.into_iter().zip(&added) {
            let weight = &linear.weight;
            let mut rest = Columns::new(out, weight.rows());
            for rows in shares.of(weight.rows()) {
                let (out, after) = rest.split_at(rows.len());
                rest = after;
                let bias = linear.bias.as_ref().map(|b| &b[rows.clone()]);
                chunks.push(Chunk { weight, bias, added, rows, out });
            }
        }
        self.pool.each(&mut chunks, |worker, _, chunk| {
            self.multiply(input, chunk, &mut self.worker(worker));
        });
    }

    fn multiply(&self, input: &Input<'_>, chunk: &mut Chunk<'_>, worker: &mut Worker) {
        let Chunk { weight, bias, added, rows, out } = chunk;
        let scratch = &mut worker.scratch;
        let format = weight.format();
        let data = || weight.rows_data(rows.clone());
        if !format.is_quantized() {
            match self.int16(input, weight) {
                Some(x) => self.row.matmul_int16(format, data(), x, scratch, out),
                None => self.row.matmul_float(format, data(), input.x, scratch, out),
            }
        } else if let Some(panels) = self.panels(weight, rows.clone()) {
            self.row.matmul_panels(format, panels, input.int8, scratch, out);
        } else {
            self.row.matmul(format, data(), input.int8, scratch, out);
        }
        if let Some(bias) = bias {
            for t in 0..input.tokens {
                self.row.add(out.row(t), bias);
            }
        }
        self.add_low_rank(added, rows, worker, out);
    }

    /// The input rounded to 16 bits, if the kernels take it so for this matrix.
    fn int16<'i>(&self, input: &Input<'i>, weight: &Matrix) -> Option<&'i Int16Rows> {
        input.int16.filter(|x| self.row.takes_int16(weight.format(), x.n()))
    }

    /// Whether a matrix meets integers, which are packed before.
    fn takes_integers(&self, input: &Input<'_>, weight: &Matrix) -> bool {
        weight.format().is_quantized() || self.int16(input, weight).is_some()
    }

    /// The panels of some rows, if they are there and the kernels take them.
    fn panels<'m>(&self, weight: &'m Matrix, rows: Range<usize>) -> Option<&'m [u8]> {
        let taken = self.row.takes_panels(weight.format(), weight.cols());
        taken.then(|| weight.panels(rows)).flatten()
    }

    /// The values of one row of a matrix: an embedding.
    pub(crate) fn lookup(&self, matrix: &Matrix, row: usize, out: &mut [f32]) {
        let format: Format = matrix.format();
        self.row.dequantize(format, matrix.rows_data(row..row + 1), out);
    }
}

/// What kernels may count on, of what the machine tells.
fn caches(told: CoreCaches) -> Caches {
    let bytes = |told: Option<u64>| told.and_then(|bytes| usize::try_from(bytes).ok());
    Caches { first_bytes: bytes(told.first_bytes), second_bytes: bytes(told.second_bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_are_told_the_caches_of_the_machine() {
        let mut told = CoreCaches::default();
        assert_eq!(caches(told), Caches::default());
        (told.first_bytes, told.second_bytes) = (Some(1), Some(2));
        assert_eq!(caches(told), Caches { first_bytes: Some(1), second_bytes: Some(2) });
    }
}
