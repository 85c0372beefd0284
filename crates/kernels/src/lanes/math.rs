//! Exponential and what is built on it: sigmoid, tanh, the error function.
//!
//! The polynomials are minimax fits in relative error (iteratively reweighted least squares on
//! 4000 Chebyshev nodes, against 50 digits).

use super::{Isa, Lanes, Map};

/// `exp(x)`, relative error under `2 u`; zero under `2^-126`, infinite over `f32::MAX`.
///
/// `x = n ln 2 + r` with `|r| <= ln 2 / 2`, and `exp(r) = 1 + r + r^2 P(r)`; `P` is within
/// 3.1e-9. The sum with `1.5 * 2^23` leaves `n` in the low bits of `t`.
#[inline(always)]
pub(super) fn exp<I: Isa>(isa: I, x: I::V) -> I::V {
    let shift = isa.splat(12_582_912.0);
    let t = x.mul_add(isa.splat(std::f32::consts::LOG2_E), shift);
    let n = t.sub(shift);
    // ln 2 in two parts (Cephes `expf`): the first has 9 bits, so that its product is exact.
    let r = n.neg_mul_add(isa.splat(0.693_359_4), x);
    let r = n.neg_mul_add(isa.splat(-2.121_944_4e-4), r);
    let p = isa.splat(0.001_381_461);
    let p = p.mul_add(r, isa.splat(0.008_368_71));
    let p = p.mul_add(r, isa.splat(0.041_668_39));
    let p = p.mul_add(r, isa.splat(0.166_665_21));
    let p = p.mul_add(r, isa.splat(0.499_999_94));
    let p = p.mul_add(r.mul(r), r).add(isa.splat(1.0));
    let y = p.add_exponent(t);
    let y = x.if_less(isa.splat(-87.336_54), isa.splat(0.0), y);
    // A NaN is not less, and stays one in the sum.
    x.if_less(isa.splat(88.722_84), y, x.add(isa.splat(f32::INFINITY)))
}

/// `2^x` of `x <= 1`, relative error under `3 u`; zero under `2^-126`.
///
/// As [`exp`] with `n` and `f` the whole and the rest of `x`; `2^f` within 9.2e-8.
#[expect(clippy::approx_constant, reason = "a fitted coefficient that is near it")]
#[inline(always)]
pub(super) fn exp2_below<I: Isa>(isa: I, x: I::V) -> I::V {
    let shift = isa.splat(12_582_912.0);
    let t = x.add(shift);
    let f = x.sub(t.sub(shift));
    let p = isa.splat(0.001_326_472_7);
    let p = p.mul_add(f, isa.splat(0.009_671_513));
    let p = p.mul_add(f, isa.splat(0.055_507_336));
    let p = p.mul_add(f, isa.splat(0.240_222_42));
    let p = p.mul_add(f, isa.splat(0.693_147));
    let p = p.mul_add(f, isa.splat(1.0));
    // A product, in which a NaN stays one.
    let y = p.mul(isa.splat(1.0).add_exponent(t));
    x.if_less(isa.splat(-126.0), isa.splat(0.0), y)
}

/// `1 / (1 + exp(-x))`.
#[inline(always)]
fn one_plus_exp_neg<I: Isa>(isa: I, x: I::V) -> I::V {
    exp(isa, isa.splat(0.0).sub(x)).add(isa.splat(1.0))
}

/// See [`crate::Row::exp`].
#[derive(Clone, Copy)]
pub(super) struct Exp;

/// [`exp2_below`].
#[derive(Clone, Copy)]
pub(super) struct Exp2Below;

/// See [`crate::Row::silu`].
#[derive(Clone, Copy)]
pub(super) struct Silu;

/// `x (1 + tanh y) / 2 = x / (1 + exp(-2 y))`; see [`crate::Row::gelu_tanh`].
#[derive(Clone, Copy)]
pub(super) struct GeluTanh;

/// `x (2 - e) / 2` for positive and `x e / 2` for other `x`, with `e = erfc(|x| / sqrt 2)`; see
/// [`crate::Row::gelu`].
///
/// `erfc(z) = exp(-z^2) P(1 / (1 + 0.3275911 z))`: the form of Abramowitz and Stegun 7.1.26, its
/// polynomial refitted to a relative error of 1.1e-7.
#[derive(Clone, Copy)]
pub(super) struct Gelu;

/// `cap tanh(x / cap)` with `tanh y = 1 - 2 / (1 + exp(2 y))`; see [`crate::Row::softcap`].
#[derive(Clone, Copy)]
pub(super) struct Softcap(pub(super) f32);

impl Map for Exp {
    #[inline(always)]
    fn apply<I: Isa>(self, isa: I, x: I::V) -> I::V {
        exp(isa, x)
    }
}

impl Map for Exp2Below {
    #[inline(always)]
    fn apply<I: Isa>(self, isa: I, x: I::V) -> I::V {
        exp2_below(isa, x)
    }
}

impl Map for Silu {
    #[inline(always)]
    fn apply<I: Isa>(self, isa: I, x: I::V) -> I::V {
        x.div(one_plus_exp_neg(isa, x))
    }
}

impl Map for GeluTanh {
    #[inline(always)]
    fn apply<I: Isa>(self, isa: I, x: I::V) -> I::V {
        // 2 sqrt(2 / pi), and the same times 0.044715.
        let y = x.mul(x).mul_add(isa.splat(0.071_354_814), isa.splat(1.595_769)).mul(x);
        x.div(one_plus_exp_neg(isa, y))
    }
}

impl Map for Gelu {
    #[inline(always)]
    fn apply<I: Isa>(self, isa: I, x: I::V) -> I::V {
        let z = x.abs().mul(isa.splat(std::f32::consts::FRAC_1_SQRT_2));
        let one = isa.splat(1.0);
        let t = one.div(z.mul_add(isa.splat(0.327_591_1), one));
        let p = isa.splat(-0.141_663_1);
        let p = p.mul_add(t, isa.splat(0.498_880_62));
        let p = p.mul_add(t, isa.splat(-0.409_603_4));
        let p = p.mul_add(t, isa.splat(0.456_564_64));
        let p = p.mul_add(t, isa.splat(0.023_715_172));
        let p = p.mul_add(t, isa.splat(0.206_398_11));
        let p = p.mul_add(t, isa.splat(0.180_649_98));
        let p = p.mul_add(t, isa.splat(0.185_058_09)).mul(t);
        let square = x.mul(x).mul(isa.splat(-0.5));
        let half = exp(isa, square).mul(p).mul(isa.splat(0.5));
        isa.splat(0.0).if_less(x, x.mul(one.sub(half)), x.mul(half))
    }
}

impl Map for Softcap {
    #[inline(always)]
    fn apply<I: Isa>(self, isa: I, x: I::V) -> I::V {
        let cap = isa.splat(self.0);
        let y = x.div(cap);
        let e = exp(isa, y.add(y)).add(isa.splat(1.0));
        let one = isa.splat(1.0);
        cap.mul(one.sub(isa.splat(2.0).div(e)))
    }
}
