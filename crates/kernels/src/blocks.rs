//! The block layouts, as ggml writes them (`ggml-common.h`, `block_*`).

mod k_quants;
mod plain;

pub(crate) use k_quants::{Q4_K, Q5_K, Q6_K};
pub(crate) use plain::{Q4_0, Q4_1, Q5_0, Q8_0};
