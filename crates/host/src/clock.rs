//! The kernel's clocks that the standard library has not.

#![expect(unsafe_code, reason = "reads clocks that the standard library has not")]

use std::time::Duration;

/// One of the kernel's clocks (`clock_gettime(2)`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clock {
    /// Goes on from the start, and stands still while the machine sleeps.
    Monotonic,
    /// Goes on from the start, and while the machine sleeps.
    Boot,
    /// The time that processors worked for this process, all its threads together.
    Process,
}

impl Clock {
    /// What it shows.
    pub(crate) fn now(self) -> Duration {
        let id = match self {
            Self::Monotonic => libc::CLOCK_MONOTONIC,
            Self::Boot => libc::CLOCK_BOOTTIME,
            Self::Process => libc::CLOCK_PROCESS_CPUTIME_ID,
        };
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the pointer is to a `timespec` that lives during the call. The clock is one that every
        // Linux has, so that there is no failure, which would leave zeros.
        let _ = unsafe { libc::clock_gettime(id, &raw mut time) };
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_go_on() {
        for clock in [Clock::Monotonic, Clock::Boot] {
            let before = clock.now();
            std::thread::sleep(Duration::from_millis(10));
            let passed = clock.now() - before;
            assert!(passed >= Duration::from_millis(10), "{clock:?}: {passed:?}");
        }
        assert!(Clock::Boot.now() >= Clock::Monotonic.now() - Duration::from_millis(1));
        assert!(Clock::Process.now() > Duration::ZERO);
    }
}
