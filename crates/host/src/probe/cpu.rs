//! The processor: its name, what it can, its cores by class, caches, memory nodes, clocks, and what
//! this process may have of it.

mod cache;
mod class;
mod name;
mod processors;

use serde::Serialize;

use super::{Reading, Reason, Tree, Unit};
use crate::{Topology, cpu_list};
pub use cache::{Cache, CoreCaches};
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
    /// What all processors can, as the kernel names it in `/proc/cpuinfo`. Not serialised: it is long, and
    /// of most nobody asks.
    #[serde(skip)]
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

#[cfg(test)]
mod tests {
    use rushlight_testkit::made_up;

    use super::*;

    fn cpu(name: &str) -> Cpu {
        let dir = tempfile::tempdir().unwrap();
        made_up::write_tree(name, dir.path());
        Cpu::read(&Tree::new(dir.path()))
    }

    #[test]
    fn a_server_with_two_sockets() {
        let cpu = cpu("x86-server");
        assert_eq!(cpu.name.get().unwrap(), "Intel(R) Xeon(R) Gold 5222 CPU @ 3.80GHz");
        assert_eq!(cpu.board.get().unwrap(), "Dell Inc. PowerEdge R640");
        assert_eq!(cpu.architecture.get().unwrap(), "x86_64");
        let counts = (&cpu.packages, &cpu.cores, &cpu.threads);
        let counts = (counts.0.get().unwrap(), counts.1.get().unwrap(), counts.2.get().unwrap());
        assert_eq!(counts, (&2, &8, &16));
        assert!(cpu.features.get().unwrap().iter().any(|feature| feature == "avx512_vnni"));
        let caches: Vec<_> = cpu
            .caches
            .iter()
            .map(|c| (c.level, c.size_bytes >> 10, c.count, c.shared_by))
            .collect();
        assert_eq!(caches, [(1, 32, 8, 2), (1, 32, 8, 2), (2, 1024, 8, 2), (3, 16896, 2, 8)]);
        let nodes: Vec<_> =
            cpu.nodes.iter().map(|n| (n.cpus.get().unwrap().as_str(), n.memory.get())).collect();
        assert_eq!(nodes[1], ("4-7,12-15", Some(&(99_090_432 << 10))));
        let [class] = &cpu.classes[..] else { panic!("{:?}", cpu.classes) };
        assert_eq!((class.cores, class.threads, &*class.cpus), (8, 16, "0-15"));
        assert_eq!(class.max.get(), Some(&3_900_000_000));
        assert_eq!((cpu.allowed.cores, cpu.allowed.threads), (8, 16));
        assert_eq!(cpu.allowed.quota.value.unwrap_err().reason, Reason::NotFound);
    }

    #[test]
    fn a_container_has_less_than_the_machine() {
        let cpu = cpu("container-cgroup-v1");
        assert_eq!(cpu.architecture.get().unwrap(), "x86_64", "from the flags");
        assert_eq!((cpu.cores.get(), cpu.threads.get()), (Some(&2), Some(&4)));
        assert_eq!((cpu.allowed.cores, cpu.allowed.threads), (1, 2));
        assert_eq!(
            (&*cpu.allowed.cpus.value.unwrap(), cpu.allowed.quota.value.unwrap()),
            ("0-1", 1.5)
        );
        assert!(cpu.board.get().is_none());
    }

    #[test]
    fn arm_cores_have_names() {
        let cpu = cpu("raspberry-pi-5");
        assert_eq!(cpu.name.get().unwrap(), "4 x Cortex-A76");
        assert_eq!(cpu.board.get().unwrap(), "Raspberry Pi 5 Model B Rev 1.0");
        assert_eq!(cpu.compatible.get().unwrap(), &["raspberrypi,5-model-b", "brcm,bcm2712"]);
        assert_eq!(cpu.classes[0].name, "Cortex-A76");
        assert_eq!(cpu.architecture.get().unwrap(), "aarch64");
    }

    #[test]
    fn what_is_damaged_is_said_to_be() {
        let cpu = cpu("damaged");
        assert_eq!(cpu.name.value.unwrap_err().reason, Reason::Damaged);
        assert_eq!(cpu.threads.value.unwrap_err().reason, Reason::NotFound);
        assert!(cpu.classes.is_empty() && cpu.caches.is_empty());
        assert_eq!(cpu.nodes.len(), 1);
        assert_eq!(cpu.nodes[0].memory.value.as_ref().unwrap_err().reason, Reason::Damaged);
    }

    #[test]
    fn clocks_that_cannot_be_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let entries = "sys/devices/system/cpu/online = 0-1\n\
                       sys/devices/cpu_atom/cpus = 1\n\
                       sys/devices/cpu_core/cpus = 0\n\
                       sys/devices/system/cpu/cpu{0..1}/cpufreq/cpuinfo_max_freq = 18446744073709551\n\
                       sys/devices/system/cpu/cpu{0..1}/cpufreq/scaling_governor !EACCES\n";
        made_up::write_entries(entries, dir.path());
        let cpu = Cpu::read(&Tree::new(dir.path()));
        let names: Vec<_> = cpu.classes.iter().map(|class| &*class.name).collect();
        assert_eq!(names, ["performance", "efficiency"]);
        let class = &cpu.classes[0];
        assert_eq!(class.max.value.as_ref().unwrap_err().reason, Reason::Damaged);
        assert_eq!(class.now.value.as_ref().unwrap_err().reason, Reason::NotFound);
        assert_eq!(class.governor.value.as_ref().unwrap_err().reason, Reason::Permission);
    }
}
