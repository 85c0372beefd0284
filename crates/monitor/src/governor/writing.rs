//! The clock at which answers are written.
//!
//! Reading prompts is bound by arithmetic, which goes with the clock; writing answers by memory, which does
//! not. How far the clock can fall while answers are written before they come slower depends on the device
//! and on how many are written at once, so it is found out there: seconds at full clock and seconds at a
//! lower one take turns, and the lower one is kept if its tokens per second are nearly those of the full one.

/// The least share of full clock's tokens per second that a lower clock must bring.
const LEAST_SPEED: f64 = 0.97;
/// Seconds at each of two clocks that are compared.
const SECONDS: usize = 5;
/// Seconds of writing after which a clock is compared again.
const AGAIN: u32 = 600;
/// Numbers of answers at once that are told apart: 1, 2 to 3, 4 to 7, and so on.
const CLASSES: usize = 7;

/// A second of nothing but writing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Second {
    /// Tokens per second of passes, pauses not counted.
    pub(super) tokens_per_second: f64,
    /// Answers that were written at once.
    pub(super) users: usize,
}

/// Finds the clock for writing.
#[derive(Clone, Debug)]
pub(super) struct Writing {
    /// Clocks below the full one, as shares of it, falling.
    clocks: Vec<f64>,
    classes: [Class; CLASSES],
    /// The class of the present answers.
    class: usize,
}

/// What is known for a number of answers.
#[derive(Clone, Debug, Default)]
struct Class {
    /// How many of the clocks were gone down.
    chosen: usize,
    trial: Option<Trial>,
    /// Seconds of writing until the next trial.
    rest: u32,
}

/// A comparison of a clock with the full one.
#[derive(Clone, Debug, Default)]
struct Trial {
    /// One more than the index of the clock.
    candidate: usize,
    /// Tokens per second at the full clock, and at this one.
    seen: [Vec<f64>; 2],
    /// Which of them is in force.
    turn: usize,
}

impl Writing {
    pub(super) fn new(clocks: Vec<f64>) -> Self {
        Self { clocks, classes: Default::default(), class: 0 }
    }

    /// The clock for the next second in which answers are written, no higher than `most`. `second` is the
    /// last one if all of it was writing, at the clock that was told before.
    pub(super) fn step(&mut self, second: Option<Second>, most: f64) -> f64 {
        if let Some(second) = second {
            let class = (second.users.max(1).ilog2() as usize).min(CLASSES - 1);
            // One that is another than before was not written at the clock of its class.
            if class == self.class {
                let clocks = &self.clocks;
                self.classes[class].learn(second.tokens_per_second, clocks, most);
            }
            self.class = class;
        }
        let clock = |down: usize| match down.checked_sub(1) {
            Some(index) => self.clocks.get(index).copied().unwrap_or(1.0),
            None => 1.0,
        };
        let class = &self.classes[self.class];
        let chosen = match &class.trial {
            Some(trial) if trial.turn == 0 => 1.0,
            Some(trial) => clock(trial.candidate),
            None => clock(class.chosen),
        };
        chosen.min(most)
    }
}

impl Class {
    fn learn(&mut self, tokens_per_second: f64, clocks: &[f64], most: f64) {
        let Some(trial) = &mut self.trial else {
            self.rest = self.rest.saturating_sub(1);
            if self.rest == 0 {
                // What held before may not any more.
                self.begin(self.chosen.max(1), clocks, most);
            }
            return;
        };
        trial.seen[trial.turn].push(tokens_per_second);
        let [full, lower] = trial.seen.each_ref().map(Vec::len);
        if full < SECONDS || lower < SECONDS {
            // Each goes first every other time: what changes slowly tells of neither.
            trial.turn = if full == lower { trial.turn } else { usize::from(full > lower) };
            return;
        }
        let [full, lower] = trial.seen.each_mut().map(|seen| median(seen));
        let candidate = trial.candidate;
        self.trial = None;
        if lower >= full * LEAST_SPEED {
            self.chosen = candidate;
            self.begin(candidate + 1, clocks, most);
        } else if candidate > self.chosen {
            self.rest = AGAIN;
        } else {
            self.chosen = candidate - 1;
            self.begin(self.chosen, clocks, most);
        }
    }

    /// Compares a clock with the full one; rests if there is none to compare.
    fn begin(&mut self, candidate: usize, clocks: &[f64], most: f64) {
        let clock = candidate.checked_sub(1).and_then(|index| clocks.get(index));
        // Where a limit has it lower anyway, there is nothing to find out.
        let is_open = clock.is_some_and(|clock| *clock < most);
        self.trial = is_open.then(|| Trial { candidate, ..Trial::default() });
        self.rest = AGAIN;
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a device writes at a clock: as much as at the full one down to some clock.
    fn written(clock: f64, enough: f64) -> f64 {
        20.0 * (clock / enough).min(1.0)
    }

    /// Plays so many seconds; gives the clock of the last one and how many were below full.
    fn play(writing: &mut Writing, seconds: usize, users: usize, enough: f64) -> f64 {
        let mut clock = writing.step(None, 1.0);
        for n in 0..seconds {
            // It gets slower as texts get longer, which is no fault of the clock.
            let tokens = written(clock, enough) * (1.0 - n as f64 * 1e-4);
            clock = writing.step(Some(Second { tokens_per_second: tokens, users }), 1.0);
        }
        clock
    }

    #[test]
    fn the_lowest_clock_that_costs_nothing_is_found_for_each_number_of_answers() {
        let mut writing = Writing::new(vec![0.9, 0.8, 0.7, 0.6, 0.5]);
        assert_eq!(writing.step(None, 1.0), 1.0);
        assert_eq!(play(&mut writing, 100, 1, 0.7), 0.7);
        // Many answers at once are nearer to arithmetic.
        assert_eq!(play(&mut writing, 100, 16, 0.9), 0.9);
        assert_eq!(play(&mut writing, 3, 1, 0.7), 0.7);
        // A limit goes below.
        let second = Second { tokens_per_second: 20.0, users: 1 };
        assert_eq!(writing.step(Some(second), 0.5), 0.5);
        // The device is another one now: that is found out after a while.
        assert_eq!(play(&mut writing, 800, 1, 0.9), 0.9);
        assert_eq!(play(&mut Writing::new(Vec::new()), 100, 1, 0.5), 1.0);
        assert_eq!(play(&mut Writing::new(vec![0.9]), 100, 1, 1.0), 1.0);
    }

    #[test]
    fn seconds_that_were_not_all_writing_tell_nothing() {
        let mut writing = Writing::new(vec![0.9]);
        for _ in 0..100 {
            assert_eq!(writing.step(None, 1.0), 1.0);
        }
        for n in 0..40 {
            let second = Second { tokens_per_second: f64::from(n % 7), users: 0 };
            let clock = writing.step((n % 3 == 0).then_some(second), 1.0);
            assert!(clock == 1.0 || clock == 0.9);
        }
    }
}
