//! Attention over pages of keys and values, one page at a time, with an online softmax.
//!
//! A page holds [`PAGE`] positions of one layer and one key/value head. Keys lie transposed, so
//! that both products (queries by keys, weights by values) read rows of the page and broadcast the
//! other operand. A position outside a query's [`Span`] has no influence on it, whatever its memory
//! holds: pages need not be cleared.
//!
//! ```
//! use rushlight_kernels::{Attend, AttendState, PAGE, Page, PageMut, Scratch, Span, best, f16};
//!
//! let (row, k) = (best(), 8);
//! let (mut keys, mut values) = (vec![f16::NAN; k * PAGE], vec![f16::NAN; PAGE * k]);
//! let mut page = PageMut::F16 { keys: &mut keys, values: &mut values };
//! row.store(&mut page, 0, &[1.0; 8], &[2.0; 8]);
//!
//! let mut state = AttendState::default();
//! state.reset(1, k);
//! row.attend_page(
//!     &Attend { k, scale: 1.0, softcap: None },
//!     &[1.0; 8],
//!     &[Span { start: 0, end: 1 }],
//!     Page::F16 { keys: &keys, values: &values }.into(),
//!     &mut Scratch::default(),
//!     &mut state,
//! );
//! let mut out = [0.0; 8];
//! state.finish(&mut out);
//! assert_eq!(out, [2.0; 8]);
//! ```

use half::f16;

use crate::{Row, Scratch};

/// Positions in a page.
pub const PAGE: usize = 64;
/// Values of a key or value that share a scale in a `Q8` page.
pub(crate) const Q8_GROUP: usize = 32;

/// Keys and values of [`PAGE`] positions, width `k`.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Page<'a> {
    /// Half precision.
    F16 {
        /// `(k, PAGE)`.
        keys: &'a [f16],
        /// `(PAGE, k)`.
        values: &'a [f16],
    },
    /// 8 bits; 32 values of one key or value share a scale.
    Q8 {
        /// `(k, PAGE)`.
        keys: &'a [i8],
        /// `(k / 32, PAGE)`, rounded up.
        key_scales: &'a [f16],
        /// `(PAGE, k)`.
        values: &'a [i8],
        /// `(PAGE, k / 32)`, rounded up.
        value_scales: &'a [f16],
    },
}

/// A page whose positions queries see.
#[derive(Clone, Copy, Debug)]
pub struct Visit<'a> {
    /// The page.
    pub page: Page<'a>,
    /// The page of the next visit: it is fetched into a cache meanwhile. Memory is otherwise waited
    /// for, page by page, as no processor guesses where the next one lies.
    pub next: Option<Page<'a>>,
}

impl<'a> From<Page<'a>> for Visit<'a> {
    fn from(page: Page<'a>) -> Self {
        Self { page, next: None }
    }
}

/// A page to be written; shapes as in [`Page`].
#[derive(Debug)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields are those of `Page`")]
pub enum PageMut<'a> {
    /// Half precision.
    F16 { keys: &'a mut [f16], values: &'a mut [f16] },
    /// 8 bits, scales of 32.
    Q8 {
        keys: &'a mut [i8],
        key_scales: &'a mut [f16],
        values: &'a mut [i8],
        value_scales: &'a mut [f16],
    },
}

/// The visible positions of a page, `start..end`; empty when `start >= end`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// First visible position.
    pub start: usize,
    /// One past the last visible position, at most [`PAGE`].
    pub end: usize,
}

impl Span {
    /// Whether nothing is visible.
    pub fn is_empty(self) -> bool {
        self.start >= self.end
    }
}

/// What attention computes: `softmax(softcap(scale * q . key)) . value`.
#[derive(Clone, Copy, Debug)]
pub struct Attend {
    /// Width of a head.
    pub k: usize,
    /// Factor of the scores, positive.
    pub scale: f32,
    /// `cap * tanh(score / cap)`, where the model has it.
    pub softcap: Option<f32>,
}

/// What `nq` queries have seen so far: per query the greatest score times log2(e), the sum of
/// the weights relative to it, and the weighted values.
#[derive(Clone, Debug, Default)]
pub struct AttendState {
    k: usize,
    pub(crate) stride: usize,
    pub(crate) max: Vec<f32>,
    pub(crate) sum: Vec<f32>,
    /// `(nq, stride)`, the first `k` of each row used.
    pub(crate) values: Vec<f32>,
}

impl AttendState {
    /// Begins anew with `nq` queries of width `k`.
    pub fn reset(&mut self, nq: usize, k: usize) {
        self.k = k;
        self.stride = k.next_multiple_of(16);
        self.max.clear();
        self.max.resize(nq, f32::NEG_INFINITY);
        self.sum.clear();
        self.sum.resize(nq, 0.0);
        self.values.clear();
        self.values.resize(nq * self.stride, 0.0);
    }

    /// Number of queries.
    pub fn queries(&self) -> usize {
        self.max.len()
    }

    /// Adds what the same queries have seen elsewhere: positions of no page that is in `self`.
    ///
    /// Adds up to `4 u` to the error that [`Row::attend_page`] states.
    ///
    /// # Panics
    /// If the numbers of queries or their widths differ.
    pub fn merge(&mut self, other: &Self) {
        let shape = |state: &Self| (state.queries(), state.k);
        assert_eq!(shape(self), shape(other), "states of other queries");
        let rows = self.values.chunks_exact_mut(self.stride.max(1));
        let others = other.values.chunks_exact(self.stride.max(1));
        for (q, (values, others)) in rows.zip(others).enumerate() {
            let (old, new) = (self.max[q], other.max[q]);
            let max = if new > old { new } else { old };
            if max == f32::NEG_INFINITY {
                // Nothing was seen, or NaN alone.
                self.sum[q] += other.sum[q];
                values.iter_mut().zip(others).for_each(|(x, y)| *x += y);
                continue;
            }
            let (keep, take) = ((old - max).exp2(), (new - max).exp2());
            self.max[q] = max;
            self.sum[q] = self.sum[q] * keep + other.sum[q] * take;
            for (x, y) in values.iter_mut().zip(others) {
                *x = *x * keep + y * take;
            }
        }
    }

    /// Writes the attention outputs, `(nq, k)`; zeros for a query that saw no position.
    ///
    /// # Panics
    /// If `out` has another length.
    pub fn finish(&self, out: &mut [f32]) {
        assert_eq!(out.len(), self.queries() * self.k, "attention outputs");
        for (q, out) in out.chunks_exact_mut(self.k.max(1)).enumerate() {
            let inverse = if self.max[q] == f32::NEG_INFINITY { 0.0 } else { 1.0 / self.sum[q] };
            for (out, value) in out.iter_mut().zip(&self.values[q * self.stride..]) {
                *out = value * inverse;
            }
        }
    }
}

/// Working memory of [`Row::attend_page`].
#[derive(Debug, Default)]
pub(crate) struct AttendScratch {
    /// Scores, then weights: `(nq, PAGE)`.
    pub(crate) weights: Vec<f32>,
    /// What the earlier weights of each query shrink by.
    pub(crate) carry: Vec<f32>,
    /// The sum of the new weights of each query.
    pub(crate) sums: Vec<f32>,
    /// Keys of 16 positions, or 16 values of all positions, as floats.
    pub(crate) widened: Vec<[f32; 16]>,
}

/// One row's functions on pages, called with checked lengths.
#[derive(Debug)]
pub(crate) struct AttentionOps {
    pub(crate) store: fn(&mut PageMut<'_>, usize, &[f32], &[f32]),
    pub(crate) attend_page: fn(&Attend, &[f32], &[Span], Visit<'_>, &mut Scratch, &mut AttendState),
}

/// # Attention
impl Row {
    /// Writes one position's key and value, each of width `k`.
    ///
    /// `F16` rounds to nearest even. `Q8` stores per 32 values `scale = max|x| / 127` as f16 and
    /// `x / scale` rounded to nearest even.
    ///
    /// # Panics
    /// If the lengths do not fit the page or `slot` is not in it.
    pub fn store(&self, page: &mut PageMut<'_>, slot: usize, key: &[f32], value: &[f32]) {
        assert!(slot < PAGE, "slot `{slot}` of a page of `{PAGE}`");
        assert_eq!(key.len(), value.len(), "key and value differ in width");
        match page {
            PageMut::F16 { keys, values } => check_f16(keys, values, key.len()),
            PageMut::Q8 { keys, key_scales, values, value_scales } => {
                check_q8(keys, key_scales, values, value_scales, key.len());
            }
        }
        (self.float.attention.store)(page, slot, key, value);
    }

    /// Adds one page's positions to what `queries`, shape `(nq, k)`, have seen. `spans` are the
    /// visible positions of each query.
    ///
    /// Error of a finished output at most `(k + 4 positions + 32) u` times the greatest magnitude
    /// among the visible values, times `1 + |q| |key| scale`.
    ///
    /// # Panics
    /// If the shapes of `queries`, `spans`, the page and `state` do not fit `shape`, a span that is
    /// not empty ends outside the page, or the scale is not positive.
    pub fn attend_page(
        &self,
        shape: &Attend,
        queries: &[f32],
        spans: &[Span],
        visit: Visit<'_>,
        scratch: &mut Scratch,
        state: &mut AttendState,
    ) {
        assert!(shape.k > 0, "heads have no width");
        assert!(shape.scale > 0.0, "scale `{}` of the scores is not positive", shape.scale);
        assert_eq!(queries.len(), spans.len() * shape.k, "queries");
        assert_eq!((state.queries(), state.k), (spans.len(), shape.k), "attention state");
        assert!(spans.iter().all(|s| s.is_empty() || s.end <= PAGE), "a span leaves the page");
        match visit.page {
            Page::F16 { keys, values } => check_f16(keys, values, shape.k),
            Page::Q8 { keys, key_scales, values, value_scales } => {
                check_q8(keys, key_scales, values, value_scales, shape.k);
            }
        }
        (self.float.attention.attend_page)(shape, queries, spans, visit, scratch, state);
    }
}

#[track_caller]
fn check_f16(keys: &[f16], values: &[f16], k: usize) {
    assert_eq!((keys.len(), values.len()), (k * PAGE, k * PAGE), "f16 page of width `{k}`");
}

#[track_caller]
fn check_q8(keys: &[i8], key_scales: &[f16], values: &[i8], value_scales: &[f16], k: usize) {
    let scales = k.div_ceil(Q8_GROUP) * PAGE;
    assert_eq!((keys.len(), values.len()), (k * PAGE, k * PAGE), "8-bit page of width `{k}`");
    assert_eq!((key_scales.len(), value_scales.len()), (scales, scales), "scales of the page");
}
