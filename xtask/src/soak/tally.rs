//! What clients saw.

use anyhow::{Result, bail};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

/// Counts by what happened, and what should not have.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    counts: BTreeMap<String, u64>,
    wrong: Vec<String>,
}

impl Tally {
    pub(super) fn count(&self, what: &str) {
        self.with(|inner| *inner.counts.entry(what.to_owned()).or_default() += 1);
    }

    /// Notes what should not have happened.
    pub(super) fn wrong(&self, what: String) {
        self.with(|inner| inner.wrong.push(what));
    }

    fn with<T>(&self, what: impl FnOnce(&mut Inner) -> T) -> T {
        what(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn describe(&self) -> String {
        self.with(|inner| {
            let mut text = String::new();
            for (what, count) in &inner.counts {
                let _ = writeln!(text, "{count:>8}  {what}");
            }
            for what in inner.wrong.iter().take(20) {
                let _ = writeln!(text, "WRONG: {what}");
            }
            text
        })
    }

    /// Fails when something was wrong, or no user was answered.
    pub(super) fn hold(&self) -> Result<()> {
        self.with(|inner| {
            if let Some(first) = inner.wrong.first() {
                bail!("{} things were wrong, the first: {first}", inner.wrong.len());
            }
            match inner.counts.get(ANSWERED) {
                Some(1..) => Ok(()),
                _ => bail!("no user was answered"),
            }
        })
    }
}

/// What the users are there for.
pub(super) const ANSWERED: &str = "asked and were answered";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_wrong_thing_fails() {
        let tally = Tally::default();
        assert!(tally.hold().is_err());
        tally.count(ANSWERED);
        tally.count(ANSWERED);
        tally.hold().unwrap();
        assert!(tally.describe().contains("2  asked"));
        tally.wrong("a 500".to_owned());
        assert!(tally.hold().unwrap_err().to_string().contains("a 500"));
    }
}
