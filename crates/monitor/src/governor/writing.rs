//! The clock at which answers are written.
//!
//! Reading prompts is bound by arithmetic, which goes with the clock; writing answers by memory, which does
//! not. How far the clock can fall while answers are written before they come slower depends on the device
//! and on how many are written at once, so it is found out there: seconds at full clock and seconds at a
//! lower one take turns, and the lower one is kept if its tokens per second are nearly those of the full one.

use super::Ladder;

/// The least share of full clock's tokens per second that a lower clock must bring.
const LEAST_SPEED: f64 = 0.97;
/// Which of the two clocks is in force: each goes first once, so that what changes slowly tells of neither.
const TURNS: [usize; 4] = [0, 1, 1, 0];
/// Seconds of a turn; the first is left out, since a pass may have begun at the other clock.
const SECONDS: u32 = 6;
/// Seconds of writing after which a clock is compared again.
const AGAIN: u32 = 600;
/// The same where nothing could be compared.
const SOON: u32 = 10;
/// Numbers of answers at once that are told apart: 1, 2 to 3, 4 to 7, and so on.
const CLASSES: usize = 7;

/// A second of nothing but writing: the passes that ended in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Second {
    pub(super) tokens: f64,
    /// How long they took.
    pub(super) seconds: f64,
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
    /// Tokens and seconds of passes at the full clock, and at this one.
    seen: [(f64, f64); 2],
    turn: usize,
    /// Seconds of this turn so far.
    second: u32,
}

impl Writing {
    /// With the clocks of a ladder.
    pub(super) fn of(ladder: &Ladder) -> Self {
        let mut clocks: Vec<f64> = ladder.positions().iter().map(|p| p.setting.clock).collect();
        clocks.dedup();
        Self::new(clocks.into_iter().filter(|clock| *clock < 1.0).collect())
    }

    fn new(clocks: Vec<f64>) -> Self {
        Self { clocks, classes: Default::default(), class: 0 }
    }

    /// The clock for the next second in which answers are written, no higher than `most`. `second` is the
    /// last one if all of it was writing, at the clock that was told before.
    pub(super) fn step(&mut self, second: Option<Second>, most: f64) -> f64 {
        // A limit that lowers the clock leaves nothing to compare.
        let is_free = most >= 1.0;
        if !is_free {
            self.classes.iter_mut().for_each(Class::give_up);
        }
        if let Some(second) = second {
            let class = (second.users.max(1).ilog2() as usize).min(CLASSES - 1);
            // One that is another than before was not written at the clock of its class.
            if class == self.class && is_free {
                self.classes[class].learn(second, self.clocks.len());
            }
            self.class = class;
        }
        let clock = |down: usize| match down.checked_sub(1) {
            Some(index) => self.clocks.get(index).copied().unwrap_or(1.0),
            None => 1.0,
        };
        let class = &self.classes[self.class];
        let chosen = match &class.trial {
            Some(trial) if TURNS[trial.turn] == 0 => 1.0,
            Some(trial) => clock(trial.candidate),
            None => clock(class.chosen),
        };
        chosen.min(most)
    }
}

impl Class {
    fn give_up(&mut self) {
        if self.trial.take().is_some() {
            self.rest = SOON;
        }
    }

    fn learn(&mut self, second: Second, clocks: usize) {
        let Some(trial) = &mut self.trial else {
            self.rest = self.rest.saturating_sub(1);
            if self.rest == 0 {
                // What held before may not any more.
                self.begin(self.chosen.max(1), clocks);
            }
            return;
        };
        trial.second += 1;
        if trial.second > 1 {
            let (tokens, seconds) = &mut trial.seen[TURNS[trial.turn]];
            *tokens += second.tokens;
            *seconds += second.seconds;
        }
        if trial.second < SECONDS {
            return;
        }
        (trial.turn, trial.second) = (trial.turn + 1, 0);
        if trial.turn < TURNS.len() {
            return;
        }
        let [full, lower] = trial.seen.map(|(tokens, seconds)| tokens / seconds.max(1e-9));
        let candidate = trial.candidate;
        self.trial = None;
        if lower >= full * LEAST_SPEED {
            self.chosen = candidate;
            self.begin(candidate + 1, clocks);
        } else if candidate > self.chosen {
            self.rest = AGAIN;
        } else {
            self.chosen = candidate - 1;
            self.begin(self.chosen, clocks);
        }
    }

    /// Compares a clock with the full one; rests if there is none to compare.
    fn begin(&mut self, candidate: usize, clocks: usize) {
        let is_one = (1..=clocks).contains(&candidate);
        self.trial = is_one.then(|| Trial { candidate, ..Trial::default() });
        self.rest = AGAIN;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A device that writes so many tokens per second down to a clock, and slower below. Tokens are whole
    /// ones: they come when their pass ends.
    struct Made {
        full: f64,
        enough: f64,
        /// What of the next token is done, and how long it took.
        done: (f64, f64),
    }

    impl Made {
        fn new(full: f64, enough: f64) -> Self {
            Self { full, enough, done: (0.0, 0.0) }
        }

        /// A second at a clock.
        fn write(&mut self, clock: f64, users: usize) -> Second {
            let speed = self.full * (clock / self.enough).min(1.0);
            let (mut tokens, mut seconds, mut left) = (0.0, 0.0, 1.0);
            loop {
                let needs = (1.0 - self.done.0) / speed;
                if needs > left {
                    self.done = (self.done.0 + left * speed, self.done.1 + left);
                    return Second { tokens, seconds, users };
                }
                (tokens, seconds, left) =
                    (tokens + 1.0, seconds + self.done.1 + needs, left - needs);
                self.done = (0.0, 0.0);
            }
        }
    }

    /// Plays so many seconds; gives the clock of the last one.
    fn play(writing: &mut Writing, seconds: usize, users: usize, device: &mut Made) -> f64 {
        let mut clock = writing.step(None, 1.0);
        for _ in 0..seconds {
            // It gets slower as texts get longer, which is no fault of the clock.
            device.full *= 0.9999;
            clock = writing.step(Some(device.write(clock, users)), 1.0);
        }
        clock
    }

    #[test]
    fn the_lowest_clock_that_costs_nothing_is_found_for_each_number_of_answers() {
        for full in [2.4, 4.4, 17.0, 300.0] {
            let mut writing = Writing::new(vec![0.9, 0.8, 0.7, 0.6, 0.5]);
            assert_eq!(writing.step(None, 1.0), 1.0);
            assert_eq!(play(&mut writing, 150, 1, &mut Made::new(full, 0.7)), 0.7, "{full}");
            // Many answers at once are nearer to arithmetic.
            assert_eq!(play(&mut writing, 150, 16, &mut Made::new(full, 0.9)), 0.9, "{full}");
            assert_eq!(play(&mut writing, 3, 1, &mut Made::new(full, 0.7)), 0.7, "{full}");
            // The device is another one now: that is found out after a while.
            assert_eq!(play(&mut writing, 900, 1, &mut Made::new(full, 0.9)), 0.9, "{full}");
            let mut none = Writing::new(Vec::new());
            assert_eq!(play(&mut none, 100, 1, &mut Made::new(full, 0.5)), 1.0);
            let mut one = Writing::new(vec![0.9]);
            assert_eq!(play(&mut one, 100, 1, &mut Made::new(full, 1.0)), 1.0, "{full}");
        }
    }

    #[test]
    fn a_limit_ends_what_is_compared() {
        let (mut writing, mut device) = (Writing::new(vec![0.9]), Made::new(20.0, 1.0));
        play(&mut writing, 8, 1, &mut device);
        for _ in 0..100 {
            assert_eq!(writing.step(Some(device.write(0.8, 1)), 0.8), 0.8);
        }
        // It was not taken to be as fast.
        assert_eq!(play(&mut writing, 5, 1, &mut device), 1.0);
        assert_eq!(play(&mut writing, 100, 1, &mut device), 1.0);
    }

    #[test]
    fn without_seconds_of_writing_nothing_is_tried() {
        let mut writing = Writing::new(vec![0.9]);
        assert!((0..100).all(|_| writing.step(None, 1.0) == 1.0));
    }
}
