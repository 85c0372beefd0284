//! The official clients of the APIs that the server speaks, and what tries it by its own document:
//! Python packages, which are not in the repository.

use crate::cache_dir;
use std::path::PathBuf;

/// Names the folder of the clients' Python packages; `cargo xtask test` sets it.
pub const CLIENTS_VARIABLE: &str = "RUSHLIGHT_TEST_CLIENTS";

/// The packages, in the versions that the tests were written with.
pub const CLIENT_PACKAGES: &[&str] = &["openai==3.57.0", "anthropic==2.14.0", "ollama==0.6.3"];

/// The folder's name in the cache.
pub const CLIENTS_FOLDER: &str = "clients-openai-3.57.0-anthropic-2.14.0-ollama-0.6.3";

/// Names the folder of what tries the server by its own document; `cargo xtask test` sets it.
pub const TRIAL_VARIABLE: &str = "RUSHLIGHT_TEST_TRIAL";

/// What makes requests of an OpenAPI document, with about 60 MB of packages.
pub const TRIAL_PACKAGES: &[&str] = &["schemathesis==4.32.5"];

/// The folder's name in the cache.
pub const TRIAL_FOLDER: &str = "trial-schemathesis-4.32.5";

/// The folder of the clients' packages, for `PYTHONPATH`: by [`CLIENTS_VARIABLE`] or from the cache,
/// where `cargo xtask setup` puts it. Without it the test is to be left; this says so on standard
/// error.
///
/// # Panics
/// If [`CLIENTS_VARIABLE`] names a folder that is not there.
pub fn clients_path() -> Option<PathBuf> {
    path(CLIENTS_VARIABLE, CLIENTS_FOLDER)
}

/// The folder of what tries the server, found as [`clients_path`] finds the clients'.
///
/// # Panics
/// If [`TRIAL_VARIABLE`] names a folder that is not there.
pub fn trial_path() -> Option<PathBuf> {
    path(TRIAL_VARIABLE, TRIAL_FOLDER)
}

fn path(variable: &str, folder: &str) -> Option<PathBuf> {
    if let Some(path) = std::env::var_os(variable).map(PathBuf::from) {
        assert!(path.is_dir(), "`{variable}` names `{}`: not there", path.display());
        return Some(path);
    }
    let path = cache_dir().ok().map(|dir| dir.join(folder)).filter(|path| path.is_dir());
    if path.is_none() {
        eprintln!("skipped: there is no `{folder}`, `cargo xtask setup` fetches it");
    }
    path
}
