//! Keeping what was read across restarts.

use std::fs::File;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rushlight_engine::{ErrorKind, Scheduler};

use super::{Degradation, run};

/// How long nothing happens before what was read is written, in case that the process is killed.
const QUIET: Duration = Duration::from_secs(30);
/// How long that is left at least: flash memory wears.
const PAUSE: Duration = Duration::from_secs(600);

/// What it is called in `/health`.
const WHAT: &str = "earlier texts";

/// A file that keeps what was read, so that it is not read again after a restart. It holds the texts
/// of requests as tokens, for the process's user alone.
#[derive(Clone, Debug)]
pub struct Kept {
    /// Where it is. Beside it a file that ends in `.lock` keeps other servers from it.
    pub path: PathBuf,
    /// Its size, at most.
    pub most_bytes: u64,
    /// What tells the model's weights from all others, such as their digest.
    pub weights: String,
}

/// Reads and writes the file, if there is to be one.
pub(super) struct Keeper {
    kept: Option<(Kept, File)>,
    /// Passes of the engine when it was read or written last.
    passes: u64,
    /// When it was written last.
    written: Option<Instant>,
}

impl Keeper {
    /// Reads what is there.
    pub(super) fn new(
        kept: Option<Kept>,
        scheduler: &mut Scheduler,
    ) -> (Self, Option<Degradation>) {
        let (kept, note) = match kept.map(lock) {
            None => (None, None),
            Some(Err(note)) => (None, Some(note)),
            Some(Ok((kept, lock))) => match scheduler.restore(&kept.weights, &kept.path) {
                Ok(_) => (Some((kept, lock)), None),
                // Something else is there, which is left as it is.
                Err(error) if error.kind() == ErrorKind::Option => (None, Some(note(&error))),
                Err(error) => (Some((kept, lock)), Some(note(&error))),
            },
        };
        (Self { kept, passes: scheduler.counts().passes, written: None }, note)
    }

    /// How long to wait for more to do before it is written; `None` if it need not be.
    pub(super) fn quiet(&self, scheduler: &Scheduler) -> Option<Duration> {
        let changed = self.kept.is_some() && scheduler.counts().passes != self.passes;
        let pause = self.written.map_or(Duration::ZERO, |at| PAUSE.saturating_sub(at.elapsed()));
        changed.then_some(QUIET.max(pause))
    }

    /// Writes it, if something changed and until it is `enough`. Says what failed.
    pub(super) fn write(
        &mut self,
        scheduler: &Scheduler,
        enough: &mut dyn FnMut() -> bool,
    ) -> Option<Degradation> {
        self.quiet(scheduler)?;
        let (Kept { path, most_bytes, weights }, _) = self.kept.as_ref()?;
        match scheduler.save(weights, path, *most_bytes, enough) {
            Ok(None) => None,
            Ok(Some(_)) => {
                (self.passes, self.written) = (scheduler.counts().passes, Some(Instant::now()));
                None
            }
            Err(error) => {
                self.written = Some(Instant::now());
                Some(note(&error))
            }
        }
    }
}

/// Keeps other servers from the file.
fn lock(kept: Kept) -> Result<(Kept, File), Degradation> {
    let mut path = kept.path.as_os_str().to_owned();
    path.push(".lock");
    let failed = |why: String| Degradation::new(WHAT, format!("{}: {why}", path.display()));
    let open = File::options().create(true).truncate(false).write(true).open(&path);
    let file = open.map_err(|error| failed(error.to_string()))?;
    match file.try_lock() {
        Ok(()) => Ok((kept, file)),
        Err(error) => Err(failed(format!("another server keeps them there ({error})"))),
    }
}

fn note(error: &rushlight_engine::Error) -> Degradation {
    let hint = error.hint().map_or(String::new(), |hint| format!("; {hint}"));
    Degradation::new(WHAT, run::chain(error) + &hint)
}
