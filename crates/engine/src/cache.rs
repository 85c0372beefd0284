//! Keys and values of all positions that sequences have seen, in pages.
//!
//! A page holds [`PAGE`] positions of a text, for every layer and key/value head. Pages are
//! allocated, some together, when a sequence first reaches them, and reused when nobody holds them
//! any more. Sequences that begin alike may share pages; who writes to a shared one gets a copy.

use std::ops::Range;
use std::sync::Arc;

use bytemuck::{cast_slice, cast_slice_mut};
use rushlight_host::HugeMemory;
use rushlight_kernels::{PAGE, Page, PageMut, f16};
use rushlight_model::{Adapter, Dims};

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
    /// Pages that nobody holds.
    free: Vec<usize>,
    /// How many hold each page.
    holders: Vec<u32>,
    /// Which pages somebody has held since their memory was last given back.
    written: Vec<bool>,
    /// Pages at most.
    capacity: usize,
    /// `None` for a place that is free.
    sequences: Vec<Option<Pages>>,
    /// Chunks that the machine has memory for.
    #[cfg(test)]
    pub(crate) most_chunks: usize,
}

/// The pages of one sequence and how many of their positions are written.
#[derive(Debug, Default)]
struct Pages {
    pages: Vec<usize>,
    len: usize,
    /// With which the keys and values are computed.
    adapter: Option<Arc<Adapter>>,
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
            holders: Vec::new(),
            written: Vec::new(),
            capacity,
            sequences: Vec::new(),
            #[cfg(test)]
            most_chunks: usize::MAX,
        }
    }

    /// With a chunk for each page, on a machine that has memory for so many of them.
    #[cfg(test)]
    pub(crate) fn of_poor_machine(dims: &Dims, capacity: usize, pages: usize) -> Self {
        Self { most_chunks: pages, ..Self::with_chunks(dims, CacheType::F16, capacity, 1) }
    }

    /// Bytes of one page over all layers.
    pub(crate) fn page_bytes(dims: &Dims, kind: CacheType) -> usize {
        dims.layers.len() * dims.g * head_bytes(kind, dims.k)
    }

    /// Bytes of a cache for so many positions when all of it is used: chunks are of the same size.
    pub(crate) fn whole_bytes(dims: &Dims, kind: CacheType, positions: usize) -> u64 {
        let cache = Self::new(dims, kind, positions);
        let chunks = cache.capacity.div_ceil(cache.chunk);
        (chunks * cache.chunk) as u64 * Self::page_bytes(dims, kind) as u64
    }

    /// Bytes of one of its pages.
    pub(crate) fn bytes_of_page(&self) -> u64 {
        (self.layers * self.layer_bytes()) as u64
    }

    /// Bytes of pages that nobody holds and that have memory, at most.
    pub(crate) fn idle_bytes(&self) -> u64 {
        let idle = self.free.iter().filter(|page| self.written[**page]).count();
        idle as u64 * self.bytes_of_page()
    }

    /// Gives the memory of pages that nobody holds back to the kernel; they are as free as before.
    /// Returns the bytes, at most.
    pub(crate) fn give_back(&mut self) -> u64 {
        let given = self.idle_bytes();
        if given == 0 {
            return 0;
        }
        let mut free = self.free.clone();
        free.sort_unstable();
        let layer_bytes = self.layer_bytes();
        // Neighbours together: a page of the kernel may have parts of both.
        for run in free.chunk_by(|a, b| a + 1 == *b && a / self.chunk == b / self.chunk) {
            for layer in 0..self.layers {
                let (chunk, first) = self.place(layer, run[0]);
                let bytes = first.start..first.start + run.len() * layer_bytes;
                self.chunks[chunk].give_back(bytes);
            }
        }
        free.iter().for_each(|page| self.written[*page] = false);
        given
    }

    /// Begins a sequence whose keys and values are computed with an adapter, or with none.
    pub(crate) fn start(&mut self, adapter: Option<Arc<Adapter>>) -> Sequence {
        let free = self.sequences.iter().position(Option::is_none);
        let at = free.unwrap_or_else(|| {
            self.sequences.push(None);
            self.sequences.len() - 1
        });
        self.sequences[at] = Some(Pages { adapter, ..Pages::default() });
        Sequence(at)
    }

    /// Begins a sequence with `len` positions that other holders have on these pages, computed with
    /// the same adapter.
    pub(crate) fn start_with(
        &mut self,
        adapter: Option<Arc<Adapter>>,
        pages: Vec<usize>,
        len: usize,
    ) -> Sequence {
        debug_assert!(len.div_ceil(PAGE) == pages.len());
        pages.iter().for_each(|page| self.hold(*page));
        let sequence = self.start(adapter);
        if let Some(s) = &mut self.sequences[sequence.0] {
            (s.pages, s.len) = (pages, len);
        }
        sequence
    }

    pub(crate) fn end(&mut self, sequence: Sequence) {
        if let Some(pages) = self.sequences.get_mut(sequence.0).and_then(Option::take) {
            pages.pages.into_iter().for_each(|page| self.release(page));
        }
    }

    /// One more holder of a page.
    pub(crate) fn hold(&mut self, page: usize) {
        self.holders[page] += 1;
    }

    /// One holder less; without any the page is free.
    pub(crate) fn release(&mut self, page: usize) {
        self.holders[page] -= 1;
        if self.holders[page] == 0 {
            self.free.push(page);
        }
    }

    /// How many hold a page.
    pub(crate) fn holders(&self, page: usize) -> u32 {
        self.holders[page]
    }

    /// The adapter of a sequence.
    pub(crate) fn adapter(&self, sequence: Sequence) -> Option<&Arc<Adapter>> {
        self.sequences.get(sequence.0)?.as_ref()?.adapter.as_ref()
    }

    /// The pages of a sequence, in the order of its text.
    pub(crate) fn pages(&self, sequence: Sequence) -> &[usize] {
        self.sequences.get(sequence.0).and_then(Option::as_ref).map_or(&[], |s| &s.pages)
    }

    /// Pages in all.
    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Pages that nobody holds, allocated or not.
    pub(crate) fn available(&self) -> usize {
        self.free.len() + self.capacity - self.allocated()
    }

    fn allocated(&self) -> usize {
        (self.chunks.len() * self.chunk).min(self.capacity)
    }

    /// Pages that `more` positions of a sequence take: new ones, and a copy of its last one if that
    /// is not its alone and has room.
    pub(crate) fn needed(&self, sequence: Sequence, more: usize) -> usize {
        let Some(Some(s)) = self.sequences.get(sequence.0) else { return 0 };
        let new = (s.len + more).div_ceil(PAGE).saturating_sub(s.pages.len());
        new + usize::from(more > 0 && self.shared_last(s).is_some())
    }

    /// Where among its pages a sequence has one that it may not write to, but would.
    fn shared_last(&self, s: &Pages) -> Option<usize> {
        let last = s.len / PAGE;
        let page = s.pages.get(last)?;
        (!s.len.is_multiple_of(PAGE) && self.holders[*page] > 1).then_some(last)
    }

    /// Positions that a sequence has; `None` if it does not exist.
    pub(crate) fn len(&self, sequence: Sequence) -> Option<usize> {
        self.sequences.get(sequence.0)?.as_ref().map(|s| s.len)
    }

    /// Forgets the positions from `len` on.
    pub(crate) fn truncate(&mut self, sequence: Sequence, len: usize) {
        if let Some(Some(s)) = self.sequences.get_mut(sequence.0) {
            s.len = s.len.min(len);
            let gone: Vec<usize> =
                s.pages.drain(s.len.div_ceil(PAGE).min(s.pages.len())..).collect();
            gone.into_iter().for_each(|page| self.release(page));
        }
    }

    /// Makes room for `more` positions of a sequence; on failure nothing has changed.
    pub(crate) fn grow(&mut self, sequence: Sequence, more: usize) -> Result<(), Error> {
        let Some(len) = self.len(sequence) else {
            return Err(Error::new(ErrorKind::Batch, "the sequence has ended"));
        };
        let need = self.needed(sequence, more);
        if need > self.available() {
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
        let mut pages = self.free.split_off(self.free.len() - need);
        pages.iter().for_each(|page| (self.holders[*page], self.written[*page]) = (1, true));
        let shared = self.sequences[sequence.0].as_ref().and_then(|s| self.shared_last(s));
        if let Some(last) = shared.filter(|_| more > 0) {
            let page = pages.pop().expect("it was counted");
            let from = self.pages(sequence)[last];
            self.copy(from, page);
            self.release(from);
            if let Some(s) = &mut self.sequences[sequence.0] {
                s.pages[last] = page;
            }
        }
        if let Some(s) = &mut self.sequences[sequence.0] {
            s.pages.extend(pages.into_iter().rev());
            s.len += more;
        }
        Ok(())
    }

    /// Copies a page.
    fn copy(&mut self, from: usize, to: usize) {
        for layer in 0..self.layers {
            let (chunk, bytes) = self.place(layer, from);
            let data = self.chunks[chunk][bytes].to_vec();
            let (chunk, bytes) = self.place(layer, to);
            self.chunks[chunk][bytes].copy_from_slice(&data);
        }
    }

    /// One more chunk of free pages.
    fn allocate(&mut self) -> Result<(), Error> {
        let bytes = self.chunk * self.layers * self.layer_bytes();
        let none = |why: &dyn std::fmt::Display| {
            let message = format!("no `{bytes}` bytes for more keys and values: {why}");
            Error::new(ErrorKind::Memory, message).with_hint("end other sequences or programs")
        };
        #[cfg(test)]
        if self.chunks.len() >= self.most_chunks {
            return Err(none(&"the test has no more"));
        }
        let memory = HugeMemory::new(bytes).map_err(|error| none(&error))?;
        let first = self.chunks.len() * self.chunk;
        self.chunks.push(memory);
        let end = self.capacity.min(first + self.chunk);
        self.holders.resize(end, 0);
        self.written.resize(end, false);
        self.free.extend((first..end).rev());
        Ok(())
    }

    /// A free page, for who asks.
    pub(crate) fn take_page(&mut self) -> Result<usize, Error> {
        if self.free.is_empty() && self.available() > 0 {
            self.allocate()?;
        }
        let page = self.free.pop();
        let page =
            page.ok_or_else(|| Error::new(ErrorKind::Context, "the cache has no free page"))?;
        (self.holders[page], self.written[page]) = (1, true);
        Ok(page)
    }

    pub(crate) fn layers(&self) -> usize {
        self.layers
    }

    /// A layer's part of a page, to read.
    pub(crate) fn layer_of(&self, layer: usize, page: usize) -> &[u8] {
        let (chunk, bytes) = self.place(layer, page);
        &self.chunks[chunk][bytes]
    }

    /// A layer's part of a page, to write.
    pub(crate) fn layer_of_mut(&mut self, layer: usize, page: usize) -> &mut [u8] {
        let (chunk, bytes) = self.place(layer, page);
        &mut self.chunks[chunk][bytes]
    }

    /// What keys and values in the cache depend on beside the model's weights, in words.
    pub(crate) fn describe(&self) -> String {
        let Self { kind, g, k, layers, .. } = self;
        format!("{kind:?}, {layers} layers of {g} heads of {k}, pages of {PAGE}")
    }

    /// Bytes of one layer's part of a page.
    pub(crate) fn layer_bytes(&self) -> usize {
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
    fn memory_of_free_pages_is_given_back_and_that_of_others_stays() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("tiny.gguf");
        write_gguf(&case("qwen3"), &file);
        let model = Model::open(&file).unwrap();
        let mut cache = Cache::with_chunks(model.dims(), CacheType::F16, 70, 32);
        let all: Vec<usize> = (0..70).map(|_| cache.take_page().unwrap()).collect();
        for page in &all {
            marks(&mut cache, *page, |_, _| 1.0);
        }
        // All but the first and the last one of each ten.
        let stay = |page: &&usize| matches!(**page % 10, 0 | 9);
        for page in all.iter().filter(|page| !stay(page)) {
            cache.release(*page);
        }
        let page_bytes = Cache::page_bytes(model.dims(), CacheType::F16) as u64;
        assert_eq!(cache.idle_bytes(), 56 * page_bytes);
        assert_eq!(cache.give_back(), 56 * page_bytes);
        assert_eq!((cache.idle_bytes(), cache.give_back()), (0, 0));
        assert_eq!(cache.available(), 56);
        let ones = |bytes: &[u8]| bytes.chunks(2).all(|b| b == f16::from_f32(1.0).to_le_bytes());
        for page in all.iter().filter(stay) {
            assert!((0..cache.layers).all(|layer| ones(cache.layer_of(layer, *page))), "{page}");
        }
        // What was whole pages of the kernel is gone.
        let zero = |page| cache.layer_of(0, page).iter().filter(|b| **b == 0).count();
        let run = 8 * cache.layer_bytes();
        let zeros: usize = (1..9).map(zero).sum();
        assert!(run < 3 * 4096 || zeros + 2 * 4096 > run, "{zeros} of {run}");
        let page = cache.take_page().unwrap();
        marks(&mut cache, page, |_, _| 1.0);
        assert!(ones(cache.layer_of(0, page)));
    }

    #[test]
    fn pages_of_many_chunks_are_apart_and_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("tiny.gguf");
        write_gguf(&case("qwen3"), &file);
        let model = Model::open(&file).unwrap();
        for (capacity, pages) in [(7, 1), (7, 2), (8, 3), (5, 9)] {
            let mut cache = Cache::with_chunks(model.dims(), CacheType::F16, capacity, pages);
            let [a, b] = [cache.start(None), cache.start(None)];
            for sequence in [a, b, a] {
                cache.grow(sequence, PAGE).unwrap();
            }
            cache.end(b);
            cache.truncate(a, PAGE + 1);
            let c = cache.start(None);
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
