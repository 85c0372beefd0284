//! The command line of `doctor`.

use std::path::PathBuf;

use clap::Args as ClapArgs;

/// Exit status: 0 if the machine can serve, 1 if it cannot, 2 if the command line is wrong.
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Exit status: 0 if no group is bad, so that the machine can serve; 1 if one is, \
                        which its sentence explains; 2 if the command line is wrong."
)]
pub(crate) struct Doctor {
    /// Looks at the files of another machine, or of a made-up one, below DIR.
    #[arg(long, value_name = "DIR", default_value = "/")]
    pub(crate) root: PathBuf,
    /// Prints JSON.
    #[arg(long)]
    pub(crate) json: bool,
}
