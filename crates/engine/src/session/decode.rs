//! From the logits after a prompt to the end of the answer.

use std::time::Instant;

use rushlight_text::StreamDecoder;

use super::{Answer, Finish, GenerateOptions, Session};
use crate::speculate::{Ask, Pass};
use crate::stop::StopFilter;
use crate::{Batch, Engine, Error, ErrorKind, Sampler};

impl Session {
    /// Chooses tokens, the first from the output at hand, until the answer ends. The cache holds
    /// afterwards what [`Session::tokens`] says, whatever was guessed.
    pub(super) fn decode(
        &mut self,
        engine: &mut Engine,
        sampler: &mut Sampler,
        options: &GenerateOptions,
        answer: &mut Answer,
        begin: Instant,
        on_text: &mut impl FnMut(&str) -> bool,
    ) -> Result<(), Error> {
        let model = engine.model().clone();
        let tokenizer = model.tokenizer().map_err(|e| {
            Error::new(ErrorKind::Model, "the answer cannot be turned into text").because(e)
        })?;
        let mut decoder = StreamDecoder::new();
        let mut filter = StopFilter::new(&options.stop);
        let most = options.max_tokens.unwrap_or(usize::MAX);
        let mut first = None;
        let mut row = 0;
        answer.finish = loop {
            if answer.tokens.len() >= most {
                break Finish::Length;
            }
            let logits = engine.output(row).expect("the pass before wanted this row");
            let choice = sampler.choose(logits);
            let now = Instant::now();
            let first = *first.get_or_insert(now);
            answer.first_token_time = first - begin;
            answer.decode_time = now - first;
            if tokenizer.is_end(choice.token) && !options.ignore_end {
                break Finish::End;
            }
            sampler.accept(choice.token);
            answer.tokens.push(choice);
            let (text, stopped) = filter.push(decoder.push(tokenizer, choice.token));
            answer.text += &text;
            if !on_text(&text) {
                break Finish::Cancelled;
            }
            if stopped {
                break Finish::Stop;
            }
            if self.tokens.len() >= engine.context() {
                break Finish::Context;
            }
            if answer.tokens.len() >= most {
                break Finish::Length;
            }
            row = self.advance(engine, choice.token, most - answer.tokens.len())?;
        };
        engine.truncate(self.sequence, self.tokens.len());
        let guessed = self.speculator.guessed();
        (answer.drafted_tokens, answer.accepted_tokens) = (guessed.drafted, guessed.accepted);
        if answer.finish != Finish::Stop {
            let (text, _) = filter.push(decoder.finish());
            let rest = text + &filter.finish();
            answer.text += &rest;
            if !rest.is_empty() {
                on_text(&rest);
            }
        }
        Ok(())
    }

    /// Appends a token, and gives the row of the output that follows it. At most `left` tokens are
    /// chosen after it.
    fn advance(&mut self, engine: &mut Engine, token: u32, left: usize) -> Result<usize, Error> {
        if let Some(row) = self.speculator.accept(token) {
            self.tokens.push(token);
            return Ok(row);
        }
        // What was guessed wrong is still in the cache.
        engine.truncate(self.sequence, self.tokens.len());
        let room = engine.context().min(engine.chunk() + self.tokens.len()) - self.tokens.len();
        let most = left.min(room).saturating_sub(1);
        let wide = self.speculator.is_wide();
        let pass = Pass::new((1, 1), false, (engine.exact_rows(), engine.chunk()), wide);
        let text = Ask { key: 0, text: &mut self.speculator, most, left };
        if self.guesser.propose(pass, &mut [text], usize::MAX).is_err() {
            // The answer needs no guesses.
            self.guesser.give_up();
            self.speculator.forget();
        }
        let mut batch = Batch::new();
        batch.extend_all(self.sequence, &[token]);
        let alone = batch.clone();
        batch.extend_all(self.sequence, self.speculator.guesses());
        let mut begin = Instant::now();
        match engine.forward(&batch) {
            // Other sequences have the positions that the drafts would take, or the machine has not
            // the memory for them.
            Err(error)
                if matches!(error.kind(), ErrorKind::Context | ErrorKind::Memory)
                    && batch.len() > 1 =>
            {
                self.speculator.cut(0);
                begin = Instant::now();
                engine.forward(&alone)?;
            }
            ran => ran?,
        }
        self.guesser.ran(pass, std::iter::once(&mut self.speculator), begin.elapsed());
        self.tokens.push(token);
        Ok(0)
    }
}
