//! One pass: which rows run, and what their outputs lead to.

use std::time::Instant;

use super::Scheduler;
use super::active::Active;
use super::texts::Part;
use crate::forward::FINE;
use crate::{Batch, Error, ErrorKind, Finish};

impl Scheduler {
    /// Runs a pass over those who run.
    pub(super) fn pass(&mut self) -> Result<bool, Error> {
        if self.running.is_empty() && self.embeddings.is_empty() {
            return Ok(false);
        }
        let mut rows = self.rows();
        self.make_room(&mut rows);
        // What is embedded has the rows that guesses would.
        let guesses = if self.embeddings.is_empty() { self.guess(&rows) } else { None };
        let (mut batch, mut wanted) = self.batch(&rows, guesses.is_some());
        let parts = self.add_texts(&mut batch, &rows);
        let mut begin = Instant::now();
        let mut ran = self.engine.forward(&batch);
        if ran.as_ref().is_err_and(lacks_room) && self.drop_guesses() {
            // Nobody is to fail for them.
            (batch, wanted) = self.batch(&rows, false);
            (begin, ran) = (Instant::now(), self.engine.forward(&batch));
        }
        while ran.as_ref().is_err_and(lacks_room) && self.prefixes.evict(self.engine.cache_mut()) {
            (begin, ran) = (Instant::now(), self.engine.forward(&batch));
        }
        if let Err(error) = ran {
            self.running.iter_mut().filter_map(Active::speculator).for_each(|text| text.forget());
            return self.refused(parts, error);
        }
        self.counts.passes += 1;
        self.counts.batch_rows += batch.len() as u64;
        if let Some(pass) = guesses {
            self.ran(pass, begin.elapsed());
        }
        self.share_prompts(&rows);
        self.outputs(&wanted);
        self.take_texts(parts);
        Ok(true)
    }

    /// The rows of those who run, with guesses or without, and who gets a token of them.
    fn batch(&self, rows: &[usize], guesses: bool) -> (Batch, Vec<Wanted>) {
        let (mut batch, mut wanted, mut outputs) = (Batch::new(), Vec::new(), 0);
        for (at, (active, rows)) in self.running.iter().zip(rows).enumerate() {
            let Some(sequence) = active.sequence() else { continue };
            let pending = active.pending(&self.engine);
            let ends = *rows == pending.len() && *rows > 0;
            batch.extend(sequence, &pending[..*rows], ends);
            if ends {
                wanted.push(Wanted { at, row: outputs });
                outputs += 1;
            }
            if guesses && *rows == 1 && ends {
                batch.extend_all(sequence, active.guesses());
                outputs += active.guesses().len();
            }
        }
        (batch, wanted)
    }

    /// How many of its tokens each of those who run reads in the next pass.
    fn rows(&self) -> Vec<usize> {
        let pending: Vec<usize> =
            self.running.iter().map(|active| active.pending(&self.engine).len()).collect();
        let most = self.reading_rows(pending.contains(&1));
        // Texts to be embedded have half of them.
        let most = if self.embeddings.is_empty() { most } else { most.div_ceil(2).max(FINE) };
        share(&pending, most, self.engine.chunk())
    }

    /// Rows of a pass for what is read, while answers are being written or not.
    pub(super) fn reading_rows(&self, writing: bool) -> usize {
        if writing {
            self.options.prompt_rows.min(self.engine.chunk())
        } else {
            self.engine.chunk()
        }
    }

    /// The machine has not the memory that it promised, and no earlier text could be given up for it:
    /// who came last fails, the others go on.
    fn refused(&mut self, parts: Vec<Part>, error: Error) -> Result<bool, Error> {
        if !lacks_room(&error) {
            return Err(error);
        }
        let Err(error) = self.refuse_texts(parts, error) else { return Ok(true) };
        if let Some(mut last) = self.running.pop() {
            last.fail(error);
            last.end(&mut self.engine);
        }
        Ok(true)
    }

    /// Lets others use the pages of prompts that have been read.
    fn share_prompts(&mut self, rows: &[usize]) {
        for (active, rows) in self.running.iter().zip(rows) {
            let Some(sequence) = active.sequence() else { continue };
            if *rows > 1 && active.pending(&self.engine).is_empty() {
                self.prefixes.keep(self.engine.cache_mut(), sequence, active.tokens(), true);
            }
        }
    }

    /// Chooses the tokens that follow and tells them.
    fn outputs(&mut self, wanted: &[Wanted]) {
        let engine = &self.engine;
        let mut rest = self.running.iter_mut().enumerate();
        let mut next = |wanted: &Wanted| {
            let active = rest.find(|(i, _)| *i == wanted.at).map(|(_, active)| active);
            active.map(|active| (wanted.row, active))
        };
        let mut ready: Vec<_> = wanted.iter().filter_map(&mut next).collect();
        engine.each(&mut ready, |_, (row, active)| {
            if let Some(logits) = engine.output(*row) {
                active.choose(engine, logits);
            }
        });
        for wanted in wanted.iter().rev() {
            let (at, before) = (wanted.at, self.running[wanted.at].answered());
            let end = self.take(wanted);
            self.counts.answer_tokens += (self.running[at].answered() - before) as u64;
            self.count_guesses(at);
            let end = match end {
                Ok(None) => continue,
                Ok(Some(finish)) => Ok(finish),
                Err(error) => Err(error),
            };
            let mut active = self.running.remove(at);
            match end {
                Ok(finish) => active.finish(finish),
                Err(error) => active.fail(error),
            }
            if let Some(text) = active.speculator() {
                self.guesser.learn(text);
            }
            self.leave(active);
        }
    }

    /// Takes the chosen token, and those after it that were guessed right. Afterwards the cache has
    /// what was read of the answer and no guesses.
    fn take(&mut self, wanted: &Wanted) -> Result<Option<Finish>, Error> {
        let engine = &self.engine;
        let active: &mut Active = &mut self.running[wanted.at];
        let mut read = active.tokens().len();
        let end = loop {
            let end = active.take(engine)?;
            if end.is_some() {
                break end;
            }
            let Some(further) = active.guessed() else { break None };
            read += 1;
            let Some(logits) = engine.output(wanted.row + further) else { break None };
            active.choose(engine, logits);
        };
        if let Some(sequence) = active.sequence() {
            self.engine.truncate(sequence, read);
        }
        Ok(end)
    }
}

/// Whether a pass did not run for want of room for what it would have written.
fn lacks_room(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Memory | ErrorKind::Context)
}

/// One of those who run whose next token a pass computes.
struct Wanted {
    /// Which.
    at: usize,
    /// Its row among the outputs; those after it follow its guesses.
    row: usize,
}

/// Rows of a pass for who has so many tokens `pending`: those with one get it, the others share up to
/// `most` rows, of `chunk` in all. Half of these are the first one's, so that long prompts come to an
/// end, the rest go to the shortest first, which then do not wait for the long ones. The last tokens
/// of a prompt run together, as those have finer activations.
fn share(pending: &[usize], most: usize, chunk: usize) -> Vec<usize> {
    let mut rows: Vec<usize> = pending.iter().map(|n| usize::from(*n == 1)).collect();
    let writing: usize = rows.iter().sum();
    let mut left = most.min(chunk.saturating_sub(writing)).max(1);
    let mut reading: Vec<usize> = (0..rows.len()).filter(|i| pending[*i] > 1).collect();
    let half = if reading.len() > 1 { left.div_ceil(2).max(FINE).min(left) } else { left };
    let first: Vec<(usize, usize)> = reading.first().map(|i| (*i, half)).into_iter().collect();
    reading.sort_by_key(|i| pending[*i]);
    for (i, most) in first.into_iter().chain(reading.into_iter().map(|i| (i, usize::MAX))) {
        let rest = pending[i] - rows[i];
        let mut more = rest.min(most).min(left);
        if more < rest && rest - more < FINE {
            more = if rest > FINE { rest - FINE } else { usize::from(chunk < 2 * FINE) * more };
        }
        rows[i] += more;
        left -= more;
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::share;

    #[test]
    fn answers_go_on_and_prompts_share_the_rest() {
        let cases: [(&[usize], usize, usize, &[usize]); 12] = [
            (&[600], 512, 512, &[512]),
            (&[1, 600], 128, 512, &[1, 128]),
            (&[1, 600, 20, 30], 128, 512, &[1, 78, 20, 30]),
            (&[600, 1, 200, 30], 128, 512, &[64, 1, 34, 30]),
            (&[1, 1, 1], 128, 512, &[1, 1, 1]),
            (&[1, 1, 9], 8, 2, &[1, 1, 1]),
            (&[5, 4], 512, 512, &[5, 4]),
            (&[513], 512, 512, &[497]),
            (&[528], 512, 512, &[512]),
            (&[16, 1], 512, 512, &[16, 1]),
            (&[130, 12, 20], 128, 512, &[96, 12, 20]),
            (&[1, 150, 15, 14, 14, 14, 14], 128, 512, &[1, 72, 0, 14, 14, 14, 14]),
        ];
        for (pending, most, chunk, want) in cases {
            assert_eq!(share(pending, most, chunk), want, "{pending:?} {most} {chunk}");
        }
    }
}
