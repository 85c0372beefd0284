//! One page of attention: scores, their weights, the weighted values.
//!
//! Both products read the page as it lies and convert its values on the way: measured faster than
//! converting the page once into floats, from one query (3 times) to 48 (a tenth). Some columns of it may
//! be converted once, see [`super::widened`].

use half::f16;

use super::math::{Exp2Below, Softcap, exp2_below};
use super::product::{Ahead, Left, Result, Rows, product};
use super::{Isa, Lanes, Map, elementwise, padded};
use crate::attention::{AttendScratch, Q8_GROUP};
use crate::{Attend, AttendState, PAGE, Page, PageMut, Scratch, Span, Visit, scalar};

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
    Visit { page, next }: Visit<'_>,
    scratch: &mut Scratch,
    state: &mut AttendState,
) {
    let Some(hull) = hull(spans) else { return };
    let mut part = Part {
        shape,
        queries,
        spans,
        max: &mut state.max,
        sum: &mut state.sum,
        values: &mut state.values,
        stride: state.stride,
        next,
    };
    let (k, scratch) = (shape.k, &mut scratch.attend);
    let apart = spans.iter().any(|&span| span != hull);
    match page {
        Page::F16 { keys, values: data } => {
            let one_by_one = apart && !finite(&data[hull.start * k..hull.end * k]);
            let keys = Halves::<false> { data: keys, stride: PAGE };
            if k.is_multiple_of(16) {
                let values = Halves::<false> { data, stride: k };
                part.attend_all(isa, hull, one_by_one, keys, values, scratch);
            } else {
                let values = Halves::<true> { data, stride: k };
                part.attend_all(isa, hull, one_by_one, keys, values, scratch);
            }
        }
        Page::Q8 { keys, key_scales, values: data, value_scales: scales } => {
            let groups = k.div_ceil(Q8_GROUP);
            let one_by_one = apart && !finite(&scales[hull.start * groups..hull.end * groups]);
            let keys = KeyBytes { data: keys, scales: key_scales };
            if k.is_multiple_of(16) {
                let values = ValueBytes::<false> { data, stride: k, scales };
                part.attend_all(isa, hull, one_by_one, keys, values, scratch);
            } else {
                let values = ValueBytes::<true> { data, stride: k, scales };
                part.attend_all(isa, hull, one_by_one, keys, values, scratch);
            }
        }
    }
}

/// The smallest span that covers all; `None` if nothing is visible.
fn hull(spans: &[Span]) -> Option<Span> {
    let seen = spans.iter().filter(|span| !span.is_empty());
    seen.copied().reduce(|a, b| Span { start: a.start.min(b.start), end: a.end.max(b.end) })
}

/// Whether every value is finite: no exponent of ones.
#[inline(always)]
fn finite(x: &[f16]) -> bool {
    x.iter().fold(0, |count, x| count + u32::from(x.to_bits() & 0x7c00 == 0x7c00)) == 0
}

/// Rows of `stride` halves; a `RAGGED` stride is not whole vectors, and the last vector of a row
/// runs into the next one or the end.
#[derive(Clone, Copy)]
struct Halves<'a, const RAGGED: bool> {
    data: &'a [f16],
    stride: usize,
}

impl<const RAGGED: bool> Rows for Halves<'_, RAGGED> {
    #[inline(always)]
    fn vectors<I: Isa, const N: usize>(self, isa: I, row: usize, first: usize) -> [I::V; N] {
        let start = row * self.stride + first * 16;
        let mut out = [isa.splat(0.0); N];
        if RAGGED && self.data.len() < start + N * 16 {
            for (out, x) in out.iter_mut().zip(self.data[start..].chunks(16)) {
                *out = isa.load_f16(&padded(x));
            }
            return out;
        }
        for (out, x) in out.iter_mut().zip(self.data[start..][..N * 16].as_chunks().0) {
            *out = isa.load_f16(x);
        }
        out
    }
}

/// Keys of a `Q8` page.
#[derive(Clone, Copy)]
struct KeyBytes<'a> {
    data: &'a [i8],
    scales: &'a [f16],
}

impl Rows for KeyBytes<'_> {
    #[inline(always)]
    fn vectors<I: Isa, const N: usize>(self, isa: I, row: usize, first: usize) -> [I::V; N] {
        let x = self.data[row * PAGE + first * 16..][..N * 16].as_chunks().0;
        let scales = self.scales[row / Q8_GROUP * PAGE + first * 16..][..N * 16].as_chunks().0;
        let mut out = [isa.splat(0.0); N];
        for (out, (x, scales)) in out.iter_mut().zip(x.iter().zip(scales)) {
            *out = isa.load_i8(x).mul(isa.load_f16(scales));
        }
        out
    }
}

/// Values of a `Q8` page; `RAGGED` as in [`Halves`].
#[derive(Clone, Copy)]
struct ValueBytes<'a, const RAGGED: bool> {
    data: &'a [i8],
    stride: usize,
    scales: &'a [f16],
}

impl<const RAGGED: bool> Rows for ValueBytes<'_, RAGGED> {
    #[inline(always)]
    fn vectors<I: Isa, const N: usize>(self, isa: I, row: usize, first: usize) -> [I::V; N] {
        let start = row * self.stride + first * 16;
        let scales = &self.scales[row * self.stride.div_ceil(Q8_GROUP)..];
        let scale = |n: usize| [scales[(first + n) / (Q8_GROUP / 16)]; 16];
        let mut out = [isa.splat(0.0); N];
        if RAGGED && self.data.len() < start + N * 16 {
            for (n, (out, x)) in out.iter_mut().zip(self.data[start..].chunks(16)).enumerate() {
                *out = isa.load_i8(&padded(x)).mul(isa.load_f16(&scale(n)));
            }
            return out;
        }
        let x = self.data[start..][..N * 16].as_chunks().0;
        for (n, (out, x)) in out.iter_mut().zip(x).enumerate() {
            *out = isa.load_i8(x).mul(isa.load_f16(&scale(n)));
        }
        out
    }
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
    /// The page to fetch meanwhile.
    next: Option<Page<'a>>,
}

impl Part<'_> {
    /// All queries together or, as a weight of zero does not silence an infinite value that
    /// another query sees, `one_by_one`.
    #[inline(always)]
    fn attend_all<I: Isa>(
        &mut self,
        isa: I,
        hull: Span,
        one_by_one: bool,
        keys: impl Rows,
        values: impl Rows,
        scratch: &mut AttendScratch,
    ) {
        let step = if one_by_one { 1 } else { self.spans.len() };
        let k = self.shape.k;
        for at in (0..self.spans.len()).step_by(step) {
            let mut part = Part {
                shape: self.shape,
                queries: &self.queries[at * k..][..step * k],
                spans: &self.spans[at..][..step],
                max: &mut self.max[at..][..step],
                sum: &mut self.sum[at..][..step],
                values: &mut self.values[at * self.stride..][..step * self.stride],
                stride: self.stride,
                next: self.next,
            };
            let seen = if one_by_one { self.spans[at] } else { hull };
            if !seen.is_empty() {
                part.attend(isa, seen, keys, values, scratch);
            }
        }
    }

    /// `hull` covers the spans; every value in it is finite or seen by all queries.
    #[inline(always)]
    fn attend<I: Isa>(
        &mut self,
        isa: I,
        hull: Span,
        keys: impl Rows,
        values: impl Rows,
        scratch: &mut AttendScratch,
    ) {
        let AttendScratch { weights, carry, sums, widened } = scratch;
        let (k, nq, depth) = (self.shape.k, self.spans.len(), hull.end - hull.start);
        let keys_ahead = self.next.map(|page| match page {
            Page::F16 { keys, .. } => Ahead::of(keys, k),
            Page::Q8 { keys, .. } => Ahead::of(keys, k),
        });
        let values_ahead = self.next.map(|page| match page {
            Page::F16 { values, .. } => Ahead::of(values, depth),
            Page::Q8 { values, .. } => Ahead::of(values, depth),
        });
        let (first, end) = (hull.start / 16, hull.end.div_ceil(16));
        weights.resize(nq * PAGE, 0.0);
        carry.resize(nq, 0.0);
        sums.resize(nq, 0.0);
        let left = Left { data: self.queries, stride: k, first: 0, depth: k };
        let mut scores =
            Result { data: weights, stride: PAGE, first, end, carry: None, ahead: keys_ahead };
        product(isa, left, keys, 0, &mut scores, nq, widened);
        for (q, row) in weights.chunks_exact_mut(PAGE).take(nq).enumerate() {
            let row = &mut row[first * 16..end * 16];
            (carry[q], sums[q]) = self.weigh(isa, q, first * 16, row);
        }
        let carry = &mut carry[..nq];
        elementwise::map(isa, Exp2Below, carry);
        for ((sum, carry), new) in self.sum.iter_mut().zip(carry.iter()).zip(sums) {
            *sum = *sum * carry + *new;
        }
        let left = Left { data: weights, stride: PAGE, first: hull.start, depth };
        let mut seen = Result {
            data: self.values,
            stride: self.stride,
            first: 0,
            end: self.stride / 16,
            carry: Some(carry),
            ahead: values_ahead,
        };
        product(isa, left, values, hull.start, &mut seen, nq, widened);
    }

    /// Turns the products of query `q` with positions `offset..` into weights relative to the
    /// greatest score so far. Returns the base-2 logarithm of what the earlier weights shrink by, and
    /// the sum of the new ones; the greatest score is kept times log2(e).
    #[inline(always)]
    fn weigh<I: Isa>(&mut self, isa: I, q: usize, offset: usize, row: &mut [f32]) -> (f32, f32) {
        let span = self.spans[q];
        if span.is_empty() {
            row.fill(0.0);
            return (0.0, 0.0);
        }
        let mut scale = self.shape.scale;
        if let Some(cap) = self.shape.softcap {
            for x in row.as_chunks_mut::<16>().0 {
                Softcap(cap).apply(isa, isa.load(x).mul(isa.splat(scale))).store(x);
            }
            scale = 1.0;
        }
        let scale = scale * std::f32::consts::LOG2_E;
        row[..span.start - offset].fill(f32::NEG_INFINITY);
        row[span.end - offset..].fill(f32::NEG_INFINITY);
        let chunks = row.as_chunks_mut::<16>().0;
        let mut greatest = isa.splat(f32::NEG_INFINITY);
        for x in chunks.iter() {
            greatest = isa.load(x).max(greatest);
        }
        let old = self.max[q];
        let new = greatest.greatest() * scale;
        let max = if new > old { new } else { old };
        if max == f32::NEG_INFINITY {
            // Nothing but minus infinity, or NaN, which stays.
            row.iter_mut().for_each(|x| *x = if x.is_nan() { *x } else { 0.0 });
            return (0.0, row.iter().sum());
        }
        let (scale, below) = (isa.splat(scale), isa.splat(-max));
        let mut total = isa.splat(0.0);
        for x in chunks {
            let weight = exp2_below(isa, isa.load(x).mul_add(scale, below));
            total = total.add(weight);
            weight.store(x);
        }
        self.max[q] = max;
        (old - max, total.sum())
    }
}
