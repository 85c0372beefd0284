//! The official clients of the APIs that the server speaks, by pip.

use super::tools::apt;
use crate::run::{run, works};
use anyhow::{Context, Result};
use rushlight_testkit::{
    CLIENT_PACKAGES, CLIENTS_FOLDER, CLIENTS_VARIABLE, TRIAL_FOLDER, TRIAL_PACKAGES,
    TRIAL_VARIABLE, cache_dir,
};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder of the packages, fetched into the cache when it is not there.
pub(crate) fn clients() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os(CLIENTS_VARIABLE).map(PathBuf::from) {
        eprintln!("  API clients: `{}`, by `{CLIENTS_VARIABLE}`", path.display());
        return Ok(path);
    }
    fetched("API clients", &cache_dir()?.join(CLIENTS_FOLDER), CLIENT_PACKAGES)
}

/// The folder of what tries the server by its own document, fetched as the clients are.
pub(crate) fn trial() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os(TRIAL_VARIABLE).map(PathBuf::from) {
        eprintln!("  API trial: `{}`, by `{TRIAL_VARIABLE}`", path.display());
        return Ok(path);
    }
    fetched("API trial", &cache_dir()?.join(TRIAL_FOLDER), TRIAL_PACKAGES)
}

/// The folder `path` of the cache with Python packages, installed when it is not there.
pub(super) fn fetched(what: &str, path: &Path, packages: &[&str]) -> Result<PathBuf> {
    if path.is_dir() {
        eprintln!("  {what}: in the cache");
        return Ok(path.to_path_buf());
    }
    let names = packages.join("`, `");
    eprintln!("  {what}: missing, `{names}` are installed with pip into the cache");
    pip()?;
    let folder = path.with_extension(format!("fetch-{}", std::process::id()));
    let fetched = install(&folder, packages)
        .and_then(|()| fs::rename(&folder, path).with_context(|| format!("`{}`", path.display())));
    if fetched.is_err() {
        // What failed says more than that its rest stays.
        let _ = fs::remove_dir_all(&folder);
    }
    fetched?;
    Ok(path.to_path_buf())
}

fn install(folder: &Path, packages: &[&str]) -> Result<()> {
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target"];
    run(Command::new("python3").args(pip).arg(folder).args(packages))
}

/// Python's pip, from Debian where it is missing.
pub(super) fn pip() -> Result<()> {
    if works(Command::new("python3").args(["-m", "pip", "--version"])) {
        return Ok(());
    }
    eprintln!("  pip: missing, `python3-pip` is installed with apt");
    apt(&["python3-pip"])
}
