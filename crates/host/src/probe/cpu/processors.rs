//! The processors that are online, whoever may use them.

use std::collections::BTreeSet;

use super::SYSTEM;
use crate::cpu_list;
use crate::probe::{Tree, Unit};

/// A hardware thread.
#[derive(Clone, Debug)]
pub(super) struct Processor {
    pub(super) cpu: usize,
    /// The socket; on ARM the kernel may number clusters, or say -1.
    pub(super) package: Option<i64>,
    /// The first processor of the same core.
    pub(super) core: usize,
    /// Relative speed, of 1024, where the kernel tells.
    pub(super) capacity: Option<u64>,
    /// The highest clock.
    pub(super) max_khz: Option<u64>,
}

/// All that are online, ascending.
pub(super) fn read(tree: &Tree) -> Vec<Processor> {
    let list = tree.text(format!("{SYSTEM}/online")).value.ok();
    let cpus = list.and_then(|list| cpu_list::parse(&list)).unwrap_or_default();
    let processor = |&cpu: &usize| {
        let directory = format!("{SYSTEM}/cpu{cpu}");
        let siblings = ["core_cpus_list", "thread_siblings_list"]
            .iter()
            .find_map(|file| tree.text(format!("{directory}/topology/{file}")).value.ok())
            .and_then(|list| cpu_list::parse(&list));
        let number = |file: &str| tree.number(format!("{directory}/{file}"), Unit::None).value.ok();
        Processor {
            cpu,
            package: tree
                .number(format!("{directory}/topology/physical_package_id"), Unit::None)
                .value
                .ok(),
            core: siblings.and_then(|list| list.first().copied()).unwrap_or(cpu).min(cpu),
            capacity: number("cpu_capacity"),
            max_khz: number("cpufreq/cpuinfo_max_freq"),
        }
    };
    cpus.iter().map(processor).collect()
}

/// Sockets; at least one if there are processors.
pub(super) fn packages(processors: &[Processor]) -> usize {
    let known = processors.iter().filter_map(|processor| processor.package);
    let known: BTreeSet<i64> = known.filter(|&package| package >= 0).collect();
    known.len().max(usize::from(!processors.is_empty()))
}

/// Physical cores.
pub(super) fn cores(processors: &[Processor]) -> usize {
    processors.iter().map(|processor| processor.core).collect::<BTreeSet<_>>().len()
}
