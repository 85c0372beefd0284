//! Which decoder and which kernel a product takes.

use super::step::{Decode, decode};
use super::{i8mm, matmat, matvec};
use crate::block::{Block, with_block};
use crate::steps::WeightRows;
use crate::{Columns, Format, QuantizedRows, Scratch};

/// From this many rows of activations on, interleaving a panel of rows pays: `smmla` has four
/// finished sums to a register, so that with two rows it takes no more instructions than `sdot`
/// without a panel, and with three a third fewer.
const fn matmat_rows(run: usize) -> usize {
    if run == i8mm::RUN { 2 } else { 8 }
}

/// `RUN` is [`matmat::matmat`]'s.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn matmul<const DOTPROD: bool, const RUN: usize>(
    format: Format,
    weights: &[u8],
    x: &QuantizedRows,
    scratch: &mut Scratch,
    out: &mut Columns<'_>,
) {
    if x.n() == 0 {
        (0..out.tokens()).for_each(|t| out.row(t).fill(0.0));
        return;
    }
    with_block!(format, B => {
        let weights = WeightRows::new::<B>(weights, out.columns());
        // Behind a pointer, so that the kernels are compiled once for all formats.
        let decode: Decode = decode::<B>;
        match (B::GROUP, B::HAS_MIN) {
            (16, false) => run::<DOTPROD, RUN, 16, false>(weights, x, scratch, out, decode),
            (16, true) => run::<DOTPROD, RUN, 16, true>(weights, x, scratch, out, decode),
            (_, false) => run::<DOTPROD, RUN, 32, false>(weights, x, scratch, out, decode),
            (_, true) => run::<DOTPROD, RUN, 32, true>(weights, x, scratch, out, decode),
        }
    });
}

#[inline]
#[target_feature(enable = "neon")]
fn run<const DOTPROD: bool, const RUN: usize, const GROUP: usize, const HAS_MIN: bool>(
    weights: WeightRows<'_>,
    x: &QuantizedRows,
    scratch: &mut Scratch,
    out: &mut Columns<'_>,
    decode: Decode,
) {
    if x.rows() < matmat_rows(RUN) {
        matvec::matvec::<DOTPROD, GROUP, HAS_MIN>(weights, x, out, decode);
    } else {
        matmat::matmat::<DOTPROD, RUN, GROUP, HAS_MIN>(weights, x, scratch, out, decode);
    }
}
