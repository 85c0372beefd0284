//! A smaller model that says what the larger one will probably say.

use std::time::Instant;

use rushlight_model::Model;

use super::costs::Costs;
use crate::sample::{greedy, log_probability};
use crate::{Batch, Engine, Error, ErrorKind, Sequence};

/// Missed tokens from which running them is worth a pass of their own.
const FEW: usize = 8;

/// A smaller model of the same vocabulary, that drafts tokens for a [`Session`](crate::Session) or a
/// [`Scheduler`](crate::Scheduler).
///
/// It reads each text that it drafts for, and keeps what it read in a cache of its own: where that is
/// full, the text that it drafted for least recently is forgotten. Its rounding moves no token of an
/// answer, only how many drafts are accepted: the fastest [`Activations`](crate::Activations) do.
#[derive(Debug)]
pub struct DraftModel {
    engine: Engine,
    texts: Vec<Read>,
    /// Tokens of the model that is drafted for.
    v: usize,
    /// Passes so far.
    passes: u64,
}

/// What it has read of a text.
#[derive(Debug)]
struct Read {
    /// Which text.
    key: u64,
    sequence: Sequence,
    /// The tokens that its cache holds.
    tokens: Vec<u32>,
    /// Passes of the draft model when it last ran one for it.
    used: u64,
}

/// Drafts that are wanted after a text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish<'a> {
    pub(super) key: u64,
    pub(super) text: &'a [u32],
    /// At most.
    pub(super) most: usize,
}

/// A wish that is being fulfilled.
struct Going<'a> {
    wish: Wish<'a>,
    /// Its place among the wishes.
    at: usize,
    /// Tokens of the next pass.
    next: Vec<u32>,
}

impl DraftModel {
    /// Drafts with `engine` for `model`.
    ///
    /// # Errors
    /// If the two do not have the same tokens, or the draft model writes no text.
    pub fn new(engine: Engine, model: &Model) -> Result<Self, Error> {
        same_tokens(engine.model(), model)?;
        if !engine.model().writes() {
            return Err(engine.model_writes_nothing());
        }
        let v = model.dims().v.min(engine.model().dims().v);
        Ok(Self { engine, texts: Vec::new(), v, passes: 0 })
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Bytes that [`DraftModel::give_back`] would give back, at most.
    pub(super) fn idle_bytes(&self, rests: bool) -> u64 {
        let cache = self.engine.cache();
        let kept = self.texts.iter().map(|read| cache.pages(read.sequence).len() as u64);
        let kept = if rests { kept.sum::<u64>() * cache.bytes_of_page() } else { 0 };
        self.engine.idle_bytes(rests) + kept
    }

    /// Gives back the memory of what its cache has of no text; where nobody asks it also what it read of
    /// those before, and what passes work with. Returns the bytes, at most.
    pub(super) fn give_back(&mut self, rests: bool) -> u64 {
        if rests {
            self.keep_only(|_| false);
        }
        self.engine.give_back(rests)
    }

    /// Passes so far.
    pub(super) fn passes(&self) -> u64 {
        self.passes
    }

    /// How many tokens of a text it has missed; 0 if so few that its next pass takes them along.
    pub(super) fn behind(&self, key: u64, text: &[u32]) -> usize {
        let read = self.texts.iter().find(|read| read.key == key).map_or(0, |r| r.shared(text));
        let missed = text.len().saturating_sub(1 + read);
        if missed < FEW { 0 } else { missed }
    }

    /// Forgets all texts but these.
    pub(super) fn keep_only(&mut self, keys: impl Fn(u64) -> bool) {
        let gone: Vec<Read> = self.texts.extract_if(.., |read| !keys(read.key)).collect();
        gone.into_iter().for_each(|read| self.engine.end(read.sequence));
    }

    /// Runs at most so many tokens as are wished of what it has missed of a text, but not the last
    /// one. What it has of the texts `beside` it is not forgotten for that. Gives how many it ran.
    ///
    /// # Errors
    /// If a token is none of its own, or the machine gives no memory.
    pub(super) fn read(
        &mut self,
        wish: Wish<'_>,
        beside: &[Wish<'_>],
        costs: &mut Costs,
    ) -> Result<usize, Error> {
        let Wish { key, text, most } = wish;
        self.back_to(key, text);
        if self.behind(key, text) == 0 || text.len() > self.engine.context() {
            return Ok(0);
        }
        let at = self.place(key);
        let missed = &text[self.texts[at].tokens.len()..text.len() - 1];
        let missed = &missed[..missed.len().min(most)];
        if !self.knows(missed) {
            return Ok(0);
        }
        let others = beside.iter().filter(|wish| wish.key != key).map(|wish| (wish.key, 0));
        let rows: Vec<_> = others.chain([(key, missed.len())]).collect();
        if !self.make_room(&rows) {
            return Ok(0);
        }
        let begin = Instant::now();
        let at = at_key(&self.texts, key);
        let read = &mut self.texts[at];
        self.engine.prefill(read.sequence, missed)?;
        read.tokens.extend_from_slice(missed);
        self.passes += 1;
        read.used = self.passes;
        costs.observe_behind(missed.len(), begin.elapsed().as_secs_f64());
        Ok(missed.len())
    }

    /// Up to so many tokens after each of these texts as are wished, as long as they have the
    /// probability `least`. What it has missed of them is run first.
    ///
    /// # Errors
    /// If a token is none of its own, or the machine gives no memory.
    pub(super) fn draft(
        &mut self,
        wishes: &[Wish<'_>],
        least: f32,
        costs: &mut Costs,
    ) -> Result<Vec<Vec<u32>>, Error> {
        let mut drafts = vec![Vec::new(); wishes.len()];
        let mut going: Vec<Going<'_>> = Vec::new();
        for (at, wish) in wishes.iter().enumerate().filter(|(_, wish)| wish.most > 0) {
            self.read(Wish { most: usize::MAX, ..*wish }, wishes, costs)?;
            // It has them all, unless there was no room.
            if self.behind(wish.key, wish.text) == 0 {
                let place = self.place(wish.key);
                let next = wish.text[self.texts[place].tokens.len()..].to_vec();
                if self.knows(&next) {
                    going.push(Going { wish: *wish, at, next });
                }
            }
        }
        loop {
            let context = self.engine.context();
            let texts = &self.texts;
            going.retain(|g| {
                let have = texts[at_key(texts, g.wish.key)].tokens.len();
                drafts[g.at].len() < g.wish.most && have + g.next.len() <= context
            });
            let rows = |going: &[Going<'_>]| -> Vec<(u64, usize)> {
                going.iter().map(|g| (g.wish.key, g.next.len())).collect()
            };
            while !going.is_empty() && !self.make_room(&rows(&going)) {
                going.pop();
            }
            if going.is_empty() {
                return Ok(drafts);
            }
            self.pass(&mut going, &mut drafts, least, costs)?;
        }
    }

    /// Whether it has all of these tokens: its rows of padding may be fewer.
    fn knows(&self, tokens: &[u32]) -> bool {
        let v = self.engine.model().dims().v;
        tokens.iter().all(|token| (*token as usize) < v)
    }

    /// One token of each draft.
    fn pass(
        &mut self,
        going: &mut Vec<Going<'_>>,
        drafts: &mut [Vec<u32>],
        least: f32,
        costs: &mut Costs,
    ) -> Result<(), Error> {
        let begin = Instant::now();
        let mut batch = Batch::new();
        for g in going.iter() {
            let read = &self.texts[at_key(&self.texts, g.wish.key)];
            batch.extend(read.sequence, &g.next, true);
        }
        self.engine.forward(&batch)?;
        self.passes += 1;
        let mut row = 0;
        going.retain_mut(|g| {
            let at = at_key(&self.texts, g.wish.key);
            let read = &mut self.texts[at];
            read.tokens.append(&mut g.next);
            read.used = self.passes;
            let logits = self.engine.output(row).expect("the pass wanted a row of each");
            row += 1;
            let token = greedy(&logits[..self.v]);
            let probable = log_probability(logits, token).exp() >= least;
            if probable {
                drafts[g.at].push(token);
                g.next.push(token);
            }
            probable
        });
        costs.observe_draft(batch.len(), begin.elapsed().as_secs_f64());
        Ok(())
    }

    /// Where a text is, which is a new one if it is not there.
    fn place(&mut self, key: u64) -> usize {
        if let Some(at) = self.texts.iter().position(|read| read.key == key) {
            return at;
        }
        let sequence = self.engine.start();
        self.texts.push(Read { key, sequence, tokens: Vec::new(), used: self.passes });
        self.texts.len() - 1
    }

    /// Forgets what is not the text's: drafts that were not accepted, for example.
    fn back_to(&mut self, key: u64, text: &[u32]) {
        let at = self.place(key);
        let read = &mut self.texts[at];
        let shared = read.shared(text).min(text.len().saturating_sub(1));
        read.tokens.truncate(shared);
        self.engine.truncate(read.sequence, shared);
    }

    /// Makes room for so many rows of each of these texts, by forgetting others. False if that is
    /// not enough.
    fn make_room(&mut self, rows: &[(u64, usize)]) -> bool {
        loop {
            let cache = self.engine.cache();
            let need = |&(key, rows): &(u64, usize)| {
                let read = self.texts.iter().find(|read| read.key == key);
                read.map_or(0, |read| cache.needed(read.sequence, rows))
            };
            if rows.iter().map(need).sum::<usize>() <= cache.available() {
                return true;
            }
            let other = |read: &&Read| rows.iter().all(|(key, _)| *key != read.key);
            let oldest = self.texts.iter().filter(other).filter(|read| !read.tokens.is_empty());
            let Some(key) = oldest.min_by_key(|read| read.used).map(|read| read.key) else {
                return false;
            };
            self.keep_only(|other| other != key);
        }
    }
}

impl Read {
    /// Tokens at the start of `text` that its cache holds.
    fn shared(&self, text: &[u32]) -> usize {
        self.tokens.iter().zip(text).take_while(|(a, b)| a == b).count()
    }
}

/// Where the text with this key is.
fn at_key(texts: &[Read], key: u64) -> usize {
    texts.iter().position(|read| read.key == key).expect("it was made a place")
}

/// Refuses a draft model with other tokens.
fn same_tokens(draft: &Model, model: &Model) -> Result<(), Error> {
    let missing =
        |e| Error::new(ErrorKind::Model, "the vocabularies cannot be compared").because(e);
    let found = draft.tokenizer().map_err(missing)?;
    let expected = model.tokenizer().map_err(missing)?;
    let other = |message: String| {
        Error::new(ErrorKind::Model, message)
            .with_hint("a draft model is a smaller one of the same family")
    };
    let (n, want) = (found.vocab_size(), expected.vocab_size());
    if n != want {
        return Err(other(format!(
            "the draft model has `{n}` tokens, expected the model's `{want}`"
        )));
    }
    let differs = (0..n as u32).find(|id| found.token_bytes(*id) != expected.token_bytes(*id));
    match differs {
        None => Ok(()),
        Some(id) => Err(other(format!(
            "token `{id}` of the draft model is `{}`, expected the model's `{}`",
            String::from_utf8_lossy(&found.token_bytes(id)),
            String::from_utf8_lossy(&expected.token_bytes(id)),
        ))),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rushlight_testkit::tiny::{case, write_gguf};

    use super::*;
    use crate::EngineOptions;

    fn model(file: &std::path::Path, positions: usize) -> DraftModel {
        let model = Arc::new(Model::open(file).unwrap());
        let mut options = EngineOptions::default();
        (options.context, options.positions) = (Some(64), Some(positions));
        options.threads = Some(1);
        DraftModel::new(Engine::new(model.clone(), &options).unwrap(), &model).unwrap()
    }

    /// Texts that go on with some drafts and other tokens, in turn and out of turn, in a cache for all
    /// of them and for one at a time: what is drafted is what would be after reading them anew.
    #[test]
    fn what_was_rejected_leaves_no_trace() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("tiny.gguf");
        write_gguf(&case("llama2"), &file);
        let ids = case("llama2").ids;
        let mut costs = Costs::default();
        for positions in [64, 256] {
            let mut draft = model(&file, positions);
            let mut texts = [ids[..12].to_vec(), ids[3..9].to_vec(), ids[5..20].to_vec()];
            for step in 0..8 {
                // The second is now and then not asked, and falls behind.
                let most = |who: usize| if who == 1 && step % 4 > 0 { 0 } else { 1 + step % 3 };
                let wish = |(who, text)| Wish { key: who as u64, text, most: most(who) };
                let wishes: Vec<Wish<'_>> =
                    texts.iter().map(Vec::as_slice).enumerate().map(wish).collect();
                let found = draft.draft(&wishes, 0.0, &mut costs).unwrap();
                for (wish, found) in wishes.iter().zip(&found) {
                    let fresh = model(&file, 64).draft(&[*wish], 0.0, &mut costs).unwrap();
                    // Of several that do not fit some are not drafted.
                    let none = positions == 64 && found.is_empty();
                    assert!(none || *found == fresh[0], "{step} {wish:?}: {found:?} {fresh:?}");
                }
                assert!(found.iter().any(|found| !found.is_empty()));
                for (who, (text, found)) in texts.iter_mut().zip(&found).enumerate() {
                    text.extend(&found[..found.len().min((step + who) % 3)]);
                    text.push(ids[(7 * step + who) % ids.len()]);
                }
            }
        }
    }
}
