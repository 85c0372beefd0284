//! Lets models go that nobody has used for a while, and what memory is too short for.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use futures_util::future::{Either, FutureExt as _, select};
use rushlight_host::PressureAlarm;
use tokio::sync::Notify;

use super::shed::Looking;
use super::{Entry, Models};
use crate::metrics::Gone;

impl Models {
    /// Never ends. Without a model that is loaded it only waits to be told of one.
    pub(crate) async fn tend(&self) -> Infallible {
        let options = &self.options;
        let mut looking =
            Looking::new(&options.machine, options.promise_bytes, options.memory_look);
        let rings = Arc::new(Notify::new());
        let ring = rings.clone();
        let _alarm = PressureAlarm::set(&options.machine, move || ring.notify_one());
        loop {
            let mut changed = self.changed.subscribe();
            if !self.sheds() && self.entries.iter().all(|entry| entry.handle().is_none()) {
                // The sender is here.
                let _ = changed.changed().await;
                // What rang meanwhile is over.
                let _ = rings.notified().now_or_never();
                continue;
            }
            let now = Instant::now();
            let goes = |entry: &Arc<Entry>| entry.goes();
            let over = |entry: &&Arc<Entry>| entry.goes().is_some_and(|goes| goes <= now);
            if let Some(entry) = self.entries.iter().find(over) {
                self.drop_unused(entry, Gone::Idle).await;
                continue;
            }
            let mut until = looking.due(self);
            if until.is_zero() {
                self.look(&mut looking).await;
                until = looking.due(self);
            }
            if let Some(next) = self.entries.iter().filter_map(goes).min() {
                until = until.min(next.saturating_duration_since(now));
            }
            let (told, ring) = (changed.changed(), rings.notified());
            let (told, ring) = (pin!(told), pin!(ring));
            if let Ok(Either::Right(_)) = tokio::time::timeout(until, select(told, ring)).await {
                looking.alert();
            }
        }
    }

    /// Lets a model go if nobody uses it; whether it could be tried. While memory is short it is not
    /// waited for one that is being loaded.
    pub(super) async fn drop_unused(&self, entry: &Entry, why: Gone) -> bool {
        let _turn = match why {
            Gone::Pressure => match self.turn.try_lock() {
                Ok(turn) => turn,
                Err(_) => return false,
            },
            _ => self.turn.lock().await,
        };
        // It may have been used meanwhile.
        let still = why == Gone::Pressure || entry.goes().is_some_and(|at| at <= Instant::now());
        if let Some(worker) = still.then(|| entry.take_unused()).flatten() {
            self.let_go(entry, worker, why).await;
        }
        true
    }
}
