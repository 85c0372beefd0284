//! The tensors whose products take panels: weights in the layout that the kernels want.

use std::sync::Arc;

use rushlight_host::HugeMemory;
use rushlight_kernels::{Format, PANEL_ROWS, pack_panels};

use crate::shares;
use crate::tensor::{Bytes, PanelSlot, Tensor};

/// Bytes that panels should begin at a multiple of: a cache line.
pub(crate) const ALIGNMENT: usize = 64;

/// Bytes of panels that a thread makes at once.
const SHARE_BYTES: usize = 1 << 20;

/// What the products of a model read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WeightsFrom {
    /// The model's own files.
    File,
    /// Panels in a mapped file of prepared weights.
    Prepared,
    /// Panels that were made in memory.
    Memory,
}

impl WeightsFrom {
    /// In a word: `file`, `prepared` or `memory`.
    pub fn name(self) -> &'static str {
        match self {
            WeightsFrom::File => "file",
            WeightsFrom::Prepared => "prepared",
            WeightsFrom::Memory => "memory",
        }
    }
}

/// A tensor that can be multiplied as panels.
#[derive(Clone)]
pub struct PanelSource {
    name: String,
    format: Format,
    rows: usize,
    cols: usize,
    bytes: Bytes,
    slot: PanelSlot,
}

/// The tensors of a model that are matrices of products and have panels, by name.
pub(crate) fn sources<'a>(tensors: impl Iterator<Item = &'a Tensor> + Clone) -> Vec<PanelSource> {
    let has_output = tensors.clone().any(|t| t.name == "output.weight");
    let looked_up = |name: &str| match name {
        "token_embd.weight" => has_output,
        "position_embd.weight" | "token_types.weight" => true,
        _ => false,
    };
    let source = |tensor: &Tensor| {
        let (cols, rows) = tensor.shape.split_last()?;
        let rows = rows.iter().product();
        tensor.format.panel_bytes(*cols)?;
        Some(PanelSource {
            name: tensor.name.clone(),
            format: tensor.format,
            rows,
            cols: *cols,
            bytes: tensor.bytes.clone(),
            slot: tensor.panels.clone(),
        })
    };
    tensors.filter(|t| t.shape.len() > 1 && !looked_up(&t.name)).filter_map(source).collect()
}

/// Makes panels of the sources in memory of their own, on huge pages, and gives them to the
/// products; where no memory is given, products go on without.
pub(crate) fn pack_in_memory(sources: &[&PanelSource], threads: usize) {
    let room = |source: &PanelSource| source.packed_bytes().next_multiple_of(ALIGNMENT);
    let Ok(mut memory) = HugeMemory::new(sources.iter().map(|source| room(source)).sum()) else {
        return;
    };
    let mut rest = &mut *memory;
    let shares = sources.iter().flat_map(|source| {
        let (part, after) = std::mem::take(&mut rest).split_at_mut(room(source));
        rest = after;
        let step = source.panels_in(SHARE_BYTES);
        let parts = part[..source.packed_bytes()].chunks_mut(step * source.panel_bytes());
        parts.enumerate().map(move |(i, part)| (source, i * step, part))
    });
    shares::each(threads, shares, |(): &mut (), (source, first, part)| {
        source.pack(first, part);
        Ok(())
    })
    .expect("packing itself does not fail");
    let memory = Arc::new(memory);
    let mut start = 0;
    for source in sources {
        source.attach(Bytes::huge(&memory, start..start + source.packed_bytes()));
        start += room(source);
    }
}

impl PanelSource {
    /// The tensor's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How its values are stored.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Rows; of experts all rows of all of them.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Values per row.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// How many panels it comes to.
    pub fn panels(&self) -> usize {
        self.rows.div_ceil(PANEL_ROWS)
    }

    /// Bytes of one panel, a multiple of 64.
    pub fn panel_bytes(&self) -> usize {
        self.format.panel_bytes(self.cols).expect("a source has panels")
    }

    /// Bytes of all its panels.
    pub fn packed_bytes(&self) -> usize {
        self.panels() * self.panel_bytes()
    }

    /// Bytes in the model's own file.
    pub fn file_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Whether the file's bytes leave memory once there are panels: those of a file that others may
    /// write, which is copied, stay.
    pub fn leaves_memory(&self) -> bool {
        self.bytes.can_release()
    }

    /// How many panels come to about so many bytes; at least one.
    pub(crate) fn panels_in(&self, bytes: usize) -> usize {
        (bytes / self.panel_bytes().max(1)).max(1)
    }

    /// Where the products find its panels.
    pub fn from(&self) -> WeightsFrom {
        match self.slot.get() {
            None => WeightsFrom::File,
            Some(panels) if panels.is_mapped() => WeightsFrom::Prepared,
            Some(_) => WeightsFrom::Memory,
        }
    }

    /// Writes panels from `first` on, as many as `out` holds. What they are made of leaves this
    /// process's memory, since with panels nobody reads it.
    ///
    /// # Panics
    /// If there are not so many or `out` is not whole panels.
    pub fn pack(&self, first: usize, out: &mut [u8]) {
        let count = out.len() / self.panel_bytes();
        let row_bytes = self.bytes.len() / self.rows.max(1);
        let start = first * PANEL_ROWS;
        let end = ((first + count) * PANEL_ROWS).min(self.rows);
        let rows = start * row_bytes..end * row_bytes;
        pack_panels(self.format, self.cols, &self.bytes[rows.clone()], out);
        self.bytes.release(rows);
    }

    /// Gives the products these panels from now on; the first ones given stay. What they are made of
    /// leaves this process's memory: it may have been read while they were made.
    pub(crate) fn attach(&self, panels: Bytes) {
        assert_eq!(panels.len(), self.packed_bytes(), "panels of `{}`", self.name);
        // Panels of the same tensor are the same bytes: whose they are does not matter.
        let _ = self.slot.set(panels);
        self.bytes.release(0..self.bytes.len());
    }
}

impl std::fmt::Debug for PanelSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({}, {}) {}", self.name, self.rows, self.cols, self.format)
    }
}
