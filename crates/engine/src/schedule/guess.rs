//! Guesses for the answers of a pass.

use std::time::Duration;

use super::Scheduler;
use super::active::Active;
use crate::speculate::{Ask, Pass};

/// What the draft model reads before one pass: answers wait for it.
const READ: usize = 128;

impl Scheduler {
    /// Guesses tokens of those who get one in the next pass, in which those who run have so many
    /// `rows`. Gives what the pass is without guesses; `None` if nobody may guess.
    pub(super) fn guess(&mut self, rows: &[usize]) -> Option<Pass> {
        let (engine, context) = (&self.engine, self.engine.context());
        let one =
            |(active, rows): (&Active, &usize)| *rows == 1 && active.pending(engine).len() == 1;
        let writes: Vec<bool> = self.running.iter().zip(rows).map(one).collect();
        let writing = || self.running.iter().zip(&writes).filter(|(_, w)| **w).map(|(a, _)| a);
        let (count, wide) = (writing().count(), writing().all(Active::is_wide));
        let all: usize = rows.iter().sum();
        let limits = (engine.exact_rows(), engine.chunk());
        let pass = Pass::new((all, count), all > count, limits, wide);
        if count == 0 || pass.room == 0 {
            return None;
        }
        let keys: Vec<u64> = self.running.iter().map(Active::arrival).collect();
        self.guesser.keep_only(|key| keys.contains(&key));
        let mut asks: Vec<Ask<'_>> = Vec::new();
        for (active, writes) in self.running.iter_mut().zip(&writes) {
            if *writes {
                active.follow(&self.guesser);
                asks.extend(active.ask(context));
            }
        }
        if asks.is_empty() {
            return None;
        }
        if self.guesser.propose(pass, &mut asks, READ).is_err() {
            // The answers need no guesses.
            self.guesser.give_up();
            asks.iter_mut().for_each(|ask| ask.text.forget());
        }
        let cache = self.engine.cache();
        let need = self.running.iter().zip(rows).zip(&writes).map(|((active, rows), writes)| {
            let guesses = if *writes { active.guesses().len() } else { 0 };
            active.sequence().map_or(0, |s| cache.needed(s, rows + guesses))
        });
        if need.sum::<usize>() > cache.available() {
            self.running.iter_mut().filter_map(Active::speculator).for_each(|text| text.cut(0));
        }
        Some(pass)
    }

    /// There is no room for guesses in the next pass after all. False if there are none.
    pub(super) fn drop_guesses(&mut self) -> bool {
        let texts = self.running.iter_mut().filter_map(Active::speculator);
        let guessed = texts.filter(|text| !text.guesses().is_empty());
        guessed.map(|text| text.cut(0)).count() > 0
    }

    /// The pass has run.
    pub(super) fn ran(&mut self, pass: Pass, time: Duration) {
        let texts = self.running.iter_mut().filter_map(Active::speculator);
        self.guesser.ran(pass, texts, time);
    }

    /// Takes into account what became of the guesses for an answer.
    pub(super) fn count_guesses(&mut self, at: usize) {
        let news = self.running[at].guess_news();
        let counts = &mut self.counts;
        counts.drafted_tokens += news.drafted as u64;
        counts.accepted_tokens += news.accepted as u64;
        counts.model_drafted_tokens += news.by_model as u64;
        counts.model_accepted_tokens += news.accepted_by_model as u64;
    }
}
