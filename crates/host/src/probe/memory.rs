//! Memory: how much there is, what backs it, who limits it, how short it is, and whom the kernel
//! would kill.

mod huge;
mod oom;
mod pressure;
pub(super) mod shared;
mod swap;

use std::path::Path;

use serde::Serialize;

use super::{Reading, Reason, Tree, Unit};
pub use huge::{Huge, Pool};
pub use oom::Oom;
pub use pressure::Pressure;
pub use shared::Sharing;
pub use swap::{Swap, Zram};

const MEMINFO: &str = "proc/meminfo";

/// The memory of a machine, and what this process may have of it.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Memory {
    /// All that the kernel manages.
    pub total: Reading<u64>,
    /// Free, or reclaimable without swapping.
    pub available: Reading<u64>,
    /// What this process can take: what is available, or less where a control group allows less.
    pub usable: Reading<u64>,
    /// The limits of the control groups of this process, innermost first.
    pub limits: Vec<GroupLimit>,
    /// Where pages go that are not used for long.
    pub swap: Swap,
    /// Larger pages.
    pub huge: Huge,
    /// How short memory is.
    pub pressure: Pressure,
    /// Whom the kernel kills when there is none left.
    pub oom: Oom,
    /// Graphics processors that take their memory from this.
    pub shared: Vec<Sharing>,
}

/// What a control group allows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct GroupLimit {
    /// Its directory, below the root.
    pub group: String,
    /// The most it may use.
    pub limit_bytes: u64,
    /// What it uses, without what the kernel gives up first.
    pub used_bytes: u64,
}

impl Memory {
    /// Reads what `tree` says.
    pub fn read(tree: &Tree) -> Self {
        let meminfo = tree.text(MEMINFO);
        let budget = crate::memory(tree.root());
        let available = || field(&meminfo, "MemAvailable");
        // Kernels before 3.14 have no MemAvailable.
        let available = available().or_else(|| field(&meminfo, "MemFree"));
        let limits = budget.limits.iter().map(|limit| GroupLimit {
            group: below(&limit.group, tree.root()),
            limit_bytes: limit.limit_bytes,
            used_bytes: limit.used_bytes,
        });
        let usable = match budget.tightest() {
            Some(limit) => {
                Reading::new(limit.left_bytes(), Unit::Bytes, below(&limit.group, tree.root()))
            }
            None => available.clone(),
        };
        Self {
            total: field(&meminfo, "MemTotal"),
            available,
            usable,
            limits: limits.collect(),
            swap: Swap::read(tree, &meminfo),
            huge: Huge::read(tree),
            pressure: Pressure::read(tree),
            oom: Oom::read(tree),
            shared: shared::read(tree),
        }
    }

    /// The group that leaves the least, if one leaves less than the machine has.
    pub fn tightest(&self) -> Option<&GroupLimit> {
        let left = |limit: &&GroupLimit| limit.limit_bytes.saturating_sub(limit.used_bytes);
        let available = self.available.get().copied().unwrap_or(u64::MAX);
        self.limits.iter().min_by_key(left).filter(|limit| left(limit) < available)
    }
}

/// A path as it is below the root, for a source.
fn below(path: &Path, root: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).display().to_string()
}

/// A line of `/proc/meminfo`.
fn field(meminfo: &Reading<String>, name: &str) -> Reading<u64> {
    let found = meminfo.clone().check(Unit::Bytes, |text| {
        crate::memory::kib_field(&text, name).ok_or_else(|| format!("there is no line `{name}`"))
    });
    // A kernel without swap, for one, has no such line.
    match found.value {
        Err(absent) if absent.reason == Reason::Damaged && meminfo.get().is_some() => {
            Reading::absent(Reason::NotFound, absent.detail, Unit::Bytes, MEMINFO)
        }
        _ => found,
    }
}

#[cfg(test)]
mod tests {
    use rushlight_testkit::made_up;

    use super::*;

    fn memory(name: &str) -> Memory {
        let dir = tempfile::tempdir().unwrap();
        made_up::write_tree(name, dir.path());
        Memory::read(&Tree::new(dir.path()))
    }

    #[test]
    fn a_server_without_limits() {
        let memory = memory("x86-server");
        assert_eq!(memory.total.get(), Some(&(197_394_432 << 10)));
        assert_eq!(memory.usable, memory.available);
        assert!(memory.limits.is_empty() && memory.tightest().is_none());
        assert_eq!(memory.huge.transparent.get().unwrap(), "madvise");
        let pools: Vec<_> =
            memory.huge.pools.iter().map(|pool| (pool.page_bytes, pool.pages.get())).collect();
        assert_eq!(pools, [(2 << 20, Some(&0)), (1 << 30, Some(&4))]);
        assert_eq!(memory.swap.devices.get().unwrap(), &["/swap.img"]);
        assert_eq!(memory.pressure.full_300s.get(), Some(&0.0));
        let oom = &memory.oom;
        assert_eq!((oom.score.get(), oom.group_kill.get()), (Some(&666), Some(&false)));
        assert_eq!(oom.killed.get(), Some(&0));
    }

    #[test]
    fn containers_of_both_versions() {
        let first = memory("container-cgroup-v1");
        let limit = first.tightest().unwrap();
        assert_eq!(limit.group, "sys/fs/cgroup/memory");
        assert_eq!((limit.limit_bytes, limit.used_bytes), (1 << 30, 221_003_776 - 104_857_600));
        assert_eq!(first.usable.get(), Some(&((1 << 30) - 116_146_176)));
        assert_eq!(first.oom.killed.get(), Some(&2));
        assert_eq!(first.pressure.full_10s.value.unwrap_err().reason, Reason::NotFound);
        let second = memory("container-cgroup-v2");
        assert_eq!(second.usable.get(), Some(&(536_870_912 - 20_971_520)));
        assert_eq!((second.oom.group_kill.get(), second.oom.killed.get()), (Some(&true), Some(&0)));
        assert_eq!(second.pressure.some_10s.get(), Some(&0.31));
        let [zram] = &second.swap.zram[..] else { panic!("{:?}", second.swap) };
        assert_eq!(zram.algorithm.get().unwrap(), "zstd");
        assert_eq!((zram.stored.get(), zram.taken.get()), (Some(&293_601_280), Some(&73_400_320)));
    }

    #[test]
    fn what_is_damaged_is_said_to_be() {
        let memory = memory("damaged");
        assert!(memory.total.get().is_none() && memory.usable.get().is_none());
        assert!(memory.huge.pools.is_empty());
        for reading in [&memory.pressure.some_10s, &memory.pressure.full_10s] {
            assert_eq!(reading.value.as_ref().unwrap_err().reason, Reason::Damaged, "{reading:?}");
        }
        assert_eq!(memory.oom.score_adj.value.unwrap_err().reason, Reason::Damaged);
        assert_eq!(memory.swap.zram[0].taken.value.as_ref().unwrap_err().reason, Reason::Damaged);
    }

    #[test]
    fn who_shares_memory() {
        let dir = tempfile::tempdir().unwrap();
        made_up::write_entries(
            "sys/class/drm/card0/device/driver -> ../../../bus/pci/drivers/i915\n\
             sys/class/drm/card0/device/uevent = PCI_SLOT_NAME=0000:00:02.0\n\
             sys/class/drm/card1/device/driver -> ../../../bus/pci/drivers/amdgpu\n\
             sys/class/drm/card1/device/hwmon/hwmon3/in1_label = vddnb\n\
             sys/class/drm/card2/device/driver -> ../../../bus/pci/drivers/amdgpu\n\
             sys/class/drm/card2/device/hwmon/hwmon4/in0_label = vddgfx\n\
             sys/class/drm/card3/device/driver -> ../../../bus/platform/drivers/panthor\n\
             sys/class/drm/card3/device/subsystem -> ../../../bus/platform\n\
             sys/class/drm/card4/device/driver -> ../../../bus/pci/drivers/xe\n\
             sys/class/drm/card4/device/uevent = PCI_SLOT_NAME=0000:03:00.0\n\
             sys/class/drm/card0-HDMI-A-1/status = connected\n",
            dir.path(),
        );
        let tree = Tree::new(dir.path());
        let cards: Vec<_> = shared::read(&tree).into_iter().map(|sharing| sharing.card).collect();
        assert_eq!(cards, ["card0", "card1", "card3"]);
    }
}
