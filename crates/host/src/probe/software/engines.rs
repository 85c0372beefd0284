//! What can run containers: programs, their versions where a file tells them, sockets, devices that
//! are described for them.

use serde::Serialize;

use super::packages::Packages;
use crate::probe::{Reading, Reason, Tree, Unit};

/// Where programs are.
const FOLDERS: [&str; 6] = ["usr/bin", "usr/sbin", "usr/local/bin", "snap/bin", "bin", "sbin"];
/// Where descriptions of devices are (Container Device Interface). `/var/run` may be a link with an
/// absolute path, which leads out of a captured tree.
const CDI: [&str; 3] = ["etc/cdi", "var/run/cdi", "run/cdi"];

/// What can run containers.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Engines {
    /// Programs that were found.
    pub found: Vec<Engine>,
    /// Files that describe devices for containers.
    pub cdi: Vec<String>,
    /// How many user namespaces a user may have; 0 keeps containers without root from running.
    pub user_namespaces: Reading<u64>,
    /// Whether AppArmor keeps programs without a profile from user namespaces, as Ubuntu does.
    pub restricted_namespaces: Reading<bool>,
}

/// A program that runs containers.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Engine {
    /// `docker`, `podman`, …
    pub name: String,
    /// Its version, without what the distribution adds.
    pub version: Reading<String>,
    /// Where it listens.
    pub socket: Reading<String>,
}

/// A program, packages that it comes in, and sockets that it listens on.
struct Known {
    name: &'static str,
    packages: &'static [&'static str],
    sockets: &'static [&'static str],
}

const KNOWN: [Known; 8] = [
    Known {
        name: "docker",
        packages: &["docker-ce", "docker.io", "moby-engine", "docker"],
        sockets: &["run/docker.sock"],
    },
    Known { name: "podman", packages: &["podman"], sockets: &["run/podman/podman.sock"] },
    Known { name: "k3s", packages: &["k3s"], sockets: &["run/k3s/containerd/containerd.sock"] },
    Known {
        name: "microk8s",
        packages: &["microk8s"],
        sockets: &["var/snap/microk8s/common/run/containerd.sock"],
    },
    Known {
        name: "containerd",
        packages: &["containerd.io", "containerd"],
        sockets: &["run/containerd/containerd.sock"],
    },
    Known { name: "runc", packages: &["runc"], sockets: &[] },
    Known { name: "crun", packages: &["crun"], sockets: &[] },
    Known {
        name: "nvidia-ctk",
        packages: &["nvidia-container-toolkit", "nvidia-container-toolkit-base"],
        sockets: &[],
    },
];

impl Engines {
    pub(super) fn read(tree: &Tree, packages: &Packages) -> Self {
        let found = KNOWN.iter().filter_map(|known| engine(tree, packages, known));
        let mut cdi: Vec<String> = Vec::new();
        for folder in CDI {
            let names = tree.names(folder).into_iter();
            let specs = names.filter(|n| [".yaml", ".yml", ".json"].iter().any(|e| n.ends_with(e)));
            for name in specs {
                // The same folder may be found by two paths.
                if !cdi.iter().any(|known| folder == "run/cdi" && known.ends_with(&name)) {
                    cdi.push(format!("{folder}/{name}"));
                }
            }
        }
        let restricted = "proc/sys/kernel/apparmor_restrict_unprivileged_userns";
        Self {
            found: found.collect(),
            cdi,
            user_namespaces: tree.number("proc/sys/user/max_user_namespaces", Unit::None),
            restricted_namespaces: tree
                .number::<u8>(restricted, Unit::None)
                .map(|number| number != 0),
        }
    }

    /// The engine of that name, if it was found.
    pub fn get(&self, name: &str) -> Option<&Engine> {
        self.found.iter().find(|engine| engine.name == name)
    }
}

fn engine(tree: &Tree, packages: &Packages, known: &Known) -> Option<Engine> {
    let name = known.name;
    let program =
        FOLDERS.iter().map(|folder| format!("{folder}/{name}")).find(|path| tree.exists(path));
    let snap = format!("snap/{name}/current/meta/snap.yaml");
    let packaged = packages.version(known.packages);
    let snapped = tree.text(&snap).check(Unit::None, |text| {
        let version = text.lines().find_map(|line| line.strip_prefix("version:"));
        let version = version.map(|version| version.trim().trim_matches(['\'', '"']).to_owned());
        version.ok_or_else(|| "there is no `version`".to_owned())
    });
    if program.is_none() && packaged.is_none() && snapped.get().is_none() {
        return None;
    }
    let source = program.clone().unwrap_or(snap);
    let version = match packaged {
        Some(version) => version,
        None if snapped.get().is_some() => snapped,
        None => packages.untold(&source, "no package that can be read tells it"),
    };
    let socket = known.sockets.iter().find(|path| tree.exists(path));
    let socket = match socket {
        Some(path) => Reading::new(format!("/{path}"), Unit::None, (*path).to_owned()),
        None => {
            let detail = "it does not listen where it usually does";
            let source = known.sockets.first().copied().unwrap_or_default();
            Reading::absent(Reason::NotFound, detail, Unit::None, source)
        }
    };
    Some(Engine { name: name.to_owned(), version, socket })
}
