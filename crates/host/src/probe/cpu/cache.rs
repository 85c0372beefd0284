//! Caches, summed by level and kind (Documentation/ABI/testing/sysfs-devices-system-cpu).

use std::collections::BTreeMap;

use serde::Serialize;

use super::directory;
use super::processors::Processor;
use crate::cpu_list;
use crate::probe::{Tree, Unit};

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

/// The caches of all processors, nearest first.
pub(super) fn caches(tree: &Tree, processors: &[Processor]) -> Vec<Cache> {
    let mut found: BTreeMap<(u32, String, u64), Vec<Vec<usize>>> = BTreeMap::new();
    for processor in processors {
        let folder = format!("{}/cache", directory(processor));
        for index in 0..MOST_INDICES {
            let file = |name: &str| format!("{folder}/index{index}/{name}");
            let Ok(level) = tree.number(file("level"), Unit::None).value else { break };
            let (Some(kind), Some(bytes)) =
                (tree.text(file("type")).value.ok(), size(&tree.text(file("size")).value.ok()))
            else {
                continue;
            };
            let list = tree.text(file("shared_cpu_list")).value.ok();
            let sharers = list.and_then(|list| cpu_list::parse(&list));
            let sharers = sharers.unwrap_or_else(|| vec![processor.cpu]);
            let same = found.entry((level, kind, bytes)).or_default();
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
