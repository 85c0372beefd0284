//! What knobs were, in a file, for the process that comes after a crash.

use std::fs::{self, File, TryLockError};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::knob::{Knob, cannot};
use crate::probe::{Absent, Reason, Tree};

/// The file, which one process has at a time.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    /// A file beside it that is locked as long as this lives, and stays.
    pub(super) _lock: File,
}

impl Journal {
    /// Takes the file. What a process lowered that has ended without putting it back is put back first.
    ///
    /// # Errors
    /// If another process has it, or what it says cannot be put back.
    pub(super) fn open(tree: &Tree, path: &Path) -> Result<Self, Absent> {
        let beside = path.with_extension("lock");
        let lock = File::create(&beside).map_err(|e| cannot(&beside, &e))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let holder = fs::read_to_string(path).unwrap_or_default();
                let holder = holder.lines().next().unwrap_or("process").to_owned();
                let detail = format!("another {holder} holds the clocks: `{}`", beside.display());
                return Err(Absent { reason: Reason::Permission, detail });
            }
            Err(TryLockError::Error(error)) => return Err(cannot(&beside, &error)),
        }
        let journal = Self { path: path.to_owned(), _lock: lock };
        journal.recover(tree)?;
        Ok(journal)
    }

    fn recover(&self, tree: &Tree) -> Result<(), Absent> {
        let Ok(text) = fs::read_to_string(&self.path) else { return Ok(()) };
        let mut outcome = Ok(());
        for line in text.lines() {
            let parsed = line.split_once(' ').and_then(|(name, n)| Some((name, n.parse().ok()?)));
            // A name is no path.
            if let Some(knob) = parsed.and_then(|(name, before)| Knob::named(name, before)) {
                outcome = outcome.and(knob.put_back(tree));
            }
        }
        outcome?;
        fs::remove_file(&self.path).map_err(|e| cannot(&self.path, &e))
    }

    /// Writes what knobs are, before they are others: whole, or as it was.
    pub(super) fn note(&self, knobs: &[&Knob]) -> Result<(), Absent> {
        let mut text = format!("process {}\n", std::process::id());
        for knob in knobs {
            text += &format!("{} {}\n", knob.name, knob.before);
        }
        let partial = self.path.with_extension("partial");
        let written = || {
            let mut file = File::create(&partial)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&partial, &self.path)
        };
        written().map_err(|e| cannot(&self.path, &e))
    }

    /// Takes the file away: all is as it was.
    pub(super) fn clear(&self) {
        // One that stays is put back to the same values.
        let _ = fs::remove_file(&self.path);
    }
}
