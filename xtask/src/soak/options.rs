//! What is asked for.

use std::path::PathBuf;

/// Serves users among clients that misbehave, and kills the server half way.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "cargo xtask soak")]
pub(super) struct Options {
    /// How long, all together.
    #[arg(long, value_name = "N", default_value_t = 30.0)]
    pub(super) minutes: f64,
    /// Users who ask and must be answered; of each other kind there are two.
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub(super) users: usize,
    /// Gives what they ask.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(super) seed: u64,
    /// Our program [default: a release build of this repository].
    #[arg(long, value_name = "FILE")]
    pub(super) program: Option<PathBuf>,
    /// More arguments of `serve`: with a small cache, which is full soon, memory can be flat.
    #[arg(
        long,
        value_name = "FLAGS",
        default_value = "--prepare memory --no-pin --ctx 2048 --cache 8192 --keep-size 64"
    )]
    pub(super) flags: String,
}
