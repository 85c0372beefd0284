//! The processor: its name, what it can, its cores by class, caches, memory nodes, clocks, and what
//! this process may have of it.

mod cache;
mod class;
mod name;
mod processors;

use serde::Serialize;

use super::{Reading, Reason, Tree, Unit};
use crate::{Topology, cpu_list};
pub use cache::Cache;
pub use class::Class;
use processors::Processor;

/// Where the kernel describes processors.
const SYSTEM: &str = "sys/devices/system/cpu";

/// What the processor is and what this process may have of it.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Cpu {
    /// As `uname -m` says: `x86_64`, `aarch64`, …
    pub architecture: Reading<String>,
    /// What the processor calls itself; of ARM, the names of its kinds of cores.
    pub name: Reading<String>,
    /// The board or the computer that it is in.
    pub board: Reading<String>,
    /// What the device tree says the board is compatible with, most specific first.
    pub compatible: Reading<Vec<String>>,
    /// Instruction sets, as the kernel names them in `/proc/cpuinfo`, of all processors in common.
    pub features: Reading<Vec<String>>,
    /// Sockets.
    pub packages: Reading<usize>,
    /// Physical cores that are online.
    pub cores: Reading<usize>,
    /// Processors (hardware threads) that are online.
    pub threads: Reading<usize>,
    /// Several threads per core: `on`, `off`, `forceoff`, `notsupported` or `notimplemented`.
    pub smt: Reading<String>,
    /// Cores of one kind each, fastest first.
    pub classes: Vec<Class>,
    /// Caches of one level and kind each.
    pub caches: Vec<Cache>,
    /// Memory nodes.
    pub nodes: Vec<Node>,
    /// What this process may have.
    pub allowed: Allowed,
}

/// Memory that is near to some processors.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Node {
    /// Its number.
    pub node: usize,
    /// The processors, as `0-3,8`; empty for memory that is near to none.
    pub cpus: Reading<String>,
    /// Its memory.
    pub memory: Reading<u64>,
}

/// What this process may have of the processors.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Allowed {
    /// The processors by affinity and cpuset, as `0-3,8`.
    pub cpus: Reading<String>,
    /// How many physical cores those are.
    pub cores: usize,
    /// How many processors those are.
    pub threads: usize,
    /// How many processors' worth of time the control groups pay for.
    pub quota: Reading<f64>,
    /// Threads that a computation starts unless told otherwise.
    pub default_threads: usize,
}

impl Cpu {
    /// Reads what `tree` says.
    pub fn read(tree: &Tree) -> Self {
        let cpuinfo = name::Cpuinfo::read(tree);
        let processors = processors::read(tree);
        let count = |number: usize| match processors.is_empty() {
            false => Reading::new(number, Unit::None, SYSTEM),
            true => none_listed(),
        };
        Self {
            architecture: name::architecture(tree, &cpuinfo),
            name: name::name(&cpuinfo),
            board: name::board(tree),
            compatible: name::compatible(tree),
            features: name::features(&cpuinfo),
            packages: count(processors::packages(&processors)),
            cores: count(processors::cores(&processors)),
            threads: count(processors.len()),
            smt: tree.text(format!("{SYSTEM}/smt/control")),
            classes: class::classes(tree, &processors, &cpuinfo),
            caches: cache::caches(tree, &processors),
            nodes: nodes(tree),
            allowed: allowed(tree),
        }
    }
}

fn none_listed() -> Reading<usize> {
    let detail = "the kernel lists no processors";
    Reading::absent(Reason::NotFound, detail, Unit::None, format!("{SYSTEM}/online"))
}

fn nodes(tree: &Tree) -> Vec<Node> {
    let numbered = |name: String| name.strip_prefix("node")?.parse().ok();
    let numbers = tree.names("sys/devices/system/node").into_iter().filter_map(numbered);
    let node = |node: usize| {
        let directory = format!("sys/devices/system/node/node{node}");
        let memory = tree.text(format!("{directory}/meminfo")).check(Unit::Bytes, |text| {
            let name = format!("Node {node} MemTotal");
            let found = crate::memory::kib_field(&text, &name);
            found.ok_or_else(|| format!("there is no line `{name}`"))
        });
        Node { node, cpus: tree.text(format!("{directory}/cpulist")), memory }
    };
    numbers.map(node).collect()
}

fn allowed(tree: &Tree) -> Allowed {
    let topology = Topology::read(tree.root());
    let mut cpus: Vec<usize> = topology.cores.iter().flat_map(|core| core.cpus.clone()).collect();
    cpus.sort_unstable();
    let source = "proc/self/status";
    let cpus = tree.text(source).map(|_| cpu_list::show(&cpus));
    let quota = match topology.quota {
        Some(quota) => Reading::new(quota, Unit::None, "proc/self/cgroup"),
        None => {
            let detail = "no control group limits it";
            Reading::absent(Reason::NotFound, detail, Unit::None, "proc/self/cgroup")
        }
    };
    Allowed {
        cpus,
        cores: topology.cores.len(),
        threads: topology.processors(),
        quota,
        default_threads: topology.default_threads(),
    }
}

/// A processor's directory.
fn directory(processor: &Processor) -> String {
    format!("{SYSTEM}/cpu{}", processor.cpu)
}
