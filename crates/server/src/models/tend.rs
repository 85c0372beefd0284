//! Lets models go that nobody has used for a while, and all that nobody uses while memory is short.

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Entry, Models};
use crate::metrics::Gone;

/// How often it is looked whether memory is short, while there is a model that may go.
const LOOK: Duration = Duration::from_secs(5);

/// Share of time, in per cent, in which everything that runs waits for memory, from which on models
/// that nobody uses go. Kernel: Documentation/accounting/psi.rst, `full`, over 10 seconds.
const PRESSURE: f32 = 10.0;

impl Models {
    /// Never ends. Without a model that may go it only waits to be told of one.
    pub(crate) async fn tend(&self) -> Infallible {
        loop {
            let mut changed = self.changed.subscribe();
            let unused: Vec<&Arc<Entry>> = self
                .entries
                .iter()
                .filter(|entry| entry.standing().is_some_and(|standing| !standing.busy))
                .collect();
            if unused.is_empty() {
                // The sender is here.
                let _ = changed.changed().await;
                continue;
            }
            let now = Instant::now();
            let next = unused.iter().filter_map(|entry| entry.goes()).min();
            let over = |entry: &&&Arc<Entry>| entry.goes().is_some_and(|goes| goes <= now);
            let oldest = || unused.iter().min_by_key(|entry| entry.standing());
            let (gone, why) = match unused.iter().find(over) {
                Some(entry) => (Some(entry), Gone::Idle),
                None if is_short() => (oldest(), Gone::Pressure),
                None => (None, Gone::Idle),
            };
            if let Some(entry) = gone {
                self.drop_unused(entry, why).await;
                continue;
            }
            let until = next.map_or(LOOK, |next| next - now).min(LOOK);
            let _ = tokio::time::timeout(until, changed.changed()).await;
        }
    }

    async fn drop_unused(&self, entry: &Entry, why: Gone) {
        let _turn = self.turn.lock().await;
        // It may have been used meanwhile.
        let still = why == Gone::Pressure || entry.goes().is_some_and(|at| at <= Instant::now());
        if let Some(worker) = still.then(|| entry.take_unused()).flatten() {
            self.let_go(entry, worker, why).await;
        }
    }
}

/// Whether memory is so short that everything waits for it.
fn is_short() -> bool {
    rushlight_host::memory_pressure(Path::new("/")).is_some_and(|share| share >= PRESSURE)
}
