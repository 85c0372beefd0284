//! The block layouts, as ggml writes them (`ggml-common.h`, `block_*`).

mod codebook;
mod codebook_1;
mod few_bits;
mod grids;
mod k_quants;
mod nonlinear;
mod plain;
mod words;

pub(crate) use codebook::{IQ2_S, IQ2_XS, IQ2_XXS, IQ3_S, IQ3_XXS};
pub(crate) use codebook_1::{IQ1_M, IQ1_S};
pub(crate) use few_bits::{Q1_0, Q2_0, TQ1_0, TQ2_0};
pub(crate) use k_quants::{Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, Super};
#[cfg(target_arch = "x86_64")]
pub(crate) use nonlinear::FP4;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub(crate) use nonlinear::IQ4;
pub(crate) use nonlinear::{IQ4_NL, IQ4_XS, MXFP4, NVFP4};
pub(crate) use plain::{Q4_0, Q4_1, Q5_0, Q5_1, Q8_0};
