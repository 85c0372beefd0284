//! How an engine runs.

use std::sync::Arc;

use rushlight_host::Cores;
use rushlight_kernels::{Row, best};
use rushlight_model::{Adapter, Model, PanelSource, WeightsFrom};

use crate::CacheType;

/// Rows of one pass up to which the kernels compute each as they would alone, to the bit: below
/// their tiles, which add up in another order.
pub(crate) const EXACT_ROWS: usize = 7;

/// What activations are rounded to before they meet quantised weights; each 32 values share a
/// scale.
///
/// F16 and BF16 weights meet them as floats, but for larger batches on processors that
/// multiply 16-bit integers faster: there both are rounded to 14 bits, unless all tokens of the batch have 16 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Activations {
    /// 8 bits. The rounding can turn a near-tie between tokens.
    Int8,
    /// 16 bits, as two planes of 8: the products of floats but for 1 in 60,000. A prompt takes
    /// twice the multiplications, a step of an answer up to a third more time.
    Int16,
    /// 16 bits for the last 16 tokens of a prompt, else 8.
    #[default]
    Mixed,
}

/// How an engine runs.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EngineOptions {
    /// Positions of a sequence, at most; by default what the model was trained for, at most
    /// [`EngineOptions::DEFAULT_CONTEXT`].
    pub context: Option<usize>,
    /// Positions that the cache holds, over all sequences; by default, and at least, the context.
    pub positions: Option<usize>,
    /// Answers that are to be written at once: rows of output that the memory is planned for.
    pub answers: usize,
    /// Threads; by default one per fast physical core.
    pub threads: Option<usize>,
    /// Threads for passes of at most [`EngineOptions::FEW_ROWS`] rows, such as the tokens of an answer,
    /// which wait for memory more than for the processor; by default as many as for others.
    pub decode_threads: Option<usize>,
    /// Whether threads stay on processors of their own.
    pub pin: bool,
    /// The cores that they run on.
    pub cores: Cores,
    /// How keys and values are stored.
    pub cache: CacheType,
    /// Rows of one forward pass at most: a longer prompt runs in chunks of this. Of a model whose
    /// tokens see what follows them at least the context, as a text runs at once there.
    pub chunk: usize,
    /// What activations are rounded to where weights are quantised.
    pub activations: Activations,
    /// The kernels; by default the fastest that this processor runs.
    pub row: Option<&'static Row>,
    /// Whether panels of the weights that the kernels take as such are made in memory, unless the
    /// model has panels.
    pub panels_in_memory: bool,
    /// Adapters of the model that answers may ask for by name.
    pub adapters: Vec<(String, Arc<Adapter>)>,
    /// Bytes that may be used, those of the process beside the engine included; by default what the
    /// machine and its control groups leave, and what the process has already.
    pub memory_bytes: Option<u64>,
    /// Bytes that the process takes beside its engines; 0 where another engine's plan has them. By
    /// default [`crate::Plan::PROCESS_BYTES`].
    pub process_bytes: Option<u64>,
}

impl EngineOptions {
    /// The context when nothing else is asked for.
    pub const DEFAULT_CONTEXT: usize = 8192;

    /// Rows of a pass up to which it runs on [`EngineOptions::decode_threads`].
    pub const FEW_ROWS: usize = EXACT_ROWS;

    /// The context of a model that is run so.
    pub(crate) fn context_of(&self, model: &Model) -> usize {
        self.context.unwrap_or(model.dims().context.min(Self::DEFAULT_CONTEXT))
    }

    /// Positions that the cache of a model that is run so holds.
    pub(crate) fn positions_of(&self, model: &Model) -> usize {
        self.positions.unwrap_or(0).max(self.context_of(model))
    }

    /// Rows of one forward pass, at most, of a model that is run so.
    pub(crate) fn rows_at_once(&self, model: &Model) -> usize {
        match model.arch().bidirectional {
            true => self.chunk.max(self.context_of(model)),
            false => self.chunk,
        }
    }

    /// The kernels that run.
    pub(crate) fn row(&self) -> &'static Row {
        self.row.unwrap_or_else(best)
    }

    /// Whether panels of a model are still to be made in memory.
    pub(crate) fn packs(&self, model: &Model) -> bool {
        self.panels_in_memory && model.weights_from() == WeightsFrom::File
    }

    /// Whether products with a tensor read panels, where there are any.
    pub(crate) fn takes(&self, source: &PanelSource) -> bool {
        self.row().takes_panels(source.format(), source.cols())
    }
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            context: None,
            positions: None,
            answers: 1,
            threads: None,
            decode_threads: None,
            pin: true,
            cores: Cores::All,
            cache: CacheType::F16,
            chunk: 512,
            activations: Activations::Mixed,
            row: None,
            panels_in_memory: false,
            adapters: Vec::new(),
            memory_bytes: None,
            process_bytes: None,
        }
    }
}
