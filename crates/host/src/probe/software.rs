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
pub(crate) use container::is_first_pid_namespace;
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
}

/// What runs containers, and what limits them.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Containers {
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
        }
    }
}

impl Containers {
    /// Reads what `tree` says.
    pub fn read(tree: &Tree) -> Self {
        Self {
            container: Container::read(tree),
            cgroups: Cgroups::read(tree),
            limits: Limits::read(tree),
            engines: Engines::read(tree, &packages::Packages::read(tree)),
        }
    }
}

#[cfg(test)]
mod tests {
    use rushlight_testkit::made_up;

    use super::*;
    use crate::probe::Reason;

    fn software(name: &str) -> (Software, Containers) {
        let dir = tempfile::tempdir().unwrap();
        made_up::write_tree(name, dir.path());
        let tree = Tree::new(dir.path());
        (Software::read(&tree), Containers::read(&tree))
    }

    #[test]
    fn a_server() {
        let (software, containers) = software("x86-server");
        assert_eq!(software.kernel.get().unwrap(), "6.8.0-60-generic");
        assert_eq!(software.distribution.get().unwrap(), "Ubuntu 24.04.2 LTS");
        assert_eq!(software.libc.get().unwrap(), "glibc 2.39");
        assert_eq!(software.systemd.get().unwrap(), "255.4");
        assert!(software.container.kind.get().is_none());
        assert_eq!(containers.cgroups.hierarchy.get(), Some(&Hierarchy::Unified));
        assert_eq!(containers.cgroups.memory.get(), Some(&true));
        let files = containers.limits.open_files.get().unwrap();
        assert_eq!((files.soft, files.hard), (Some(1024), Some(1_048_576)));
        assert!(containers.limits.shared_memory.get().is_none());
        let engines = &containers.engines;
        let names: Vec<_> = engines.found.iter().map(|engine| &*engine.name).collect();
        assert_eq!(names, ["docker", "containerd", "runc"], "podman was removed");
        let docker = engines.get("docker").unwrap();
        assert_eq!(docker.version.get().unwrap(), "27.3.1");
        assert_eq!(docker.socket.get().unwrap(), "/run/docker.sock");
        assert!(engines.get("runc").unwrap().version.get().is_none());
        assert_eq!(engines.cdi, ["etc/cdi/nvidia.yaml"]);
    }

    #[test]
    fn containers_know_that_they_are() {
        let (system, docker) = software("container-cgroup-v1");
        assert_eq!(docker.container.kind.get().unwrap(), "docker");
        assert_eq!(docker.container.rootless.get(), Some(&false));
        assert_eq!(docker.cgroups.hierarchy.get(), Some(&Hierarchy::Legacy));
        assert_eq!(docker.limits.shared_memory.get(), Some(&(64 << 20)));
        assert_eq!(system.systemd.value.unwrap_err().reason, Reason::NotFound);
        let (system, podman) = software("container-cgroup-v2");
        assert_eq!(podman.container.kind.get().unwrap(), "podman");
        assert_eq!(podman.container.rootless.get(), Some(&true));
        assert_eq!(system.libc.get().unwrap(), "musl 1.2.5");
    }

    #[test]
    fn each_kind_of_container_by_what_it_leaves() {
        let own = "proc/self/ns/pid -> pid:[4026532712]\n";
        for (entries, kind) in [
            (".dockerenv =\nproc/self/ns/pid -> pid:[4026531836]", None),
            (".dockerenv =", Some("docker")),
            ("proc/self/cgroup = 0::/kubepods.slice/pod1/x\n.dockerenv =", Some("kubernetes")),
            ("proc/self/cgroup = 4:memory:/lxc/web", Some("lxc")),
            ("proc/1/environ = A=b\\0container=lxc\\0", Some("lxc")),
            ("run/host/container-manager = systemd-nspawn", Some("systemd-nspawn")),
            ("run/.containerenv <<\nengine=\"podman-5.2.1\"\nrootless=1\n.", Some("podman")),
            ("proc/sys/kernel/osrelease = 5.15.153.1-microsoft-standard-WSL2", Some("wsl")),
            ("proc/self/cgroup = 0::/system.slice", None),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let entries = match entries.contains("ns/pid") {
                true => entries.to_owned(),
                false => own.to_owned() + entries,
            };
            made_up::write_entries(&entries, dir.path());
            let container = Container::read(&Tree::new(dir.path()));
            assert_eq!(container.kind.get().map(String::as_str), kind, "{entries}");
        }
    }

    #[test]
    fn what_is_damaged_is_said_to_be() {
        let (software, containers) = software("damaged");
        assert_eq!(software.kernel.value.unwrap_err().reason, Reason::Permission);
        assert_eq!(containers.limits.open_files.value.unwrap_err().reason, Reason::Damaged);
        assert_eq!(containers.limits.shared_memory.value.unwrap_err().reason, Reason::Damaged);
    }
}
