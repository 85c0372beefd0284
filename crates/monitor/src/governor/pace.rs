//! How fast positions may change.

use std::time::Duration;

/// How long a position is kept before a faster one is tried.
const DWELL: Duration = Duration::from_secs(10);
/// The longest that this grows when faster ones did not last.
const LONGEST: Duration = Duration::from_secs(80);
/// How long a position is kept before a slower one is taken, unless it is urgent: passes are to end,
/// and their power to be seen.
const SETTLE: Duration = Duration::from_secs(2);

/// When a position may change. A faster one that had to be left soon doubles the time until the next
/// try; one that lasts halves it again.
#[derive(Clone, Debug)]
pub(super) struct Pace {
    dwell: Duration,
    changed: Option<Duration>,
    /// When a faster position was last taken, if it has not yet proved itself.
    tried: Option<Duration>,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self { dwell: DWELL, changed: None, tried: None }
    }

    /// Whether a slower position may be taken.
    pub(super) fn may_slow(&self, now: Duration) -> bool {
        self.changed.is_none_or(|at| now.saturating_sub(at) >= SETTLE)
    }

    /// Whether a faster position may be taken.
    pub(super) fn may_quicken(&self, now: Duration) -> bool {
        self.changed.is_none_or(|at| now.saturating_sub(at) >= self.dwell)
    }

    /// Whether a faster position is to be the next one: the last try did not last.
    pub(super) fn is_wary(&self) -> bool {
        self.dwell > DWELL
    }

    /// Says that nothing was changed.
    pub(super) fn kept(&mut self, now: Duration) {
        if self.tried.is_some_and(|at| now.saturating_sub(at) >= 2 * self.dwell) {
            self.tried = None;
            self.dwell = (self.dwell / 2).max(DWELL);
        }
    }

    /// Says that a slower position was taken; `is_regular` if it was for the same limit that the
    /// faster one was tried under.
    pub(super) fn slowed(&mut self, now: Duration, is_regular: bool) {
        if self.tried.take().is_some() && is_regular {
            self.dwell = (self.dwell * 2).min(LONGEST);
        }
        self.changed = Some(now);
    }

    /// Says that a faster position was taken.
    pub(super) fn quickened(&mut self, now: Duration) {
        self.tried = Some(now);
        self.changed = Some(now);
    }

    /// The limits are others now: what was learnt of them does not count.
    pub(super) fn forget(&mut self) {
        self.dwell = DWELL;
        self.tried = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_that_do_not_last_become_rare_and_those_that_do_frequent() {
        let mut pace = Pace::new();
        let (mut now, mut waits) = (Duration::ZERO, Vec::new());
        let second = Duration::from_secs(1);
        pace.slowed(now, true);
        for _ in 0..7 {
            let start = now;
            while !pace.may_quicken(now) {
                now += second;
                pace.kept(now);
            }
            waits.push((now - start).as_secs());
            pace.quickened(now);
            now += 3 * second;
            assert!(pace.may_slow(now));
            pace.slowed(now, true);
        }
        assert_eq!(waits, [10, 20, 40, 80, 80, 80, 80]);
        // A try that lasts.
        now += LONGEST;
        pace.quickened(now);
        assert!(!pace.may_slow(now + second));
        now += 2 * LONGEST;
        pace.kept(now);
        assert_eq!(pace.dwell, LONGEST / 2);
    }
}
