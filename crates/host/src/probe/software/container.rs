//! Whether this process is in a container, by what container engines leave for that purpose.

use serde::Serialize;

use crate::probe::{Reading, Reason, Tree, Unit};

/// The number of the first PID namespace (`PROC_PID_INIT_INO`, include/linux/proc_ns.h of Linux).
const FIRST_PID_NAMESPACE: &str = "pid:[4026531836]";

/// The container around this process.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Container {
    /// Its kind: `docker`, `podman`, `kubernetes`, `lxc`, `systemd-nspawn`, `wsl`, or what says so of
    /// itself.
    pub kind: Reading<String>,
    /// Whether its root, if it has one, is another user of the machine.
    pub rootless: Reading<bool>,
    /// Whether this process has process numbers of its own, as in almost all containers.
    pub own_pids: Reading<bool>,
    /// What speaks for a container.
    pub markers: Vec<Marker>,
}

/// A file that speaks for a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Marker {
    /// The kind that it speaks for.
    pub kind: String,
    /// The file.
    pub file: String,
}

impl Container {
    pub(super) fn read(tree: &Tree) -> Self {
        let markers = markers(tree);
        let own_pids = match is_first_pid_namespace(tree) {
            Some(is_first) => Reading::new(!is_first, Unit::None, "proc/self/ns/pid"),
            None => {
                let detail = "the kernel shows no namespaces";
                Reading::absent(Reason::NotFound, detail, Unit::None, "proc/self/ns/pid")
            }
        };
        // An image that became a machine's file system keeps Docker's empty file.
        let believed = markers
            .iter()
            .find(|marker| marker.file != ".dockerenv" || own_pids.get() != Some(&false));
        let kind = match believed {
            Some(marker) => Reading::new(marker.kind.clone(), Unit::None, marker.file.clone()),
            None => {
                let detail = match markers.is_empty() {
                    true => "nothing speaks for a container",
                    false => {
                        "only `.dockerenv` speaks for one, but process numbers are the machine's"
                    }
                };
                Reading::absent(Reason::NotFound, detail, Unit::None, "proc/self/ns/pid")
            }
        };
        // `0 0 4294967295` where users are the machine's (user_namespaces(7)).
        let rootless = tree.text("proc/self/uid_map").check(Unit::None, |text| {
            let mut words = text.split_whitespace();
            match (words.next(), words.next()) {
                (Some(inside), Some(outside)) => Ok((inside, outside) != ("0", "0")),
                _ => Err("there are no two users in a line".to_owned()),
            }
        });
        Self { kind, rootless, own_pids, markers }
    }
}

/// Strongest first.
fn markers(tree: &Tree) -> Vec<Marker> {
    let mut found = Vec::new();
    let mut add = |kind: &str, file: &str| {
        found.push(Marker { kind: kind.to_owned(), file: file.to_owned() });
    };
    let account = "var/run/secrets/kubernetes.io/serviceaccount";
    let cgroup = tree.text("proc/self/cgroup").value.unwrap_or_default();
    let pods = "kubepods";
    if tree.exists(account) {
        add("kubernetes", account);
    } else if cgroup.contains(pods) {
        add("kubernetes", "proc/self/cgroup");
    }
    if let Ok(text) = tree.text("run/.containerenv").value {
        // `engine="podman-4.9.3"`; empty where the container is privileged.
        let engine = field(&text, "engine").unwrap_or_default();
        add(
            engine.split('-').next().filter(|name| !name.is_empty()).unwrap_or("podman"),
            "run/.containerenv",
        );
    }
    // Both are of systemd's container interface (https://systemd.io/CONTAINER_INTERFACE); the first is
    // written by a systemd inside, the second by nspawn.
    for file in ["run/systemd/container", "run/host/container-manager"] {
        if let Ok(name) = tree.text(file).value
            && !name.is_empty()
        {
            add(&name, file);
        }
    }
    if let Some(name) = environment(tree, "proc/1/environ", "container") {
        add(&name, "proc/1/environ");
    }
    let release = tree.text("proc/sys/kernel/osrelease").value.unwrap_or_default();
    if release.to_ascii_lowercase().contains("microsoft") {
        add("wsl", "proc/sys/kernel/osrelease");
    }
    for (kind, part) in [("docker", "/docker"), ("lxc", "/lxc"), ("podman", "/libpod")] {
        if cgroup.lines().any(|line| line.contains(part)) {
            add(kind, "proc/self/cgroup");
        }
    }
    if tree.exists(".dockerenv") {
        add("docker", ".dockerenv");
    }
    found
}

/// `rootless=1`, `engine="podman-4.9.3"`.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = text.lines().filter_map(|line| line.split_once('='));
    lines.find(|(key, _)| *key == name).map(|(_, value)| value.trim_matches('"'))
}

/// A variable of another process, whose environment its owner and root may read.
fn environment(tree: &Tree, file: &str, name: &str) -> Option<String> {
    let text = tree.text(file).value.ok()?;
    let mut variables = text.split('\0').filter_map(|pair| pair.split_once('='));
    let value = variables.find(|(key, _)| *key == name).map(|(_, value)| value.to_owned());
    value.filter(|value| !value.is_empty())
}

/// Whether the numbers of processes are the machine's; `None` if the kernel does not tell.
pub(crate) fn is_first_pid_namespace(tree: &Tree) -> Option<bool> {
    namespace(tree, "pid").map(|name| name == FIRST_PID_NAMESPACE)
}

/// `pid:[4026531836]`
fn namespace(tree: &Tree, kind: &str) -> Option<String> {
    tree.link_name(format!("proc/self/ns/{kind}"))
}
