//! What a model will take, before it takes it.

use rushlight_model::{Adapter, Model, PanelSource, WeightsFrom};

use crate::cache::Cache;
use crate::forward::SEEN_FLOATS;
use crate::options::EXACT_ROWS;
use crate::speculate::MOST_GUESSES;
use crate::{CacheType, EngineOptions, Error, ErrorKind};

/// The memory that an engine may come to use, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Plan {
    /// Weights, mapped from the files. Those that are multiplied as panels do not count: nobody
    /// reads them, and the kernel takes them back; embeddings count, as they are looked up.
    pub weights_bytes: u64,
    /// Weights as panels, mapped from a file.
    pub prepared_bytes: u64,
    /// Weights as panels, made in memory.
    pub packed_bytes: u64,
    /// Keys and values when the context is full.
    pub cache_bytes: u64,
    /// Activations of the largest batch.
    pub buffers_bytes: u64,
    /// Adapters.
    pub adapters_bytes: u64,
}

/// Positions of a page, the granularity of the cache.
const PAGE: usize = rushlight_kernels::PAGE;

impl Plan {
    /// The plan for `positions` over all sequences and batches of `chunk` rows.
    pub fn new(model: &Model, cache: CacheType, positions: usize, chunk: usize) -> Self {
        let dims = model.dims();
        let pages = positions.div_ceil(PAGE) as u64;
        let heads = 2 * (dims.h + dims.g) * dims.k;
        // Residual stream, part, quantised copy, states; queries to outputs; both feed-forward widths.
        let per_row = 4 * (4 * dims.d + heads + 3 * dims.f) as u64;
        let plan = Self {
            weights_bytes: model.file_bytes(),
            prepared_bytes: 0,
            packed_bytes: 0,
            cache_bytes: pages * Cache::page_bytes(dims, cache) as u64,
            // The logits are those of a pass that checks guesses.
            buffers_bytes: per_row * chunk as u64
                + 4 * (dims.v * chunk.min(EXACT_ROWS)) as u64
                + 4 * SEEN_FLOATS.min(pages as usize * dims.h * dims.k * chunk) as u64,
            adapters_bytes: 0,
        };
        model.panel_sources().iter().fold(plan, |plan, source| plan.with(source, source.from()))
    }

    /// The plan of an engine with these options: before panels are made in memory, if they are to
    /// be.
    pub fn of(model: &Model, options: &EngineOptions) -> Self {
        let context = options.context_of(model);
        let positions = options.positions.unwrap_or(0).max(context);
        let chunk = options.rows_at_once(model).min(positions);
        let plan = Plan::new(model, options.cache, positions, chunk);
        let plan = plan.with_answers(model, options.answers.min(chunk));
        let adapters = options.adapters.iter().map(|(_, adapter)| &**adapter);
        let plan = plan.with_adapters(adapters, chunk);
        match options.packs(model) {
            true => plan.with_panels(model, |source| options.takes(source)),
            false => plan,
        }
    }

    /// The plan when so many answers are written at once, each with a row of output, and guesses
    /// for them are checked.
    fn with_answers(mut self, model: &Model, answers: usize) -> Self {
        let rows = if answers > 1 { answers + MOST_GUESSES } else { answers };
        self.buffers_bytes += 4 * (model.dims().v * rows.saturating_sub(EXACT_ROWS)) as u64;
        self
    }

    /// The plan with adapters, of which batches of `chunk` rows have any.
    pub fn with_adapters<'a>(
        mut self,
        adapters: impl IntoIterator<Item = &'a Adapter>,
        chunk: usize,
    ) -> Self {
        let mut rank = 0;
        for adapter in adapters {
            self.adapters_bytes += adapter.bytes();
            rank = rank.max(adapter.rank());
        }
        // Of queries, keys and values at once.
        self.buffers_bytes += 4 * (3 * rank * chunk) as u64;
        self
    }

    /// The plan when panels of the tensors that `taken` names are made in memory.
    fn with_panels(self, model: &Model, taken: impl Fn(&PanelSource) -> bool) -> Self {
        let sources = model.panel_sources().iter().filter(|source| taken(source));
        sources.fold(self, |plan, source| plan.with(source, WeightsFrom::Memory))
    }

    /// The plan when products with a tensor read it from there.
    fn with(mut self, source: &PanelSource, from: WeightsFrom) -> Self {
        match from {
            WeightsFrom::Prepared => self.prepared_bytes += source.packed_bytes() as u64,
            WeightsFrom::Memory => self.packed_bytes += source.packed_bytes() as u64,
            _ => return self,
        }
        if source.name() != "token_embd.weight" {
            self.weights_bytes = self.weights_bytes.saturating_sub(source.file_bytes() as u64);
        }
        self
    }

    /// Weights, wherever they are.
    pub fn all_weights_bytes(&self) -> u64 {
        self.weights_bytes + self.prepared_bytes + self.packed_bytes
    }

    /// All of it.
    pub fn total_bytes(&self) -> u64 {
        self.all_weights_bytes() + self.adapters_bytes + self.cache_bytes + self.buffers_bytes
    }
}

/// Refuses what does not fit, with the numbers and the nearest thing that would.
pub(crate) fn check(
    plan: &Plan,
    available: u64,
    model: &Model,
    options: &EngineOptions,
) -> Result<(), Error> {
    if plan.total_bytes() <= available {
        return Ok(());
    }
    let adapters = match plan.adapters_bytes {
        0 => String::new(),
        bytes => format!("adapters {}, ", size(bytes)),
    };
    let message = format!(
        "the model needs {} (weights {}, {adapters}cache {}, activations {}), but {} are free",
        size(plan.total_bytes()),
        size(plan.all_weights_bytes()),
        size(plan.cache_bytes),
        size(plan.buffers_bytes),
        size(available),
    );
    let room = available.saturating_sub(plan.total_bytes() - plan.cache_bytes);
    let fits = |kind: CacheType| {
        let page = Cache::page_bytes(model.dims(), kind) as u64;
        usize::try_from(room / page.max(1)).unwrap_or(usize::MAX).saturating_mul(PAGE)
    };
    let hint = match (fits(options.cache), fits(CacheType::Q8_0)) {
        (0, 0) => {
            "the weights alone do not fit: take a smaller quantisation of the model".to_owned()
        }
        (0, smaller) => format!("a context of {smaller} with a q8_0 cache fits"),
        (same, smaller) if smaller > same => {
            format!("a context of {same} fits, with a q8_0 cache one of {smaller}")
        }
        (same, _) => format!("a context of {same} fits"),
    };
    Err(Error::new(ErrorKind::Memory, message).with_hint(hint))
}

/// Bytes in a unit that a person reads.
fn size(bytes: u64) -> String {
    let mib = bytes as f64 / (1 << 20) as f64;
    if mib >= 1024.0 { format!("{:.1} GiB", mib / 1024.0) } else { format!("{mib:.1} MiB") }
}
