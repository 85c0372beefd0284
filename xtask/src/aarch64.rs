//! `cargo xtask aarch64`: the kernels for 64-bit ARM, on a machine of another kind.
//!
//! Clippy and the tests of that crate alone, compiled by the cross compiler and run by QEMU's user
//! mode, whose processor has every instruction set that a row asks for.

use crate::run::{cargo, run};
use crate::setup::cross;
use anyhow::Result;

/// The rows that the tests must find there.
const ROWS: &str = "scalar neon dotprod i8mm";

/// Fails when a kernel does; where the tools cannot be had, says so and passes.
pub(crate) fn aarch64() -> Result<()> {
    if !cross::IS_NEEDED {
        eprintln!("  skipped: this machine is 64-bit ARM, its rows are tested by `test`");
        return Ok(());
    }
    if let Err(error) = cross::tools() {
        eprintln!("  SKIPPED, the kernels for 64-bit ARM are NOT tested: {error:#}");
        return Ok(());
    }
    let package = ["-p", "rushlight-kernels", "--target", cross::TARGET, "--tests"];
    run(cargo().arg("clippy").args(package).args(["--", "-D", "warnings"]))?;
    let runner = format!("{} -cpu max -L {}", cross::QEMU, cross::LIBRARIES);
    run(cargo()
        .arg("test")
        .args(package)
        .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", cross::GCC)
        .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER", runner)
        .env("RUSHLIGHT_TEST_ROWS", ROWS))
}
