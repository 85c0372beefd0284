//! Which control groups the machine has.

use serde::Serialize;

use crate::probe::{Reading, Reason, Tree, Unit};

const MOUNTS: &str = "proc/self/mountinfo";

/// The control groups.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Cgroups {
    /// Of which version.
    pub hierarchy: Reading<Hierarchy>,
    /// Whether memory can be limited.
    pub memory: Reading<bool>,
}

/// The versions of control groups (cgroups(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Hierarchy {
    /// Version 2 alone.
    Unified,
    /// Version 1, with version 2 beside it for names.
    Hybrid,
    /// Version 1 alone.
    Legacy,
}

impl Cgroups {
    pub(super) fn read(tree: &Tree) -> Self {
        let hierarchy = tree.text(MOUNTS).check(Unit::None, |mounts| Ok(hierarchy(&mounts)));
        let hierarchy = match hierarchy.value {
            Ok(Some(hierarchy)) => Reading::new(hierarchy, Unit::None, MOUNTS),
            Ok(None) => {
                let detail = "no control groups are mounted";
                Reading::absent(Reason::NotFound, detail, Unit::None, MOUNTS)
            }
            Err(absent) => Reading { value: Err(absent), unit: Unit::None, source: MOUNTS.into() },
        };
        // `memory 4 105 1`: the last is whether it is on (cgroups(7)). Version 2 lists what is on.
        let listed = tree.text("proc/cgroups").check(Unit::None, |text| {
            let line = text.lines().find(|line| line.split_whitespace().next() == Some("memory"));
            let enabled = line.and_then(|line| line.split_whitespace().nth(3));
            enabled.map(|on| on == "1").ok_or_else(|| "there is no line `memory`".to_owned())
        });
        let controllers = || {
            let text = tree.text("sys/fs/cgroup/cgroup.controllers");
            text.map(|text| text.split_whitespace().any(|name| name == "memory"))
        };
        // Since Linux 6.14 `/proc/cgroups` may leave out what version 1 does not have.
        let memory = match hierarchy.get() {
            Some(Hierarchy::Unified) => controllers().or_else(|| listed),
            _ => listed.or_else(controllers),
        };
        Self { hierarchy, memory }
    }
}

fn hierarchy(mounts: &str) -> Option<Hierarchy> {
    let kinds = mounts.lines().filter_map(|line| line.split_once(" - ")?.1.split(' ').next());
    let (mut first, mut second) = (false, false);
    for kind in kinds {
        first |= kind == "cgroup";
        second |= kind == "cgroup2";
    }
    match (first, second) {
        (false, true) => Some(Hierarchy::Unified),
        (true, true) => Some(Hierarchy::Hybrid),
        (true, false) => Some(Hierarchy::Legacy),
        (false, false) => None,
    }
}
