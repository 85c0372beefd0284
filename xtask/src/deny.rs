//! `cargo xtask deny`: licences, duplicates and sources of what we depend on by `deny.toml`, and
//! known vulnerabilities when the list of them can be had.

use crate::run::{run, works};
use crate::setup::tools::cargo_deny;
use anyhow::Result;
use std::process::Command;

/// Fails on what `deny.toml` does not allow.
pub(crate) fn deny() -> Result<()> {
    let program = cargo_deny()?;
    run(Command::new(&program).args(["check", "licenses", "bans", "sources"]))?;
    // The list of vulnerabilities is a git repository, which a machine behind a mirror may not
    // reach; the other checks need no network.
    if works(Command::new("timeout").arg("60").arg(&program).args(["fetch", "db"])) {
        run(Command::new(&program).args(["check", "--disable-fetch", "advisories"]))
    } else {
        eprintln!("  advisories were NOT checked: their database cannot be fetched from here");
        Ok(())
    }
}
