//! What a model will take, before it takes it.

use std::path::Path;

use rushlight_model::{Adapter, Model, PanelSource, WeightsFrom};

use crate::cache::Cache;
use crate::forward::SEEN_FLOATS;
use crate::options::EXACT_ROWS;
use crate::speculate::MOST_GUESSES;
use crate::{CacheType, EngineOptions, Error, ErrorKind};

mod fit;

/// The memory that an engine may come to use, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Plan {
    /// Weights, mapped from the files, or copied from those that others may write. Mapped ones that
    /// are multiplied as panels do not count: nobody reads them, and they leave this process when the
    /// panels are made; embeddings count, as they are looked up.
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
    /// What the process takes beside: its code and what it is made of ([`Plan::PROCESS_BYTES`], once
    /// for all engines), and of each model the tokenizer.
    pub process_bytes: u64,
}

/// Bytes of a tokenizer for each token of the vocabulary: its text, its place in the tables that find
/// it, and its merge. Measured as what a process has beside code, cache and buffers: 49,152 tokens 6.5
/// MiB (SmolLM2, 138 each), 151,936 tokens 17 MiB (Qwen3, 117 each).
const TOKEN_BYTES: u64 = 144;

/// Positions of a page, the granularity of the cache.
const PAGE: usize = rushlight_kernels::PAGE;

impl Plan {
    /// Bytes of a process beside its engines and tokenizers: pages of its code that are used (10 MiB of
    /// the 21 of the release build on x86-64), heap, stacks, the kernel's tables of pages, and files
    /// as they are written (2 to 4 MiB). A build without optimisation has three times the code.
    pub const PROCESS_BYTES: u64 = if cfg!(debug_assertions) { 48 << 20 } else { 16 << 20 };

    /// The plan for `positions` over all sequences and batches of `chunk` rows.
    pub fn new(model: &Model, cache: CacheType, positions: usize, chunk: usize) -> Self {
        let dims = model.dims();
        let pages = positions.div_ceil(PAGE);
        let heads = 2 * (dims.h + dims.g) * dims.k;
        // Residual stream, part, quantised copy, states; queries to outputs; both feed-forward widths.
        let per_row = 4 * (4 * dims.d + heads + 3 * dims.f) as u64;
        let plan = Self {
            weights_bytes: model.file_bytes(),
            prepared_bytes: 0,
            packed_bytes: 0,
            cache_bytes: Cache::whole_bytes(dims, cache, positions),
            // The logits are those of a pass that checks guesses.
            buffers_bytes: per_row * chunk as u64
                + 4 * (dims.v * chunk.min(EXACT_ROWS)) as u64
                + 4 * SEEN_FLOATS.min(pages * dims.h * dims.k * chunk) as u64,
            adapters_bytes: 0,
            process_bytes: Self::PROCESS_BYTES + TOKEN_BYTES * dims.v as u64,
        };
        model.panel_sources().iter().fold(plan, |plan, source| plan.with(source, source.from()))
    }

    /// The plan of an engine with these options: before panels are made in memory, if they are to
    /// be.
    pub fn of(model: &Model, options: &EngineOptions) -> Self {
        let context = options.context_of(model);
        let positions = options.positions.unwrap_or(0).max(context);
        let chunk = options.rows_at_once(model).min(positions);
        let mut plan = Plan::new(model, options.cache, positions, chunk);
        let process = options.process_bytes.unwrap_or(Self::PROCESS_BYTES);
        plan.process_bytes = plan.process_bytes - Self::PROCESS_BYTES + process;
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

    /// The plan once prepared weights that are still to be made are there.
    #[must_use]
    pub fn once_prepared(self, model: &Model) -> Self {
        let sources = model.panel_sources().iter();
        let missing = sources.filter(|source| source.from() == WeightsFrom::File);
        missing.fold(self, |plan, source| plan.with(source, WeightsFrom::Prepared))
    }

    /// The plan when products with a tensor read it from there.
    fn with(mut self, source: &PanelSource, from: WeightsFrom) -> Self {
        match from {
            WeightsFrom::Prepared => self.prepared_bytes += source.packed_bytes() as u64,
            WeightsFrom::Memory => self.packed_bytes += source.packed_bytes() as u64,
            _ => return self,
        }
        if source.name() != "token_embd.weight" && source.leaves_memory() {
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
        let work = self.cache_bytes + self.buffers_bytes + self.process_bytes;
        self.all_weights_bytes() + self.adapters_bytes + work
    }
}

impl EngineOptions {
    /// What a model that is run so will take.
    ///
    /// # Errors
    /// If it has not the memory, with the numbers and the nearest that would fit.
    pub fn plan(&self, model: &Model) -> Result<Plan, Error> {
        let plan = Plan::of(model, self);
        check(&plan, available(self), model, self)?;
        Ok(plan)
    }
}

/// Bytes that an engine with these options may count on.
pub(crate) fn available(options: &EngineOptions) -> u64 {
    let root = Path::new("/");
    let promise =
        || rushlight_host::memory(root).promise_bytes(rushlight_host::resident(root).as_ref());
    options.memory_bytes.unwrap_or_else(promise)
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
        "the model needs {} (weights {}, {adapters}cache {} for {} positions, activations {}, \
         process {}), but {} are free",
        size(plan.total_bytes()),
        size(plan.all_weights_bytes()),
        size(plan.cache_bytes),
        options.positions_of(model),
        size(plan.buffers_bytes),
        size(plan.process_bytes),
        size(available),
    );
    Err(Error::new(ErrorKind::Memory, message).with_hint(fit::hint(available, model, options)))
}

/// Bytes in a unit that a person reads.
fn size(bytes: u64) -> String {
    let mib = bytes as f64 / (1 << 20) as f64;
    if mib >= 1024.0 { format!("{:.1} GiB", mib / 1024.0) } else { format!("{mib:.1} MiB") }
}

#[cfg(test)]
mod tests {
    use rushlight_testkit::tiny;

    use super::*;

    fn model(dir: &tempfile::TempDir) -> Model {
        let file = dir.path().join("tiny.gguf");
        tiny::write_gguf(&tiny::case("llama2"), &file);
        Model::open(&file).unwrap()
    }

    #[test]
    fn the_process_counts_once_and_the_cache_by_whole_chunks() {
        let dir = tempfile::tempdir().unwrap();
        let model = model(&dir);
        let mut options = EngineOptions::default();
        let alone = Plan::of(&model, &options);
        options.process_bytes = Some(0);
        let beside = Plan::of(&model, &options);
        assert_eq!(alone.total_bytes() - beside.total_bytes(), Plan::PROCESS_BYTES);
        assert_eq!(beside.process_bytes, TOKEN_BYTES * model.dims().v as u64);
        let page = Cache::page_bytes(model.dims(), options.cache) as u64;
        assert!(alone.cache_bytes >= page * (options.positions_of(&model) / PAGE) as u64);
    }

    #[test]
    fn the_largest_context_that_fits_is_found_and_one_page_more_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let model = model(&dir);
        let total = |context, cache| {
            let mut options = EngineOptions::default();
            (options.context, options.cache) = (Some(context), cache);
            Plan::of(&model, &options).total_bytes()
        };
        let usual = model.dims().context.min(EngineOptions::DEFAULT_CONTEXT);
        assert!(usual >= 4 * PAGE, "{usual}");
        let fitting = |memory| {
            let options = EngineOptions { memory_bytes: Some(memory), ..EngineOptions::default() };
            options.fitting_context(&model)
        };
        assert_eq!(fitting(total(usual, CacheType::F16)), Some(usual));
        let two = total(2 * PAGE, CacheType::F16);
        let options = EngineOptions { memory_bytes: Some(two), ..EngineOptions::default() };
        let error = check(&Plan::of(&model, &options), two, &model, &options).unwrap_err();
        let hint = error.hint().unwrap();
        assert!(hint.contains(&format!("a context of {} fits", 2 * PAGE)), "{hint}");
        assert!(error.to_string().contains(&format!("for {usual} positions")), "{error}");
        let error = check(&Plan::of(&model, &options), 1000, &model, &options).unwrap_err();
        assert!(error.hint().unwrap().contains("smaller quantisation"), "{error:?}");
        assert_eq!(fitting(1000), None);
        // What is to come beside takes its part of it.
        let options = EngineOptions {
            memory_bytes: Some(total(usual, CacheType::F16)),
            ..EngineOptions::default()
        };
        let beside = |context: usize| 1_000_000 * context as u64;
        assert_ne!(options.fitting_context_beside(&model, &beside), Some(usual));
        let room = total(usual, CacheType::F16) + beside(2 * PAGE);
        let found = fit::largest(&model, &options, room, usual, &beside).unwrap();
        let all = |context| total(context, CacheType::F16) + beside(context);
        assert!(all(found) <= room && all(found + PAGE) > room, "{found}");
        // A context below 512 is not taken unless nobody would take more.
        assert_eq!(fitting(two), (2 * PAGE >= 512.min(usual)).then_some(2 * PAGE));
    }
}
