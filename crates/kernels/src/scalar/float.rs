//! Norms, rotary embedding, activations and sums, in double precision where they add up.

use half::f16;

use super::attention;
use crate::Pairing;
use crate::float::{FloatOps, Norm};

pub(crate) const OPS: FloatOps = FloatOps {
    rms_norm,
    rms_norm_in_place,
    layer_norm,
    rope,
    softmax,
    exp: |x| map(x, f64::exp),
    silu: |x| map(x, silu),
    silu_mul: |gate, up| map_mul(gate, up, silu),
    gelu: |x| map(x, gelu),
    gelu_mul: |gate, up| map_mul(gate, up, gelu),
    gelu_tanh: |x| map(x, gelu_tanh),
    gelu_tanh_mul: |gate, up| map_mul(gate, up, gelu_tanh),
    softcap: |x, cap| map(x, |x| f64::from(cap) * (x / f64::from(cap)).tanh()),
    add: |x, y| x.iter_mut().zip(y).for_each(|(x, y)| *x += y),
    scale: |x, s| x.iter_mut().for_each(|x| *x *= s),
    add_scaled: |x, y, s| x.iter_mut().zip(y).for_each(|(x, y)| *x += y * s),
    dot,
    to_f16: |x, out| out.iter_mut().zip(x).for_each(|(out, x)| *out = f16::from_f32(*x)),
    from_f16: |x, out| out.iter_mut().zip(x).for_each(|(out, x)| *out = x.to_f32()),
    attention: attention::OPS,
};

fn map(x: &mut [f32], f: impl Fn(f64) -> f64) {
    x.iter_mut().for_each(|x| *x = f(f64::from(*x)) as f32);
}

fn map_mul(x: &mut [f32], y: &[f32], f: impl Fn(f64) -> f64) {
    x.iter_mut().zip(y).for_each(|(x, y)| *x = (f(f64::from(*x)) * f64::from(*y)) as f32);
}

fn mean(x: &[f32], f: impl Fn(f64) -> f64) -> f64 {
    x.iter().map(|&x| f(f64::from(x))).sum::<f64>() / x.len().max(1) as f64
}

fn rms_norm(x: &[f32], norm: Norm<'_>, out: &mut [f32]) {
    out.copy_from_slice(x);
    rms_norm_in_place(out, norm);
}

fn rms_norm_in_place(x: &mut [f32], norm: Norm<'_>) {
    let inverse = 1.0 / (mean(x, |x| x * x) + f64::from(norm.eps)).sqrt();
    for (i, x) in x.iter_mut().enumerate() {
        *x = (f64::from(*x) * inverse * norm.weight.map_or(1.0, |w| f64::from(w[i]))) as f32;
    }
}

fn layer_norm(x: &[f32], norm: Norm<'_>, out: &mut [f32]) {
    let center = mean(x, |x| x);
    let variance = mean(x, |x| (x - center) * (x - center));
    let inverse = 1.0 / (variance + f64::from(norm.eps)).sqrt();
    for (i, (out, x)) in out.iter_mut().zip(x).enumerate() {
        let weight = norm.weight.map_or(1.0, |w| f64::from(w[i]));
        let bias = norm.bias.map_or(0.0, |b| f64::from(b[i]));
        *out = ((f64::from(*x) - center) * inverse * weight + bias) as f32;
    }
}

fn rope(pairing: Pairing, head: &mut [f32], cos: &[f32], sin: &[f32]) {
    for i in 0..cos.len() {
        let (first, second) = match pairing {
            Pairing::Adjacent => (2 * i, 2 * i + 1),
            Pairing::Halves => (i, i + cos.len()),
        };
        let (a, b) = (head[first], head[second]);
        head[first] = a * cos[i] - b * sin[i];
        head[second] = a * sin[i] + b * cos[i];
    }
}

fn softmax(x: &mut [f32]) {
    if x.iter().all(|&x| x == f32::NEG_INFINITY) {
        return x.fill(0.0);
    }
    let max = f64::from(x.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let sum: f64 = x.iter().map(|&x| (f64::from(x) - max).exp()).sum();
    map(x, |x| (x - max).exp() / sum);
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum::<f64>() as f32
}

fn silu(x: f64) -> f64 {
    x / (1.0 + (-x).exp())
}

fn gelu(x: f64) -> f64 {
    0.5 * x * (1.0 + erf(x * std::f64::consts::FRAC_1_SQRT_2))
}

fn gelu_tanh(x: f64) -> f64 {
    0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x)).tanh())
}

/// `2 / sqrt(pi) exp(-x^2) sum_n 2^n x^(2n+1) / (2n+1)!!` (Abramowitz and Stegun 7.1.6).
fn erf(x: f64) -> f64 {
    if x.abs() > 6.0 {
        return x.signum();
    }
    let (mut term, mut sum) = (x, 0.0);
    for n in 1..200 {
        sum += term;
        term *= 2.0 * x * x / f64::from(2 * n + 1);
    }
    std::f64::consts::FRAC_2_SQRT_PI * (-x * x).exp() * sum
}
