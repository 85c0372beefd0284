//! The group of what runs containers, and what would get in their way.

use rushlight_host::probe::Tree;
use rushlight_host::probe::software::{
    Cgroups, Container, Engines, Hierarchy, LimitPair, Limits, Software,
};
use serde::Serialize;

use super::ask;
use super::group::{Group, Verdict};
use crate::report::size;

/// Files that are open at once below which a server with many clients meets the limit: each has a
/// socket, and 1024 is what a shell gives.
const FEW_FILES: u64 = 4096;
/// The size that Docker and Podman give `/dev/shm` unless told otherwise.
const SMALL_SHM_BYTES: u64 = 64 << 20;

#[derive(Serialize)]
struct Found {
    container: Container,
    cgroups: Cgroups,
    limits: Limits,
    engines: Engines,
}

/// Looks at what runs containers.
pub(crate) fn look(tree: &Tree) -> Group {
    let Software { container, cgroups, limits, mut engines, .. } = Software::read(tree);
    ask::versions(tree, &mut engines.found);
    let found = Found { container, cgroups, limits, engines };
    let names: Vec<_> = found.engines.found.iter().map(|engine| engine.name.as_str()).collect();
    let sentence = match (found.container.kind.get(), names.is_empty()) {
        (Some(kind), true) => format!("This is one ({kind}), and it runs no further ones."),
        (Some(kind), false) => format!("This is one ({kind}), with {} in it.", names.join(", ")),
        (None, false) => format!("There is {}.", names.join(", ")),
        (None, true) => "There is no engine; rushlight needs none.".to_owned(),
    };
    let mut group = Group::new("containers", "Containers", sentence, &found);
    lines(&mut group, &found);
    judge(&mut group, &found);
    group
}

fn lines(group: &mut Group, found: &Found) {
    for engine in &found.engines.found {
        let version = match &engine.version.value {
            Ok(version) => version.clone(),
            Err(absent) => format!("version unknown: {absent}"),
        };
        let socket = match engine.socket.get() {
            Some(socket) => format!(", listens at {socket}"),
            None => String::new(),
        };
        group.line(&engine.name, format!("{version}{socket}"));
    }
    group.reading("control groups", &found.cgroups.hierarchy, |hierarchy| {
        match hierarchy {
            Hierarchy::Unified => "version 2",
            Hierarchy::Hybrid => "version 1, with version 2 beside it (hybrid)",
            Hierarchy::Legacy => "version 1",
        }
        .to_owned()
    });
    if !found.engines.cdi.is_empty() {
        group.line("devices (CDI)", found.engines.cdi.join(", "));
    }
    let limits = &found.limits;
    group.reading("open files", &limits.open_files, |pair| show(*pair, &|n| n.to_string()));
    group.reading("locked memory", &limits.locked_memory, |pair| show(*pair, &size));
    group.reading("/dev/shm", &limits.shared_memory, |&bytes| size(bytes));
}

fn show(pair: LimitPair, number: &dyn Fn(u64) -> String) -> String {
    let one = |limit: Option<u64>| limit.map_or("no limit".to_owned(), number);
    match pair.soft == pair.hard {
        true => one(pair.soft),
        false => format!("{}, may be raised to {}", one(pair.soft), one(pair.hard)),
    }
}

fn judge(group: &mut Group, found: &Found) {
    let has = |name: &str| found.engines.get(name).is_some();
    let any = !found.engines.found.is_empty();
    let degraded = |group: &mut Group, sentence: &str, hint: &str| {
        group.judge(Verdict::Degraded, sentence);
        group.hint(hint);
    };
    let first =
        matches!(found.cgroups.hierarchy.get(), Some(Hierarchy::Hybrid | Hierarchy::Legacy));
    if first && (has("crun") || has("podman")) {
        // crun issue 433, Podman pull request 21431.
        degraded(
            group,
            "Control groups are of version 1, which crun and Podman 5 give up.",
            "boot with `systemd.unified_cgroup_hierarchy=1` on the kernel's command line; until then \
             crun may say `invalid file system type on '/sys/fs/cgroup'`, where runc still works",
        );
    } else if first && any {
        group.hint("control groups are of version 1, which engines give up one after the other");
    }
    if any && found.cgroups.memory.get() == Some(&false) {
        degraded(
            group,
            "Memory of containers cannot be limited, and K3s does not start.",
            "add `cgroup_enable=memory cgroup_memory=1` to the kernel's command line (Raspberry Pi: \
             /boot/firmware/cmdline.txt)",
        );
    }
    if any && found.engines.user_namespaces.get() == Some(&0) {
        degraded(
            group,
            "There are no user namespaces, so that no container runs without root.",
            "raise `user.max_user_namespaces` with sysctl",
        );
    }
    if any && found.engines.restricted_namespaces.get() == Some(&true) {
        group.hint(
            "AppArmor gives user namespaces to programs with a profile only: a container engine in \
             your home folder does not start without root",
        );
    }
    let soft = found.limits.open_files.get().and_then(|pair| pair.soft);
    if soft.is_some_and(|soft| soft < FEW_FILES) {
        group.hint(format!(
            "{} open files are few for many clients: `LimitNOFILE=` of the unit, `--ulimit nofile=` \
             of the container, or `ulimit -n`",
            soft.unwrap_or_default()
        ));
    }
    let shm = found.limits.shared_memory.get();
    if found.container.kind.get().is_some() && shm.is_some_and(|&bytes| bytes <= SMALL_SHM_BYTES) {
        group.hint(
            "/dev/shm is as small as engines make it: rushlight does not use it, but other runtimes \
             beside it do (`--shm-size`)",
        );
    }
}
