//! Programs: rustfmt, clippy, a C++ compiler, cargo-deny.

use crate::run::{cargo, run, works};
use anyhow::{Context, Result, bail};
use rushlight_testkit::cache_dir;
use std::path::PathBuf;
use std::process::Command;

/// The version whose configuration `deny.toml` is.
const CARGO_DENY: &str = "0.20.2";

/// rustfmt and clippy, from the toolchain's own installer.
pub(crate) fn components() -> Result<()> {
    for (component, task) in [("rustfmt", "fmt"), ("clippy", "clippy")] {
        if works(cargo().args([task, "--version"])) {
            eprintln!("  {component}: there");
        } else {
            eprintln!("  {component}: missing, added with rustup");
            run(Command::new("rustup").args(["component", "add", component]))?;
        }
    }
    Ok(())
}

/// A C++ compiler, which the fuzzer's runtime is compiled with.
pub(crate) fn cxx() -> Result<()> {
    if works(Command::new("c++").arg("--version")) {
        eprintln!("  c++: there");
        return Ok(());
    }
    eprintln!("  c++: missing, `g++` is installed with apt");
    apt(&["g++"])
}

/// Installs Debian packages.
pub(crate) fn apt(packages: &[&str]) -> Result<()> {
    if !works(Command::new("apt-get").arg("--version")) {
        let packages = packages.join("`, `");
        bail!("there is no apt to install `{packages}`: install by hand, then try again");
    }
    let root = rushlight_testkit::is_root();
    let apt = || {
        let mut command = Command::new(if root { "apt-get" } else { "sudo" });
        if !root {
            command.arg("apt-get");
        }
        command.env("DEBIAN_FRONTEND", "noninteractive");
        command
    };
    run(apt().args(["update", "-q"]))?;
    run(apt().args(["install", "-q", "-y", "--no-install-recommends"]).args(packages))
}

/// cargo-deny, compiled once into the cache. Returns its path.
pub(crate) fn cargo_deny() -> Result<PathBuf> {
    let folder = cache_dir()?.join(format!("cargo-deny-{CARGO_DENY}"));
    let program = folder.join("bin/cargo-deny");
    if works(Command::new(&program).arg("--version")) {
        eprintln!("  cargo-deny {CARGO_DENY}: in the cache");
        return Ok(program);
    }
    let version = Command::new("cargo-deny").arg("--version").output();
    if version.is_ok_and(|v| v.stdout.trim_ascii_end().ends_with(CARGO_DENY.as_bytes())) {
        eprintln!("  cargo-deny {CARGO_DENY}: installed");
        return Ok("cargo-deny".into());
    }
    eprintln!("  cargo-deny {CARGO_DENY}: missing, compiled into the cache (minutes, once)");
    let build = folder.join("build");
    run(cargo()
        .args(["install", "--quiet", "--locked", "cargo-deny", "--version", CARGO_DENY, "--root"])
        .arg(&folder)
        .arg("--target-dir")
        .arg(&build))?;
    std::fs::remove_dir_all(&build).with_context(|| format!("`{}`", build.display()))?;
    Ok(program)
}
