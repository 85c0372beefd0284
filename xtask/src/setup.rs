//! `cargo xtask setup`: what the other tasks need, on a machine with a Rust toolchain, Python's
//! pip and, for missing compilers, apt. It says what it fetches and keeps it in the cache.

pub(crate) mod browser;
pub(crate) mod clients;
pub(crate) mod cross;
pub(crate) mod model;
pub(crate) mod schemas;
pub(crate) mod tools;

use anyhow::Result;

/// Sets up everything; quick when nothing is missing.
pub(crate) fn setup() -> Result<()> {
    tools::components()?;
    tools::cxx()?;
    tools::cargo_deny()?;
    model::model()?;
    clients::clients()?;
    clients::trial()?;
    if cross::IS_NEEDED
        && let Err(error) = cross::tools()
    {
        eprintln!("  the kernels for 64-bit ARM cannot be tested here: {error:#}");
    }
    Ok(())
}
