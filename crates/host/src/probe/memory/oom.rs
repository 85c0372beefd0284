//! Whom the kernel kills when there is no memory left (proc_pid_oom_score(5),
//! Documentation/admin-guide/sysctl/vm.rst, Documentation/admin-guide/cgroup-v2.rst).

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::below;
use crate::cgroup;
use crate::probe::{Reading, Reason, Tree, Unit};

/// What decides who is killed.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Oom {
    /// How likely this process is chosen, of 1000.
    pub score: Reading<u32>,
    /// What was added to that, from -1000, which is never, to 1000.
    pub score_adj: Reading<i32>,
    /// 0: the kernel guesses whether there will be enough; 1: it always says yes; 2: it gives what it
    /// has.
    pub overcommit: Reading<u32>,
    /// Per cent of memory that may be promised where `overcommit` is 2.
    pub overcommit_ratio: Reading<u32>,
    /// Whether the machine stops in place of killing.
    pub panic_on_oom: Reading<u32>,
    /// Whether all processes of this one's control group are killed together.
    pub group_kill: Reading<bool>,
    /// How many processes of this one's control group were killed.
    pub killed: Reading<u64>,
}

impl Oom {
    pub(super) fn read(tree: &Tree) -> Self {
        let vm = |name: &str| tree.number(format!("proc/sys/vm/{name}"), Unit::None);
        let score_adj = tree.number("proc/self/oom_score_adj", Unit::None);
        let group_kill = |directory: &Path| {
            let file = below(&directory.join("memory.oom.group"), tree.root());
            tree.number::<u8>(file, Unit::None).map(|number| number != 0)
        };
        Self {
            score: tree.number("proc/self/oom_score", Unit::None),
            score_adj: score_adj.check(Unit::None, |adj: i32| match adj {
                -1000..=1000 => Ok(adj),
                _ => Err(format!("`{adj}` is not between -1000 and 1000")),
            }),
            overcommit: vm("overcommit_memory"),
            overcommit_ratio: vm("overcommit_ratio"),
            panic_on_oom: vm("panic_on_oom"),
            group_kill: of_group(tree, group_kill),
            killed: of_group(tree, |directory| {
                // Version 2 counts in `memory.events`, version 1 in `memory.oom_control`.
                let count = |file: &str| {
                    let file = below(&directory.join(file), tree.root());
                    tree.text(file).check(Unit::None, |text| {
                        let lines = text.lines().filter_map(|line| line.split_once(' '));
                        let mut counts = lines.filter(|(name, _)| *name == "oom_kill");
                        let count = counts.next().and_then(|(_, count)| count.trim().parse().ok());
                        count.ok_or_else(|| "there is no count `oom_kill`".to_owned())
                    })
                };
                count("memory.events").or_else(|| count("memory.oom_control"))
            }),
        }
    }
}

/// A reading of the innermost group that has it.
fn of_group<T>(tree: &Tree, read: impl Fn(&Path) -> Reading<T>) -> Reading<T> {
    let groups = cgroup::groups(tree.root(), "memory");
    let innermost = groups.iter().filter_map(|groups| groups.directories.first());
    let readings = innermost.map(|directory: &PathBuf| read(directory));
    let found = readings.reduce(|a, b| a.or_else(|| b));
    found.unwrap_or_else(|| {
        let detail = "no control group counts the memory of this process";
        Reading::absent(Reason::NotFound, detail, Unit::None, "proc/self/cgroup")
    })
}
