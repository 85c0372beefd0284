//! Operations on `f32` vectors: norms, rotary embedding, activations, sums.
//!
//! Error bounds are against the formula evaluated exactly on the given `f32` inputs, with
//! `u = 2^-24`, half a unit in the last place. Every row keeps them; the tests check each row
//! against a double-precision evaluation.

use half::f16;

use crate::Row;
use crate::attention::AttentionOps;

/// Which two values of a head a rotary embedding turns together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pairing {
    /// Values `2i` and `2i + 1`: llama's own order, and what GGUF files of `llama` hold.
    Adjacent,
    /// Values `i` and `i + rotated / 2`: GPT-NeoX, Hugging Face checkpoints, Qwen, Gemma, Phi.
    Halves,
}

/// What a norm does besides normalising.
#[derive(Clone, Copy)]
pub(crate) struct Norm<'a> {
    pub(crate) weight: Option<&'a [f32]>,
    pub(crate) bias: Option<&'a [f32]>,
    pub(crate) eps: f32,
}

/// One row's functions on `f32` vectors, called with checked lengths.
#[derive(Debug)]
pub(crate) struct FloatOps {
    pub(crate) rms_norm: fn(&[f32], Norm<'_>, &mut [f32]),
    pub(crate) rms_norm_in_place: fn(&mut [f32], Norm<'_>),
    pub(crate) layer_norm: fn(&[f32], Norm<'_>, &mut [f32]),
    pub(crate) rope: fn(Pairing, &mut [f32], &[f32], &[f32]),
    pub(crate) softmax: fn(&mut [f32]),
    pub(crate) exp: fn(&mut [f32]),
    pub(crate) silu: fn(&mut [f32]),
    pub(crate) silu_mul: fn(&mut [f32], &[f32]),
    pub(crate) gelu: fn(&mut [f32]),
    pub(crate) gelu_mul: fn(&mut [f32], &[f32]),
    pub(crate) gelu_tanh: fn(&mut [f32]),
    pub(crate) gelu_tanh_mul: fn(&mut [f32], &[f32]),
    pub(crate) softcap: fn(&mut [f32], f32),
    pub(crate) add: fn(&mut [f32], &[f32]),
    pub(crate) scale: fn(&mut [f32], f32),
    pub(crate) add_scaled: fn(&mut [f32], &[f32], f32),
    pub(crate) dot: fn(&[f32], &[f32]) -> f32,
    pub(crate) to_f16: fn(&[f32], &mut [f16]),
    pub(crate) from_f16: fn(&[f16], &mut [f32]),
    pub(crate) attention: AttentionOps,
}

/// # Norms and rotary embedding
impl Row {
    /// `out[i] = x[i] / sqrt(mean(x^2) + eps) * weight[i]`; no weight means ones.
    ///
    /// Relative error of each value at most `(n / 32 + 8) u`, as long as the sum of squares is within
    /// the range of `f32`.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn rms_norm(&self, x: &[f32], weight: Option<&[f32]>, eps: f32, out: &mut [f32]) {
        same(x, out);
        weight.inspect(|weight| same(x, weight));
        (self.float.rms_norm)(x, Norm { weight, bias: None, eps }, out);
    }

    /// As [`Row::rms_norm`], over its own input: the norms of single heads.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn rms_norm_in_place(&self, x: &mut [f32], weight: Option<&[f32]>, eps: f32) {
        weight.inspect(|weight| same(x, weight));
        (self.float.rms_norm_in_place)(x, Norm { weight, bias: None, eps });
    }

    /// `out[i] = (x[i] - mean(x)) / sqrt(variance(x) + eps) * weight[i] + bias[i]`, with the
    /// variance `mean((x - mean(x))^2)`; no weight means ones, no bias zeros.
    ///
    /// Error at most `(n / 32 + 16) u (m / s * |weight[i]| + |result|)`, where `m` is the largest
    /// magnitude in `x` and `s` the root that divides; the sums must be within the range of `f32`.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn layer_norm(
        &self,
        x: &[f32],
        weight: Option<&[f32]>,
        bias: Option<&[f32]>,
        eps: f32,
        out: &mut [f32],
    ) {
        same(x, out);
        weight.inspect(|weight| same(x, weight));
        bias.inspect(|bias| same(x, bias));
        (self.float.layer_norm)(x, Norm { weight, bias, eps }, out);
    }

    /// Turns pair `i` of the first `2 * cos.len()` values of a head by the angle whose cosine and
    /// sine are given: `(a, b)` becomes `(a cos - b sin, a sin + b cos)`. Values after these are
    /// left alone (a partial rotary embedding). Su et al., RoFormer, section 3.2.2.
    ///
    /// Error of each value at most `2 u (|a| + |b|)`.
    ///
    /// # Panics
    /// If `cos` and `sin` differ in length or the head has fewer values than they turn.
    pub fn rope(&self, pairing: Pairing, head: &mut [f32], cos: &[f32], sin: &[f32]) {
        same(cos, sin);
        assert!(cos.len() <= head.len() / 2, "`{}` pairs in a head of `{}`", cos.len(), head.len());
        (self.float.rope)(pairing, head, cos, sin);
    }
}

/// # Activations
impl Row {
    /// `x[i] = exp(x[i] - max(x)) / sum`; all zeros when every value is minus infinity.
    ///
    /// Relative error of each value at most `(n / 32 + 12) u + 2 u |x[i] - max(x)|`; results
    /// under `1e-37` may be zero.
    pub fn softmax(&self, x: &mut [f32]) {
        (self.float.softmax)(x);
    }

    /// `x = exp(x)`. Relative error at most `4 u`; results under `1.2e-38` are zero, those that no
    /// `f32` can hold are infinite.
    pub fn exp(&self, x: &mut [f32]) {
        (self.float.exp)(x);
    }

    /// `x = x / (1 + exp(-x))`. Error at most `8 u |x / (1 + exp(-x))| + 1e-36`.
    pub fn silu(&self, x: &mut [f32]) {
        (self.float.silu)(x);
    }

    /// `gate = silu(gate) * up`; bound as [`Row::silu`].
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn silu_mul(&self, gate: &mut [f32], up: &[f32]) {
        same(gate, up);
        (self.float.silu_mul)(gate, up);
    }

    /// `x = x / 2 * (1 + erf(x / sqrt(2)))`. Error at most `4e-7 |x|`.
    pub fn gelu(&self, x: &mut [f32]) {
        (self.float.gelu)(x);
    }

    /// `gate = gelu(gate) * up`; bound as [`Row::gelu`].
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn gelu_mul(&self, gate: &mut [f32], up: &[f32]) {
        same(gate, up);
        (self.float.gelu_mul)(gate, up);
    }

    /// `x = x / 2 * (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))`. Error at most `4e-7 |x|`.
    pub fn gelu_tanh(&self, x: &mut [f32]) {
        (self.float.gelu_tanh)(x);
    }

    /// `gate = gelu_tanh(gate) * up`; bound as [`Row::gelu_tanh`].
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn gelu_tanh_mul(&self, gate: &mut [f32], up: &[f32]) {
        same(gate, up);
        (self.float.gelu_tanh_mul)(gate, up);
    }

    /// `x = cap * tanh(x / cap)`: Gemma 2's bound on logits. Error at most `4e-7 cap`.
    pub fn softcap(&self, x: &mut [f32], cap: f32) {
        (self.float.softcap)(x, cap);
    }
}

/// # Sums and conversions
impl Row {
    /// `x += y`, each sum rounded once.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn add(&self, x: &mut [f32], y: &[f32]) {
        same(x, y);
        (self.float.add)(x, y);
    }

    /// `x *= s`, each product rounded once.
    pub fn scale(&self, x: &mut [f32], s: f32) {
        (self.float.scale)(x, s);
    }

    /// `x += y * s`. Error at most `u (|result| + |y s|)`.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn add_scaled(&self, x: &mut [f32], y: &[f32], s: f32) {
        same(x, y);
        (self.float.add_scaled)(x, y, s);
    }

    /// `sum_i a[i] * b[i]`. Error at most `(n / 32 + 8) u sum_i |a[i] * b[i]|`.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn dot(&self, a: &[f32], b: &[f32]) -> f32 {
        same(a, b);
        (self.float.dot)(a, b)
    }

    /// Rounds to half precision, ties to even.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn to_f16(&self, x: &[f32], out: &mut [f16]) {
        assert_eq!(x.len(), out.len(), "vectors differ in length");
        (self.float.to_f16)(x, out);
    }

    /// Half precision to single, exactly.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn from_f16(&self, x: &[f16], out: &mut [f32]) {
        assert_eq!(x.len(), out.len(), "vectors differ in length");
        (self.float.from_f16)(x, out);
    }
}

#[track_caller]
fn same(a: &[f32], b: &[f32]) {
    assert_eq!(a.len(), b.len(), "vectors differ in length");
}
