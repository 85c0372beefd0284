//! Larger pages, those that the kernel gives by itself and those that are set aside
//! (Documentation/admin-guide/mm/transhuge.rst and hugetlbpage.rst).

use serde::Serialize;

use crate::probe::{Reading, Tree, Unit};

const POOLS: &str = "sys/kernel/mm/hugepages";

/// Larger pages.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Huge {
    /// To whom the kernel gives them: `always`, `madvise` or `never`. Models are mapped with
    /// `madvise`.
    pub transparent: Reading<String>,
    /// What it does to find them: `always`, `defer`, `defer+madvise`, `madvise` or `never`.
    pub defrag: Reading<String>,
    /// Those that are set aside, by size.
    pub pools: Vec<Pool>,
}

/// Pages of one size that are set aside.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Pool {
    /// The size of a page.
    pub page_bytes: u64,
    /// How many there are.
    pub pages: Reading<u64>,
    /// How many nobody uses.
    pub free: Reading<u64>,
}

impl Huge {
    pub(super) fn read(tree: &Tree) -> Self {
        let choice = |name: &str| {
            let text = tree.text(format!("sys/kernel/mm/transparent_hugepage/{name}"));
            text.check(Unit::None, |text| chosen(&text))
        };
        let pool = |name: String| {
            let kib: u64 = name.strip_prefix("hugepages-")?.strip_suffix("kB")?.parse().ok()?;
            Some(Pool {
                page_bytes: kib.checked_mul(1024)?,
                pages: tree.number(format!("{POOLS}/{name}/nr_hugepages"), Unit::None),
                free: tree.number(format!("{POOLS}/{name}/free_hugepages"), Unit::None),
            })
        };
        let mut pools: Vec<Pool> = tree.names(POOLS).into_iter().filter_map(pool).collect();
        pools.sort_by_key(|pool| pool.page_bytes);
        Self { transparent: choice("enabled"), defrag: choice("defrag"), pools }
    }
}

/// The word in brackets, with which the kernel marks a choice.
pub(super) fn chosen(text: &str) -> Result<String, String> {
    let inner = text.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
    inner.map(|(word, _)| word.to_owned()).ok_or_else(|| "no word is in brackets".to_owned())
}
