//! Texts to be embedded, beside the answers of a pass.
//!
//! As many whole texts as there is room for run in a pass; only the last of them may go on in the
//! next one, where tokens see nothing that follows them. Their pages are free right after.

use std::time::Instant;

use super::Scheduler;
use super::account::Account;
use crate::embed::Pool;
use crate::forward::FINE;
use crate::{Batch, EmbedEvent, EmbedRequest, Engine, Error, ErrorKind, Sequence};

/// A request and how far it is.
pub(super) struct Embedding {
    request: EmbedRequest,
    /// Its place in the order in which requests came.
    arrival: u64,
    /// Texts whose vectors have been told.
    done: usize,
    /// The text at `done`, if some of it has run.
    begun: Option<Begun>,
    account: Account,
}

/// A text of which some has run.
#[derive(Debug)]
struct Begun {
    sequence: Sequence,
    /// Tokens that have run.
    read: usize,
    pool: Pool,
}

/// What a pass runs of a text.
#[derive(Debug)]
pub(super) struct Part {
    /// Of which request, by its arrival.
    arrival: u64,
    /// Which of its texts.
    text: usize,
    /// Its state after the pass.
    begun: Begun,
    /// Its rows.
    rows: usize,
    /// The hidden states that were wanted.
    states: usize,
    /// Whether this is the end of the text.
    ends: bool,
}

impl Part {
    /// Of which request, by its arrival.
    pub(super) fn arrival(&self) -> u64 {
        self.arrival
    }

    /// Its rows.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }
}

impl std::fmt::Debug for Embedding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Embedding")
            .field("arrival", &self.arrival)
            .field("texts", &self.request.texts.len())
            .field("done", &self.done)
            .finish_non_exhaustive()
    }
}

impl Embedding {
    /// Checks a request.
    pub(super) fn new(engine: &Engine, request: EmbedRequest, arrival: u64) -> Result<Self, Error> {
        request.check(engine)?;
        Ok(Self { request, arrival, done: 0, begun: None, account: Account::default() })
    }

    /// Orders requests: the least is served first.
    pub(super) fn rank(&self) -> (i32, u64) {
        (self.request.priority.saturating_neg(), self.arrival)
    }

    /// Greater ones are served first.
    pub(super) fn priority(&self) -> i32 {
        self.request.priority
    }

    /// Its place in the order in which requests came.
    pub(super) fn arrival(&self) -> u64 {
        self.arrival
    }

    /// What it has spent.
    pub(super) fn account(&mut self) -> &mut Account {
        &mut self.account
    }

    /// Whether some of it has run.
    pub(super) fn has_begun(&self) -> bool {
        self.done > 0 || self.begun.is_some()
    }

    /// Tokens of all its texts.
    pub(super) fn tokens(&self) -> usize {
        self.request.texts.iter().map(|text| text.tokens.len()).sum()
    }

    /// The sequence of the text that has begun, and the tokens of it that are to come.
    pub(super) fn to_come(&self) -> Option<(Sequence, usize)> {
        let begun = self.begun.as_ref()?;
        Some((begun.sequence, self.request.texts[self.done].tokens.len() - begun.read))
    }

    /// Whether nobody waits any more, or it is too late.
    fn is_over(&self, now: Instant) -> bool {
        self.request.sink.is_gone() || self.request.deadline.is_some_and(|d| d <= now)
    }

    /// Tells a failure.
    pub(super) fn fail(&mut self, error: Error) {
        self.request.sink.event(EmbedEvent::Failed(error));
    }

    /// Frees its place in the cache; the text that has begun begins anew then.
    pub(super) fn end(&mut self, engine: &mut Engine) {
        if let Some(begun) = self.begun.take() {
            engine.end(begun.sequence);
        }
    }
}

impl Scheduler {
    /// Ends what nobody waits for any more, and what is too late.
    pub(super) fn retire_texts(&mut self, now: Instant) {
        for mut over in self.embeddings.extract_if(.., |e| e.is_over(now)) {
            if !over.request.sink.is_gone() {
                let message = "the deadline passed before all texts were embedded";
                over.fail(Error::new(ErrorKind::Deadline, message));
            }
            over.end(&mut self.engine);
        }
    }

    /// Appends texts to a batch, as many as may run beside those who write answers, of whom each has
    /// so many `rows` in it.
    pub(super) fn add_texts(&mut self, batch: &mut Batch, rows: &[usize]) -> Vec<Part> {
        self.starved = None;
        let mut parts = Vec::new();
        let read: usize = rows.iter().filter(|rows| **rows > 1).sum();
        let reading = self.reading_rows(rows.contains(&1)).saturating_sub(read);
        let room = self.engine.chunk().saturating_sub(batch.len());
        let mut left = reading.min(room);
        let cache = self.engine.cache();
        let answers = self.running.iter().zip(rows);
        let mut pages: usize = answers
            .map(|(active, rows)| active.sequence().map_or(0, |s| cache.needed(s, *rows)))
            .sum();
        let (whole, pooling) =
            (self.engine.model().arch().bidirectional, self.engine.model().pooling());
        // A text that has begun goes on first: never are there two of them, which might wait for
        // each other's pages.
        let mut order: Vec<usize> = (0..self.embeddings.len()).collect();
        order.sort_by_key(|i| (self.embeddings[*i].begun.is_none(), self.embeddings[*i].rank()));
        order.retain(|i| !self.waits(self.embeddings[*i].priority()));
        for at in order {
            for text in self.embeddings[at].done..self.embeddings[at].request.texts.len() {
                let count = self.embeddings[at].request.texts[text].tokens.len();
                let begun = self.embeddings[at].begun.take();
                let read = begun.as_ref().map_or(0, |begun| begun.read);
                // One that has to be read whole may take more than the pace allows.
                let left_here = if whole && parts.is_empty() { room } else { left };
                let more = piece(count - read, left_here, parts.is_empty(), whole);
                let need = match &begun {
                    Some(begun) => self.engine.cache().needed(begun.sequence, more),
                    None => more.div_ceil(rushlight_kernels::PAGE),
                };
                let has_room = more > 0 && self.room_for(pages + need);
                if !has_room {
                    self.embeddings[at].begun = begun;
                    // Beside others of this pass it only has to wait for the next one.
                    let alone = more > 0 && parts.is_empty();
                    self.starved = alone.then(|| self.embeddings[at].rank());
                    return parts;
                }
                pages += need;
                left = left.saturating_sub(more);
                let adapter = self.embeddings[at].request.adapter.clone();
                let mut begun = begun.unwrap_or_else(|| Begun {
                    sequence: self.engine.cache_mut().start(adapter),
                    read: 0,
                    pool: Pool::new(pooling, count),
                });
                let range = begun.read..begun.read + more;
                let wanted = begun.pool.wanted(range.clone());
                begun.read = range.end;
                let embedding = &self.embeddings[at];
                let content = &embedding.request.texts[text];
                let segments = content.segments.get(range.clone()).unwrap_or_default();
                let tokens = &content.tokens[range];
                batch.extend_states(begun.sequence, tokens, segments, wanted.clone());
                let (arrival, ends) = (embedding.arrival, begun.read == count);
                let states = wanted.len();
                parts.push(Part { arrival, text, begun, rows: more, states, ends });
                if !ends {
                    return parts;
                }
            }
        }
        parts
    }

    /// Whether so many pages are free, after what no answer uses is given up as far as needed.
    fn room_for(&mut self, pages: usize) -> bool {
        loop {
            if pages <= self.engine.cache().available() {
                return true;
            }
            if !self.prefixes.evict(self.engine.cache_mut()) {
                return false;
            }
        }
    }

    /// Takes the hidden states of a pass, and tells the vectors that are there.
    pub(super) fn take_texts(&mut self, parts: Vec<Part>) {
        let mut row = 0;
        let mut ready = Vec::new();
        for mut part in parts {
            for state in row..row + part.states {
                part.begun.pool.push(self.engine.state(state).unwrap_or_default());
            }
            row += part.states;
            if part.ends {
                self.engine.end(part.begun.sequence);
                ready.push((part.arrival, part.text, part.begun.pool.finish()));
            } else {
                match self.embeddings.iter_mut().find(|e| e.arrival == part.arrival) {
                    Some(embedding) => embedding.begun = Some(part.begun),
                    None => self.engine.end(part.begun.sequence),
                }
            }
        }
        if self.engine.model().ranks() {
            let states: Vec<f32> = ready.iter().flat_map(|(.., vector)| vector.clone()).collect();
            let scores = self.engine.scores(&states);
            ready.iter_mut().zip(scores).for_each(|((.., vector), score)| *vector = vec![score]);
        }
        for (arrival, text, vector) in ready {
            self.tell(arrival, text, vector);
        }
    }

    /// Tells a vector, and the end of its request if it was the last one.
    fn tell(&mut self, arrival: u64, text: usize, mut vector: Vec<f32>) {
        let ranks = self.engine.model().ranks();
        // It may have ended at an earlier text of the pass.
        let Some(at) = self.embeddings.iter().position(|e| e.arrival == arrival) else { return };
        let embedding = &mut self.embeddings[at];
        let mut options = embedding.request.options;
        options.normalized &= !ranks;
        self.counts.embedded_texts += 1;
        self.counts.embedded_tokens += embedding.request.texts[text].tokens.len() as u64;
        embedding.done = text + 1;
        let goes_on = match options.apply(&mut vector) {
            Ok(()) => {
                let event = EmbedEvent::Vector { index: text, values: &vector };
                embedding.request.sink.event(event)
            }
            Err(error) => {
                embedding.fail(error);
                false
            }
        };
        let all = embedding.done == embedding.request.texts.len();
        if goes_on && all {
            let (tokens, energy) = (embedding.tokens(), embedding.account.spent());
            embedding.request.sink.event(EmbedEvent::Finished { tokens, energy });
        }
        if all || !goes_on {
            self.embeddings.remove(at).end(&mut self.engine);
        }
    }

    /// A pass did not run for want of memory: its texts begin anew, and the request of the last one
    /// fails. False if there were none.
    pub(super) fn refuse_texts(&mut self, parts: Vec<Part>, error: Error) -> Result<(), Error> {
        let Some(last) = parts.last().map(|part| part.arrival) else { return Err(error) };
        parts.iter().for_each(|part| self.engine.end(part.begun.sequence));
        let at = self.embeddings.iter().position(|e| e.arrival == last);
        if let Some(at) = at {
            self.embeddings.remove(at).fail(error);
        }
        Ok(())
    }

    /// Sends the text that has begun back to its beginning; false if there is none.
    pub(super) fn stop_text(&mut self) -> bool {
        let begun = self.embeddings.iter_mut().find(|e| e.begun.is_some());
        begun.map(|embedding| embedding.end(&mut self.engine)).is_some()
    }
}

/// Of a text with so many tokens `rest` what runs in `left` rows: all; where it must run `whole`
/// nothing, else a part that leaves enough for the last tokens to run together, as those have finer
/// activations. So few tokens wait for the next pass, unless they are the `first` text of this one.
fn piece(rest: usize, left: usize, first: bool, whole: bool) -> usize {
    if rest <= left {
        return rest;
    }
    match (whole, rest <= FINE) {
        (true, _) => 0,
        (false, true) => usize::from(first) * left,
        (false, false) => left.min(rest - FINE),
    }
}

#[cfg(test)]
mod tests {
    use super::piece;

    #[test]
    fn the_end_of_a_text_runs_together() {
        let cases = [
            ((5, 512), true, false, 5),
            ((600, 512), true, false, 512),
            ((520, 512), true, false, 504),
            ((20, 10), true, false, 4),
            ((16, 10), true, false, 10),
            ((16, 10), false, false, 0),
            ((300, 0), false, false, 0),
            ((300, 200), true, true, 0),
            ((300, 300), false, true, 300),
        ];
        for ((rest, left), first, whole, want) in cases {
            assert_eq!(piece(rest, left, first, whole), want, "{rest} {left} {first} {whole}");
        }
    }
}
