//! Caches, summed by level and kind (Documentation/ABI/testing/sysfs-devices-system-cpu).

use std::collections::BTreeMap;

use serde::Serialize;

use super::SYSTEM;
use super::processors::Processor;
use crate::probe::{Tree, Unit};
use crate::{Core, cpu_list};

/// A processor has at most so many; none has more than five.
const MOST_INDICES: usize = 16;

/// Caches of one level, kind and size.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Cache {
    /// 1 is nearest.
    pub level: u32,
    /// `Data`, `Instruction` or `Unified`.
    pub kind: String,
    /// Bytes of each.
    pub size_bytes: u64,
    /// How many there are.
    pub count: usize,
    /// Processors (hardware threads) that share one.
    pub shared_by: usize,
}

/// What a core's own kernels may count on of its caches, where the machine tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CoreCaches {
    /// Bytes of the first level, for data.
    pub first_bytes: Option<u64>,
    /// Bytes of the second level; of one that several cores share, a core's part.
    pub second_bytes: Option<u64>,
}

impl CoreCaches {
    /// Reads what the tree says of a core.
    pub fn read(tree: &Tree, core: &Core) -> Self {
        let Some(&cpu) = core.cpus.first() else { return Self::default() };
        let mut caches = Self::default();
        // The threads of the core are those that share its first level.
        let mut threads = 1;
        for entry in entries(tree, cpu).take_while(|entry| entry.level <= 2) {
            if entry.kind == "Instruction" {
                continue;
            }
            let (bytes, sharers) = (entry.bytes(), entry.sharers().len());
            if entry.level == 1 {
                (caches.first_bytes, threads) = (bytes, sharers);
            } else {
                let cores = sharers.div_ceil(threads) as u64;
                caches.second_bytes = bytes.map(|bytes| bytes / cores);
            }
        }
        caches
    }
}

/// The caches of all processors, nearest first.
pub(super) fn caches(tree: &Tree, processors: &[Processor]) -> Vec<Cache> {
    let mut found: BTreeMap<(u32, String, u64), Vec<Vec<usize>>> = BTreeMap::new();
    for processor in processors {
        for entry in entries(tree, processor.cpu) {
            let Some(bytes) = entry.bytes() else { continue };
            let sharers = entry.sharers();
            let same = found.entry((entry.level, entry.kind, bytes)).or_default();
            if !same.contains(&sharers) {
                same.push(sharers);
            }
        }
    }
    let cache = |((level, kind, size_bytes), sharers): ((u32, String, u64), Vec<Vec<usize>>)| {
        let shared_by = sharers.iter().map(Vec::len).max().unwrap_or(1);
        Cache { level, kind, size_bytes, count: sharers.len(), shared_by }
    };
    found.into_iter().map(cache).collect()
}

/// One of a processor's caches.
struct Entry<'a> {
    tree: &'a Tree,
    cpu: usize,
    index: usize,
    level: u32,
    kind: String,
}

/// The caches of a processor.
fn entries(tree: &Tree, cpu: usize) -> impl Iterator<Item = Entry<'_>> {
    let level = move |index| tree.number(file(cpu, index, "level"), Unit::None).value.ok();
    let levels = (0..MOST_INDICES).map_while(move |index| Some((index, level(index)?)));
    levels.filter_map(move |(index, level)| {
        let kind = tree.text(file(cpu, index, "type")).value.ok()?;
        Some(Entry { tree, cpu, index, level, kind })
    })
}

impl Entry<'_> {
    fn bytes(&self) -> Option<u64> {
        size(&self.tree.text(file(self.cpu, self.index, "size")).value.ok())
    }

    /// The processors that have it, this one at least.
    fn sharers(&self) -> Vec<usize> {
        let list = self.tree.text(file(self.cpu, self.index, "shared_cpu_list")).value.ok();
        let list = list.and_then(|list| cpu_list::parse(&list)).filter(|list| !list.is_empty());
        list.unwrap_or_else(|| vec![self.cpu])
    }
}

fn file(cpu: usize, index: usize, name: &str) -> String {
    format!("{SYSTEM}/cpu{cpu}/cache/index{index}/{name}")
}

/// `32K`, `1M`.
fn size(text: &Option<String>) -> Option<u64> {
    let text = text.as_deref()?;
    let (digits, factor) = match text.char_indices().last()? {
        (at, 'K') => (text.get(..at)?, 1 << 10),
        (at, 'M') => (text.get(..at)?, 1 << 20),
        _ => (text, 1),
    };
    digits.parse::<u64>().ok()?.checked_mul(factor).filter(|&bytes| bytes > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a core of `cpus` may count on where a processor has caches of so many
    /// `(level, kind, size, shared_cpu_list)`.
    fn of_core(cpus: &[usize], caches: &[(&str, &str, &str, &str)]) -> CoreCaches {
        let dir = tempfile::tempdir().unwrap();
        for (index, (level, kind, size, sharers)) in caches.iter().enumerate() {
            let files =
                [("level", level), ("type", kind), ("size", size), ("shared_cpu_list", sharers)];
            for (name, text) in files.into_iter().filter(|(_, text)| !text.is_empty()) {
                let path = dir.path().join(file(cpus[0], index, name));
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, format!("{text}\n")).unwrap();
            }
        }
        let core = Core { cpus: cpus.to_vec(), speed: 1024, package: 0, max_khz: None };
        CoreCaches::read(&Tree::new(dir.path()), &core)
    }

    #[test]
    fn a_core_counts_on_its_own_and_its_part() {
        let kib = |first: u64, second: u64| CoreCaches {
            first_bytes: Some(first << 10),
            second_bytes: Some(second << 10),
        };
        let data = |size, sharers| ("1", "Data", size, sharers);
        let instructions = ("1", "Instruction", "64K", "4");
        // A core with two threads; four Cortex-A72 that share 1 MiB; a third level is none of them.
        let second = ("2", "Unified", "2M", "4,12");
        let third = ("3", "Unified", "32M", "0-15");
        assert_eq!(
            of_core(&[4, 12], &[data("48K", "4,12"), instructions, second, third]),
            kib(48, 2048)
        );
        let shared = ("2", "Unified", "1024K", "0-3");
        assert_eq!(of_core(&[2], &[data("32K", "2"), instructions, shared]), kib(32, 256));
        // Two cores of two threads each share one; a thread is offline.
        let second = ("2", "Unified", "4M", "0-2");
        assert_eq!(of_core(&[0, 1], &[data("32K", "0-1"), second]), kib(32, 2048));
        // How large the first level is, is not told, but whose it is.
        let alone = of_core(&[0, 1], &[data("", "0-1"), ("2", "Unified", "1M", "0-1")]);
        assert_eq!((alone.first_bytes, alone.second_bytes), (None, Some(1 << 20)));
        let shared = ("2", "Unified", "4M", "0-3");
        assert_eq!(of_core(&[0, 1], &[data("32K", "0-1"), shared]), kib(32, 2048));
    }

    #[test]
    fn what_is_not_told_is_not_there() {
        let none = CoreCaches::default();
        assert_eq!(of_core(&[3], &[]), none);
        assert_eq!(of_core(&[3], &[("1", "Data", "", "3"), ("2", "Unified", "many", "3")]), none);
        assert_eq!(of_core(&[3], &[("x", "Data", "32K", "3")]), none);
        let alone = of_core(&[3], &[("1", "Data", "32K", ""), ("2", "Unified", "512K", "")]);
        assert_eq!((alone.first_bytes, alone.second_bytes), (Some(32 << 10), Some(512 << 10)));
    }
}
