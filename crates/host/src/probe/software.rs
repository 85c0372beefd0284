//! The software below us: kernel, distribution, C library, service manager, containers around this
//! process and engines that run more of them.

mod cgroups;
mod container;
mod engines;
mod libc_version;
mod limits;
mod packages;
mod system;

use serde::Serialize;

use super::{Reading, Tree};
pub use cgroups::{Cgroups, Hierarchy};
pub use container::{Container, Marker};
pub use engines::{Engine, Engines};
pub use limits::{LimitPair, Limits};

/// The software of a machine.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Software {
    /// The kernel's release, as `uname -r` says.
    pub kernel: Reading<String>,
    /// The distribution, with its version.
    pub distribution: Reading<String>,
    /// The distribution's short name, such as `debian`.
    pub distribution_id: Reading<String>,
    /// The C library and its version: `glibc 2.36`, `musl 1.2.5`.
    pub libc: Reading<String>,
    /// The version of systemd, where it runs the machine.
    pub systemd: Reading<String>,
    /// The container that this process is in.
    pub container: Container,
    /// What limits processes.
    pub cgroups: Cgroups,
    /// What this process may open and lock.
    pub limits: Limits,
    /// What can run containers here.
    pub engines: Engines,
}

impl Software {
    /// Reads what `tree` says.
    pub fn read(tree: &Tree) -> Self {
        let packages = packages::Packages::read(tree);
        Self {
            kernel: tree.text("proc/sys/kernel/osrelease"),
            distribution: system::distribution(tree),
            distribution_id: system::os_release(tree, "ID"),
            libc: libc_version::read(tree, &packages),
            systemd: system::systemd(tree, &packages),
            container: Container::read(tree),
            cgroups: Cgroups::read(tree),
            limits: Limits::read(tree),
            engines: Engines::read(tree, &packages),
        }
    }
}
