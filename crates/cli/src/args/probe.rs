//! The command line of `probe`, which `doctor` uses.

use std::path::PathBuf;

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum Probe {
    /// Prints what NVIDIA's library says, as JSON.
    Nvml {
        /// The library [default: the driver's].
        #[arg(long, value_name = "FILE")]
        library: Option<PathBuf>,
    },
}
