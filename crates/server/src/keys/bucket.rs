//! So much in a minute: a bucket that fills steadily, up to a minute's worth.

use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A bucket. What is spent without asking first may leave less than nothing in it.
#[derive(Debug)]
pub(crate) struct Bucket {
    per_minute: NonZeroU32,
    /// What was in it, and when.
    level: Mutex<(f64, Instant)>,
}

impl Bucket {
    /// A full one.
    pub(super) fn new(per_minute: NonZeroU32) -> Self {
        Self { per_minute, level: Mutex::new((full(per_minute), Instant::now())) }
    }

    /// What it gives in a minute.
    pub(crate) fn per_minute(&self) -> u32 {
        self.per_minute.get()
    }

    /// What is in it now; less than one is none.
    pub(crate) fn remaining(&self) -> u32 {
        self.at(Instant::now()).0 as u32
    }

    /// How long until it is full.
    pub(crate) fn full_in(&self) -> Duration {
        let level = self.at(Instant::now()).0;
        self.time_of(full(self.per_minute) - level)
    }

    /// Whether there is one in it; if not, how long until there is.
    pub(super) fn check(&self) -> Result<(), Duration> {
        let level = self.at(Instant::now()).0;
        if level >= 1.0 { Ok(()) } else { Err(self.time_of(1.0 - level)) }
    }

    /// Takes out so many, whether they are in it or not.
    pub(super) fn spend(&self, count: usize) {
        self.at(Instant::now()).0 -= count as f64;
    }

    /// What is in it at a time, from which it fills on.
    fn at(&self, now: Instant) -> MutexGuard<'_, (f64, Instant)> {
        let mut level = self.level.lock().unwrap_or_else(PoisonError::into_inner);
        let since = now.saturating_duration_since(level.1).as_secs_f64();
        let full = full(self.per_minute);
        *level = ((level.0 + since * full / 60.0).min(full), now);
        level
    }

    fn time_of(&self, count: f64) -> Duration {
        Duration::from_secs_f64(count.max(0.0) * 60.0 / full(self.per_minute))
    }
}

fn full(per_minute: NonZeroU32) -> f64 {
    f64::from(per_minute.get())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_fills_steadily_and_pays_its_debts() {
        let bucket = Bucket::new(NonZeroU32::new(60).unwrap());
        let begin = bucket.level.lock().unwrap().1;
        let level = |seconds: f64| bucket.at(begin + Duration::from_secs_f64(seconds)).0;
        let near = |found: f64, want: f64| assert!((found - want).abs() < 1e-6, "{found} {want}");
        near(level(10.0), 60.0);
        bucket.level.lock().unwrap().0 -= 60.0;
        near(level(10.5), 0.5);
        bucket.level.lock().unwrap().0 -= 30.0;
        near(level(12.5), -27.5);
        near(level(42.5), 2.5);
        near(level(500.0), 60.0);
        // A clock that other threads read earlier takes nothing back.
        near(level(499.0), 60.0);
    }

    #[test]
    fn what_is_not_there_is_waited_for() {
        let bucket = Bucket::new(NonZeroU32::new(6).unwrap());
        assert_eq!((bucket.remaining(), bucket.check()), (6, Ok(())));
        bucket.spend(6);
        let wait = bucket.check().unwrap_err();
        assert!(wait > Duration::from_secs(9) && wait <= Duration::from_secs(10), "{wait:?}");
        bucket.spend(6);
        let wait = bucket.full_in();
        assert!(wait > Duration::from_secs(119) && wait <= Duration::from_secs(120), "{wait:?}");
        assert_eq!(bucket.remaining(), 0);
    }
}
