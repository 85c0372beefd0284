//! The rows: one table of functions per instruction set.

use std::sync::OnceLock;

use bytemuck::{Pod, Zeroable};

use crate::activations::QuantizedRowMut;
use crate::attention::AttendScratch;
use crate::float::FloatOps;
use crate::int16::{Int16Rows, Int16Tile};
use crate::panels::PANEL_ROWS;
use crate::tile::Tiling;
use crate::{Caches, Columns, Format, QuantizedRows, QuantizedTokenMut, scalar};

/// The kernels of one instruction set.
#[derive(Debug)]
pub struct Row {
    pub(crate) name: &'static str,
    /// Whether this processor can run the row.
    pub(crate) detect: fn() -> bool,
    pub(crate) quantize: fn(&[f32], QuantizedRowMut<'_>),
    pub(crate) matmul: Matmul,
    /// How `matmul` and `matmul_panels` want activations; `None` as rows only.
    pub(crate) tiling: Option<Tiling>,
    /// Products of panels, if there are kernels for them.
    pub(crate) matmul_panels: Option<Matmul>,
    pub(crate) matmul_float: fn(Format, &[u8], &[f32], &mut Scratch, &mut Columns<'_>),
    /// Products of F16 and BF16 weights by 16-bit integers, if they are faster.
    pub(crate) int16: Option<Int16Ops>,
    pub(crate) float: FloatOps,
}

/// Products by 16-bit integers.
#[derive(Debug)]
pub(crate) struct Int16Ops {
    pub(crate) pack: fn(Int16Tile<'_>),
    pub(crate) matmul: fn(Format, &[u8], &Int16Rows, &mut Scratch, &mut Columns<'_>),
}

/// Products of weights in a format with int8 activations.
pub(crate) type Matmul = fn(Format, &[u8], &QuantizedRows, &mut Scratch, &mut Columns<'_>);

/// Working memory of one thread, kept between calls.
#[derive(Debug, Default)]
pub struct Scratch {
    /// Of the core that the thread runs on, or of one like it.
    pub(crate) caches: Caches,
    /// Panels of unpacked weights.
    pub(crate) lines: Vec<Line>,
    /// Packed activations of the float formats, or of a tile as 16-bit integers.
    #[cfg(target_arch = "x86_64")]
    pub(crate) words: Vec<u32>,
    /// The weights of a page's positions.
    pub(crate) attend: AttendScratch,
}

impl Scratch {
    /// For a thread on a core with these caches; by default they are not known.
    pub fn new(caches: Caches) -> Self {
        Self { caches, ..Self::default() }
    }
}

/// A cache line, aligned as one.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C, align(64))]
pub(crate) struct Line(pub(crate) [u32; 16]);

impl Row {
    /// The name of the instruction set: `scalar`, `avx2`, `avx512`, `neon`, …
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Rounds one token's activations to int8: per 32 values, `scale = max|x| / 127`. A fine
    /// token's second row is what this leaves of `x`, rounded in the same way.
    ///
    /// # Panics
    /// If `x` and `out` differ in length.
    pub fn quantize(&self, x: &[f32], out: QuantizedTokenMut<'_>) {
        assert_eq!(x.len(), out.row.q.len(), "activations and output differ in length");
        out.write(x, self.quantize);
    }

    /// `out[t, r] = sum_i weights[r, i] * x[t, i]` for a quantised format.
    ///
    /// `weights` are `out.columns()` whole rows of `x.n()` values, `out` is `(tokens, rows)`.
    ///
    /// # Panics
    /// If the format is not quantised or the lengths do not fit.
    pub fn matmul(
        &self,
        format: Format,
        weights: &[u8],
        x: &QuantizedRows,
        scratch: &mut Scratch,
        out: &mut Columns<'_>,
    ) {
        assert!(format.is_quantized(), "`{format}` takes float activations");
        check(format, weights, x.n(), x.tokens(), out);
        (self.matmul)(format, weights, x, scratch, out);
    }

    /// Whether this row has kernels for panels ([`crate::pack_panels`]) of rows of `n` values.
    pub fn takes_panels(&self, format: Format, n: usize) -> bool {
        self.matmul_panels.is_some() && format.panel_bytes(n).is_some()
    }

    /// As [`Row::matmul`] with the weights as panels, the first column being the first row of the
    /// first panel.
    ///
    /// # Panics
    /// If [`Row::takes_panels`] says no or the lengths do not fit.
    pub fn matmul_panels(
        &self,
        format: Format,
        panels: &[u8],
        x: &QuantizedRows,
        scratch: &mut Scratch,
        out: &mut Columns<'_>,
    ) {
        let matmul = self.matmul_panels.expect("a row with kernels for panels");
        let count = out.columns().div_ceil(PANEL_ROWS);
        let want = format.panel_bytes(x.n()).and_then(|bytes| bytes.checked_mul(count));
        assert_eq!(want, Some(panels.len()), "bytes of `{count}` panels of `{format}`");
        assert_eq!(x.tokens(), out.tokens(), "tokens of input and output");
        if x.n() == 0 {
            (0..out.tokens()).for_each(|t| out.row(t).fill(0.0));
            return;
        }
        matmul(format, panels, x, scratch, out);
    }

    /// As [`Row::matmul`] for the float formats; `x` is `(tokens, n)`.
    ///
    /// # Panics
    /// If the format is quantised or the lengths do not fit.
    pub fn matmul_float(
        &self,
        format: Format,
        weights: &[u8],
        x: &[f32],
        scratch: &mut Scratch,
        out: &mut Columns<'_>,
    ) {
        assert!(!format.is_quantized(), "`{format}` takes int8 activations");
        let n = x.len() / out.tokens().max(1);
        check(format, weights, n, out.tokens(), out);
        (self.matmul_float)(format, weights, x, scratch, out);
    }

    /// The values of whole blocks of `format`.
    ///
    /// # Panics
    /// If `bytes` do not hold exactly `out.len()` values.
    pub fn dequantize(&self, format: Format, bytes: &[u8], out: &mut [f32]) {
        assert_eq!(format.row_bytes(out.len()), Some(bytes.len()), "`{format}` bytes");
        scalar::dequantize(format, bytes, out);
    }
}

pub(crate) fn check(format: Format, weights: &[u8], n: usize, tokens: usize, out: &Columns<'_>) {
    let want = format.row_bytes(n).and_then(|b| b.checked_mul(out.columns()));
    assert_eq!(want, Some(weights.len()), "bytes of ({}, {n}) `{format}`", out.columns());
    assert_eq!(tokens, out.tokens(), "tokens of input and output");
}

/// The rows that this processor can run, plainest first.
pub fn rows() -> &'static [&'static Row] {
    static ROWS: OnceLock<Vec<&'static Row>> = OnceLock::new();
    ROWS.get_or_init(|| {
        #[cfg(target_arch = "x86_64")]
        let vector = crate::x86::ROWS;
        #[cfg(target_arch = "aarch64")]
        let vector = crate::neon::ROWS;
        #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
        let vector = [];
        std::iter::once(&scalar::ROW).chain(vector).filter(|row| (row.detect)()).collect()
    })
}

/// The fastest row that this processor can run.
pub fn best() -> &'static Row {
    rows().last().expect("the scalar row runs everywhere")
}

/// The row of this name, if this processor can run it.
pub fn by_name(name: &str) -> Option<&'static Row> {
    rows().iter().copied().find(|row| row.name == name)
}
