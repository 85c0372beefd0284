//! What treats every element alike, and softmax. Loops without a transcendental or a horizontal
//! step are plain: LLVM vectorises them for the caller's instruction set.

use half::f16;

use super::math::exp;
use super::{Isa, Lanes, Map, padded};
use crate::Pairing;

#[inline(always)]
pub(super) fn map<I: Isa, M: Map>(isa: I, map: M, x: &mut [f32]) {
    let (chunks, tail) = x.as_chunks_mut::<16>();
    for x in chunks {
        map.apply(isa, isa.load(x)).store(x);
    }
    if !tail.is_empty() {
        let y = map.apply(isa, isa.load(&padded(tail))).to_array();
        tail.copy_from_slice(&y[..tail.len()]);
    }
}

#[inline(always)]
pub(super) fn map_mul<I: Isa, M: Map>(isa: I, map: M, x: &mut [f32], y: &[f32]) {
    let (chunks, tail) = x.as_chunks_mut::<16>();
    let (y_chunks, y_tail) = y.as_chunks::<16>();
    for (x, y) in chunks.iter_mut().zip(y_chunks) {
        map.apply(isa, isa.load(x)).mul(isa.load(y)).store(x);
    }
    if !tail.is_empty() {
        let x = map.apply(isa, isa.load(&padded(tail)));
        let y = x.mul(isa.load(&padded(y_tail))).to_array();
        tail.copy_from_slice(&y[..tail.len()]);
    }
}

#[inline(always)]
pub(super) fn softmax<I: Isa>(isa: I, x: &mut [f32]) {
    let mut max = isa.splat(f32::NEG_INFINITY);
    let (chunks, tail) = x.as_chunks_mut::<16>();
    for x in chunks.iter() {
        max = isa.load(x).max(max);
    }
    let max = tail.iter().fold(max.greatest(), |a, &b| if b > a { b } else { a });
    if max == f32::NEG_INFINITY && x.iter().all(|&x| x == max) {
        return x.fill(0.0);
    }
    let (chunks, tail) = x.as_chunks_mut::<16>();
    let offset = isa.splat(max);
    let mut total = isa.splat(0.0);
    for x in chunks {
        let y = exp(isa, isa.load(x).sub(offset));
        total = total.add(y);
        y.store(x);
    }
    let mut sum = total.sum();
    if !tail.is_empty() {
        let y = exp(isa, isa.load(&padded(tail)).sub(offset)).to_array();
        for (x, y) in tail.iter_mut().zip(y) {
            *x = y;
            sum += y;
        }
    }
    scale(x, 1.0 / sum);
}

#[inline(always)]
pub(super) fn rope(pairing: Pairing, head: &mut [f32], cos: &[f32], sin: &[f32]) {
    let head = &mut head[..2 * cos.len()];
    match pairing {
        Pairing::Adjacent => {
            for (pair, (cos, sin)) in
                head.as_chunks_mut::<2>().0.iter_mut().zip(cos.iter().zip(sin))
            {
                let [a, b] = *pair;
                *pair = [a * cos - b * sin, a * sin + b * cos];
            }
        }
        Pairing::Halves => {
            let (first, second) = head.split_at_mut(cos.len());
            for ((a, b), (cos, sin)) in first.iter_mut().zip(second).zip(cos.iter().zip(sin)) {
                (*a, *b) = (*a * cos - *b * sin, *a * sin + *b * cos);
            }
        }
    }
}

#[inline(always)]
pub(super) fn add(x: &mut [f32], y: &[f32]) {
    for (x, y) in x.iter_mut().zip(y) {
        *x += y;
    }
}

#[inline(always)]
pub(super) fn scale(x: &mut [f32], s: f32) {
    for x in x {
        *x *= s;
    }
}

#[inline(always)]
pub(super) fn add_scaled(x: &mut [f32], y: &[f32], s: f32) {
    for (x, y) in x.iter_mut().zip(y) {
        *x = y.mul_add(s, *x);
    }
}

#[inline(always)]
pub(super) fn to_f16<I: Isa>(isa: I, x: &[f32], out: &mut [f16]) {
    let (chunks, tail) = x.as_chunks::<16>();
    let (out_chunks, out_tail) = out.as_chunks_mut::<16>();
    for (x, out) in chunks.iter().zip(out_chunks) {
        isa.load(x).store_f16(out);
    }
    if !tail.is_empty() {
        let mut rounded = [f16::ZERO; 16];
        isa.load(&padded(tail)).store_f16(&mut rounded);
        out_tail.copy_from_slice(&rounded[..tail.len()]);
    }
}

#[inline(always)]
pub(super) fn from_f16<I: Isa>(isa: I, x: &[f16], out: &mut [f32]) {
    let (chunks, tail) = x.as_chunks::<16>();
    let (out_chunks, out_tail) = out.as_chunks_mut::<16>();
    for (x, out) in chunks.iter().zip(out_chunks) {
        isa.load_f16(x).store(out);
    }
    if !tail.is_empty() {
        let exact = isa.load_f16(&padded(tail)).to_array();
        out_tail.copy_from_slice(&exact[..tail.len()]);
    }
}
