//! One conversation: text goes in, an answer comes out piece by piece.

mod decode;

use std::sync::Arc;
use std::time::{Duration, Instant};

use rushlight_model::Adapter;

use crate::speculate::{Guesser, Speculator};
use crate::{
    Batch, Choice, DraftModel, Engine, Error, ErrorKind, Sampler, SamplerOptions, Sequence,
    Speculation,
};

/// How an answer is made.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct GenerateOptions {
    /// Tokens at most; `None` until the model ends or the context is full.
    pub max_tokens: Option<usize>,
    /// Texts that end the answer; they are not part of it.
    pub stop: Vec<String>,
    /// How tokens are chosen.
    pub sampler: SamplerOptions,
    /// Whether the model's end tokens are ignored.
    pub ignore_end: bool,
    /// Whether tokens are guessed and checked several at a time.
    pub speculation: Speculation,
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finish {
    /// The model ended it.
    End,
    /// A stop string came.
    Stop,
    /// The most tokens that were asked for.
    Length,
    /// The context is full.
    Context,
    /// The caller ended it.
    Cancelled,
    /// The time that it had is over.
    Deadline,
}

impl Finish {
    /// The name in machine-readable output.
    pub fn name(self) -> &'static str {
        match self {
            Finish::End => "end",
            Finish::Stop => "stop",
            Finish::Length => "length",
            Finish::Context => "context",
            Finish::Cancelled => "cancelled",
            Finish::Deadline => "deadline",
        }
    }
}

/// An answer and what it took.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Answer {
    /// The text.
    pub text: String,
    /// The tokens, an end token excluded.
    pub tokens: Vec<Choice>,
    /// Why it ended.
    pub finish: Finish,
    /// Tokens that were guessed and checked.
    pub drafted_tokens: usize,
    /// Those of them that were right.
    pub accepted_tokens: usize,
    /// Tokens of the prompt that had to be run.
    pub prompt_tokens: usize,
    /// Tokens at the prompt's start that the cache had already.
    pub reused_tokens: usize,
    /// Running the prompt.
    pub prompt_time: Duration,
    /// From the call to the first token.
    pub first_token_time: Duration,
    /// From the first token to the last.
    pub decode_time: Duration,
}

impl Answer {
    /// Prompt tokens per second; `None` when there were none.
    pub fn prompt_rate(&self) -> Option<f64> {
        rate(self.prompt_tokens, self.prompt_time)
    }

    /// Tokens per second after the first; `None` when there were none.
    pub fn decode_rate(&self) -> Option<f64> {
        rate(self.tokens.len().saturating_sub(1), self.decode_time)
    }
}

fn rate(tokens: usize, time: Duration) -> Option<f64> {
    (tokens > 0 && !time.is_zero()).then(|| tokens as f64 / time.as_secs_f64())
}

/// A conversation over one engine. Its sequence stays in the cache between answers, so that only
/// what is new of the next prompt is run.
#[derive(Debug)]
pub struct Session {
    sequence: Sequence,
    tokens: Vec<u32>,
    guesser: Guesser,
    speculator: Speculator,
}

impl Session {
    /// A new conversation.
    pub fn new(engine: &mut Engine) -> Self {
        let (guesser, speculator) = (Guesser::default(), Speculator::default());
        Self { sequence: engine.start(), tokens: Vec::new(), guesser, speculator }
    }

    /// Answers with an adapter from now on, or with none; what was read with another is forgotten.
    ///
    /// # Errors
    /// If it is of another model; then all is as it was.
    pub fn set_adapter(
        &mut self,
        engine: &mut Engine,
        adapter: Option<Arc<Adapter>>,
    ) -> Result<(), Error> {
        let sequence = engine.start_with(adapter)?;
        engine.end(std::mem::replace(&mut self.sequence, sequence));
        self.tokens.clear();
        Ok(())
    }

    /// Guesses with a smaller model too, where that pays.
    pub fn set_draft(&mut self, model: DraftModel) {
        self.guesser.set_draft(model);
    }

    /// Frees its place in the cache.
    pub fn close(self, engine: &mut Engine) {
        engine.end(self.sequence);
    }

    /// The tokens that the cache holds.
    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// Answers the prompt, the whole text of the conversation as tokens. `on_text` gets each piece
    /// of the answer and says whether to go on.
    ///
    /// # Errors
    /// If the prompt is empty or does not fit the context, or an option is out of its range. The
    /// session can be used again.
    pub fn generate(
        &mut self,
        engine: &mut Engine,
        prompt: &[u32],
        options: &GenerateOptions,
        mut on_text: impl FnMut(&str) -> bool,
    ) -> Result<Answer, Error> {
        let begin = Instant::now();
        check_prompt(engine, prompt)?;
        let v = engine.model().dims().v;
        let mut sampler = Sampler::new(options.sampler.clone(), v)?;
        prompt.iter().for_each(|t| sampler.accept(*t));
        let reused = self.reuse(engine, prompt);
        self.speculator.begin(options.speculation, prompt);
        self.run_prompt(engine, &prompt[reused..], &mut on_text)?;
        let prompt_time = begin.elapsed();
        let mut answer = Answer {
            text: String::new(),
            tokens: Vec::new(),
            finish: Finish::Length,
            drafted_tokens: 0,
            accepted_tokens: 0,
            prompt_tokens: prompt.len() - reused,
            reused_tokens: reused,
            prompt_time,
            first_token_time: prompt_time,
            decode_time: Duration::ZERO,
        };
        self.decode(engine, &mut sampler, options, &mut answer, begin, &mut on_text)?;
        Ok(answer)
    }

    /// Keeps what the cache has of the prompt, but for its last token, whose logits are needed.
    fn reuse(&mut self, engine: &mut Engine, prompt: &[u32]) -> usize {
        let same = self.tokens.iter().zip(prompt).take_while(|(a, b)| a == b).count();
        let keep = same.min(prompt.len() - 1);
        engine.truncate(self.sequence, keep);
        self.tokens.truncate(keep);
        keep
    }

    /// Runs the prompt in chunks; between them the caller may cancel.
    fn run_prompt(
        &mut self,
        engine: &mut Engine,
        tokens: &[u32],
        on_text: &mut impl FnMut(&str) -> bool,
    ) -> Result<(), Error> {
        for part in tokens.chunks(engine.chunk()) {
            let mut batch = Batch::new();
            batch.extend(self.sequence, part, true);
            engine.forward(&batch)?;
            self.tokens.extend_from_slice(part);
            if !on_text("") {
                break;
            }
        }
        Ok(())
    }
}

/// Whether the prompt can be answered.
pub(crate) fn check_prompt(engine: &Engine, prompt: &[u32]) -> Result<(), Error> {
    if !engine.model().writes() {
        return Err(engine.model_writes_nothing());
    }
    if prompt.is_empty() {
        return Err(Error::new(ErrorKind::Option, "the prompt is empty"));
    }
    if prompt.len() >= engine.context() {
        return Err(Error::new(
            ErrorKind::Context,
            format!(
                "the prompt has `{}` tokens, which leaves no room for an answer in a context of `{}`",
                prompt.len(),
                engine.context()
            ),
        )
        .with_hint(format!(
            "raise the context (the model was trained for {}) or shorten the prompt",
            engine.model().dims().context
        )));
    }
    engine.check_tokens(prompt.iter().copied())
}
