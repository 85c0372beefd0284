//! Development only: what tests share. The test model here, tiny models and seeded randomness in
//! the modules below.

mod bounded;
mod cache;
pub mod certificates;
mod clients;
mod fake_nvml;
pub mod made_up;
pub mod raw_gguf;
mod raw_safetensors;
mod real_model;
pub mod tiny;

pub use bounded::cost;
pub use cache::{cache_dir, is_root};
pub use clients::{
    CLIENT_PACKAGES, CLIENTS_FOLDER, CLIENTS_VARIABLE, TRIAL_FOLDER, TRIAL_PACKAGES,
    TRIAL_VARIABLE, clients_path, trial_path,
};
pub use fake_nvml::{FakeNvml, fake_nvml};
pub use raw_gguf::RawGguf;
pub use raw_safetensors::raw_safetensors;
pub use real_model::{MODEL_FILE, MODEL_VARIABLE, model_path};
