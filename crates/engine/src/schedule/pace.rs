//! How hard the engine works: less when somebody says that heat or watts are limited.

use super::Scheduler;
use crate::Engine;
use crate::forward::FINE;

/// How hard the engine works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pace {
    /// Worker threads that take part, at most; by default all of the engine's.
    pub threads: usize,
    /// Whether they are on efficient cores, where there are some.
    pub efficient: bool,
    /// Tokens of prompts in one pass, at most. Models that read in both directions read at least one
    /// whole text still.
    pub prompt_rows: usize,
    /// Whether tokens may be guessed.
    pub guesses: bool,
    /// Whether requests of a priority below 0 wait while others run.
    pub batch_waits: bool,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            threads: usize::MAX,
            efficient: false,
            prompt_rows: usize::MAX,
            guesses: true,
            batch_waits: false,
        }
    }
}

impl Scheduler {
    /// Has it work so hard from the next pass on. Called on the thread that runs the passes.
    pub fn set_pace(&mut self, pace: Pace) {
        let all = [Some(&self.engine), self.guesser.draft_engine()];
        let set = |engine: &Engine| engine.set_pace(pace.threads, pace.efficient);
        // Each moves this thread, and back to where it found it: the first to come is the last to go.
        match pace.efficient {
            true => all.into_iter().flatten().for_each(set),
            false => all.into_iter().rev().flatten().for_each(set),
        }
        self.pace = pace;
    }

    /// How hard it works.
    pub fn pace(&self) -> Pace {
        self.pace
    }

    /// Tokens of prompts in one pass that the pace allows.
    pub(super) fn paced_rows(&self, most: usize) -> usize {
        most.min(self.pace.prompt_rows.max(FINE))
    }

    /// Whether those of a priority wait in this pass. Never all of those who run do.
    pub(super) fn waits(&self, priority: i32) -> bool {
        self.pace.batch_waits
            && priority < 0
            && self.running.iter().any(|active| active.priority() >= 0)
    }

    /// Requests of a priority of 0 or more that run or wait.
    pub(super) fn interactive(&self) -> usize {
        let answers = self.queue.iter().chain(&self.running).map(|active| active.priority());
        let texts = self.embeddings.iter().map(|embedding| embedding.priority());
        answers.chain(texts).filter(|priority| *priority >= 0).count()
    }
}
