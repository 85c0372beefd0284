//! Keys and values of all positions that sequences have seen, in pages.
//!
//! A page holds [`PAGE`] positions of one sequence, for every layer and key/value head. Pages are
//! allocated when a sequence first reaches them and reused when it ends.

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

/// One layer's part of one page, all key/value heads one after the other.
#[derive(Debug)]
enum Stored {
    F16 { keys: Vec<f16>, values: Vec<f16> },
    Q8 { keys: Vec<i8>, key_scales: Vec<f16>, values: Vec<i8>, value_scales: Vec<f16> },
}

/// Paged keys and values.
#[derive(Debug)]
pub(crate) struct Cache {
    kind: CacheType,
    /// Key/value heads.
    g: usize,
    /// Head width.
    k: usize,
    /// `[layer][page]`.
    layers: Vec<Vec<Stored>>,
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
        let layers = dims.layers.iter().map(|_| Vec::new()).collect();
        let capacity = positions.div_ceil(PAGE);
        Self {
            kind,
            g: dims.g,
            k: dims.k,
            layers,
            free: Vec::new(),
            capacity,
            sequences: Vec::new(),
        }
    }

    /// Bytes of one page over all layers.
    pub(crate) fn page_bytes(dims: &Dims, kind: CacheType) -> usize {
        let values = 2 * dims.layers.len() * dims.g * PAGE;
        match kind {
            CacheType::F16 => values * dims.k * 2,
            CacheType::Q8_0 => values * (dims.k + dims.k.div_ceil(32) * 2),
        }
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
        let allocated = self.layers.first().map_or(0, Vec::len);
        if need > self.free.len() + (self.capacity - allocated) {
            return Err(Error::new(
                ErrorKind::Context,
                format!(
                    "the context of `{}` positions is full: `{len}` are in use here and `{more}` more are needed",
                    self.capacity * PAGE
                ),
            ));
        }
        for _ in 0..need {
            let page = self.free.pop().unwrap_or_else(|| self.allocate());
            if let Some(s) = &mut self.sequences[sequence.0] {
                s.pages.push(page);
            }
        }
        if let Some(s) = &mut self.sequences[sequence.0] {
            s.len += more;
        }
        Ok(())
    }

    fn allocate(&mut self) -> usize {
        let (kind, n) = (self.kind, self.g * self.k * PAGE);
        let scales = self.g * self.k.div_ceil(32) * PAGE;
        for layer in &mut self.layers {
            layer.push(match kind {
                CacheType::F16 => {
                    Stored::F16 { keys: vec![f16::ZERO; n], values: vec![f16::ZERO; n] }
                }
                CacheType::Q8_0 => Stored::Q8 {
                    keys: vec![0; n],
                    key_scales: vec![f16::ZERO; scales],
                    values: vec![0; n],
                    value_scales: vec![f16::ZERO; scales],
                },
            });
        }
        self.layers.first().map_or(0, |l| l.len() - 1)
    }

    /// The page that holds a position.
    pub(crate) fn page_of(&self, sequence: Sequence, position: usize) -> usize {
        let pages = self.sequences[sequence.0].as_ref().expect("the batch was checked");
        pages.pages[position / PAGE]
    }

    /// One head's part of a page, to read.
    pub(crate) fn page(&self, layer: usize, page: usize, head: usize) -> Page<'_> {
        let n = self.k * PAGE;
        let at = head * n..(head + 1) * n;
        let s = self.k.div_ceil(32) * PAGE;
        let scales = head * s..(head + 1) * s;
        match &self.layers[layer][page] {
            Stored::F16 { keys, values } => {
                Page::F16 { keys: &keys[at.clone()], values: &values[at] }
            }
            Stored::Q8 { keys, key_scales, values, value_scales } => Page::Q8 {
                keys: &keys[at.clone()],
                key_scales: &key_scales[scales.clone()],
                values: &values[at],
                value_scales: &value_scales[scales],
            },
        }
    }

    /// Every page of a layer, each to be written by one thread.
    pub(crate) fn pages_mut(&mut self, layer: usize) -> impl Iterator<Item = LayerPage<'_>> {
        let k = self.k;
        self.layers[layer].iter_mut().map(move |stored| LayerPage { stored, k })
    }

    /// One page of a layer, to write.
    pub(crate) fn page_mut(&mut self, layer: usize, page: usize) -> LayerPage<'_> {
        LayerPage { stored: &mut self.layers[layer][page], k: self.k }
    }
}

/// One layer's part of one page, to write.
pub(crate) struct LayerPage<'a> {
    stored: &'a mut Stored,
    k: usize,
}

impl LayerPage<'_> {
    /// One head's part.
    pub(crate) fn head(&mut self, head: usize) -> PageMut<'_> {
        let n = self.k * PAGE;
        let at = head * n..(head + 1) * n;
        let s = self.k.div_ceil(32) * PAGE;
        let scales = head * s..(head + 1) * s;
        match self.stored {
            Stored::F16 { keys, values } => {
                PageMut::F16 { keys: &mut keys[at.clone()], values: &mut values[at] }
            }
            Stored::Q8 { keys, key_scales, values, value_scales } => PageMut::Q8 {
                keys: &mut keys[at.clone()],
                key_scales: &mut key_scales[scales.clone()],
                values: &mut values[at],
                value_scales: &mut value_scales[scales],
            },
        }
    }
}
