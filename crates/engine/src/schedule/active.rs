//! A request that waits or is served.

use std::sync::Arc;
use std::time::Instant;

use rushlight_model::Adapter;
use rushlight_text::StreamDecoder;
use rushlight_text::constrain::Constraint;

use super::account::Account;
use super::{Event, Request, Sink};
use crate::session::check_prompt;
use crate::speculate::{Ask, Guessed, Guesser, Speculator};
use crate::stop::StopFilter;
use crate::thinking::Thinker;
use crate::{
    Choice, Engine, Error, ErrorKind, Finish, GenerateOptions, Sampler, Sequence, Speculation,
    top_log_probabilities,
};

/// A request and how far it is.
pub(super) struct Active {
    options: GenerateOptions,
    priority: i32,
    deadline: Option<Instant>,
    /// How many of the likeliest tokens are told.
    top: usize,
    sink: Box<dyn Sink>,
    /// Its place in the order in which requests came.
    arrival: u64,
    /// Prompt and answer.
    tokens: Vec<u32>,
    /// How many of them are the prompt's.
    prompt: usize,
    /// What the cache has of the tokens, while it runs.
    sequence: Option<Sequence>,
    /// Tokens of the prompt that were in the cache when it began.
    reused: usize,
    begun: bool,
    sampler: Sampler,
    decoder: StreamDecoder,
    filter: StopFilter,
    /// Made when guesses may first be checked: what it knows of the text takes memory.
    speculator: Option<Speculator>,
    /// What was guessed and is counted.
    counted: Guessed,
    constraint: Option<Constraint>,
    thinker: Thinker,
    adapter: Option<Arc<Adapter>>,
    account: Account,
    /// The token that is to come next.
    chosen: Option<Result<Chosen, Error>>,
}

/// A token, and the likeliest ones at its place.
type Chosen = (Choice, Vec<(u32, f32)>);

impl Active {
    /// Checks a request.
    pub(super) fn new(engine: &Engine, request: Request, arrival: u64) -> Result<Self, Error> {
        let Request {
            prompt,
            options,
            priority,
            deadline,
            top_log_probabilities,
            constraint,
            thinking,
            adapter,
            shown,
            sink,
        } = request;
        check_prompt(engine, &prompt)?;
        engine.check_tokens(thinking.iter().flat_map(|thinking| thinking.end.iter().copied()))?;
        engine.check_adapter(adapter.as_deref())?;
        let mut sampler = Sampler::new(options.sampler.clone(), engine.model().dims().v)?;
        prompt.iter().for_each(|t| sampler.accept(*t));
        Ok(Self {
            filter: StopFilter::new(&options.stop),
            options,
            priority,
            deadline,
            top: top_log_probabilities,
            sink,
            arrival,
            prompt: prompt.len(),
            tokens: prompt,
            sequence: None,
            reused: 0,
            begun: false,
            sampler,
            decoder: StreamDecoder::showing(shown),
            speculator: None,
            counted: Guessed::default(),
            constraint,
            thinker: Thinker::new(thinking),
            adapter,
            account: Account::default(),
            chosen: None,
        })
    }

    /// Orders requests: the least is served first.
    pub(super) fn rank(&self) -> (i32, u64) {
        (self.priority.saturating_neg(), self.arrival)
    }

    /// Greater ones are served first.
    pub(super) fn priority(&self) -> i32 {
        self.priority
    }

    /// Prompt and answer so far.
    pub(super) fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// Tokens of the answer so far.
    pub(super) fn answered(&self) -> usize {
        self.tokens.len() - self.prompt
    }

    /// Tokens that the answer may still have.
    pub(super) fn left(&self) -> usize {
        self.options.max_tokens.unwrap_or(usize::MAX).saturating_sub(self.answered())
    }

    /// What its tokens run with.
    pub(super) fn adapter(&self) -> Option<&Arc<Adapter>> {
        self.adapter.as_ref()
    }

    pub(super) fn sequence(&self) -> Option<Sequence> {
        self.sequence
    }

    /// Tokens that the cache has not.
    pub(super) fn pending<'a>(&'a self, engine: &Engine) -> &'a [u32] {
        let have = self.sequence.map_or(0, |sequence| engine.len(sequence));
        &self.tokens[have.min(self.tokens.len())..]
    }

    /// Begins or goes on, with a sequence that has some of the tokens. False if nobody waits.
    pub(super) fn begin(&mut self, sequence: Sequence, len: usize) -> bool {
        self.sequence = Some(sequence);
        if self.begun {
            return true;
        }
        (self.begun, self.reused) = (true, len);
        self.sink.event(Event::Begun { reused_tokens: len })
    }

    /// Why it is over before the next pass, if it is.
    pub(super) fn over(&self, now: Instant) -> Option<Finish> {
        if self.sink.is_gone() {
            return Some(Finish::Cancelled);
        }
        self.deadline.is_some_and(|deadline| deadline <= now).then_some(Finish::Deadline)
    }

    /// Tells the end: of a request that has not begun, that it failed.
    pub(super) fn finish(&mut self, finish: Finish) {
        if finish == Finish::Deadline && !self.begun {
            let message = "the deadline passed while the request waited";
            return self.fail(Error::new(ErrorKind::Deadline, message));
        }
        let mut text = String::new();
        if finish != Finish::Stop {
            text = self.filter.push(self.decoder.finish()).0;
            text += &self.filter.finish();
        }
        self.sink.event(Event::Finished {
            finish,
            text: &text,
            prompt_tokens: self.prompt,
            reused_tokens: self.reused,
            answer_tokens: self.answered(),
            energy: self.account.spent(),
        });
    }

    /// What it has spent.
    pub(super) fn account(&mut self) -> &mut Account {
        &mut self.account
    }

    /// Tells a failure.
    pub(super) fn fail(&mut self, error: Error) {
        self.sink.event(Event::Failed(error));
    }

    /// Frees its place in the cache.
    pub(super) fn end(&mut self, engine: &mut Engine) {
        if let Some(sequence) = self.sequence.take() {
            engine.end(sequence);
        }
    }

    /// Chooses the next token from the logits of a pass.
    pub(super) fn choose(&mut self, engine: &Engine, logits: &[f32]) {
        let constraint = self.constraint.as_mut().filter(|_| !self.thinker.thinks());
        let choice = match (self.thinker.forced(), constraint) {
            (Some(token), _) => Ok(self.sampler.given(logits, token)),
            (None, None) => Ok(self.sampler.choose(logits)),
            (None, Some(constraint)) => self.sampler.choose_within(logits, constraint),
        };
        let choice = self.unless_it_ends(engine, logits, choice);
        let likeliest = match self.top {
            0 => Vec::new(),
            top => top_log_probabilities(engine.row(), logits, top),
        };
        self.chosen = Some(choice.map(|choice| (choice, likeliest)));
    }

    /// Where an answer of a given form is to follow, reasoning does not end it.
    fn unless_it_ends(
        &mut self,
        engine: &Engine,
        logits: &[f32],
        choice: Result<Choice, Error>,
    ) -> Result<Choice, Error> {
        let Some(constraint) = self.constraint.as_mut().filter(|_| self.thinker.thinks()) else {
            return choice;
        };
        let ends = |token| engine.model().tokenizer().is_ok_and(|t| t.is_end(token));
        if !choice.as_ref().is_ok_and(|choice| ends(choice.token)) {
            return choice;
        }
        self.thinker.end();
        match self.thinker.forced() {
            Some(token) => Ok(self.sampler.given(logits, token)),
            None => self.sampler.choose_within(logits, constraint),
        }
    }

    /// Takes the chosen token into the answer and tells it. Gives why the answer is over, if it is.
    pub(super) fn take(&mut self, engine: &Engine) -> Result<Option<Finish>, Error> {
        let Some(chosen) = self.chosen.take() else { return Ok(None) };
        let (choice, likeliest) = chosen?;
        let tokenizer = engine.model().tokenizer().map_err(|e| {
            Error::new(ErrorKind::Model, "the answer cannot be turned into text").because(e)
        })?;
        if self.left() == 0 {
            return Ok(Some(Finish::Length));
        }
        let ends = !self.options.ignore_end || self.constraint.is_some();
        if tokenizer.is_end(choice.token) && ends {
            return Ok(Some(Finish::End));
        }
        let complete = self.constrain(choice.token)?;
        let thinks = self.thinker.thinks();
        self.thinker.took(&tokenizer.token_bytes(choice.token));
        self.sampler.accept(choice.token);
        self.tokens.push(choice.token);
        let text = self.decoder.push(tokenizer, choice.token);
        let (text, stopped) = match thinks {
            // What stops an answer does not stop the reasoning.
            true => (self.filter.finish() + text, false),
            false => self.filter.push(text),
        };
        let event = Event::Token { choice, likeliest: &likeliest, text: &text };
        Ok(if !self.sink.event(event) {
            Some(Finish::Cancelled)
        } else if stopped {
            Some(Finish::Stop)
        } else if complete {
            Some(Finish::End)
        } else if self.tokens.len() > engine.context() {
            Some(Finish::Context)
        } else {
            (self.left() == 0).then_some(Finish::Length)
        })
    }

    /// Takes a token past the grammar, if there is one. Gives whether nothing can follow.
    fn constrain(&mut self, token: u32) -> Result<bool, Error> {
        if self.thinker.thinks() {
            return Ok(false);
        }
        let Some(constraint) = &mut self.constraint else { return Ok(false) };
        constraint.accept(token).map_err(|e| {
            Error::new(ErrorKind::Constraint, "the answer left its grammar").because(e)
        })?;
        Ok(constraint.is_finished())
    }

    /// Begins to guess, if guesses may be checked for it.
    pub(super) fn follow(&mut self, guesser: &Guesser) {
        let off = self.options.speculation == Speculation::Off;
        if !off && self.speculator.is_none() {
            self.speculator = Some(guesser.follow(self.options.speculation, &self.tokens));
        }
    }

    /// Whether passes for it may be longer than those that are exact.
    pub(super) fn is_wide(&self) -> bool {
        self.options.speculation == Speculation::Wide
    }

    /// What may be guessed in a pass that computes a token of it.
    pub(super) fn ask(&mut self, context: usize) -> Option<Ask<'_>> {
        let (left, room) = (self.left(), context.saturating_sub(self.tokens.len()));
        let most = left.min(room).saturating_sub(1);
        Some(Ask { key: self.arrival, text: self.speculator.as_mut()?, most, left })
    }

    /// Its place in the order in which requests came.
    pub(super) fn arrival(&self) -> u64 {
        self.arrival
    }

    /// What is guessed of it.
    pub(super) fn speculator(&mut self) -> Option<&mut Speculator> {
        self.speculator.as_mut()
    }

    /// The guesses to be checked after its last token.
    pub(super) fn guesses(&self) -> &[u32] {
        self.speculator.as_ref().map_or(&[], Speculator::guesses)
    }

    /// Takes note of the last token; gives how many rows further the row is that follows it, if it
    /// was guessed.
    pub(super) fn guessed(&mut self) -> Option<usize> {
        self.speculator.as_mut()?.accept(*self.tokens.last()?)
    }

    /// What was guessed since this was last asked.
    pub(super) fn guess_news(&mut self) -> Guessed {
        let all = self.speculator.as_ref().map_or_else(Guessed::default, Speculator::guessed);
        let before = std::mem::replace(&mut self.counted, all);
        all - before
    }

    /// Whether it has left the queue before.
    pub(super) fn has_begun(&self) -> bool {
        self.begun
    }
}

impl std::fmt::Debug for Active {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Active")
            .field("arrival", &self.arrival)
            .field("prompt", &self.prompt)
            .field("answered", &self.answered())
            .finish_non_exhaustive()
    }
}
