//! What is asked for.

use std::path::PathBuf;

/// Asks a server for answers to many JSON schemas and has each judged.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "cargo xtask schemas")]
pub(super) struct Options {
    /// A folder of schemas, one in each `.json` file below it, such as the folder `data` of
    /// JSONSchemaBench (`guidance-ai/jsonschemabench` on GitHub).
    #[arg(long, value_name = "DIR")]
    pub(super) data: PathBuf,
    /// Schemas that are asked.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub(super) count: usize,
    /// Chooses the schemas, and gives each answer's own seed.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(super) seed: u64,
    /// Requests at once.
    #[arg(long, value_name = "N", default_value_t = 16)]
    pub(super) users: usize,
    /// Tokens of an answer, at most.
    #[arg(long, value_name = "N", default_value_t = 256)]
    pub(super) tokens: usize,
    /// Our program [default: a release build of this repository].
    #[arg(long, value_name = "FILE")]
    pub(super) program: Option<PathBuf>,
    /// More arguments of `serve`.
    #[arg(long, value_name = "FLAGS", default_value = "--prepare memory --no-pin")]
    pub(super) flags: String,
}
