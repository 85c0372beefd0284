//! The official clients of the APIs that the server speaks: Python packages, which are not in the
//! repository.

use crate::cache_dir;
use std::path::PathBuf;

/// Names the folder of the clients' Python packages; `cargo xtask test` sets it.
pub const CLIENTS_VARIABLE: &str = "RUSHLIGHT_TEST_CLIENTS";

/// The packages, in the versions that the tests were written with.
pub const CLIENT_PACKAGES: &[&str] = &["openai==3.57.0", "anthropic==2.14.0", "ollama==0.6.3"];

/// The folder's name in the cache.
pub const CLIENTS_FOLDER: &str = "clients-openai-3.57.0-anthropic-2.14.0-ollama-0.6.3";

/// The folder of the clients' packages, for `PYTHONPATH`: by [`CLIENTS_VARIABLE`] or from the cache,
/// where `cargo xtask setup` puts it. Without it the test is to be left; this says so on standard
/// error.
///
/// # Panics
/// If [`CLIENTS_VARIABLE`] names a folder that is not there.
pub fn clients_path() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os(CLIENTS_VARIABLE).map(PathBuf::from) {
        assert!(path.is_dir(), "`{CLIENTS_VARIABLE}` names `{}`: not there", path.display());
        return Some(path);
    }
    let path = cache_dir().ok().map(|dir| dir.join(CLIENTS_FOLDER)).filter(|p| p.is_dir());
    if path.is_none() {
        eprintln!("skipped: there are no clients, `cargo xtask setup` fetches them");
    }
    path
}
