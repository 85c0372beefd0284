//! Swap, on disks and compressed in memory (Documentation/admin-guide/blockdev/zram.rst,
//! Documentation/admin-guide/mm/zswap.rst).

use serde::Serialize;

use super::field;
use crate::probe::{Reading, Tree, Unit};

/// Swap of all kinds.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Swap {
    /// All of it; zero without swap.
    pub total: Reading<u64>,
    /// What is free of it.
    pub free: Reading<u64>,
    /// The files and devices, from `/proc/swaps`.
    pub devices: Reading<Vec<String>>,
    /// Compressed disks in memory.
    pub zram: Vec<Zram>,
    /// Whether pages are compressed in memory before they go to a disk.
    pub zswap: Reading<bool>,
    /// How readily the kernel swaps, from 0 to 200.
    pub swappiness: Reading<u64>,
}

/// A compressed disk in memory.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Zram {
    /// `zram0`.
    pub name: String,
    /// How much fits, before it is compressed.
    pub size: Reading<u64>,
    /// How much is in it, before it is compressed.
    pub stored: Reading<u64>,
    /// The memory that this takes.
    pub taken: Reading<u64>,
    /// How it is compressed.
    pub algorithm: Reading<String>,
}

impl Swap {
    pub(super) fn read(tree: &Tree, meminfo: &Reading<String>) -> Self {
        let devices = tree.text("proc/swaps").map(|text| {
            let names = text.lines().skip(1).filter_map(|line| line.split_whitespace().next());
            names.map(str::to_owned).collect()
        });
        let zram = tree
            .names("sys/block")
            .into_iter()
            .filter(|name| name.strip_prefix("zram").is_some_and(|n| n.parse::<u32>().is_ok()));
        let zswap = tree.text("sys/module/zswap/parameters/enabled");
        Self {
            total: field(meminfo, "SwapTotal"),
            free: field(meminfo, "SwapFree"),
            devices,
            zram: zram.map(|name| Zram::read(tree, name)).collect(),
            zswap: zswap.check(Unit::None, |text| match text.as_str() {
                "Y" | "1" => Ok(true),
                "N" | "0" => Ok(false),
                _ => Err("it is neither `Y` nor `N`".to_owned()),
            }),
            swappiness: tree.number("proc/sys/vm/swappiness", Unit::None),
        }
    }
}

impl Zram {
    fn read(tree: &Tree, name: String) -> Self {
        let directory = format!("sys/block/{name}");
        // orig_data_size compr_data_size mem_used_total …
        let stat = |at: usize| {
            tree.text(format!("{directory}/mm_stat")).check(Unit::Bytes, |text| {
                let word = text.split_whitespace().nth(at).and_then(|word| word.parse().ok());
                word.ok_or_else(|| format!("there is no number at place {}", at + 1))
            })
        };
        Self {
            size: tree.number(format!("{directory}/disksize"), Unit::Bytes),
            stored: stat(0),
            taken: stat(2),
            // `lzo [lz4] zstd`
            algorithm: tree
                .text(format!("{directory}/comp_algorithm"))
                .check(Unit::None, |text| super::huge::chosen(&text)),
            name,
        }
    }
}
