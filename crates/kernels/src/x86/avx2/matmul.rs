//! Which decoder and which kernel a product takes.

use super::step::Step;
use super::{decode, matmat, matvec};
use crate::block::{Block, with_block};
use crate::blocks::{
    IQ4_NL, IQ4_XS, MXFP4, Q2_K, Q3_K, Q4_0, Q4_1, Q4_K, Q5_0, Q5_1, Q5_K, Q6_K, Q8_0,
};
use crate::steps::WeightRows;
use crate::{Columns, Format, QuantizedRows, Scratch};

/// From this many rows of activations on, unpacking a panel of rows pays.
const MATMAT_ROWS: usize = 8;

struct Call<'a, 'b, W> {
    weights: W,
    x: &'a QuantizedRows,
    scratch: &'a mut Scratch,
    out: &'a mut Columns<'b>,
}

impl<'a, 'b> Call<'a, 'b, &'a [u8]> {
    /// With the weights' bytes cut into rows of format `B`: the compiler sees how long a step is.
    #[inline(always)]
    fn rows<B: Block>(self) -> Call<'a, 'b, WeightRows<'a>> {
        let Self { weights, x, scratch, out } = self;
        let weights = WeightRows::new::<B>(weights, out.columns());
        Call { weights, x, scratch, out }
    }
}

#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn matmul<const VNNI: bool>(
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
    let call = Call { weights, x, scratch, out };
    // Closures, because they have this function's instruction set and a path would be unsafe.
    // The last two numbers are what weights exceed their value by, and the center whose subtraction
    // lets sums of a group fit 16 bits ([`super::dot::short`]).
    match format {
        Format::Q4_0 => run::<VNNI, 32, false, 8, 8>(call.rows::<Q4_0>(), |b| decode::q4_0(b)),
        Format::Q4_1 => run::<VNNI, 32, true, 0, 0>(call.rows::<Q4_1>(), |b| decode::q4_1(b)),
        Format::Q8_0 => run::<VNNI, 32, false, 128, 128>(call.rows::<Q8_0>(), |b| decode::q8_0(b)),
        Format::Q5_0 => run::<VNNI, 32, false, 16, 16>(call.rows::<Q5_0>(), |b| decode::q5_0(b)),
        Format::Q5_1 => run::<VNNI, 32, true, 0, 16>(call.rows::<Q5_1>(), |b| decode::q5_1(b)),
        Format::IQ4_NL => {
            run::<VNNI, 32, false, 128, 128>(call.rows::<IQ4_NL>(), |b| decode::iq4_nl(b))
        }
        Format::IQ4_XS => {
            run::<VNNI, 32, false, 128, 128>(call.rows::<IQ4_XS>(), |b| decode::iq4_xs(b))
        }
        Format::MXFP4 => {
            run::<VNNI, 32, false, 128, 128>(call.rows::<MXFP4>(), |b| decode::mxfp4(b))
        }
        Format::Q2_K => run::<VNNI, 16, true, 0, 0>(call.rows::<Q2_K>(), |b| decode::q2_k(b)),
        Format::Q3_K => run::<VNNI, 16, false, 4, 4>(call.rows::<Q3_K>(), |b| decode::q3_k(b)),
        Format::Q4_K => run::<VNNI, 32, true, 0, 0>(call.rows::<Q4_K>(), |b| decode::q4_k(b)),
        Format::Q5_K => run::<VNNI, 32, true, 0, 16>(call.rows::<Q5_K>(), |b| decode::q5_k(b)),
        Format::Q6_K => run::<VNNI, 16, false, 32, 32>(call.rows::<Q6_K>(), |b| decode::q6_k(b)),
        _ => with_block!(format, B => {
            // Behind a pointer, so that the kernels are compiled once for all these formats.
            let decode: fn(&[u8]) -> Step = |b| decode::generic::<B>(b);
            match (B::GROUP, B::HAS_MIN) {
                (16, false) => run::<VNNI, 16, false, 128, 128>(call.rows::<B>(), decode),
                (16, true) => run::<VNNI, 16, true, 128, 128>(call.rows::<B>(), decode),
                (_, false) => run::<VNNI, 32, false, 128, 128>(call.rows::<B>(), decode),
                (_, true) => run::<VNNI, 32, true, 128, 128>(call.rows::<B>(), decode),
            }
        }),
    }
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn run<
    const VNNI: bool,
    const GROUP: usize,
    const HAS_MIN: bool,
    const BIAS: u8,
    const CENTER: u8,
>(
    call: Call<'_, '_, WeightRows<'_>>,
    decode: impl Fn(&[u8]) -> Step + Copy,
) {
    let Call { weights, x, scratch, out } = call;
    if x.rows() < MATMAT_ROWS {
        matvec::matvec::<VNNI, GROUP, HAS_MIN, BIAS>(weights, x, out, decode);
    } else {
        matmat::matmat::<VNNI, GROUP, HAS_MIN, BIAS, CENTER>(weights, x, scratch, out, decode);
    }
}
