//! Memory: how much there is, what backs it, who limits it, how short it is, and whom the kernel
//! would kill.

mod huge;
mod oom;
mod pressure;
mod shared;
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
