//! Checked tensors: a shape, a storage format and the bytes that hold exactly that.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use rushlight_formats::TensorType;
use rushlight_host::{HugeMemory, Mapping};
use rushlight_kernels::{Format, PANEL_ROWS, best};

use crate::Error;

/// Bytes of a mapped file, or our own where a tensor had to be rearranged.
#[derive(Clone)]
enum Owner {
    Mapped(Arc<Mapping>),
    Owned(Arc<Vec<u8>>),
    Huge(Arc<HugeMemory>),
}

/// A shared range of bytes.
#[derive(Clone)]
pub(crate) struct Bytes {
    owner: Owner,
    range: Range<usize>,
}

impl Bytes {
    pub(crate) fn mapped(mapping: &Arc<Mapping>, range: Range<usize>) -> Self {
        Self { owner: Owner::Mapped(mapping.clone()), range }
    }

    pub(crate) fn owned(bytes: Vec<u8>) -> Self {
        let range = 0..bytes.len();
        Self { owner: Owner::Owned(Arc::new(bytes)), range }
    }

    /// A part of our own memory.
    pub(crate) fn huge(memory: &Arc<HugeMemory>, range: Range<usize>) -> Self {
        assert!(range.end <= memory.len(), "a part lies inside its bytes");
        Self { owner: Owner::Huge(memory.clone()), range }
    }

    /// Takes those of `range` out of this process's memory where they are a file's.
    pub(crate) fn release(&self, range: Range<usize>) {
        if let Owner::Mapped(mapping) = &self.owner {
            mapping.release(self.range.start + range.start..self.range.start + range.end);
        }
    }

    /// Whether [`Bytes::release`] takes them out of memory: those of a private copy stay.
    pub(crate) fn can_release(&self) -> bool {
        matches!(&self.owner, Owner::Mapped(mapping) if !mapping.is_private())
    }

    /// Whether they are a file's.
    pub(crate) fn is_mapped(&self) -> bool {
        matches!(self.owner, Owner::Mapped(_))
    }

    fn slice(&self, range: Range<usize>) -> Self {
        let start = self.range.start + range.start;
        let end = self.range.start + range.end;
        assert!(end <= self.range.end, "a slice lies inside its bytes");
        Self { owner: self.owner.clone(), range: start..end }
    }
}

impl std::ops::Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let all: &[u8] = match &self.owner {
            Owner::Mapped(mapping) => mapping,
            Owner::Owned(bytes) => bytes,
            Owner::Huge(memory) => memory,
        };
        &all[self.range.clone()]
    }
}

/// A tensor's rows as panels, from when they are there.
pub(crate) type PanelSlot = Arc<OnceLock<Bytes>>;

/// A tensor as a file holds it, its bytes proved to be as many as its shape and format ask.
#[derive(Clone)]
pub(crate) struct Tensor {
    pub(crate) name: String,
    pub(crate) format: Format,
    /// Row-major, outermost first.
    pub(crate) shape: Vec<usize>,
    pub(crate) bytes: Bytes,
    pub(crate) panels: PanelSlot,
}

impl Tensor {
    pub(crate) fn new(
        name: &str,
        format: Format,
        shape: Vec<usize>,
        bytes: Bytes,
    ) -> Result<Self, Error> {
        let inner = shape.last().copied().unwrap_or(1);
        let outer = shape.iter().rev().skip(1).try_fold(1usize, |n, d| n.checked_mul(*d));
        let want = outer.zip(format.row_bytes(inner)).and_then(|(o, r)| o.checked_mul(r));
        if want != Some(bytes.len()) {
            return Err(Error::tensor(format!(
                "tensor `{name}` of shape {shape:?} in `{format}` has `{}` bytes, expected {}",
                bytes.len(),
                want.map_or("whole blocks".to_owned(), |w| format!("`{w}`"))
            )));
        }
        let panels = PanelSlot::default();
        Ok(Self { name: name.to_owned(), format, shape, bytes, panels })
    }

    /// All values, row-major.
    pub(crate) fn to_floats(&self) -> Vec<f32> {
        let mut out = vec![0.0; self.shape.iter().product()];
        best().dequantize(self.format, &self.bytes, &mut out);
        out
    }

    /// Of `(count, rows, cols)` one tensor for each of the `count` experts.
    pub(crate) fn experts(&self, count: usize) -> Result<Vec<Self>, Error> {
        let [found, rows, cols] = *self.shape.as_slice() else {
            return Err(Error::tensor(format!("tensor `{}` is not of experts", self.name)));
        };
        if found != count {
            return Err(Error::tensor(format!(
                "tensor `{}` of shape {:?} is of `{found}` experts, expected `{count}`",
                self.name, self.shape
            )));
        }
        let bytes = self.bytes.len() / count.max(1);
        let one = |e: usize| {
            let bytes = self.bytes.slice(e * bytes..(e + 1) * bytes);
            Self::new(&self.name, self.format, vec![rows, cols], bytes)
        };
        (0..count).map(one).collect()
    }

    /// As a matrix; three dimensions become a list of them (experts).
    pub(crate) fn into_matrices(self) -> Vec<Matrix> {
        let (count, rows, cols) = match *self.shape.as_slice() {
            [rows, cols] => (1, rows, cols),
            [count, rows, cols] => (count, rows, cols),
            _ => return Vec::new(),
        };
        let Self { format, bytes, panels, .. } = self;
        let all = Matrix { format, rows: count * rows, cols, bytes, panels, first_row: 0 };
        (0..count).map(|i| all.row_range(i * rows..(i + 1) * rows)).collect()
    }
}

impl std::fmt::Debug for Tensor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {:?} {}", self.name, self.shape, self.format)
    }
}

/// The kernels' name of a file's tensor type.
pub(crate) fn format_of(name: &str, ty: TensorType) -> Result<Format, Error> {
    let label = ty.to_string();
    Format::ALL.into_iter().find(|f| f.to_string().eq_ignore_ascii_case(&label)).ok_or_else(|| {
        Error::tensor(format!("tensor `{name}` has type `{label}`, which no kernel multiplies"))
    })
}

/// The values of a small tensor of a file.
pub(crate) fn floats(name: &str, ty: TensorType, bytes: &[u8]) -> Result<Vec<f32>, Error> {
    let format = format_of(name, ty)?;
    let mut out = vec![0.0; bytes.len() / format.block_bytes() * format.block_len()];
    if format.row_bytes(out.len()) != Some(bytes.len()) {
        return Err(Error::tensor(format!("tensor `{name}` is not whole blocks of `{format}`")));
    }
    best().dequantize(format, bytes, &mut out);
    Ok(out)
}

/// A weight matrix `(rows, cols)`, row-major: `rows` outputs from `cols` inputs.
#[derive(Clone)]
pub struct Matrix {
    format: Format,
    rows: usize,
    cols: usize,
    bytes: Bytes,
    /// Those of the whole tensor, of which `first_row` is this matrix's first.
    panels: PanelSlot,
    first_row: usize,
}

impl Matrix {
    /// How its values are stored.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Outputs.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Inputs.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Bytes of one row.
    pub fn row_bytes(&self) -> usize {
        self.format.row_bytes(self.cols).expect("proved when the tensor was read")
    }

    /// Bytes of rows `range`.
    ///
    /// # Panics
    /// If the range is out of bounds.
    pub fn rows_data(&self, range: Range<usize>) -> &[u8] {
        let row = self.row_bytes();
        &self.bytes[range.start * row..range.end * row]
    }

    /// The values of one row.
    pub(crate) fn row_floats(&self, row: usize) -> Vec<f32> {
        let mut out = vec![0.0; self.cols];
        best().dequantize(self.format, self.rows_data(row..row + 1), &mut out);
        out
    }

    /// All bytes.
    pub fn data(&self) -> &[u8] {
        &self.bytes
    }

    /// Panels of rows `range`, the last one maybe with rows after it; `None` while there are none,
    /// or where the range begins inside a panel.
    ///
    /// # Panics
    /// If the range is out of bounds.
    pub fn panels(&self, range: Range<usize>) -> Option<&[u8]> {
        let panels = self.panels.get()?;
        let bytes = self.format.panel_bytes(self.cols)?;
        let (start, end) = (self.first_row + range.start, self.first_row + range.end);
        assert!(range.end <= self.rows, "row `{}` of `{}`", range.end, self.rows);
        let panels = &panels[start / PANEL_ROWS * bytes..end.div_ceil(PANEL_ROWS) * bytes];
        start.is_multiple_of(PANEL_ROWS).then_some(panels)
    }

    /// The same rows in another order, in memory of its own.
    pub(crate) fn with_rows(&self, rows: impl Iterator<Item = usize>) -> Matrix {
        let bytes: Vec<u8> = rows.flat_map(|row| self.rows_data(row..row + 1)).copied().collect();
        assert_eq!(bytes.len(), self.bytes.len(), "as many rows as before");
        let Self { format, rows, cols, .. } = *self;
        let (bytes, panels) = (Bytes::owned(bytes), PanelSlot::default());
        Matrix { format, rows, cols, bytes, panels, first_row: 0 }
    }

    /// Whether both are the same values at the same place.
    pub fn is_same(&self, other: &Matrix) -> bool {
        std::ptr::eq(self.data(), other.data()) && self.rows == other.rows
    }

    pub(crate) fn row_range(&self, range: Range<usize>) -> Matrix {
        let row = self.row_bytes();
        let bytes = self.bytes.slice(range.start * row..range.end * row);
        let first_row = self.first_row + range.start;
        let Self { format, cols, ref panels, .. } = *self;
        Matrix { format, rows: range.len(), cols, bytes, panels: panels.clone(), first_row }
    }
}

impl std::fmt::Debug for Matrix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Matrix({}, {}) {}", self.rows, self.cols, self.format)
    }
}
