//! `cargo xtask bench-serve`: this server beside others, with the same file and the same users.
//!
//! Every server runs on a port of loopback with as many threads, and in turn, round after round,
//! is asked the same: users at once who stream a chat each, a long prompt that comes while others
//! are answered, and a long beginning that was read before. The clients run on the same
//! processors. Tokens are those that the servers count.

mod engine;
pub(crate) mod figure;
mod load;
mod markdown;
mod measure;
mod options;
mod to_json;

use crate::bench::machine::Machine;
use anyhow::{Context, Result, bail};
use clap::Parser;
use engine::Engine;
use figure::Figure;
use options::Options;

/// Everything that a run found.
struct Run {
    machine: Machine,
    /// The file's name.
    model: String,
    threads: usize,
    rounds: usize,
    /// Ours, then the peers.
    engines: Vec<Engine>,
    figures: Vec<Figure>,
}

/// Measures what `arguments` ask for and writes it down.
pub(crate) fn bench_serve(arguments: &[String]) -> Result<()> {
    let program = "cargo xtask bench-serve".to_owned();
    let options = match Options::try_parse_from([&program].into_iter().chain(arguments)) {
        Ok(options) => options,
        Err(error) if error.use_stderr() => bail!("{error}"),
        Err(help) => return Ok(help.print()?),
    };
    let run = measure::measure(&options)?;
    let text = markdown::write(&run);
    println!("{text}");
    let written =
        [(&options.markdown, text), (&options.json, format!("{:#}\n", to_json::write(&run)))];
    for (path, content) in written {
        if let Some(path) = path {
            std::fs::write(path, content).with_context(|| format!("`{}`", path.display()))?;
        }
    }
    Ok(())
}
