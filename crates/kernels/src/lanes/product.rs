//! The product behind attention: `(m, depth)` times `(depth, n)`, in tiles that stay in registers.

use super::{Isa, Lanes, widened};

/// The right-hand operand: rows of whole vectors.
pub(super) trait Rows: Copy {
    /// Vectors `first..first + N` of a row. Lanes past the end of a row hold anything.
    fn vectors<I: Isa, const N: usize>(self, isa: I, row: usize, first: usize) -> [I::V; N];
}

/// A [`Left::stride`] that is not known when a kernel is compiled.
pub(super) const ANY: usize = 1;

/// The left-hand operand: `depth` columns from `first` of each row of `stride` floats.
#[derive(Clone, Copy)]
pub(super) struct Left<'a> {
    pub(super) data: &'a [f32],
    pub(super) stride: usize,
    pub(super) first: usize,
    pub(super) depth: usize,
}

/// The result, `(m, stride)`: vectors `first..end` of each row become their old value times
/// `carry[row]` plus the product, or the product alone where there is no `carry`.
pub(super) struct Result<'a> {
    pub(super) data: &'a mut [f32],
    pub(super) stride: usize,
    pub(super) first: usize,
    pub(super) end: usize,
    pub(super) carry: Option<&'a [f32]>,
    /// What to fetch while the first tile is computed, or the first columns are widened.
    pub(super) ahead: Option<Ahead>,
}

/// Memory to be fetched into a cache while a product is computed.
#[derive(Clone, Copy)]
pub(super) struct Ahead {
    start: *const u8,
    /// Lines for each row of the product.
    lines: usize,
}

impl Result<'_> {
    /// What the sums of a tile of `(M, 16 N)` values start from.
    #[inline(always)]
    pub(super) fn begin<I: Isa, const M: usize, const N: usize>(
        &self,
        isa: I,
        row: usize,
        at: usize,
    ) -> [[I::V; N]; M] {
        let mut sums = [[isa.splat(0.0); N]; M];
        if let Some(carry) = self.carry {
            for (m, sums) in sums.iter_mut().enumerate() {
                let carry = isa.splat(carry[row + m]);
                let old = &self.data[(row + m) * self.stride + at * 16..][..N * 16];
                for (sum, old) in sums.iter_mut().zip(old.as_chunks::<16>().0) {
                    *sum = isa.load(old).mul(carry);
                }
            }
        }
        sums
    }

    /// Writes the values of a tile.
    #[inline(always)]
    pub(super) fn end<V: Lanes, const M: usize, const N: usize>(
        &mut self,
        sums: [[V; N]; M],
        row: usize,
        at: usize,
    ) {
        for (m, sums) in sums.into_iter().enumerate() {
            let out = &mut self.data[(row + m) * self.stride + at * 16..][..N * 16];
            for (sum, out) in sums.into_iter().zip(out.as_chunks_mut::<16>().0) {
                sum.store(out);
            }
        }
    }
}

impl Ahead {
    /// All of `memory`, in the course of so many rows.
    pub(super) fn of<T>(memory: &[T], rows: usize) -> Self {
        let lines = size_of_val(memory).div_ceil(64).div_ceil(rows.max(1));
        Self { start: memory.as_ptr().cast(), lines }
    }

    /// Asks for the next lines, once for each row.
    #[inline(always)]
    pub(super) fn fetch<I: Isa>(&mut self, isa: I) {
        for _ in 0..self.lines {
            isa.fetch(self.start);
            self.start = self.start.wrapping_add(64);
        }
    }
}

/// `result = carry * result + left * right`, where `right` begins with row `base`. `room` is for
/// what a row of kernels may widen beforehand.
#[inline(always)]
pub(super) fn product<I: Isa>(
    isa: I,
    left: Left<'_>,
    right: impl Rows,
    base: usize,
    result: &mut Result<'_>,
    m: usize,
    room: &mut Vec<[f32; 16]>,
) {
    if I::WIDENS_BEFORE && m >= widened::LEAST_ROWS {
        return widened::product(isa, left, right, base, result, m, room);
    }
    let mut row = 0;
    while row < m {
        row += match m - row {
            1 => strip::<I, _, ANY, 1>(isa, left, right, base, result, row),
            2 => strip::<I, _, ANY, 2>(isa, left, right, base, result, row),
            3 => strip::<I, _, ANY, 3>(isa, left, right, base, result, row),
            4 | 5 => strip::<I, _, ANY, 4>(isa, left, right, base, result, row),
            // An address for each of so many rows would need more registers than there are: where their
            // distance is known, one does.
            _ => match left.stride {
                64 => strip::<I, _, 64, 6>(isa, left, right, base, result, row),
                128 => strip::<I, _, 128, 6>(isa, left, right, base, result, row),
                _ => strip::<I, _, ANY, 6>(isa, left, right, base, result, row),
            },
        };
    }
}

/// Rows `row..row + M` of the result; returns `M`.
#[inline(always)]
fn strip<I: Isa, R: Rows, const STRIDE: usize, const M: usize>(
    isa: I,
    left: Left<'_>,
    right: R,
    base: usize,
    result: &mut Result<'_>,
    row: usize,
) -> usize {
    let mut at = result.first;
    while at < result.end {
        let rest = result.end - at;
        at += if rest >= 4 && 4 * M <= I::ACCUMULATORS {
            tile::<I, R, STRIDE, M, 4>(isa, left, right, base, result, row, at)
        } else if rest >= 2 && 2 * M <= I::ACCUMULATORS {
            tile::<I, R, STRIDE, M, 2>(isa, left, right, base, result, row, at)
        } else {
            tile::<I, R, STRIDE, M, 1>(isa, left, right, base, result, row, at)
        };
    }
    M
}

/// `(M, 16 N)` values of the result; returns `N`.
#[inline(always)]
fn tile<I: Isa, R: Rows, const STRIDE: usize, const M: usize, const N: usize>(
    isa: I,
    left: Left<'_>,
    right: R,
    base: usize,
    result: &mut Result<'_>,
    row: usize,
    at: usize,
) -> usize {
    let mut ahead = result.ahead.take();
    let mut sums: [[I::V; N]; M] = result.begin(isa, row, at);
    let mut rows = [&left.data[..0]; M];
    for (m, slot) in rows.iter_mut().enumerate() {
        *slot = &left.data[(row + m) * left.stride + left.first..][..left.depth];
    }
    let near = match STRIDE {
        ANY => &[],
        _ => &left.data.as_chunks::<STRIDE>().0[row..][..M],
    };
    for d in 0..left.depth {
        if let Some(ahead) = &mut ahead {
            ahead.fetch(isa);
        }
        let right = right.vectors::<I, N>(isa, base + d, at);
        for (m, sums) in sums.iter_mut().enumerate() {
            let factor = match STRIDE {
                ANY => rows[m][d],
                _ => near[m][left.first + d],
            };
            let factor = isa.splat(factor);
            for (sum, right) in sums.iter_mut().zip(right) {
                *sum = factor.mul_add(right, *sum);
            }
        }
    }
    result.end(sums, row, at);
    N
}
