//! The real checkpoint that tests run on, which is not in the repository.

use crate::cache_dir;
use std::path::PathBuf;

/// Names the test model's file; `cargo xtask test` sets it.
pub const MODEL_VARIABLE: &str = "RUSHLIGHT_TEST_MODEL";

/// The test model's name in the cache: 135 M parameters, Q4_1, Apache-2.0.
pub const MODEL_FILE: &str = "SmolLM2-135M-Instruct.Q4_1.gguf";

/// The test model, by [`MODEL_VARIABLE`] or from the cache, where `cargo xtask setup` puts it.
/// Without it the test is to be left; this says so on standard error.
///
/// # Panics
/// If [`MODEL_VARIABLE`] names a file that is not there.
pub fn model_path() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os(MODEL_VARIABLE).map(PathBuf::from) {
        assert!(path.exists(), "`{MODEL_VARIABLE}` names `{}`: not there", path.display());
        return Some(path);
    }
    let path = cache_dir().ok().map(|folder| folder.join(MODEL_FILE)).filter(|p| p.exists());
    if path.is_none() {
        eprintln!("skipped: there is no test model, `cargo xtask setup` fetches it");
    }
    path
}
