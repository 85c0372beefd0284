//! Many answers at once: requests join and leave between passes, and one pass serves them all.
//!
//! Each pass takes a token of every answer that is being written and, in what room is left, pieces
//! of prompts, so that answers keep flowing while long prompts are read. What the cache keeps of
//! earlier texts is shared by those that begin alike. When the cache is full, first what no answer
//! uses is given up, then the answer that came last waits and goes on later, where it was.
//!
//! Texts to be embedded run in the same passes, as whole texts in what room answers leave.

mod account;
mod active;
mod admit;
mod guess;
mod pace;
mod pass;
mod texts;

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use rushlight_model::Adapter;
use rushlight_text::constrain::Constraint;
use sha2::{Digest, Sha256};

use crate::forward::FINE;
use crate::prefixes::Prefixes;
use crate::speculate::Guesser;
use crate::{
    Choice, DraftModel, Drafting, EmbedRequest, Engine, Error, ErrorKind, Finish, GenerateOptions,
    Speculation, Thinking,
};
use account::Meter;
use active::Active;
use texts::Embedding;

pub use account::Spent;
pub use pace::Pace;

/// How requests are served.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SchedulerOptions {
    /// Answers that are written at once, at most; no more than a pass of the engine has rows.
    pub most_running: usize,
    /// Requests that wait, at most.
    pub most_queued: usize,
    /// Tokens of prompts in one pass while answers are being written.
    pub prompt_rows: usize,
    /// Tokens of each answer for which there is to be room before another one begins: an answer
    /// that has to wait for room is read again.
    pub ahead: usize,
    /// Whether tokens are guessed for requests that say [`Speculation::Auto`].
    pub speculation: Speculation,
}

impl Default for SchedulerOptions {
    fn default() -> Self {
        let speculation = Speculation::Auto;
        Self { most_running: 64, most_queued: 256, prompt_rows: 128, ahead: 256, speculation }
    }
}

/// An answer to be made.
pub struct Request {
    /// The whole text so far.
    pub prompt: Vec<u32>,
    /// How the answer is made. Beside others tokens are guessed too: in so few rows for all that
    /// each is computed as it would be alone, or, where there are more without guesses, as far as it
    /// pays.
    pub options: GenerateOptions,
    /// Greater ones are served first.
    pub priority: i32,
    /// When nobody wants the answer any more: a request that waits fails then, an answer that is
    /// being written ends.
    pub deadline: Option<Instant>,
    /// How many of the likeliest tokens are told at each place.
    pub top_log_probabilities: usize,
    /// What the answer must look like, after its reasoning. It ends where nothing can follow.
    pub constraint: Option<Constraint>,
    /// How the model thinks before it answers.
    pub thinking: Option<Thinking>,
    /// An adapter of the engine's model: that of a name ([`Engine::adapter`]), the same scaled, or a sum.
    /// Texts that begin alike share keys and values only with the same one.
    pub adapter: Option<Arc<Adapter>>,
    /// Control tokens whose names are part of the text: marks that somebody looks for there.
    pub shown: Vec<u32>,
    /// Who is told what happens.
    pub sink: Box<dyn Sink>,
}

impl Request {
    /// A request of no special priority.
    pub fn new(prompt: Vec<u32>, options: GenerateOptions, sink: Box<dyn Sink>) -> Self {
        Self {
            prompt,
            options,
            priority: 0,
            deadline: None,
            top_log_probabilities: 0,
            constraint: None,
            thinking: None,
            adapter: None,
            shown: Vec::new(),
            sink,
        }
    }
}

/// Who is told what becomes of a request.
pub trait Sink: Send {
    /// Takes what happened, and says whether to go on. It is called between passes, for which all
    /// others wait: it must not block.
    fn event(&mut self, event: Event<'_>) -> bool;

    /// Whether nobody waits any more. Asked before each pass, and while the request is queued.
    fn is_gone(&self) -> bool {
        false
    }
}

/// What happens to a request.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// It left the queue.
    Begun {
        /// Tokens of its prompt that were in the cache.
        reused_tokens: usize,
    },
    /// A token of the answer.
    Token {
        /// The token.
        choice: Choice,
        /// The likeliest tokens at its place, and the natural logarithms of their probabilities.
        likeliest: &'a [(u32, f32)],
        /// The text that may be shown now: nothing while it may be part of a character or a stop.
        text: &'a str,
    },
    /// It ended.
    Finished {
        /// Why.
        finish: Finish,
        /// Text that was held back.
        text: &'a str,
        /// Tokens of the prompt.
        prompt_tokens: usize,
        /// Those of them that were in the cache.
        reused_tokens: usize,
        /// Tokens of the answer.
        answer_tokens: usize,
        /// Its share of the energy of the passes that it ran in, where that is measured.
        energy: Option<Spent>,
    },
    /// It failed.
    Failed(Error),
}

/// What a scheduler is doing and has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Requests that wait.
    pub queued: usize,
    /// Answers that are being written, or their prompts read, and texts that are being embedded.
    pub running: usize,
    /// Requests that wait or run and are not of a priority below 0.
    pub interactive: usize,
    /// Pages of the cache.
    pub pages: usize,
    /// Pages that answers or earlier texts have.
    pub pages_used: usize,
    /// Pages of earlier texts.
    pub pages_cached: usize,
    /// Bytes that [`Scheduler::give_back`] would give back, at most.
    pub idle_bytes: u64,
    /// Passes so far.
    pub passes: u64,
    /// Their rows, in all.
    pub batch_rows: u64,
    /// Tokens of prompts, in all.
    pub prompt_tokens: u64,
    /// Those of them that were in the cache.
    pub reused_tokens: u64,
    /// Tokens of answers, in all.
    pub answer_tokens: u64,
    /// Tokens that were guessed and checked.
    pub drafted_tokens: u64,
    /// Those of them that were right.
    pub accepted_tokens: u64,
    /// Tokens that the draft model guessed, of those that were checked.
    pub model_drafted_tokens: u64,
    /// Those of them that were right.
    pub model_accepted_tokens: u64,
    /// Passes of the draft model.
    pub draft_passes: u64,
    /// What the draft model does; `None` without one.
    pub drafting: Option<Drafting>,
    /// Texts that were embedded, or pairs of them scored.
    pub embedded_texts: u64,
    /// Their tokens, in all.
    pub embedded_tokens: u64,
    /// How often an answer had to wait for room in the cache.
    pub preemptions: u64,
}

/// Serves requests over one engine.
#[derive(Debug)]
pub struct Scheduler {
    engine: Engine,
    options: SchedulerOptions,
    /// In no order.
    queue: Vec<Active>,
    /// In the order in which they came.
    running: Vec<Active>,
    /// In the order in which they came.
    embeddings: Vec<Embedding>,
    /// The rank of the one for whose next text the cache had no room.
    starved: Option<(i32, u64)>,
    prefixes: Prefixes,
    guesser: Guesser,
    meter: Meter,
    pace: Pace,
    counts: Counts,
    /// Requests so far.
    arrivals: u64,
}

impl Scheduler {
    /// A scheduler without requests.
    pub fn new(engine: Engine, options: &SchedulerOptions) -> Self {
        let mut options = options.clone();
        // Beside all answers there is room for the end of a prompt.
        let chunk = engine.chunk();
        let most = if chunk < 2 * FINE { chunk } else { chunk - FINE };
        options.most_running = options.most_running.clamp(1, most);
        options.prompt_rows = options.prompt_rows.max(FINE);
        Self {
            engine,
            options,
            queue: Vec::new(),
            running: Vec::new(),
            embeddings: Vec::new(),
            starved: None,
            prefixes: Prefixes::default(),
            guesser: Guesser::default(),
            meter: Meter::default(),
            pace: Pace::default(),
            counts: Counts::default(),
            arrivals: 0,
        }
    }

    /// Guesses with a smaller model too, where that pays.
    pub fn set_draft(&mut self, model: DraftModel) {
        self.guesser.set_draft(model);
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Whether there is nothing to do.
    pub fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.running.is_empty() && self.embeddings.is_empty()
    }

    /// What it is doing and has done.
    pub fn counts(&self) -> Counts {
        let cache = self.engine.cache();
        let embedding = self.embeddings.iter().filter(|e| e.has_begun()).count();
        Counts {
            queued: self.queue.len() + self.embeddings.len() - embedding,
            running: self.running.len() + embedding,
            interactive: self.interactive(),
            pages: cache.capacity(),
            pages_used: cache.capacity() - cache.available(),
            pages_cached: self.prefixes.pages(),
            idle_bytes: self.idle_bytes(),
            draft_passes: self.guesser.draft_passes(),
            drafting: self.guesser.drafting(),
            ..self.counts
        }
    }

    /// Takes a request. Its sink hears of everything but what is an error here.
    ///
    /// # Errors
    /// If too many wait already, the prompt is empty or does not fit the context, an option is out of
    /// its range, the adapter is of another model, or the model writes no text.
    pub fn submit(&mut self, mut request: Request) -> Result<(), Error> {
        self.check_queue()?;
        if request.options.speculation == Speculation::Auto {
            request.options.speculation = self.options.speculation;
        }
        let active = Active::new(&self.engine, request, self.arrivals)?;
        self.arrivals += 1;
        self.counts.prompt_tokens += active.tokens().len() as u64;
        self.queue.push(active);
        Ok(())
    }

    /// Takes texts to be embedded, or pairs of texts to be scored. Their sink hears of everything but
    /// what is an error here.
    ///
    /// # Errors
    /// If too many requests wait already, there is no text, a text is empty or does not fit the
    /// context, or an option is out of its range.
    pub fn submit_embed(&mut self, request: EmbedRequest) -> Result<(), Error> {
        self.check_queue()?;
        self.embeddings.push(Embedding::new(&self.engine, request, self.arrivals)?);
        self.arrivals += 1;
        Ok(())
    }

    /// Whether one more request may wait.
    fn check_queue(&self) -> Result<(), Error> {
        let waiting = self.queue.len() + self.embeddings.len();
        if waiting < self.options.most_queued {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Busy, format!("`{waiting}` requests wait already"))
            .with_hint("try again later"))
    }

    /// Runs one pass over what is to be done; false if there was nothing to do.
    ///
    /// # Errors
    /// If the engine fails in a way that concerns every request. What concerns one of them is told to
    /// its sink.
    pub fn step(&mut self) -> Result<bool, Error> {
        self.retire();
        self.admit();
        self.pass()
    }

    /// Writes what the cache has of earlier texts to a file, at most so many bytes of those that were
    /// used last, to be read by [`Scheduler::restore`]. `model` names the weights, a digest for
    /// example. Gives the pages written, or `None` if `enough` says before one of them that it is
    /// to end: then all is as it was. One process at a time may write to a file.
    ///
    /// The file has the texts as tokens: only the process's user may read it.
    ///
    /// # Errors
    /// If the file cannot be written; what was there before is still there then.
    pub fn save(
        &self,
        model: &str,
        path: &Path,
        most_bytes: u64,
        enough: &mut dyn FnMut() -> bool,
    ) -> Result<Option<usize>, Error> {
        self.prefixes.save(self.engine.cache(), &self.key(model), path, most_bytes, enough)
    }

    /// Reads what [`Scheduler::save`] wrote, as far as the cache has room. Gives the pages read:
    /// none if there is no file, or it is of another model or kind of cache.
    ///
    /// # Errors
    /// If the file cannot be read or is damaged; pages before the damage are used. Of the kind
    /// `Option` if something else is there.
    pub fn restore(&mut self, model: &str, path: &Path) -> Result<usize, Error> {
        let (key, v) = (self.key(model), self.engine.model().dims().v);
        self.prefixes.load(self.engine.cache_mut(), &key, path, v)
    }

    /// The digest of what keys and values depend on.
    fn key(&self, model: &str) -> [u8; 32] {
        // Rotary factors may depend on the context, and what kernels compute on the version.
        let (cache, context) = (self.engine.cache().describe(), self.engine.context());
        let all = format!("{model}\n{cache}\n{context}\n{}", env!("CARGO_PKG_VERSION"));
        Sha256::digest(all).into()
    }

    /// Gives up what the cache has of earlier texts and no answer uses, and gives the memory of all
    /// pages that are free then back to the kernel, those of the draft model too; where there is nothing
    /// to do also what passes work with. Returns the bytes, at most.
    pub fn give_back(&mut self) -> u64 {
        while self.prefixes.evict(self.engine.cache_mut()) {}
        let rests = self.is_idle();
        self.engine.give_back(rests) + self.guesser.give_back(rests)
    }

    fn idle_bytes(&self) -> u64 {
        let (cache, rests) = (self.engine.cache(), self.is_idle());
        let kept = self.prefixes.idle_pages(cache) as u64 * cache.bytes_of_page();
        kept + self.engine.idle_bytes(rests) + self.guesser.idle_bytes(rests)
    }

    /// Ends every request with an error that `why` makes.
    pub fn fail_all(&mut self, why: impl Fn() -> Error) {
        let all: Vec<Active> = self.queue.drain(..).chain(self.running.drain(..)).collect();
        for mut active in all {
            active.fail(why());
            active.end(&mut self.engine);
        }
        for mut embedding in std::mem::take(&mut self.embeddings) {
            embedding.fail(why());
            embedding.end(&mut self.engine);
        }
    }
}

#[cfg(test)]
mod tests;
