//! The block layouts, as ggml writes them (`ggml-common.h`, `block_*`).
#![expect(non_camel_case_types, reason = "the names are the field's, underscores included")]

mod k_quants;
mod legacy;

pub(crate) use k_quants::Q6_K;
pub(crate) use legacy::{Q4_0, Q4_1, Q8_0};
