//! What others may know of the engine's thread without asking it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use rushlight_engine::Counts;

use super::{Degradation, Served};

/// What the thread tells.
pub(super) struct State {
    /// What the times below are since.
    start: Instant,
    /// Set once the model has written a token.
    served: OnceLock<Arc<Served>>,
    /// Why the thread ended, if it should not have.
    failure: OnceLock<String>,
    /// What is not as it should be now, beside what was so from the start.
    note: Mutex<Option<Degradation>>,
    stopping: AtomicBool,
    /// What was read is being written to its file, after all that there was to answer.
    saving: AtomicBool,
    /// When the present pass began, in microseconds since the start and one; 0 between passes.
    step_us: AtomicU64,
    counts: Mutex<Counts>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            start: Instant::now(),
            served: OnceLock::new(),
            failure: OnceLock::new(),
            note: Mutex::new(None),
            stopping: AtomicBool::new(false),
            saving: AtomicBool::new(false),
            step_us: AtomicU64::new(0),
            counts: Mutex::new(Counts::default()),
        }
    }
}

impl State {
    pub(super) fn serve(&self, served: Served) {
        // The thread loads one model.
        let _ = self.served.set(Arc::new(served));
    }

    pub(super) fn served(&self) -> Option<Arc<Served>> {
        self.served.get().cloned()
    }

    pub(super) fn fail(&self, why: String) {
        // The first failure is the one that ended it.
        let _ = self.failure.set(why);
    }

    pub(super) fn failure(&self) -> Option<&str> {
        self.failure.get().map(String::as_str)
    }

    /// Replaces what was noted before.
    pub(super) fn note(&self, note: Option<Degradation>) {
        *self.note.lock().unwrap_or_else(PoisonError::into_inner) = note;
    }

    pub(super) fn noted(&self) -> Option<Degradation> {
        self.note.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    pub(super) fn set_saving(&self, saving: bool) {
        self.saving.store(saving, Ordering::Release);
    }

    pub(super) fn is_saving(&self) -> bool {
        self.saving.load(Ordering::Acquire)
    }

    pub(super) fn begin_step(&self) {
        self.step_us.store(self.start.elapsed().as_micros() as u64 + 1, Ordering::Relaxed);
    }

    pub(super) fn end_step(&self) {
        self.step_us.store(0, Ordering::Relaxed);
    }

    pub(super) fn step_time(&self) -> Option<Duration> {
        let begin = self.step_us.load(Ordering::Relaxed).checked_sub(1)?;
        Some(self.start.elapsed().saturating_sub(Duration::from_micros(begin)))
    }

    pub(super) fn set_counts(&self, counts: Counts) {
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner) = counts;
    }

    pub(super) fn counts(&self) -> Counts {
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
