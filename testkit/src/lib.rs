//! Development only: what tests share. The test model here, tiny models and seeded randomness in
//! the modules below.

mod cache;
mod real_model;
pub mod tiny;

pub use cache::{cache_dir, is_root};
pub use real_model::{MODEL_FILE, MODEL_VARIABLE, model_path};
