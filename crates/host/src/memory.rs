//! How much memory this process may use: the machine's, and what its control groups allow.

use std::path::{Path, PathBuf};

use crate::Resident;
use crate::cgroup::{self, Groups};
use crate::probe::read_text;

/// A version 1 group without a limit reports the largest page-aligned `i64`; anything near it is
/// no limit.
const NO_LIMIT_BYTES: u64 = 1 << 60;

/// The memory of the machine and the limits on this process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemoryBudget {
    /// `MemTotal`; zero if `/proc/meminfo` could not be read.
    pub total_bytes: u64,
    /// `MemAvailable`: free, or reclaimable without swapping.
    pub available_bytes: u64,
    /// `SwapTotal`.
    pub swap_total_bytes: u64,
    /// `SwapFree`.
    pub swap_free_bytes: u64,
    /// The limits of the control groups of this process, innermost first.
    pub limits: Vec<Limit>,
}

/// The memory limit of one control group.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limit {
    /// The directory of the group.
    pub group: PathBuf,
    /// The lower of `memory.max` and `memory.high`, or `memory.limit_in_bytes`.
    pub limit_bytes: u64,
    /// What the group uses, without pages of files, which the kernel gives up before it kills: those of
    /// a model that ran here before are among them. As `MemAvailable` counts.
    pub used_bytes: u64,
}

impl Limit {
    /// What is left of the limit.
    pub fn left_bytes(&self) -> u64 {
        self.limit_bytes.saturating_sub(self.used_bytes)
    }
}

impl MemoryBudget {
    /// What this process can still take without swapping or being killed: the machine's available
    /// memory, or less where a group allows less.
    pub fn usable_bytes(&self) -> u64 {
        self.limits.iter().map(Limit::left_bytes).fold(self.available_bytes, u64::min)
    }

    /// What this process may have in all, its mapped files included: what it can still take and what
    /// it has already that is of no file (`own`). A sixteenth of what is left stays for what others
    /// come to need.
    pub fn promise_bytes(&self, own: Option<&Resident>) -> u64 {
        let left = self.usable_bytes();
        left - left / 16 + own.map_or(0, |own| own.anonymous_bytes)
    }

    /// The group that allows the least, if any allows less than the machine has.
    pub fn tightest(&self) -> Option<&Limit> {
        let limit = self.limits.iter().min_by_key(|limit| limit.left_bytes())?;
        (limit.left_bytes() < self.available_bytes).then_some(limit)
    }
}

/// Reads the memory of the machine and the limits on this process below `root` (`/`, or a made-up
/// tree). What cannot be read is zero or absent.
pub fn memory(root: &Path) -> MemoryBudget {
    let meminfo = read_text(&root.join("proc/meminfo")).unwrap_or_default();
    let total_bytes = kib_field(&meminfo, "MemTotal").unwrap_or(0);
    let limits = cgroup::groups(root, "memory").iter().flat_map(limits_of).collect();
    MemoryBudget {
        total_bytes,
        // Kernels before 3.14 have no MemAvailable.
        available_bytes: kib_field(&meminfo, "MemAvailable")
            .or_else(|| kib_field(&meminfo, "MemFree"))
            .unwrap_or(0),
        swap_total_bytes: kib_field(&meminfo, "SwapTotal").unwrap_or(0),
        swap_free_bytes: kib_field(&meminfo, "SwapFree").unwrap_or(0),
        limits,
    }
}

fn limits_of(groups: &Groups) -> impl Iterator<Item = Limit> {
    groups.directories.iter().filter_map(|group| {
        let read = |file| cgroup::number(group, file);
        let (limit_bytes, usage, reclaimable) = if groups.unified {
            let limits = [read("memory.max"), read("memory.high")];
            (
                limits.into_iter().flatten().min()?,
                "memory.current",
                ["inactive_file", "active_file"],
            )
        } else {
            let files = ["total_inactive_file", "total_active_file"];
            (read("memory.limit_in_bytes")?, "memory.usage_in_bytes", files)
        };
        // What it uses is of no interest then, and the kernel may have to sum it up.
        if limit_bytes >= NO_LIMIT_BYTES {
            return None;
        }
        let stat = read_text(&group.join("memory.stat")).unwrap_or_default();
        let reclaimable: u64 = stat
            .lines()
            .filter_map(|line| line.split_once(' '))
            .filter(|(key, _)| reclaimable.contains(key))
            .filter_map(|(_, value)| value.trim().parse::<u64>().ok())
            .fold(0, u64::saturating_add);
        let used_bytes = read(usage).unwrap_or(0).saturating_sub(reclaimable);
        Some(Limit { group: group.clone(), limit_bytes, used_bytes })
    })
}

/// A `Name:   123 kB` line of `/proc/meminfo` or `/proc/self/status`, in bytes.
pub(crate) fn kib_field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const MEMINFO: &str = "MemTotal:  8000000 kB\nMemFree:  100 kB\nMemAvailable:  4000000 kB\n\
                           SwapTotal:  2000 kB\nSwapFree:  1000 kB\n";

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        dir
    }

    #[test]
    fn version_2_takes_the_tightest_group_on_the_way_up() {
        let dir = tree(&[
            ("proc/meminfo", MEMINFO),
            ("proc/self/cgroup", "0::/app/inner\n"),
            (
                "proc/self/mountinfo",
                "31 23 0:28 / /sys/fs/cgroup rw shared:9 - cgroup2 cgroup2 rw\n",
            ),
            ("sys/fs/cgroup/app/inner/memory.max", "max\n"),
            ("sys/fs/cgroup/app/inner/memory.high", "2000000000\n"),
            ("sys/fs/cgroup/app/inner/memory.current", "1000\n"),
            ("sys/fs/cgroup/app/memory.max", "1000000000\n"),
            ("sys/fs/cgroup/app/memory.current", "700000000\n"),
            (
                "sys/fs/cgroup/app/memory.stat",
                "anon 1\ninactive_file 150000000\nactive_file 50000000\n",
            ),
        ]);
        let memory = memory(dir.path());
        assert_eq!(memory.total_bytes, 8_000_000 * 1024);
        assert_eq!(memory.available_bytes, 4_000_000 * 1024);
        assert_eq!((memory.swap_total_bytes, memory.swap_free_bytes), (2000 * 1024, 1000 * 1024));
        assert_eq!(memory.limits.len(), 2);
        assert_eq!(memory.usable_bytes(), 500_000_000);
        assert_eq!(memory.promise_bytes(None), 500_000_000 - 31_250_000);
        assert!(memory.tightest().unwrap().group.ends_with("sys/fs/cgroup/app"));
    }

    #[test]
    fn version_1_in_a_container() {
        let dir = tree(&[
            ("proc/meminfo", MEMINFO),
            ("proc/self/cgroup", "5:cpu,cpuacct:/docker/1\n4:memory:/docker/1\n0::/\n"),
            (
                "proc/self/mountinfo",
                "35 31 0:32 /docker/1 /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n\
                 36 31 0:33 /docker/1 /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpu,cpuacct\n",
            ),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "536870912\n"),
            ("sys/fs/cgroup/memory/memory.usage_in_bytes", "36870912\n"),
        ]);
        assert_eq!(memory(dir.path()).usable_bytes(), 500_000_000);
    }

    #[test]
    fn no_limit_and_no_tree() {
        let dir = tree(&[
            ("proc/meminfo", MEMINFO),
            ("proc/self/cgroup", "4:memory:/\n"),
            ("proc/self/mountinfo", "35 31 0:32 / /cg rw - cgroup cgroup rw,memory\n"),
            ("cg/memory.limit_in_bytes", "9223372036854771712\n"),
        ]);
        let found = memory(dir.path());
        assert_eq!(found.usable_bytes(), 4_000_000 * 1024);
        assert_eq!(found.limits, []);
        assert_eq!(memory(Path::new("/nonexistent")), MemoryBudget::default());
    }

    #[test]
    fn this_machine_has_memory() {
        let memory = memory(Path::new("/"));
        assert!(memory.total_bytes > 0 && memory.usable_bytes() > 0, "{memory:?}");
    }
}
