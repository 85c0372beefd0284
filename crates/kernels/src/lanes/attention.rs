//! One page of attention: scores, their weights, the weighted values.
//!
//! The page is converted to floats once, as far as any query sees it, and serves every query from
//! the cache. A few queries of one token read the page's halves directly.

use half::f16;

use super::math::{Softcap, exp};
use super::product::{Floats, Halves, Left, Result, Rows, product};
use super::{Isa, Lanes, elementwise, padded};
use crate::attention::{AttendScratch, Q8_GROUP};
use crate::{Attend, AttendState, PAGE, Page, PageMut, Scratch, Span, scalar};

/// Up to so many queries the conversions of a page cost less than storing and loading them.
const FEW: usize = 6;

#[inline(always)]
pub(super) fn store<I: Isa>(
    isa: I,
    page: &mut PageMut<'_>,
    slot: usize,
    key: &[f32],
    value: &[f32],
) {
    let PageMut::F16 { keys, values } = page else {
        return (scalar::float::OPS.attention.store)(page, slot, key, value);
    };
    elementwise::to_f16(isa, value, &mut values[slot * value.len()..][..value.len()]);
    for (rows, key) in keys.chunks_mut(16 * PAGE).zip(key.chunks(16)) {
        let mut rounded = [f16::ZERO; 16];
        isa.load(&padded(key)).store_f16(&mut rounded);
        for (row, key) in rows.chunks_exact_mut(PAGE).zip(rounded) {
            row[slot] = key;
        }
    }
}

#[inline(always)]
pub(super) fn attend_page<I: Isa>(
    isa: I,
    shape: &Attend,
    queries: &[f32],
    spans: &[Span],
    page: Page<'_>,
    scratch: &mut Scratch,
    state: &mut AttendState,
) {
    let Some(hull) = hull(spans) else { return };
    let scratch = &mut scratch.attend;
    let uniform = spans.iter().all(|&span| span == hull);
    let mut part = Part {
        shape,
        queries,
        spans,
        max: &mut state.max,
        sum: &mut state.sum,
        values: &mut state.values,
        stride: state.stride,
    };
    if let Page::F16 { keys, values } = page
        && uniform
        && spans.len() <= FEW
        && shape.k.is_multiple_of(16)
    {
        let keys = Halves { data: keys, stride: PAGE };
        let values = Halves { data: values, stride: shape.k };
        return part.attend(isa, hull, keys, values, &mut scratch.weights, &mut scratch.carry);
    }
    let AttendScratch { keys, values, weights, carry } = scratch;
    keys.resize(shape.k * PAGE, 0.0);
    values.resize(state.stride * PAGE, 0.0);
    let finite = convert(isa, page, shape.k, hull, keys, values);
    let keys = Floats { data: keys, stride: PAGE };
    let values = Floats { data: values, stride: state.stride };
    if uniform || finite {
        return part.attend(isa, hull, keys, values, weights, carry);
    }
    // A weight of zero does not silence an infinite value: here every query meets its own span.
    for (q, &span) in spans.iter().enumerate().filter(|(_, span)| !span.is_empty()) {
        part.query(q).attend(isa, span, keys, values, weights, carry);
    }
}

/// The smallest span that covers all; `None` if nothing is visible.
fn hull(spans: &[Span]) -> Option<Span> {
    let seen = spans.iter().filter(|span| !span.is_empty());
    seen.copied().reduce(|a, b| Span { start: a.start.min(b.start), end: a.end.max(b.end) })
}

/// Queries and what they have seen.
struct Part<'a> {
    shape: &'a Attend,
    queries: &'a [f32],
    spans: &'a [Span],
    max: &'a mut [f32],
    sum: &'a mut [f32],
    values: &'a mut [f32],
    stride: usize,
}

impl Part<'_> {
    /// Query `q` alone.
    fn query(&mut self, q: usize) -> Part<'_> {
        Part {
            shape: self.shape,
            queries: &self.queries[q * self.shape.k..][..self.shape.k],
            spans: &self.spans[q..][..1],
            max: &mut self.max[q..][..1],
            sum: &mut self.sum[q..][..1],
            values: &mut self.values[q * self.stride..][..self.stride],
            stride: self.stride,
        }
    }

    /// `hull` covers the spans; every value in it is finite or seen by all queries.
    #[inline(always)]
    fn attend<I: Isa, R: Rows>(
        &mut self,
        isa: I,
        hull: Span,
        keys: R,
        values: R,
        weights: &mut Vec<f32>,
        carry: &mut Vec<f32>,
    ) {
        let (k, nq) = (self.shape.k, self.spans.len());
        let (first, end) = (hull.start / 16, hull.end.div_ceil(16));
        weights.resize(nq * PAGE, 0.0);
        carry.resize(nq, 0.0);
        let left = Left { data: self.queries, stride: k, first: 0, depth: k };
        let mut scores = Result { data: weights, stride: PAGE, first, end, carry: None };
        product(isa, left, keys, 0, &mut scores, nq);
        for (q, (row, carry)) in weights.chunks_exact_mut(PAGE).zip(carry.iter_mut()).enumerate() {
            *carry = self.weigh(isa, q, first * 16, &mut row[first * 16..end * 16]);
        }
        let depth = hull.end - hull.start;
        let left = Left { data: weights, stride: PAGE, first: hull.start, depth };
        let mut seen = Result {
            data: self.values,
            stride: self.stride,
            first: 0,
            end: self.stride / 16,
            carry: Some(carry),
        };
        product(isa, left, values, hull.start, &mut seen, nq);
    }

    /// Turns the products of query `q` with positions `offset..` into weights relative to the
    /// greatest score so far, and returns what the earlier weights shrink by.
    #[inline(always)]
    fn weigh<I: Isa>(&mut self, isa: I, q: usize, offset: usize, row: &mut [f32]) -> f32 {
        let span = self.spans[q];
        if span.is_empty() {
            row.fill(0.0);
            return 1.0;
        }
        elementwise::scale(row, self.shape.scale);
        if let Some(cap) = self.shape.softcap {
            elementwise::map(isa, Softcap(cap), row);
        }
        row[..span.start - offset].fill(f32::NEG_INFINITY);
        row[span.end - offset..].fill(f32::NEG_INFINITY);
        let chunks = row.as_chunks_mut::<16>().0;
        let mut max = isa.splat(self.max[q]);
        for x in chunks.iter() {
            max = isa.load(x).max(max);
        }
        let max = max.greatest();
        if max == f32::NEG_INFINITY {
            // Nothing but minus infinity, or NaN, which stays.
            for x in row {
                *x = if x.is_nan() { *x } else { 0.0 };
                self.sum[q] += *x;
            }
            return 1.0;
        }
        let offset = isa.splat(max);
        let mut total = isa.splat(0.0);
        for x in chunks {
            let weight = exp(isa, isa.load(x).sub(offset));
            total = total.add(weight);
            weight.store(x);
        }
        let shrink = (self.max[q] - max).exp();
        self.max[q] = max;
        self.sum[q] = self.sum[q] * shrink + total.sum();
        shrink
    }
}

/// Converts what `span` covers, keys in whole vectors; whether every value is finite.
#[inline(always)]
fn convert<I: Isa>(
    isa: I,
    page: Page<'_>,
    k: usize,
    span: Span,
    keys_out: &mut [f32],
    values_out: &mut [f32],
) -> bool {
    let window = span.start / 16 * 16..span.end.next_multiple_of(16);
    let stride = k.next_multiple_of(16);
    let positions = span.start..span.end;
    match page {
        Page::F16 { keys, values } => {
            for (x, out) in keys.chunks_exact(PAGE).zip(keys_out.chunks_exact_mut(PAGE)) {
                elementwise::from_f16(isa, &x[window.clone()], &mut out[window.clone()]);
            }
            for position in positions.clone() {
                let out = &mut values_out[position * stride..][..stride];
                elementwise::from_f16(isa, &values[position * k..][..k], &mut out[..k]);
                out[k..].fill(0.0);
            }
        }
        Page::Q8 { keys, key_scales, values, value_scales } => {
            let groups = k.div_ceil(Q8_GROUP);
            for (i, out) in keys_out.chunks_exact_mut(PAGE).enumerate() {
                let x = &keys[i * PAGE..][window.clone()];
                let scales = &key_scales[i / Q8_GROUP * PAGE..][window.clone()];
                let out = out[window.clone()].as_chunks_mut::<16>().0;
                let x = x.as_chunks::<16>().0.iter().zip(scales.as_chunks::<16>().0);
                for ((x, scale), out) in x.zip(out) {
                    isa.load_i8(x).mul(isa.load_f16(scale)).store(out);
                }
            }
            for position in positions.clone() {
                let x = &values[position * k..][..k];
                let mut scales = [0.0; 16];
                let row = &value_scales[position * groups..][..groups];
                for (x, (out, row)) in x.chunks(16 * Q8_GROUP).zip(
                    values_out[position * stride..][..stride]
                        .chunks_mut(16 * Q8_GROUP)
                        .zip(row.chunks(16)),
                ) {
                    isa.load_f16(&padded(row)).store(&mut scales);
                    for (i, (x, out)) in x.chunks(16).zip(out.as_chunks_mut::<16>().0).enumerate() {
                        isa.load_i8(&padded(x)).mul(isa.splat(scales[i / 2])).store(out);
                    }
                }
            }
        }
    }
    let mut zeros = isa.splat(0.0);
    for x in values_out[positions.start * stride..positions.end * stride].as_chunks::<16>().0 {
        zeros = isa.load(x).mul_add(isa.splat(0.0), zeros);
    }
    zeros.sum() == 0.0
}
