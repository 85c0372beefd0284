//! Keys and values of all positions that sequences have seen, in pages.
//!
//! A page holds [`PAGE`] positions of one sequence, for every layer and key/value head. Pages are
//! allocated, some together, when a sequence first reaches them, and reused when it ends.

use std::ops::Range;

use bytemuck::{cast_slice, cast_slice_mut};
use rushlight_host::HugeMemory;
use rushlight_kernels::{PAGE, Page, PageMut, f16};
use rushlight_model::Dims;

use crate::{Error, ErrorKind};

/// How keys and values are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum CacheType {
    /// Half precision.
    #[default]
    F16,
    /// 8 bits, 32 values to a scale: about half of [`CacheType::F16`].
    Q8_0,
}

/// A sequence's place in the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Sequence(usize);

#[cfg(test)]
impl Sequence {
    /// Two sequences of no cache.
    pub(crate) fn pair() -> [Self; 2] {
        [Self(0), Self(1)]
    }
}

/// Memory for some pages: of each layer all of them, of each page all key/value heads one after the
/// other. On huge pages, as every token of an answer reads all of it.
type Chunk = HugeMemory;

/// Bytes of about as many pages as a chunk has: some huge ones.
const CHUNK_BYTES: usize = 4 << 20;

/// Paged keys and values.
#[derive(Debug)]
pub(crate) struct Cache {
    kind: CacheType,
    /// Key/value heads.
    g: usize,
    /// Head width.
    k: usize,
    layers: usize,
    chunks: Vec<Chunk>,
    /// Pages of a chunk.
    chunk: usize,
    /// Pages that no sequence uses.
    free: Vec<usize>,
    /// Pages at most.
    capacity: usize,
    /// `None` for a place that is free.
    sequences: Vec<Option<Pages>>,
}

/// The pages of one sequence and how many of their positions are written.
#[derive(Debug, Default)]
struct Pages {
    pages: Vec<usize>,
    len: usize,
}

impl Cache {
    /// A cache for `positions` positions in all.
    pub(crate) fn new(dims: &Dims, kind: CacheType, positions: usize) -> Self {
        let capacity = positions.div_ceil(PAGE);
        let pages = CHUNK_BYTES.div_ceil(Self::page_bytes(dims, kind).max(1));
        Self::with_chunks(dims, kind, capacity, pages)
    }

    /// With chunks of about so many pages, all of the same size.
    fn with_chunks(dims: &Dims, kind: CacheType, capacity: usize, pages: usize) -> Self {
        let chunk = capacity.max(1).div_ceil(capacity.max(1).div_ceil(pages));
        Self {
            kind,
            g: dims.g,
            k: dims.k,
            layers: dims.layers.len(),
            chunks: Vec::new(),
            chunk,
            free: Vec::new(),
            capacity,
            sequences: Vec::new(),
        }
    }

    /// Bytes of one page over all layers.
    pub(crate) fn page_bytes(dims: &Dims, kind: CacheType) -> usize {
        dims.layers.len() * dims.g * head_bytes(kind, dims.k)
    }

    pub(crate) fn start(&mut self) -> Sequence {
        let free = self.sequences.iter().position(Option::is_none);
        let at = free.unwrap_or_else(|| {
            self.sequences.push(None);
            self.sequences.len() - 1
        });
        self.sequences[at] = Some(Pages::default());
        Sequence(at)
    }

    pub(crate) fn end(&mut self, sequence: Sequence) {
        if let Some(pages) = self.sequences.get_mut(sequence.0).and_then(Option::take) {
            self.free.extend(pages.pages);
        }
    }

    /// Positions that a sequence has; `None` if it does not exist.
    pub(crate) fn len(&self, sequence: Sequence) -> Option<usize> {
        self.sequences.get(sequence.0)?.as_ref().map(|s| s.len)
    }

    /// Forgets the positions from `len` on.
    pub(crate) fn truncate(&mut self, sequence: Sequence, len: usize) {
        if let Some(Some(s)) = self.sequences.get_mut(sequence.0) {
            s.len = s.len.min(len);
            self.free.extend(s.pages.drain(s.len.div_ceil(PAGE).min(s.pages.len())..));
        }
    }

    /// Makes room for `more` positions of a sequence; on failure nothing has changed.
    pub(crate) fn grow(&mut self, sequence: Sequence, more: usize) -> Result<(), Error> {
        let Some(len) = self.len(sequence) else {
            return Err(Error::new(ErrorKind::Batch, "the sequence has ended"));
        };
        let have = self.sequences[sequence.0].as_ref().map_or(0, |s| s.pages.len());
        let need = (len + more).div_ceil(PAGE).saturating_sub(have);
        let allocated = (self.chunks.len() * self.chunk).min(self.capacity);
        if need > self.free.len() + (self.capacity - allocated) {
            return Err(Error::new(
                ErrorKind::Context,
                format!(
                    "the context of `{}` positions is full: `{len}` are in use here and `{more}` more are needed",
                    self.capacity * PAGE
                ),
            ));
        }
        while self.free.len() < need {
            self.allocate()?;
        }
        let pages = self.free.split_off(self.free.len() - need);
        if let Some(s) = &mut self.sequences[sequence.0] {
            s.pages.extend(pages.into_iter().rev());
        }
        if let Some(s) = &mut self.sequences[sequence.0] {
            s.len += more;
        }
        Ok(())
    }

    /// One more chunk of free pages.
    fn allocate(&mut self) -> Result<(), Error> {
        let bytes = self.chunk * self.layers * self.layer_bytes();
        let memory = HugeMemory::new(bytes).map_err(|error| {
            let message = format!("no `{bytes}` bytes for more keys and values: {error}");
            Error::new(ErrorKind::Memory, message).with_hint("end other sequences or programs")
        })?;
        let first = self.chunks.len() * self.chunk;
        self.chunks.push(memory);
        self.free.extend((first..self.capacity.min(first + self.chunk)).rev());
        Ok(())
    }

    /// Bytes of one layer's part of a page.
    fn layer_bytes(&self) -> usize {
        self.g * head_bytes(self.kind, self.k)
    }

    /// Where in its chunk a layer's part of a page lies.
    fn place(&self, layer: usize, page: usize) -> (usize, Range<usize>) {
        let bytes = self.layer_bytes();
        let start = (layer * self.chunk + page % self.chunk) * bytes;
        (page / self.chunk, start..start + bytes)
    }

    /// The page that holds a position.
    pub(crate) fn page_of(&self, sequence: Sequence, position: usize) -> usize {
        let pages = self.sequences[sequence.0].as_ref().expect("the batch was checked");
        pages.pages[position / PAGE]
    }

    /// One head's part of a page, to read.
    pub(crate) fn page(&self, layer: usize, page: usize, head: usize) -> Page<'_> {
        let (chunk, bytes) = self.place(layer, page);
        let size = head_bytes(self.kind, self.k);
        let head = &self.chunks[chunk][bytes][head * size..][..size];
        let n = self.k * PAGE;
        match self.kind {
            CacheType::F16 => {
                let (keys, values) = cast_slice(head).split_at(n);
                Page::F16 { keys, values }
            }
            CacheType::Q8_0 => {
                let (values, scales) = head.split_at(2 * n);
                let (keys, values) = cast_slice(values).split_at(n);
                let scales: &[f16] = cast_slice(scales);
                let (key_scales, value_scales) = scales.split_at(scales.len() / 2);
                Page::Q8 { keys, key_scales, values, value_scales }
            }
        }
    }

    /// Every page of a layer, each to be written by one thread.
    pub(crate) fn pages_mut(&mut self, layer: usize) -> impl Iterator<Item = LayerPage<'_>> {
        let (kind, k, bytes) = (self.kind, self.k, self.layer_bytes());
        let all = self.chunk * bytes;
        self.chunks.iter_mut().flat_map(move |chunk| {
            let pages = chunk[layer * all..][..all].chunks_exact_mut(bytes);
            pages.map(move |bytes| LayerPage { kind, k, bytes })
        })
    }

    /// One page of a layer, to write.
    pub(crate) fn page_mut(&mut self, layer: usize, page: usize) -> LayerPage<'_> {
        let (chunk, bytes) = self.place(layer, page);
        LayerPage { kind: self.kind, k: self.k, bytes: &mut self.chunks[chunk][bytes] }
    }
}

/// Bytes of one head's part of one layer's part of a page.
fn head_bytes(kind: CacheType, k: usize) -> usize {
    match kind {
        CacheType::F16 => 2 * PAGE * k * 2,
        CacheType::Q8_0 => 2 * PAGE * (k + k.div_ceil(32) * 2),
    }
}

/// One layer's part of one page, to write.
pub(crate) struct LayerPage<'a> {
    kind: CacheType,
    k: usize,
    bytes: &'a mut [u8],
}

impl LayerPage<'_> {
    /// One head's part.
    pub(crate) fn head(&mut self, head: usize) -> PageMut<'_> {
        let size = head_bytes(self.kind, self.k);
        let head = &mut self.bytes[head * size..][..size];
        let n = self.k * PAGE;
        match self.kind {
            CacheType::F16 => {
                let (keys, values) = cast_slice_mut(head).split_at_mut(n);
                PageMut::F16 { keys, values }
            }
            CacheType::Q8_0 => {
                let (values, scales) = head.split_at_mut(2 * n);
                let (keys, values) = cast_slice_mut(values).split_at_mut(n);
                let scales: &mut [f16] = cast_slice_mut(scales);
                let (key_scales, value_scales) = scales.split_at_mut(scales.len() / 2);
                PageMut::Q8 { keys, key_scales, values, value_scales }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rushlight_model::Model;
    use rushlight_testkit::tiny::{case, write_gguf};

    use super::*;

    /// Writes `mark` to every value of a head's part, or checks that it is there.
    fn marks(cache: &mut Cache, page: usize, mark: impl Fn(usize, usize) -> f32) {
        for layer in 0..cache.layers {
            for head in 0..cache.g {
                let value = f16::from_f32(mark(layer, head));
                if let PageMut::F16 { keys, values } = cache.page_mut(layer, page).head(head) {
                    keys.fill(value);
                    values.fill(value);
                }
            }
        }
    }

    #[test]
    fn pages_of_many_chunks_are_apart_and_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("tiny.gguf");
        write_gguf(&case("qwen3"), &file);
        let model = Model::open(&file).unwrap();
        for (capacity, pages) in [(7, 1), (7, 2), (8, 3), (5, 9)] {
            let mut cache = Cache::with_chunks(model.dims(), CacheType::F16, capacity, pages);
            let [a, b] = [cache.start(), cache.start()];
            for sequence in [a, b, a] {
                cache.grow(sequence, PAGE).unwrap();
            }
            cache.end(b);
            cache.truncate(a, PAGE + 1);
            let c = cache.start();
            cache.grow(c, (capacity - 2) * PAGE).unwrap();
            assert_eq!(cache.grow(c, 1).unwrap_err().kind(), ErrorKind::Context);
            assert_eq!((cache.len(c), cache.len(a)), (Some((capacity - 2) * PAGE), Some(PAGE + 1)));
            let places: Vec<usize> = (0..2)
                .map(|i| cache.page_of(a, i * PAGE))
                .chain((0..capacity - 2).map(|i| cache.page_of(c, i * PAGE)))
                .collect();
            let mut sorted = places.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..capacity).collect::<Vec<_>>());
            let mark =
                |page: usize, layer: usize, head: usize| (page * 64 + layer * 8 + head) as f32;
            for &page in &places {
                marks(&mut cache, page, |layer, head| mark(page, layer, head));
            }
            for &page in &places {
                for layer in 0..cache.layers {
                    for head in 0..cache.g {
                        let want = f16::from_f32(mark(page, layer, head));
                        let Page::F16 { keys, values } = cache.page(layer, page, head) else {
                            panic!("pages are F16")
                        };
                        assert!(keys.iter().chain(values).all(|x| *x == want));
                        let mut one = cache.pages_mut(layer).nth(page).unwrap();
                        let PageMut::F16 { keys, .. } = one.head(head) else {
                            panic!("pages are F16")
                        };
                        assert!(keys.iter().all(|x| *x == want), "{page} {layer} {head}");
                    }
                }
            }
        }
    }
}
