//! Readings on a thread of their own, so that a device that does not answer holds nothing up.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use rushlight_host::probe::{Absent, Reason};

/// How long an answer is waited for: most come in a millisecond, and a sample then has them at once.
const PATIENCE: Duration = Duration::from_millis(250);
/// The same for the first one, before which devices are found and their libraries started.
const FIRST: Duration = Duration::from_secs(1);
/// Intervals without an answer after which the last one is old, and the least and the most time that
/// these are.
const INTERVALS: f64 = 3.0;
const LEAST: Duration = Duration::from_secs(3);
const MOST: Duration = Duration::from_secs(30);

/// What asks a device on a thread of its own, and its last answer.
#[derive(Debug)]
pub(super) struct Watched<T> {
    questions: SyncSender<Instant>,
    answers: Receiver<(T, Duration)>,
    latest: Option<T>,
    /// When the question was asked that is not answered yet.
    asked: Option<Instant>,
    /// How long the next answer is waited for.
    patience: Duration,
}

impl<T: Send + 'static> Watched<T> {
    /// Asks by `read`, which gets the time of each question, on a thread of this name. The thread ends
    /// when this is dropped, or when the answer comes that it waits for then.
    ///
    /// # Errors
    ///
    /// If no thread can be started.
    pub(super) fn start(
        name: &str,
        mut read: impl FnMut(Instant) -> T + Send + 'static,
    ) -> Result<Self, Absent> {
        let (questions, asked) = sync_channel(1);
        let (answer, answers) = sync_channel(1);
        let work = move || {
            while let Ok(now) = asked.recv() {
                let begin = Instant::now();
                let told = read(now);
                if answer.send((told, begin.elapsed())).is_err() {
                    return;
                }
            }
        };
        std::thread::Builder::new().name(name.to_owned()).spawn(work).map_err(|error| Absent {
            reason: Reason::Driver,
            detail: format!("no thread to ask on: {error}"),
        })?;
        Ok(Self { questions, answers, latest: None, asked: None, patience: FIRST })
    }

    /// Asks, unless an answer is due still, and waits a moment for it.
    pub(super) fn ask(&mut self, now: Instant) {
        if self.asked.is_some() {
            self.take(Duration::ZERO);
        }
        if self.asked.is_none() {
            // If the thread has ended, that is an answer that does not come.
            let _ = self.questions.try_send(now);
            self.asked = Some(now);
            self.take(self.patience);
        }
    }

    /// Takes the answer that is due, if it comes within `patience`.
    pub(super) fn take(&mut self, patience: Duration) {
        if self.asked.is_some()
            && let Ok((told, took)) = self.answers.recv_timeout(patience)
        {
            // One that is slow each time is waited for by nobody: the next sample has its answer. The
            // first one tells nothing of that.
            let is_slow = took >= PATIENCE && self.latest.is_some();
            self.patience = if is_slow { Duration::ZERO } else { PATIENCE };
            self.latest = Some(told);
            self.asked = None;
        }
    }

    /// The last answer.
    pub(super) fn latest(&self) -> Option<&T> {
        self.latest.as_ref()
    }

    /// For how long there is no answer at `now`, if that is too long for intervals of `seconds`.
    pub(super) fn silent_for(&self, now: Instant, seconds: f64) -> Option<Duration> {
        let silent = now.saturating_duration_since(self.asked?);
        let bound = Duration::try_from_secs_f64(seconds * INTERVALS).unwrap_or(MOST);
        (silent >= bound.clamp(LEAST, MOST)).then_some(silent)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn a_device_that_hangs_holds_nothing_up_and_its_last_answer_stays() {
        let (go_on, wait) = channel();
        let mut count = 0;
        let read = move |_| {
            count += 1;
            if count == 2 {
                wait.recv().unwrap();
            }
            count
        };
        let mut watched = Watched::start("test", read).unwrap();
        let begin = Instant::now();
        let after = |seconds| begin + Duration::from_secs(seconds);
        watched.ask(begin);
        assert_eq!((watched.latest(), watched.silent_for(begin, 1.0)), (Some(&1), None));
        for second in 1..=13 {
            watched.ask(after(second));
        }
        assert!(begin.elapsed() < FIRST + PATIENCE * 3, "only the first question was waited for");
        assert_eq!(watched.latest(), Some(&1));
        assert_eq!(watched.silent_for(after(3), 1.0), None, "it is no more than slow");
        assert_eq!(watched.silent_for(after(13), 1.0), Some(Duration::from_secs(12)));
        assert_eq!(watched.silent_for(after(13), 10.0), None);
        assert!(watched.silent_for(after(3601), 3600.0).is_some());
        go_on.send(()).unwrap();
        watched.take(Duration::from_secs(60));
        assert_eq!((watched.latest(), watched.silent_for(after(14), 1.0)), (Some(&2), None));
    }

    #[test]
    fn a_slow_device_is_asked_again_without_waiting() {
        let read = |_| std::thread::sleep(PATIENCE * 4);
        let mut watched = Watched::start("test", read).unwrap();
        let begin = Instant::now();
        watched.ask(begin);
        watched.take(Duration::from_secs(60));
        assert_eq!((watched.latest(), watched.patience), (Some(&()), PATIENCE));
        for second in [1, 2] {
            watched.ask(begin + Duration::from_secs(second));
            assert!(watched.asked.is_some());
            watched.take(Duration::from_secs(60));
            assert!(watched.asked.is_none() && watched.patience.is_zero());
        }
    }

    #[test]
    fn one_that_panics_is_silent() {
        let mut watched =
            Watched::start("test", |_| -> u8 { std::panic::resume_unwind(Box::new(())) }).unwrap();
        let begin = Instant::now();
        for second in 0..5 {
            watched.ask(begin + Duration::from_secs(second));
        }
        assert_eq!(watched.latest(), None);
        let silent = watched.silent_for(begin + Duration::from_secs(4), 1.0);
        assert_eq!(silent, Some(Duration::from_secs(4)));
    }
}
