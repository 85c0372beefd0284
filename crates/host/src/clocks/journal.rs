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
    /// Lines of an earlier process that could not be put back, and why not.
    left: String,
    pub(super) trouble: Option<Absent>,
}

impl Journal {
    /// Takes the file. What a process lowered that has ended without putting it back is put back first;
    /// what cannot be stays in the file.
    ///
    /// # Errors
    /// If another process has it, or there cannot be such a file.
    pub(super) fn open(tree: &Tree, path: &Path) -> Result<Self, Absent> {
        let beside = path.with_extension("lock");
        // Who may not write it can see whether somebody has it.
        let lock = File::open(&beside).or_else(|_| File::create(&beside));
        let lock = lock.map_err(|e| cannot(&beside, &e))?;
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
        let mut journal =
            Self { path: path.to_owned(), _lock: lock, left: String::new(), trouble: None };
        journal.recover(tree);
        Ok(journal)
    }

    /// Whether a process that runs has the file of this path.
    pub(super) fn is_held(path: &Path) -> bool {
        let lock = File::open(path.with_extension("lock"));
        lock.is_ok_and(|lock| matches!(lock.try_lock(), Err(TryLockError::WouldBlock)))
    }

    fn recover(&mut self, tree: &Tree) {
        let Ok(text) = fs::read_to_string(&self.path) else { return };
        for line in text.lines() {
            let parsed = line.split_once(' ').and_then(|(name, n)| Some((name, n.parse().ok()?)));
            // A name is no path.
            let Some(knob) = parsed.and_then(|(name, before)| Knob::named(name, before)) else {
                continue;
            };
            if let Err(absent) = knob.put_back(tree) {
                self.left += &format!("{line}\n");
                self.trouble = Some(absent);
            }
        }
        self.clear();
    }

    /// Writes what knobs are, before they are others: whole, or as it was.
    pub(super) fn note(&self, knobs: &[&Knob]) -> Result<(), Absent> {
        let mut text = format!("process {}\n{}", std::process::id(), self.left);
        for knob in knobs {
            text += &format!("{} {}\n", knob.name, knob.before);
        }
        self.write(&text).map_err(|e| cannot(&self.path, &e))
    }

    fn write(&self, text: &str) -> std::io::Result<()> {
        let partial = self.path.with_extension("partial");
        let mut file = File::create(&partial)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&partial, &self.path)
    }

    /// Takes the file away, but for what is left of an earlier process: all else is as it was.
    pub(super) fn clear(&self) {
        // One that stays is put back to the same values.
        let _ = match self.left.is_empty() {
            true => fs::remove_file(&self.path),
            false => self.write(&self.left),
        };
    }
}
