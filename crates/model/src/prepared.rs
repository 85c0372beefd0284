//! Prepared weights: a model's panels in a file of their own, made once and mapped from then on.
//!
//! ```text
//! magic    8 bytes  "rushprep"
//! version  u32      1
//! layout   text     rushlight_kernels::PANEL_LAYOUT
//! source   text     what the model is, such as the digest of its manifest
//! count    u32      entries
//! entry    name text, format text, rows u64, columns u64, offset u64, length u64
//! zeros    to a multiple of 4096
//! panels   of each entry at its offset, a multiple of 64
//! ```
//!
//! Everything is little-endian; a text is a `u32` and so many bytes of UTF-8. The file ends with
//! the last entry. It is never changed: it comes by a rename of a file that is whole and on disk.
//! [`make`] says how that file is made.

mod header;
mod journal;
mod make;
mod read;

use std::path::Path;

use rushlight_kernels::PANEL_LAYOUT;

use crate::{Error, ErrorKind, Model, PanelSource};
use header::{Entry, encode};

pub use header::PreparedHeader;
pub use make::Made;

/// What the first tensor's panels begin at a multiple of: a page.
const PAGE_BYTES: usize = 4096;

/// A model's prepared weights, there or still to be made.
#[derive(Debug)]
pub struct Prepared<'a> {
    path: &'a Path,
    source: &'a str,
    sources: &'a [PanelSource],
    /// Where each source's panels begin.
    offsets: Vec<usize>,
    header: Vec<u8>,
    /// Bytes of the whole file.
    len: usize,
    /// Bytes of panels that a thread makes at once.
    chunk_bytes: usize,
}

impl<'a> Prepared<'a> {
    /// Those of `model`, in the file `path`. The text `source` fixes every byte of the model, as the
    /// digest of its manifest does.
    pub fn new(model: &'a Model, source: &'a str, path: &'a Path) -> Self {
        let sources = model.panel_sources();
        let entries = |offsets: &[usize]| -> Vec<Entry<'a>> {
            let entry = |(source, &offset): (&'a PanelSource, &usize)| Entry::of(source, offset);
            sources.iter().zip(offsets).map(entry).collect()
        };
        // Numbers have a fixed width: the header's length does not depend on them.
        let zeros = vec![0; sources.len()];
        let mut end = encode(PANEL_LAYOUT, source, &entries(&zeros)).len();
        end = end.next_multiple_of(PAGE_BYTES);
        let mut offsets = Vec::with_capacity(sources.len());
        for source in sources {
            offsets.push(end);
            end += source.packed_bytes().next_multiple_of(crate::panels::ALIGNMENT);
        }
        let header = encode(PANEL_LAYOUT, source, &entries(&offsets));
        Self { path, source, sources, offsets, header, len: end, chunk_bytes: 2 << 20 }
    }

    /// As this, but threads make about so many bytes at once.
    #[must_use]
    pub fn with_chunks_of(mut self, bytes: usize) -> Self {
        self.chunk_bytes = bytes;
        self
    }

    /// Bytes of the file.
    pub fn size_bytes(&self) -> u64 {
        self.len as u64
    }

    /// Whether there is anything to prepare.
    pub fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }

    fn error(&self, kind: ErrorKind, what: impl Into<String>) -> Error {
        Error::new(kind, what).at(self.path)
    }
}
