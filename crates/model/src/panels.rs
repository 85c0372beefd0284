//! The tensors whose products take panels: weights in the layout that the kernels want.

use rushlight_kernels::{Format, PANEL_ROWS, pack_panels};

use crate::tensor::{Bytes, PanelSlot, Tensor};

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

    /// Writes panels from `first` on, as many as `out` holds.
    ///
    /// # Panics
    /// If there are not so many or `out` is not whole panels.
    pub fn pack(&self, first: usize, out: &mut [u8]) {
        let count = out.len() / self.panel_bytes();
        let row_bytes = self.bytes.len() / self.rows.max(1);
        let start = first * PANEL_ROWS;
        let end = ((first + count) * PANEL_ROWS).min(self.rows);
        pack_panels(self.format, self.cols, &self.bytes[start * row_bytes..end * row_bytes], out);
    }

    /// Gives the products these panels from now on; the first ones given stay.
    pub(crate) fn attach(&self, panels: Bytes) {
        assert_eq!(panels.len(), self.panels() * self.panel_bytes(), "panels of `{}`", self.name);
        // Panels of the same tensor are the same bytes: whose they are does not matter.
        let _ = self.slot.set(panels);
    }
}

impl std::fmt::Debug for PanelSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({}, {}) {}", self.name, self.rows, self.cols, self.format)
    }
}
