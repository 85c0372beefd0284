//! The product behind attention for many rows: 16 columns of the right-hand operand become floats once
//! and then meet all rows from the first-level cache.

use super::product::{ANY, Left, Result, Rows};
use super::{Isa, Lanes};

/// Rows of the left-hand operand from which widening beforehand costs less than widening for every tile:
/// 12 of 128 columns were a tenth slower so, 24 of 64 the same.
pub(super) const LEAST_ROWS: usize = 24;

/// As [`super::product::product`], with room for the widened columns.
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
    room.resize(room.len().max(left.depth), [0.0; 16]);
    let widened = &mut room[..left.depth];
    let mut ahead = result.ahead.take();
    for at in result.first..result.end {
        for (d, out) in widened.iter_mut().enumerate() {
            if let Some(ahead) = &mut ahead {
                ahead.fetch(isa);
            }
            let [x] = right.vectors::<I, 1>(isa, base + d, at);
            x.store(out);
        }
        ahead = None;
        let mut row = 0;
        while row < m {
            row += match m - row {
                1 => tile::<I, ANY, 1>(isa, left, widened, result, row, at),
                2 => tile::<I, ANY, 2>(isa, left, widened, result, row, at),
                3 => tile::<I, ANY, 3>(isa, left, widened, result, row, at),
                4 => tile::<I, ANY, 4>(isa, left, widened, result, row, at),
                5 => tile::<I, ANY, 5>(isa, left, widened, result, row, at),
                // One address does for rows whose distance is known.
                _ => match left.stride {
                    64 => tile::<I, 64, 6>(isa, left, widened, result, row, at),
                    128 => tile::<I, 128, 6>(isa, left, widened, result, row, at),
                    _ => tile::<I, ANY, 6>(isa, left, widened, result, row, at),
                },
            };
        }
    }
}

/// `(M, 16)` values of the result; returns `M`.
#[inline(always)]
fn tile<I: Isa, const STRIDE: usize, const M: usize>(
    isa: I,
    left: Left<'_>,
    widened: &[[f32; 16]],
    result: &mut Result<'_>,
    row: usize,
    at: usize,
) -> usize {
    let mut sums: [[I::V; 1]; M] = result.begin(isa, row, at);
    if STRIDE == ANY {
        let mut rows = [&left.data[..0]; M];
        for (m, slot) in rows.iter_mut().enumerate() {
            *slot = &left.data[(row + m) * left.stride + left.first..][..widened.len()];
        }
        for (d, right) in widened.iter().enumerate() {
            let right = isa.load(right);
            for ([sum], row) in sums.iter_mut().zip(rows) {
                *sum = isa.splat(row[d]).mul_add(right, *sum);
            }
        }
    } else {
        assert!(left.first + widened.len() <= STRIDE, "more columns than a row of {STRIDE} has");
        let rows = &left.data.as_chunks::<STRIDE>().0[row..][..M];
        for (right, d) in widened.iter().zip(left.first..STRIDE) {
            let right = isa.load(right);
            for ([sum], row) in sums.iter_mut().zip(rows) {
                *sum = isa.splat(row[d]).mul_add(right, *sum);
            }
        }
    }
    result.end(sums, row, at);
    M
}
