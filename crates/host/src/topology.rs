//! The processors this process may use: physical cores, their siblings, their speed, the quota.

use std::path::Path;

use crate::probe::read_text;
use crate::{cgroup, cpu_list};

/// The speed of the fastest core, the scale of the kernel's `cpu_capacity`.
const FULL_SPEED: u32 = 1024;

/// What an efficiency core counts where the kernel gives no `cpu_capacity` but says which cores
/// are such (Intel's hybrid processors): about what they do per clock beside a performance core.
const EFFICIENCY_SPEED: u32 = 512;

/// The cores that this process may use.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Topology {
    /// Physical cores with at least one allowed processor, fastest first, then by number.
    pub cores: Vec<Core>,
    /// How many processors' worth of time the control groups allow, if they limit it.
    pub quota: Option<f64>,
}

/// One physical core.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Core {
    /// The allowed processors (hardware threads) of the core, ascending, never empty.
    pub cpus: Vec<usize>,
    /// Relative speed; 1024 is the fastest core of the machine.
    pub speed: u32,
    /// The socket.
    pub package: u32,
    /// The highest clock in kHz, where the kernel tells.
    pub max_khz: Option<u64>,
}

impl Topology {
    /// Reads `proc` and `sys` below `root` (`/`, or a made-up tree).
    ///
    /// What is not there is assumed plain: a processor without topology is a core of its own at
    /// full speed, and a machine that tells nothing has one processor.
    pub fn read(root: &Path) -> Self {
        let mut cores: Vec<Core> = Vec::new();
        let (allowed, efficiency) = (allowed_cpus(root), efficiency_cpus(root));
        for &cpu in &allowed {
            if cores.iter().any(|core| core.cpus.contains(&cpu)) {
                continue;
            }
            let mut cpus = siblings(root, cpu);
            cpus.retain(|sibling| allowed.contains(sibling));
            if !cpus.contains(&cpu) {
                cpus = vec![cpu];
            }
            let directory = root.join(format!("sys/devices/system/cpu/cpu{cpu}"));
            let number = |file| cgroup::number(&directory, file);
            let speed = match number("cpu_capacity").and_then(|n| u32::try_from(n).ok()) {
                Some(capacity) => capacity,
                None if efficiency.contains(&cpu) => EFFICIENCY_SPEED,
                None => FULL_SPEED,
            };
            let package = number("topology/physical_package_id");
            cores.push(Core {
                cpus,
                speed,
                package: package.and_then(|n| u32::try_from(n).ok()).unwrap_or(0),
                max_khz: number("cpufreq/cpuinfo_max_freq"),
            });
        }
        cores.sort_by_key(|core| (std::cmp::Reverse(core.speed), core.cpus[0]));
        Self { cores, quota: quota(root) }
    }

    /// All processors (hardware threads) this process may use.
    pub fn processors(&self) -> usize {
        self.cores.iter().map(|core| core.cpus.len()).sum()
    }

    /// The cores that a computation split evenly gains from: those with more than half of the
    /// fastest core's speed, since everybody waits for the slowest.
    pub fn fast_cores(&self) -> &[Core] {
        let fastest = self.cores.first().map_or(0, |core| core.speed);
        let fast = self.cores.iter().take_while(|core| core.speed > fastest / 2).count();
        self.cores.get(..fast).unwrap_or_default()
    }

    /// One thread per fast core, and no more than the quota pays for; at least one.
    pub fn default_threads(&self) -> usize {
        let paid = self.quota.map_or(usize::MAX, |quota| quota.ceil() as usize);
        self.fast_cores().len().min(paid).max(1)
    }

    /// The processors for `threads` pinned threads, in order: one per core, fastest first, then the
    /// cores' further siblings. Shorter than `threads` if there are not as many.
    pub fn placement(&self, threads: usize) -> Vec<usize> {
        let most = self.cores.iter().map(|core| core.cpus.len()).max().unwrap_or(0);
        (0..most)
            .flat_map(|sibling| self.cores.iter().filter_map(move |c| c.cpus.get(sibling).copied()))
            .take(threads)
            .collect()
    }
}

fn list(root: &Path, file: &str) -> Option<Vec<usize>> {
    cpu_list::parse(&read_text(&root.join(file))?).filter(|cpus| !cpus.is_empty())
}

/// Online processors in this process's affinity mask, which includes its cpuset.
fn allowed_cpus(root: &Path) -> Vec<usize> {
    let online = list(root, "sys/devices/system/cpu/online");
    let status = read_text(&root.join("proc/self/status")).unwrap_or_default();
    let allowed = status
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"))
        .and_then(cpu_list::parse)
        .filter(|cpus| !cpus.is_empty());
    match (online, allowed) {
        (Some(mut online), Some(allowed)) => {
            online.retain(|cpu| allowed.contains(cpu));
            if online.is_empty() { allowed } else { online }
        }
        (Some(cpus), None) | (None, Some(cpus)) => cpus,
        (None, None) => vec![0],
    }
}

/// Intel's hybrid processors list their efficiency cores as a performance-counter device.
fn efficiency_cpus(root: &Path) -> Vec<usize> {
    list(root, "sys/devices/cpu_atom/cpus").unwrap_or_default()
}

fn siblings(root: &Path, cpu: usize) -> Vec<usize> {
    // `core_cpus_list` since Linux 5.3, the other name before.
    ["core_cpus_list", "thread_siblings_list"]
        .iter()
        .find_map(|file| list(root, &format!("sys/devices/system/cpu/cpu{cpu}/topology/{file}")))
        .unwrap_or_else(|| vec![cpu])
}

/// The least that any group on the way up allows, in processors.
fn quota(root: &Path) -> Option<f64> {
    let mut least: Option<f64> = None;
    for groups in cgroup::groups(root, "cpu") {
        for directory in &groups.directories {
            let pair = if groups.unified {
                read_text(&directory.join("cpu.max")).and_then(|text| {
                    let mut words = text.split_whitespace();
                    Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
                })
            } else {
                // -1 means no limit and is no `u64`.
                cgroup::number(directory, "cpu.cfs_quota_us")
                    .zip(cgroup::number(directory, "cpu.cfs_period_us"))
            };
            if let Some((quota_us, period_us @ 1..)) = pair {
                let share = quota_us as f64 / period_us as f64;
                least = Some(least.map_or(share, |least| least.min(share)));
            }
        }
    }
    least
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        dir
    }

    fn cpus(topology: &Topology) -> Vec<Vec<usize>> {
        topology.cores.iter().map(|core| core.cpus.clone()).collect()
    }

    #[test]
    fn two_threads_per_core_in_a_cpuset_with_a_quota() {
        let sibling = |cpu| format!("sys/devices/system/cpu/cpu{cpu}/topology/core_cpus_list");
        let dir = tree(&[
            ("sys/devices/system/cpu/online", "0-7\n"),
            (&sibling(0), "0,4\n"),
            (&sibling(1), "1,5\n"),
            (&sibling(2), "2,6\n"),
            (&sibling(3), "3,7\n"),
            (&sibling(4), "0,4\n"),
            (&sibling(5), "1,5\n"),
            (&sibling(6), "2,6\n"),
            (&sibling(7), "3,7\n"),
            ("proc/self/status", "Name:\tx\nCpus_allowed_list:\t0-2,4,6-7\n"),
            ("proc/self/cgroup", "0::/a\n"),
            ("proc/self/mountinfo", "31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"),
            ("sys/fs/cgroup/a/cpu.max", "max 100000\n"),
            ("sys/fs/cgroup/cpu.max", "250000 100000\n"),
        ]);
        let topology = Topology::read(dir.path());
        assert_eq!(cpus(&topology), [vec![0, 4], vec![1], vec![2, 6], vec![7]]);
        assert_eq!(topology.quota, Some(2.5));
        assert_eq!(topology.default_threads(), 3);
        assert_eq!(topology.processors(), 6);
        assert_eq!(topology.placement(5), [0, 1, 2, 7, 4]);
        assert_eq!(topology.placement(100), [0, 1, 2, 7, 4, 6]);
    }

    #[test]
    fn big_and_little_cores() {
        // RK3588: processors 0-3 Cortex-A55, 4-7 Cortex-A76.
        let capacity = |cpu| format!("sys/devices/system/cpu/cpu{cpu}/cpu_capacity");
        let files: Vec<_> =
            (0..8).map(|cpu| (capacity(cpu), if cpu < 4 { "414" } else { "1024" })).collect();
        let mut files: Vec<_> = files.iter().map(|(a, b)| (a.as_str(), *b)).collect();
        files.push(("sys/devices/system/cpu/online", "0-7"));
        let topology = Topology::read(tree(&files).path());
        assert_eq!(topology.default_threads(), 4);
        assert_eq!(topology.placement(6), [4, 5, 6, 7, 0, 1]);
        assert_eq!(topology.cores[7].speed, 414);
    }

    #[test]
    fn intel_hybrid() {
        let dir = tree(&[
            ("sys/devices/system/cpu/online", "0-3"),
            ("sys/devices/cpu_atom/cpus", "2-3"),
            ("sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq", "4700000"),
            ("sys/devices/system/cpu/cpu0/topology/physical_package_id", "0"),
        ]);
        let topology = Topology::read(dir.path());
        assert_eq!(topology.default_threads(), 2);
        assert_eq!(topology.cores[0].max_khz, Some(4_700_000));
        assert_eq!(topology.cores[3].speed, EFFICIENCY_SPEED);
    }

    #[test]
    fn version_1_quota() {
        let dir = tree(&[
            ("proc/self/cgroup", "2:cpu,cpuacct:/x\n"),
            ("proc/self/mountinfo", "36 31 0:33 / /cg rw - cgroup cgroup rw,cpu,cpuacct\n"),
            ("cg/x/cpu.cfs_quota_us", "150000\n"),
            ("cg/x/cpu.cfs_period_us", "100000\n"),
            ("cg/cpu.cfs_quota_us", "-1\n"),
            ("cg/cpu.cfs_period_us", "100000\n"),
        ]);
        assert_eq!(Topology::read(dir.path()).quota, Some(1.5));
    }

    #[test]
    fn a_machine_that_tells_nothing_has_one_processor() {
        let topology = Topology::read(Path::new("/nonexistent"));
        assert_eq!(cpus(&topology), [vec![0]]);
        assert_eq!((topology.default_threads(), topology.quota), (1, None));
    }

    #[test]
    fn this_machine_agrees_with_std() {
        let topology = Topology::read(Path::new("/"));
        assert!(topology.processors() >= std::thread::available_parallelism().unwrap().get());
        assert!(topology.default_threads() <= topology.processors());
    }
}
