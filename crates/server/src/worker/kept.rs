//! Keeping what was read across restarts.

use std::path::PathBuf;
use std::time::Duration;

use rushlight_engine::Scheduler;

use super::{Degradation, run};

/// How long nothing happens before what was read is written, in case that the process is killed.
const QUIET: Duration = Duration::from_secs(30);

/// A file that keeps what was read, so that it is not read again after a restart. It holds the texts
/// of requests as tokens, for the process's user alone.
#[derive(Clone, Debug)]
pub struct Kept {
    /// Where it is.
    pub path: PathBuf,
    /// Its size, at most.
    pub most_bytes: u64,
    /// What tells the model's weights from all others, such as their digest.
    pub weights: String,
}

/// Reads and writes the file, if there is to be one.
pub(super) struct Keeper {
    kept: Option<Kept>,
    /// Passes of the engine when it was read or written last.
    passes: u64,
}

impl Keeper {
    /// Reads what is there.
    pub(super) fn new(
        kept: Option<Kept>,
        scheduler: &mut Scheduler,
    ) -> (Self, Option<Degradation>) {
        let read = kept.as_ref().map(|kept| scheduler.restore(&kept.weights, &kept.path));
        let note = read.and_then(Result::err).map(|error| note(&error));
        (Self { kept, passes: scheduler.counts().passes }, note)
    }

    /// How long to wait for more to do before it is written; `None` if it need not be.
    pub(super) fn quiet(&self, scheduler: &Scheduler) -> Option<Duration> {
        let changed = self.kept.is_some() && scheduler.counts().passes != self.passes;
        changed.then_some(QUIET)
    }

    /// Writes it, if something changed. Says what failed.
    pub(super) fn write(&mut self, scheduler: &Scheduler) -> Option<Degradation> {
        self.quiet(scheduler)?;
        self.passes = scheduler.counts().passes;
        let Kept { path, most_bytes, weights } = self.kept.as_ref()?;
        scheduler.save(weights, path, *most_bytes).err().map(|error| note(&error))
    }
}

fn note(error: &rushlight_engine::Error) -> Degradation {
    Degradation::new("earlier texts", run::chain(error))
}
