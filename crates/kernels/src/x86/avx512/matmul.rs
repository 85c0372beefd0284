//! Which decoder and which kernel a product takes.

use bytemuck::cast_slice;

use super::step::Step;
use super::{decode, matmat, matvec};
use crate::block::{Block, with_block};
use crate::blocks::{IQ4_NL, IQ4_XS, MXFP4, Q4_0, Q4_1, Q5_0, Q5_1, Q6_K, Q8_0};
use crate::{Columns, Format, QuantizedRows, Scratch};

/// From this many tokens on, unpacking a panel of rows pays.
const MATMAT_TOKENS: usize = 8;

#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
pub(super) fn matmul(
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
    // Closures, because they have this function's instruction set and a path would be unsafe.
    match format {
        Format::Q4_0 => run::<Q4_0, 8, 8>(weights, x, scratch, out, |b| decode::q4_0(b)),
        Format::Q4_1 => run::<Q4_1, 8, 0>(weights, x, scratch, out, |b| decode::q4_1(b)),
        Format::Q5_0 => run::<Q5_0, 8, 16>(weights, x, scratch, out, |b| decode::q5_0(b)),
        Format::Q5_1 => run::<Q5_1, 8, 0>(weights, x, scratch, out, |b| decode::q5_1(b)),
        Format::IQ4_NL => run::<IQ4_NL, 8, 128>(weights, x, scratch, out, |b| decode::iq4_nl(b)),
        Format::IQ4_XS => run::<IQ4_XS, 1, 128>(weights, x, scratch, out, |b| decode::iq4_xs(b)),
        Format::MXFP4 => run::<MXFP4, 8, 128>(weights, x, scratch, out, |b| decode::mxfp4(b)),
        Format::Q8_0 => run::<Q8_0, 8, 128>(weights, x, scratch, out, |b| decode::q8_0(b)),
        Format::Q6_K => run::<Q6_K, 1, 32>(weights, x, scratch, out, |b| decode::q6_k(b)),
        _ => with_block!(format, B => match B::LEN {
            32 => run::<B, 8, 128>(weights, x, scratch, out, |b| decode::generic(b)),
            64 => run::<B, 4, 128>(weights, x, scratch, out, |b| decode::generic(b)),
            128 => run::<B, 2, 128>(weights, x, scratch, out, |b| decode::generic(b)),
            _ => run::<B, 1, 128>(weights, x, scratch, out, |b| decode::generic(b)),
        }),
    }
}

#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
fn run<B: Block, const K: usize, const BIAS: u8>(
    weights: &[u8],
    x: &QuantizedRows,
    scratch: &mut Scratch,
    out: &mut Columns<'_>,
    decode: impl Fn(&[B; K]) -> Step + Copy,
) {
    // Formats of other lengths compile to nothing.
    if K * B::LEN != super::step::STEP {
        return;
    }
    let blocks = cast_slice::<u8, B>(weights);
    if x.tokens() < MATMAT_TOKENS {
        matvec::matvec::<B, K, BIAS>(blocks, x, out, decode);
    } else {
        matmat::matmat::<B, K, BIAS>(blocks, x, scratch, out, decode);
    }
}
