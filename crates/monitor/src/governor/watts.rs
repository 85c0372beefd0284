//! What a position is expected to draw.
//!
//! A device draws what it draws idle, and above that about as much more as a setting's share of full
//! power says. Both are learnt: the first while there is nothing to do, the second from what each
//! step drew, for reading and for writing apart. What a position itself was measured to draw counts
//! before that.

use std::time::Duration;

use super::measured::Measured;
use super::{Phase, Position};

/// Seconds over which less is believed; more is believed within a step or two.
const SLOW: f64 = 30.0;
/// Arithmetic draws about so much more than waiting for memory does; for a phase that was not seen yet.
const PROMPTS_TO_ANSWERS: f64 = 1.6;
/// Share of a first reading under work that is taken to be drawn idle, before that is known. Too much
/// is safe: a slower setting saves less than it seems then, so a slower one still is taken.
const IDLE_GUESS: f64 = 0.5;
/// Share of full power that must be asked for before a reading tells what it costs.
const TELLS: f64 = 0.03;

/// What is known of the watts.
#[derive(Clone, Debug, Default)]
pub(super) struct Draw {
    idle: Option<f64>,
    /// Watts of full speed above idle, when reading prompts and when writing answers.
    spans: [Option<f64>; 2],
}

impl Draw {
    /// Learns from a step in which `asked` of full power was asked for on average.
    pub(super) fn learn(&mut self, seconds: f64, watts: f64, asked: f64, phase: Phase) {
        if asked < TELLS {
            let idle = self.idle.unwrap_or(watts);
            // The least is idle: other work on the device only adds.
            let share = if watts < idle { 0.5 } else { seconds / (seconds + 4.0 * SLOW) };
            self.idle = Some(idle + (watts - idle) * share);
            return;
        }
        let idle = *self.idle.get_or_insert(watts * IDLE_GUESS);
        // A guess was too high.
        let idle = if watts < idle { *self.idle.insert(watts) } else { idle };
        let sample = (watts - idle) / asked.max(0.1);
        for index in of(phase) {
            let span = self.spans[index].get_or_insert(sample);
            let share = if sample > *span { 0.6 } else { seconds / (seconds + SLOW) };
            *span += (sample - *span) * share;
        }
    }

    /// Watts with nothing to do, if they are known or guessed.
    pub(super) fn idle(&self) -> Option<f64> {
        self.idle
    }

    /// Watts of a position in a phase; `None` before anything is known.
    pub(super) fn expect(
        &self,
        now: Duration,
        measured: &Measured,
        phase: Phase,
        position: &Position,
    ) -> Option<f64> {
        let idle = self.idle?;
        let [prompts, answers] = self.spans;
        let prompts_or = prompts.or(answers.map(|answers| answers * PROMPTS_TO_ANSWERS));
        let span = match phase {
            Phase::Prompts => prompts_or?,
            Phase::Answers => answers.or(prompts)?,
            Phase::Mixed => prompts_or?.max(answers.unwrap_or(0.0)),
        };
        let model = span * position.power;
        Some(match measured.get(now, phase, position) {
            Some(found) => idle + found.watts * found.weight + model * (1.0 - found.weight),
            None => idle + model,
        })
    }
}

/// The spans that a phase tells of. A mixture is nearer to reading, which draws more.
fn of(phase: Phase) -> std::ops::Range<usize> {
    match phase {
        Phase::Prompts | Phase::Mixed => 0..1,
        Phase::Answers => 1..2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::governor::{Ladder, Shape};

    #[test]
    fn a_device_is_learnt_in_seconds() {
        let ladder = Ladder::new(&Shape::new(4, 512));
        let measured = Measured::new(&ladder);
        let mut draw = Draw::default();
        let expect = |draw: &Draw, phase, index: usize| {
            draw.expect(Duration::ZERO, &measured, phase, ladder.at(index))
        };
        assert_eq!(expect(&draw, Phase::Answers, 0), None);
        for _ in 0..5 {
            draw.learn(1.0, 3.0, 0.0, Phase::Mixed);
        }
        // A quarter of full power costs 2 W above 3 W idle: all of it 8 W.
        for _ in 0..5 {
            draw.learn(1.0, 5.0, 0.25, Phase::Answers);
        }
        assert!((expect(&draw, Phase::Answers, 0).unwrap() - 11.0).abs() < 0.1);
        // Reading was not seen yet, and is taken to draw more.
        assert!(expect(&draw, Phase::Prompts, 0).unwrap() > 15.0);
        assert!(expect(&draw, Phase::Answers, ladder.bottom()).unwrap() < 4.0);
        // More is believed at once, less after a while.
        draw.learn(1.0, 7.0, 0.25, Phase::Answers);
        draw.learn(1.0, 7.0, 0.25, Phase::Answers);
        assert!(expect(&draw, Phase::Answers, 0).unwrap() > 17.0);
        draw.learn(1.0, 5.0, 0.25, Phase::Answers);
        assert!(expect(&draw, Phase::Answers, 0).unwrap() > 16.0);
    }

    #[test]
    fn no_reading_makes_a_forecast_that_is_no_number() {
        let ladder = Ladder::new(&Shape::new(4, 512));
        let measured = Measured::new(&ladder);
        let mut draw = Draw::default();
        for (watts, asked) in [(0.0, 1.0), (10_000.0, 0.03), (0.0, 0.0), (5.0, 1e-9), (1.0, 1.0)] {
            draw.learn(1.0, watts, asked, Phase::Mixed);
            let at = ladder.at(0);
            if let Some(watts) = draw.expect(Duration::ZERO, &measured, Phase::Mixed, at) {
                assert!(watts.is_finite() && watts >= 0.0, "{watts}");
            }
        }
    }
}
