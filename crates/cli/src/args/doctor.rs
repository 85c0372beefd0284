//! The command line of `doctor`.

use std::path::PathBuf;

use clap::Args as ClapArgs;

#[derive(Debug, Default, ClapArgs)]
#[command(
    after_help = "Exit status: 0 if no group is bad, so that the machine can serve; 1 if one is, \
                        which its sentence explains; 2 if the command line is wrong. With --security \
                        or --containers only those groups count."
)]
pub(crate) struct Doctor {
    /// Looks at the files of another machine, or of a made-up one, below DIR.
    #[arg(long, value_name = "DIR", default_value = "/")]
    pub(crate) root: PathBuf,
    /// Only what guards the machine, and what is missing for a hardened service.
    #[arg(long)]
    pub(crate) security: bool,
    /// Only what runs containers, and what would get in their way.
    #[arg(long)]
    pub(crate) containers: bool,
    /// Prints JSON.
    #[arg(long)]
    pub(crate) json: bool,
}
