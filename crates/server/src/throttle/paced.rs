//! What an engine's thread does for the throttle, before and after each pass.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rushlight_engine::{Counts, Scheduler};

use super::Throttle;

/// The longest pause after a pass that reads: who asks meanwhile waits for it. Pieces of prompts are made
/// so small that a pause is no longer.
const USUAL_PAUSE: Duration = Duration::from_secs(4);
/// The longest pause after any pass, such as one that began before the share of time was this small.
const LONGEST_PAUSE: Duration = Duration::from_secs(20);
/// A pass with so many rows of prompts, or more than those that write, reads prompts, mostly. No piece of a
/// prompt that goes on is smaller.
const READS: u64 = 16;
/// Passes with so many rows of prompts tell how fast they are read.
const TELLS: u64 = 8;

/// The engine's side of a throttle; without one it does nothing.
pub(crate) struct Paced {
    throttle: Option<Throttle>,
    /// What of the throttle was taken up.
    version: u64,
    /// The most rows of a prompt in a pass, so that pauses are not long.
    rows: usize,
    /// Rows that passes which read take in a second, as was seen last.
    rows_per_second: Option<f64>,
    /// Requests that waited after the last pass.
    waiting: usize,
    /// Requests that ran before the last pass.
    running: usize,
    before: Counts,
    begin: Instant,
}

impl Paced {
    pub(crate) fn new(throttle: Option<Throttle>) -> Self {
        Self {
            throttle,
            version: 0,
            rows: usize::MAX,
            rows_per_second: None,
            waiting: 0,
            running: 0,
            before: Counts::default(),
            begin: Instant::now(),
        }
    }

    /// Tells what an engine has.
    pub(crate) fn loaded(&self, scheduler: &Scheduler) {
        let Some(throttle) = &self.throttle else { return };
        throttle.loaded(scheduler.engine().threads(), scheduler.engine().chunk());
    }

    /// Takes up what was said, before a pass.
    pub(crate) fn before(&mut self, scheduler: &mut Scheduler) {
        let Some(throttle) = &self.throttle else { return };
        let (version, mut pace, duty) = {
            let told = throttle.lock();
            (told.version, told.throttling.pace, throttle.duty(&told))
        };
        let rows = rows(duty, self.rows_per_second);
        if (version, rows) != (self.version, self.rows) {
            pace.prompt_rows = pace.prompt_rows.min(rows);
            scheduler.set_pace(pace);
            (self.version, self.rows) = (version, rows);
        }
        let counts = scheduler.counts();
        // Those that wait for a place are not read yet.
        let has_room = counts.running < self.running;
        if counts.queued > self.waiting || (counts.queued > 0 && has_room) {
            throttle.reads();
        }
        self.running = counts.running;
        self.before = counts;
        throttle.saw(&self.before);
        throttle.begin();
        self.begin = Instant::now();
    }

    /// Notes what a pass did, and pauses if that was said.
    pub(crate) fn after(&mut self, scheduler: &Scheduler, ran: bool) {
        let Some(throttle) = &self.throttle else { return };
        let took = self.begin.elapsed();
        let after = scheduler.counts();
        let since = |of: fn(&Counts) -> u64| of(&after).saturating_sub(of(&self.before));
        let rows = since(|counts| counts.batch_rows);
        let written = since(|counts| counts.answer_tokens);
        let guessed = since(|counts| counts.drafted_tokens);
        let wrong = guessed.saturating_sub(since(|counts| counts.accepted_tokens));
        let micros = took.as_micros() as u64;
        if ran {
            throttle.0.passes.fetch_add(micros, Ordering::Relaxed);
            throttle.0.tokens.fetch_add(rows.saturating_sub(wrong), Ordering::Relaxed);
            let prompts = rows.saturating_sub(written + wrong);
            if prompts >= READS || prompts > written {
                throttle.0.reading.fetch_add(micros, Ordering::Relaxed);
            } else {
                throttle.0.reads.store(false, Ordering::Relaxed);
            }
            if prompts >= TELLS {
                self.rows_per_second = Some(rows as f64 / took.as_secs_f64().max(1e-6));
            }
            if prompts == 0 {
                throttle.0.writing.fetch_add(micros, Ordering::Relaxed);
                throttle.0.written.fetch_add(written, Ordering::Relaxed);
            }
        }
        if scheduler.is_idle() {
            throttle.0.reads.store(false, Ordering::Relaxed);
        }
        self.waiting = after.queued;
        throttle.passed();
        if ran {
            throttle.pause(took);
        }
        throttle.saw(&after);
        throttle.end();
    }
}

/// The most rows of a prompt in a pass whose pause is to be a usual one: a power of two, so that it
/// does not change with each pass.
fn rows(duty: f64, rows_per_second: Option<f64>) -> usize {
    let (Some(speed), true) = (rows_per_second, duty < 1.0) else { return usize::MAX };
    let seconds = USUAL_PAUSE.as_secs_f64() * duty / (1.0 - duty);
    let most = (speed * seconds).clamp(1.0, 1e9) as usize;
    1 << most.ilog2()
}

impl Throttle {
    /// Pauses after a pass that took so long.
    fn pause(&self, pass: Duration) {
        let begin = Instant::now();
        let mut told = self.lock();
        loop {
            let duty = self.duty(&told);
            let pause = pass.mul_f64(1.0 / duty - 1.0).min(LONGEST_PAUSE);
            let left = pause.saturating_sub(begin.elapsed());
            if left.is_zero() {
                return;
            }
            // What is said meanwhile counts at once.
            let waited = self.0.changed.wait_timeout(told, left);
            told = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Governed, Throttling};
    use super::*;

    #[test]
    fn a_pause_is_as_long_as_the_share_says_and_ends_when_that_is_lifted() {
        let throttle = Throttle::new();
        let pause = |pass: u64| {
            let begin = Instant::now();
            throttle.pause(Duration::from_millis(pass));
            begin.elapsed().as_millis()
        };
        assert!(pause(1000) < 50);
        throttle.set(Throttling { duty: 0.5, ..Throttling::default() }, Governed::default());
        let half = pause(60);
        assert!((60..500).contains(&half), "{half}");
        throttle.set(Throttling { duty: 0.05, ..Throttling::default() }, Governed::default());
        let lifted = throttle.clone();
        let thread = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(50));
            lifted.set(Throttling::default(), Governed::default());
        });
        let cut = pause(1000);
        thread.join().unwrap();
        assert!((40..2000).contains(&cut), "{cut}");
    }

    #[test]
    fn pieces_are_so_small_that_pauses_are_not_long() {
        assert_eq!(rows(1.0, Some(20.0)), usize::MAX);
        assert_eq!(rows(0.05, None), usize::MAX);
        // 20 rows a second: 512 would take 26 s, and pause 486 s.
        assert_eq!(rows(0.05, Some(20.0)), 4);
        assert_eq!(rows(0.5, Some(20.0)), 64);
        assert_eq!(rows(0.05, Some(1e-9)), 1);
        assert_eq!(rows(0.9, Some(5000.0)), 131_072);
    }

    #[test]
    fn who_is_silent_is_not_followed_for_long() {
        let throttle = Throttle::watched(Duration::from_millis(100));
        let silent = || throttle.degradations().iter().any(|d| d.what.contains("fifth"));
        throttle.set(Throttling::default(), Governed::default());
        assert!(!silent());
        std::thread::sleep(Duration::from_millis(150));
        assert!(silent());
        let begin = Instant::now();
        throttle.pause(Duration::from_millis(20));
        assert!(begin.elapsed() >= Duration::from_millis(80));
        throttle.set(Throttling::default(), Governed::default());
        assert!(!silent());
    }

    #[test]
    fn places_shrink_to_no_less_than_one_and_low_priority_is_refused_first() {
        let throttle = Throttle::new();
        assert_eq!((throttle.places(100), throttle.check(-5).is_ok()), (100, true));
        let throttling = Throttling { queue: 0.25, refuses_batch: true, ..Throttling::default() };
        throttle
            .set(throttling, Governed { limited_by: Some("heat".into()), ..Default::default() });
        assert_eq!((throttle.places(100), throttle.places(1)), (25, 1));
        assert!(throttle.check(0).is_ok());
        let refused = throttle.check(-1).unwrap_err().to_json();
        assert_eq!(refused["error"]["code"], "slowed_down");
    }
}
