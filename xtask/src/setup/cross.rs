//! What compiles and runs programs for 64-bit ARM on a machine of another kind.

use super::tools::apt;
use crate::run::{output, run, works};
use anyhow::{Result, bail};
use std::path::Path;
use std::process::Command;

/// Whether this machine is of another kind.
pub(crate) const IS_NEEDED: bool = cfg!(not(target_arch = "aarch64"));

pub(crate) const TARGET: &str = "aarch64-unknown-linux-gnu";
pub(crate) const GCC: &str = "aarch64-linux-gnu-gcc";
pub(crate) const QEMU: &str = "qemu-aarch64";
/// Where Debian's cross C library is; programs under QEMU find theirs by it.
pub(crate) const LIBRARIES: &str = "/usr/aarch64-linux-gnu";

/// The Rust target, a C compiler to link with, its C library, and QEMU's user mode. The error says
/// what cannot be had.
pub(crate) fn tools() -> Result<()> {
    target()?;
    let packages: [(&str, bool); 3] = [
        ("gcc-aarch64-linux-gnu", works(Command::new(GCC).arg("--version"))),
        ("libc6-dev-arm64-cross", Path::new(LIBRARIES).join("lib/libc.so").exists()),
        ("qemu-user", works(Command::new(QEMU).arg("--version"))),
    ];
    let missing: Vec<&str> =
        packages.iter().filter(|(_, there)| !there).map(|(package, _)| *package).collect();
    if missing.is_empty() {
        eprintln!("  cross compiler and QEMU: there");
        return Ok(());
    }
    eprintln!("  cross compiler and QEMU: missing, `{}` installed with apt", missing.join("`, `"));
    apt(&missing)
}

/// The Rust target's standard library, from the toolchain's own installer.
fn target() -> Result<()> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let print = ["--print", "target-libdir", "--target", TARGET];
    let folder = output(Command::new(rustc).args(print))?;
    let is_there = || Path::new(folder.trim_end()).exists();
    if is_there() {
        eprintln!("  {TARGET}: there");
        return Ok(());
    }
    if !works(Command::new("rustup").arg("--version")) {
        bail!("the Rust target `{TARGET}` is missing and there is no rustup to add it");
    }
    eprintln!("  {TARGET}: missing, added with rustup");
    run(Command::new("rustup").args(["target", "add", TARGET]))?;
    if !is_there() {
        bail!("rustup added the Rust target `{TARGET}` to another toolchain than this one");
    }
    Ok(())
}
