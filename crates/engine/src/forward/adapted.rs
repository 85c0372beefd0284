//! Which rows of a batch have which adapter.

use std::ops::Range;
use std::sync::Arc;

use rushlight_model::{Adapter, AdapterLayer, LowRank};

use crate::machine::Added;

/// The rows of a batch that have adapters.
#[derive(Debug, Default)]
pub(crate) struct Adapted {
    groups: Vec<Group>,
}

/// Rows that follow each other and have the same one.
#[derive(Debug)]
struct Group {
    rows: Range<usize>,
    adapter: Arc<Adapter>,
}

impl Adapted {
    /// From the adapter of each row.
    pub(crate) fn new<'a>(adapters: impl Iterator<Item = Option<&'a Arc<Adapter>>>) -> Self {
        let mut groups: Vec<Group> = Vec::new();
        for (t, adapter) in adapters.enumerate() {
            let Some(adapter) = adapter else { continue };
            match groups.last_mut() {
                Some(last) if last.rows.end == t && Arc::ptr_eq(&last.adapter, adapter) => {
                    last.rows.end += 1;
                }
                _ => groups.push(Group { rows: t..t + 1, adapter: adapter.clone() }),
            }
        }
        Self { groups }
    }

    /// Those of some rows alone, rising.
    pub(super) fn of(&self, rows: impl Iterator<Item = usize>) -> Self {
        if self.groups.is_empty() {
            return Self::default();
        }
        let adapter = |row| self.groups.iter().find(|group| group.rows.contains(&row));
        Self::new(rows.map(|row| adapter(row).map(|group| &group.adapter)))
    }

    /// What they add to a product.
    pub(super) fn to(&self, what: impl Fn(&Adapter) -> &[LowRank]) -> Vec<Added<'_>> {
        let mut all = Vec::new();
        for Group { rows, adapter } in &self.groups {
            all.extend(what(adapter).iter().map(|low| Added::new(rows.clone(), low)));
        }
        all
    }

    /// What they add to a product of a layer.
    pub(super) fn at(
        &self,
        layer: usize,
        what: impl Fn(&AdapterLayer) -> &[LowRank],
    ) -> Vec<Added<'_>> {
        self.to(|adapter| adapter.layers().get(layer).map_or(&[], &what))
    }
}
