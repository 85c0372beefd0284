//! `cargo xtask layers`: who may use what.
//!
//! A crate depends only on crates of a lower level; crates for development may be used by tests
//! only; some libraries and habits belong to some crates. The levels are those of
//! `ARCHITECTURE.md`.

mod graph;
mod text;

use crate::run::{cargo, output};
use crate::sources::sources;
use anyhow::{Context, Result, bail};

/// Every crate's level. A crate that is not here fails the check.
const LEVELS: [(&str, u8); 18] = [
    ("rushlight-kernels", 0),
    ("rushlight-gpu", 0),
    ("rushlight-host", 0),
    ("rushlight-formats", 0),
    ("rushlight-text", 0),
    ("rushlight-trust", 0),
    ("rushlight-model", 1),
    ("rushlight-store", 1),
    ("rushlight-confine", 1),
    ("rushlight-engine", 2),
    ("rushlight-runtimes", 2),
    ("rushlight-pack", 2),
    ("rushlight-server", 3),
    ("rushlight-pipeline", 3),
    ("rushlight-optimize", 3),
    ("rushlight-deploy", 3),
    ("rushlight-monitor", 3),
    ("rushlight", 4),
];

/// Crates for development: above all levels, and used by tests only.
const DEVELOPMENT: [&str; 2] = ["rushlight-testkit", "xtask"];

/// Libraries, and the only crates that may use each.
const LIBRARIES: [(&str, &[&str]); 8] = [
    ("tokio", &["store", "server", "pipeline", "deploy", "monitor", "cli"]),
    ("axum", &["server"]),
    ("hyper", &["server"]),
    ("anyhow", &["cli"]),
    ("clap", &["cli"]),
    ("clap_complete", &["cli"]),
    ("indicatif", &["cli"]),
    ("rustyline", &["cli"]),
];

/// Folders of crates whose modules may expect `unsafe_code`.
const UNSAFE: [&str; 4] = ["kernels", "gpu", "host", "runtimes"];
/// Folders of crates that read hostile bytes: they forbid `unsafe_code` for good.
const PARSERS: [&str; 4] = ["formats", "text", "store", "trust"];
/// The folder of the one crate that talks to a terminal.
const TALKS: &str = "cli";

/// Fails when a crate uses what it may not.
pub(crate) fn layers() -> Result<()> {
    let metadata = output(cargo().args(["metadata", "--no-deps", "--format-version", "1"]))?;
    let packages = graph::packages(&metadata).context("`cargo metadata` is not as expected")?;
    let mut wrong = graph::check(&packages);
    let sources = sources()?;
    for source in &sources {
        wrong.extend(text::check(&source.path, &source.text, source.is_beside()));
    }
    for line in &wrong {
        eprintln!("  {line}");
    }
    if !wrong.is_empty() {
        bail!("{} breaches of the layers", wrong.len());
    }
    eprintln!("  {} crates and {} files keep to their layers", packages.len(), sources.len());
    Ok(())
}
