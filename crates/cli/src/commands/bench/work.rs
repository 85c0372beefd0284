//! What a measurement asks of the machine, so that its speed can be held against the machine's.

use rushlight_engine::Engine;
use rushlight_model::{Pooling, Work};

use super::measure::{Measured, What};
use crate::args::{KvType, Load};

/// The least that any engine must read from memory, and the multiply-adds with weights that it
/// must do, when nothing stays in a cache between two passes. Attention's own arithmetic and
/// activations are not in it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Total {
    pub(super) bytes: u64,
    pub(super) multiply_adds: u64,
}

/// The work of one repetition of `what`.
pub(super) fn total(engine: &Engine, load: &Load, what: &Measured) -> Total {
    let work = Work::new(engine.model());
    let (tokens, sequences) = (what.tokens as u64, what.sequences as u64);
    let rows = tokens * sequences;
    // A pass over the weights is a chunk of one prompt, or a token of every answer.
    let (passes, outputs) = match what.what {
        What::Prefill => (tokens.div_ceil(engine.chunk() as u64) * sequences, sequences),
        What::Decode => (tokens, rows),
    };
    let outputs_read = outputs.min(passes);
    let cache: u64 = match what.what {
        // A prompt's own keys and values are in the processor's cache.
        What::Prefill => 0,
        What::Decode => (0..what.tokens).map(|t| cache_bytes(engine, load, what.depth + t)).sum(),
    };
    let model = engine.model();
    // A text's vector may be made of the states of all its tokens.
    let ends = match (model.arch().bidirectional, model.pooling()) {
        (true, Pooling::Mean) => rows,
        _ => outputs,
    };
    let layers = work.layer_multiply_adds * rows - work.last_multiply_adds * (rows - ends);
    let layers_read = work.layer_bytes * passes - work.last_bytes * (passes - outputs_read);
    Total {
        bytes: layers_read + work.output_bytes * outputs_read + cache * sequences,
        multiply_adds: layers + work.output_multiply_adds * outputs,
    }
}

/// Bytes of the keys and values that a token at `position` reads.
fn cache_bytes(engine: &Engine, load: &Load, position: usize) -> u64 {
    let dims = engine.model().dims();
    let values: usize = dims
        .layers
        .iter()
        .map(|layer| layer.window.map_or(position, |window| window.min(position)))
        .map(|positions| positions * dims.g * dims.k * 2)
        .sum();
    match load.kv() {
        KvType::F16 => values as u64 * 2,
        // 32 values and their f16 scale.
        KvType::Q8_0 => values as u64 * 34 / 32,
    }
}
