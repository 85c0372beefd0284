//! Room for a model that is to be loaded.

use std::path::Path;
use std::sync::Arc;

use super::{Entry, Models};
use crate::metrics::Gone;
use crate::server::LAST;
use crate::worker::Worker;
use crate::{Error, ErrorKind};

impl Models {
    /// Lets models go until there is room for so many bytes more.
    ///
    /// Those that nobody uses go at once, whatever their priority is. Of those in use only models
    /// of no higher priority go, after their answers.
    pub(super) async fn make_room(&self, entry: &Entry, needs: u64) -> Result<(), Error> {
        if needs > self.budget {
            return Err(no_room(entry, needs, self.budget, "there are"));
        }
        let outcome = self.let_others_go(entry, needs).await;
        // There may be room although one that was to go has not gone yet.
        self.entries.iter().for_each(|entry| entry.stay());
        self.tell();
        outcome
    }

    async fn let_others_go(&self, entry: &Entry, needs: u64) -> Result<(), Error> {
        loop {
            let mut changed = self.changed.subscribe();
            let free = self.free();
            if needs <= free {
                return Ok(());
            }
            let standing = |e: &Arc<Entry>| Some((e.standing()?, e.clone()));
            let others = self.entries.iter().filter_map(standing);
            let may = others.filter(|(s, _)| !s.busy || s.priority <= entry.model.priority);
            let Some((standing, victim)) = may.min_by_key(|(standing, _)| *standing) else {
                return Err(no_room(entry, needs, free, "others leave"));
            };
            victim.retire();
            if let Some(worker) = victim.take_unused() {
                self.let_go(&victim, worker, Gone::Room).await;
            } else if standing.busy {
                // The sender is here.
                let _ = changed.changed().await;
            }
        }
    }

    /// Bytes that another model may take: of the budget, and of what the machine has now.
    fn free(&self) -> u64 {
        let taken: u64 = self.entries.iter().map(|entry| entry.bytes()).sum();
        let usable = rushlight_host::memory(Path::new("/")).usable_bytes();
        self.budget.saturating_sub(taken).min(usable)
    }

    /// Ends the engine of a model that nobody uses, which frees its memory.
    pub(super) async fn let_go(&self, entry: &Entry, worker: Worker, why: Gone) {
        worker.stop(LAST).await;
        entry.metrics.gone(why);
        self.tell();
    }
}

fn no_room(entry: &Entry, needs: u64, free: u64, whose: &str) -> Error {
    let mib = |bytes: u64| bytes.div_ceil(1 << 20);
    let message = format!(
        "`{}` needs `{}` MiB of memory, {whose} `{}` MiB",
        entry.model.name,
        mib(needs),
        free >> 20
    );
    Error::new(ErrorKind::Memory, message)
        .with_hint("a shorter context, a q8_0 cache or a smaller quantisation needs less")
}
