//! Dot products and norms: four vectors of partial sums, so that additions do not wait.

use super::{Isa, Lanes, padded};
use crate::float::Norm;

/// What [`reduce`] adds up.
trait Term: Copy {
    fn add<I: Isa>(self, isa: I, a: I::V, b: I::V, sum: I::V) -> I::V;
}

/// `a b`.
#[derive(Clone, Copy)]
struct Product;

/// `a`.
#[derive(Clone, Copy)]
struct First;

/// `(a - center)^2`.
#[derive(Clone, Copy)]
struct SquareFrom(f32);

impl Term for Product {
    #[inline(always)]
    fn add<I: Isa>(self, _isa: I, a: I::V, b: I::V, sum: I::V) -> I::V {
        a.mul_add(b, sum)
    }
}

impl Term for First {
    #[inline(always)]
    fn add<I: Isa>(self, _isa: I, a: I::V, _b: I::V, sum: I::V) -> I::V {
        sum.add(a)
    }
}

impl Term for SquareFrom {
    #[inline(always)]
    fn add<I: Isa>(self, isa: I, a: I::V, _b: I::V, sum: I::V) -> I::V {
        let from = a.sub(isa.splat(self.0));
        from.mul_add(from, sum)
    }
}

/// The sum of a term over two vectors of one length.
#[inline(always)]
fn reduce<I: Isa, T: Term>(isa: I, term: T, a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [isa.splat(0.0); 4];
    let (a_quads, a) = a.as_chunks::<64>();
    let (b_quads, b) = b.as_chunks::<64>();
    for (a, b) in a_quads.iter().zip(b_quads) {
        let (a, b) = (a.as_chunks::<16>().0, b.as_chunks::<16>().0);
        for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum = term.add(isa, isa.load(a), isa.load(b), *sum);
        }
    }
    let (a_chunks, a_tail) = a.as_chunks::<16>();
    let (b_chunks, b_tail) = b.as_chunks::<16>();
    for (sum, (a, b)) in sums.iter_mut().zip(a_chunks.iter().zip(b_chunks)) {
        *sum = term.add(isa, isa.load(a), isa.load(b), *sum);
    }
    let sum = sums[0].add(sums[1]).add(sums[2].add(sums[3])).sum();
    let zero = isa.splat(0.0);
    let tail = term.add(isa, isa.load(&padded(a_tail)), isa.load(&padded(b_tail)), zero).to_array();
    sum + tail[..a_tail.len()].iter().sum::<f32>()
}

#[inline(always)]
pub(super) fn dot<I: Isa>(isa: I, a: &[f32], b: &[f32]) -> f32 {
    reduce(isa, Product, a, b)
}

#[inline(always)]
fn inverse_rms<I: Isa>(isa: I, x: &[f32], eps: f32) -> f32 {
    1.0 / (reduce(isa, Product, x, x) / x.len().max(1) as f32 + eps).sqrt()
}

#[inline(always)]
pub(super) fn rms_norm<I: Isa>(isa: I, x: &[f32], norm: Norm<'_>, out: &mut [f32]) {
    let inverse = inverse_rms(isa, x, norm.eps);
    match norm.weight {
        Some(weight) => {
            for ((out, x), weight) in out.iter_mut().zip(x).zip(weight) {
                *out = x * inverse * weight;
            }
        }
        None => out.iter_mut().zip(x).for_each(|(out, x)| *out = x * inverse),
    }
}

#[inline(always)]
pub(super) fn rms_norm_in_place<I: Isa>(isa: I, x: &mut [f32], norm: Norm<'_>) {
    let inverse = inverse_rms(isa, x, norm.eps);
    match norm.weight {
        Some(weight) => {
            for (x, weight) in x.iter_mut().zip(weight) {
                *x = *x * inverse * weight;
            }
        }
        None => x.iter_mut().for_each(|x| *x *= inverse),
    }
}

#[inline(always)]
pub(super) fn layer_norm<I: Isa>(isa: I, x: &[f32], norm: Norm<'_>, out: &mut [f32]) {
    let n = x.len().max(1) as f32;
    let center = reduce(isa, First, x, x) / n;
    let inverse = 1.0 / (reduce(isa, SquareFrom(center), x, x) / n + norm.eps).sqrt();
    for (out, x) in out.iter_mut().zip(x) {
        *out = (x - center) * inverse;
    }
    if let Some(weight) = norm.weight {
        for (out, weight) in out.iter_mut().zip(weight) {
            *out *= weight;
        }
    }
    if let Some(bias) = norm.bias {
        for (out, bias) in out.iter_mut().zip(bias) {
            *out += bias;
        }
    }
}
