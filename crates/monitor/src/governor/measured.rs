//! What settings were measured to draw and to do, without pauses: what pauses save is known.

use std::time::Duration;

use super::{Ladder, Phase, Position};

/// After so many seconds of work a measurement is believed.
const BELIEVED: f64 = 4.0;
/// The share of a step in which passes must run for the step to tell anything.
const LEAST_RUNNING: f64 = 1e-3;
/// The share from which on more watts are believed at once: those of a moment are uncertain.
const QUICK_RUNNING: f64 = 0.3;
/// Seconds over which measurements are averaged.
const AVERAGE: f64 = 8.0;
/// Seconds after which a measurement counts little: the load may be another one by then.
const STALE: f64 = 300.0;

/// What a setting was measured to do.
#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    /// Above idle.
    watts: f64,
    tokens_per_second: f64,
    /// Seconds of work that were seen.
    seconds: f64,
    at: Duration,
}

/// For each phase and each setting without pauses what was measured.
#[derive(Clone, Debug)]
pub(super) struct Measured {
    entries: [Vec<Entry>; 2],
}

/// A measurement, and how far to believe it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    /// Above idle.
    pub(super) watts: f64,
    pub(super) tokens_per_second: f64,
    /// From 0 to 1.
    pub(super) weight: f64,
}

impl Measured {
    pub(super) fn new(ladder: &Ladder) -> Self {
        let entries = vec![Entry::default(); ladder.positions().len()];
        Self { entries: [entries.clone(), entries] }
    }

    /// Notes what `position` did in a step full of work of one phase: watts above idle, and tokens per
    /// second; passes ran for a share of `running`.
    pub(super) fn note(
        &mut self,
        now: Duration,
        seconds: f64,
        (phase, position): (Phase, &Position),
        (watts, tokens_per_second): (f64, f64),
        running: f64,
    ) {
        let Some(index) = index(phase) else { return };
        let Some(entry) = self.entries[index].get_mut(position.base) else { return };
        // Of a pause nothing is learnt.
        let duty = running.min(1.0);
        let seconds = seconds * duty;
        if duty < LEAST_RUNNING {
            return;
        }
        let (watts, tokens_per_second) = (watts.max(0.0) / duty, tokens_per_second / duty);
        let fresh = entry.seconds == 0.0 || age(now, entry.at) > STALE;
        if fresh {
            *entry = Entry { watts, tokens_per_second, seconds: 0.0, at: now };
        }
        // What draws more than was known is believed at once: a limit may be near.
        // Each second of passes counts alike at first: the tokens of a long one come at its end.
        let share = seconds / (seconds + entry.seconds.min(AVERAGE));
        let is_sure = watts > entry.watts && running >= QUICK_RUNNING;
        let quick = if is_sure { share.max(0.5) } else { share };
        entry.watts += (watts - entry.watts) * quick;
        entry.tokens_per_second += (tokens_per_second - entry.tokens_per_second) * share;
        entry.seconds += seconds;
        entry.at = now;
    }

    /// What is known of a position; in a mixed phase the greater watts of both.
    pub(super) fn get(&self, now: Duration, phase: Phase, position: &Position) -> Option<Found> {
        let duty = position.setting.duty;
        let one = |index: usize| {
            let entry = self.entries[index].get(position.base).filter(|e| e.seconds > 0.0)?;
            let old = (-age(now, entry.at) / STALE).exp();
            let weight = old * (entry.seconds / BELIEVED).min(1.0);
            let (watts, tokens_per_second) = (entry.watts * duty, entry.tokens_per_second * duty);
            Some(Found { watts, tokens_per_second, weight })
        };
        match index(phase) {
            Some(index) => one(index),
            // A mixture writes neither as many tokens as the one nor as few as the other.
            None => {
                let both = [one(0)?, one(1)?];
                let greater = if both[0].watts > both[1].watts { both[0] } else { both[1] };
                Some(Found { weight: both[0].weight.min(both[1].weight), ..greater })
            }
        }
    }
}

fn index(phase: Phase) -> Option<usize> {
    match phase {
        Phase::Prompts => Some(0),
        Phase::Answers => Some(1),
        Phase::Mixed => None,
    }
}

fn age(now: Duration, then: Duration) -> f64 {
    now.saturating_sub(then).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::governor::Shape;

    #[test]
    fn phases_are_apart_and_old_measurements_fade() {
        let ladder = Ladder::new(&Shape::new(4, 512));
        let (full, paused) = (ladder.at(0), ladder.at(1));
        assert_eq!((paused.base, paused.setting.duty), (0, 0.9));
        let mut measured = Measured::new(&ladder);
        let second = Duration::from_secs;
        for n in 0..20 {
            measured.note(second(n), 1.0, (Phase::Prompts, full), (9.0, 100.0), 1.0);
            measured.note(second(n), 1.0, (Phase::Mixed, full), (50.0, 1.0), 1.0);
        }
        let found = measured.get(second(20), Phase::Prompts, full).unwrap();
        assert!((found.watts - 9.0).abs() < 1e-9 && found.weight > 0.9, "{found:?}");
        // With pauses it draws and does less, which need not be measured.
        let found = measured.get(second(20), Phase::Prompts, paused).unwrap();
        assert!((found.watts - 8.1).abs() < 1e-9, "{found:?}");
        assert!((found.tokens_per_second - 90.0).abs() < 1e-9, "{found:?}");
        assert!(measured.get(second(20), Phase::Answers, full).is_none());
        assert!(measured.get(second(20), Phase::Mixed, full).is_none());
        assert!(measured.get(second(20), Phase::Prompts, ladder.at(2)).is_none());
        let later = measured.get(second(2000), Phase::Prompts, full).unwrap();
        assert!(later.weight < 0.01, "{later:?}");
        measured.note(second(2000), 1.0, (Phase::Prompts, full), (5.0, 50.0), 1.0);
        let anew = measured.get(second(2000), Phase::Prompts, full).unwrap();
        assert_eq!((anew.watts, anew.tokens_per_second), (5.0, 50.0));
        // A pass of two seconds and a bit whose tokens come at its end, and a pause.
        let pass = [(9.0, 0.0, 1.0), (9.0, 0.0, 1.0), (0.9, 210.0, 0.1), (0.0, 0.0, 0.0)];
        for (n, (watts, tokens, running)) in pass.into_iter().enumerate() {
            let (now, place) = (second(5000 + n as u64), (Phase::Prompts, paused));
            measured.note(now, 1.0, place, (watts, tokens), running);
        }
        let passes = measured.get(second(5003), Phase::Prompts, full).unwrap();
        assert!((passes.watts - 9.0).abs() < 1e-9, "{passes:?}");
        assert!((passes.tokens_per_second - 100.0).abs() < 1e-9, "{passes:?}");
    }
}
