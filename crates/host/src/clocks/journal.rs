//! What knobs were, in a file, for the process that comes after a crash.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use super::knob::{Knob, cannot};
use crate::probe::{Absent, Reason, Tree};

/// Puts back what a process lowered that has ended without doing so.
pub(super) fn recover(tree: &Tree, journal: &Path) -> Result<(), Absent> {
    let Ok(text) = fs::read_to_string(journal) else { return Ok(()) };
    let mut lines = text.lines();
    let process = lines.next().and_then(|line| line.strip_prefix("process "));
    let process = process.and_then(|id| id.parse::<u32>().ok());
    let lives = process.is_some_and(|id| id != std::process::id() && is_ours(id));
    if lives {
        let detail = format!("another process holds the clocks, as `{}` says", journal.display());
        return Err(Absent { reason: Reason::Permission, detail });
    }
    let mut outcome = Ok(());
    for line in lines {
        let parsed = line.split_once(' ').and_then(|(name, n)| Some((name, n.parse().ok()?)));
        // A name is no path.
        let Some(knob) = parsed.and_then(|(name, before)| Knob::named(name, before)) else {
            continue;
        };
        // A processor may be off since; the others are put back all the same.
        match knob.restore(tree) {
            Err(absent) if absent.reason != Reason::NotFound => outcome = outcome.and(Err(absent)),
            _ => {}
        }
    }
    outcome?;
    fs::remove_file(journal).map_err(|e| cannot(journal, &e))
}

/// Whether a process of our name runs with this number.
fn is_ours(id: u32) -> bool {
    let name = |id: &str| fs::read_to_string(format!("/proc/{id}/comm")).ok();
    name(&id.to_string()).is_some_and(|comm| Some(comm) == name("self"))
}

/// Writes what the knobs are, before they are others.
pub(super) fn note<'a>(
    journal: &Path,
    knobs: impl Iterator<Item = &'a Knob>,
) -> std::io::Result<()> {
    let mut text = format!("process {}\n", std::process::id());
    for knob in knobs {
        text += &format!("{} {}\n", knob.name, knob.before);
    }
    let mut file = fs::File::create(journal)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}
