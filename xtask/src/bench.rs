//! `cargo xtask bench`: this engine beside others, on the same files, in the same minutes.
//!
//! Every engine measures the same things on the same processors, in turn, round after round, and
//! the engine that begins changes from round to round. Before, between and after the rounds the
//! machine itself is measured: what it reads and what it multiplies at most. So each figure has a
//! median, a spread, a ratio to the best peer and a fraction of what the machine allows.

pub(crate) mod engine;
pub(crate) mod figure;
pub(crate) mod machine;
pub(crate) mod markdown;
mod measure;
pub(crate) mod options;
pub(crate) mod parse;
mod peak;
mod roofline;
mod thresholds;
mod to_json;

use anyhow::{Context, Result, bail};
use clap::Parser;
use engine::About;
use figure::Figure;
use machine::Machine;
use options::Options;
use peak::Peaks;
use std::collections::BTreeMap;

/// Everything that a run found.
struct Run {
    machine: Machine,
    rounds: usize,
    /// The kernels that ours ran.
    row: String,
    /// Ours, then the peers.
    engines: Vec<About>,
    /// By number of threads.
    peaks: BTreeMap<usize, Peaks>,
    figures: Vec<Figure>,
    /// What could not be measured, and why.
    missing: Vec<String>,
}

/// The place of our own engine among the engines.
const OURS: usize = 0;

/// Measures what `arguments` ask for and writes it down.
pub(crate) fn bench(arguments: &[String]) -> Result<()> {
    let program = "cargo xtask bench".to_owned();
    let options = match Options::try_parse_from([&program].into_iter().chain(arguments)) {
        Ok(options) => options,
        Err(error) if error.use_stderr() => bail!("{error}"),
        Err(help) => return Ok(help.print()?),
    };
    let bounds = options.thresholds.as_deref().map(thresholds::read).transpose()?;
    let run = measure::measure(&options)?;
    let text = markdown::write(&run);
    println!("{text}");
    let written = [
        (&options.markdown, text),
        (&options.json, format!("{:#}\n", to_json::write(&run))),
        (&options.svg, roofline::draw(&run)),
    ];
    for (path, content) in written {
        if let Some(path) = path {
            std::fs::write(path, content).with_context(|| format!("`{}`", path.display()))?;
        }
    }
    match bounds {
        Some(bounds) => thresholds::hold(&bounds, &run),
        None => Ok(()),
    }
}

/// How many threads.
fn count(threads: usize) -> String {
    if threads == 1 { "1 thread".to_owned() } else { format!("{threads} threads") }
}

#[cfg(test)]
mod tests {
    use super::engine::Work;
    use super::figure::{Kind, tests::figure};
    use super::*;

    /// What a run of two engines may have found.
    pub(super) fn run() -> Run {
        let mut peaks = Peaks::default();
        peaks.add(&serde_json::json!({
            "threads": 2, "read_bytes_per_second": 40e9, "int8_avx512": 900e9, "f32_avx512": 200e9,
        }));
        let mut figures = vec![
            figure(Kind::Prefill { tokens: 512 }, &[&[800.0, 1000.0, 900.0], &[450.0, 300.0]]),
            figure(Kind::Decode { depth: 0, tokens: 64 }, &[&[300.0], &[200.0, 100.0, 150.0]]),
            figure(Kind::Decode { depth: 4096, tokens: 64 }, &[&[150.0], &[60.0]]),
            figure(Kind::Sequences { count: 4, prompt: 128, tokens: 64 }, &[&[600.0], &[]]),
        ];
        let work = [(2e5, 1e8), (1e8, 1.3e8), (1.2e8, 1.3e8), (3e7, 1.3e8)];
        for (figure, (bytes, multiply_adds)) in figures.iter_mut().zip(work) {
            let work = Work { bytes, multiply_adds };
            figure.work = Some(work);
            figure.ceiling = peaks.ceiling(&work, "avx512");
        }
        let about = |name: &str| About { name: name.to_owned(), ..About::default() };
        let peer = About {
            commit: Some("0c1e570".to_owned()),
            compiler: Some("clang 22".to_owned()),
            flags: vec!["-fa".to_owned(), "1".to_owned()],
            ..about("a-peer")
        };
        Run {
            machine: Machine::made_up(),
            rounds: 3,
            row: "avx512".to_owned(),
            engines: vec![about("rushlight"), peer],
            peaks: BTreeMap::from([(2, peaks)]),
            figures,
            missing: vec!["a-peer, tiny-Q4_0.gguf: it broke".to_owned()],
        }
    }
}
