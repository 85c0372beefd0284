//! A move along the ladder.

use std::time::Duration;

/// A move along the ladder, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// When, on the clock of the governor's steps.
    pub time: Duration,
    /// The position that was left; 0 is full speed.
    pub from: usize,
    /// The position that was taken.
    pub to: usize,
    /// What the position that was taken is called.
    pub setting: String,
    /// Why, in a few words without a full stop.
    pub why: String,
}

impl std::fmt::Display for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let way = if self.to > self.from { "slower" } else { "faster" };
        write!(f, "{way}: {} (step {} to {}): {}", self.setting, self.from, self.to, self.why)
    }
}
