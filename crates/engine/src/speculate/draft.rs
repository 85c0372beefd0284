//! A smaller model that says what the larger one will probably say.

use rushlight_model::Model;

use crate::sample::{greedy, log_probability};
use crate::{Batch, Engine, Error, ErrorKind, Sequence};

/// Missed tokens from which running them is worth a pass of their own.
const FEW: usize = 8;

/// A smaller model of the same vocabulary, that drafts tokens for a [`Session`](crate::Session).
///
/// Its rounding moves no token of an answer, only how many drafts are accepted: the fastest
/// [`Activations`](crate::Activations) do.
#[derive(Debug)]
pub struct DraftModel {
    engine: Engine,
    sequence: Sequence,
    /// The tokens that its cache holds.
    tokens: Vec<u32>,
    /// Tokens of the model that is drafted for.
    v: usize,
}

impl DraftModel {
    /// Drafts with `engine` for `model`.
    ///
    /// # Errors
    /// If the two do not have the same tokens, or the draft model writes no text.
    pub fn new(mut engine: Engine, model: &Model) -> Result<Self, Error> {
        same_tokens(engine.model(), model)?;
        if !engine.model().writes() {
            return Err(engine.model_writes_nothing());
        }
        let v = model.dims().v.min(engine.model().dims().v);
        let sequence = engine.start();
        Ok(Self { engine, sequence, tokens: Vec::new(), v })
    }

    /// How many tokens of `text` it has missed; 0 if so few that its next pass takes them along.
    pub(super) fn behind(&self, text: &[u32]) -> usize {
        let missed = text.len().saturating_sub(1 + self.shared(text));
        if missed < FEW { 0 } else { missed }
    }

    /// Runs what it has missed of `text`, but for the last token.
    pub(super) fn catch_up(&mut self, text: &[u32]) -> Result<(), Error> {
        let shared = self.shared(text).min(text.len().saturating_sub(1));
        self.engine.truncate(self.sequence, shared);
        self.tokens.truncate(shared);
        if self.behind(text) > 0 && text.len() <= self.engine.context() {
            let missed = &text[shared..text.len() - 1];
            self.engine.prefill(self.sequence, missed)?;
            self.tokens.extend_from_slice(missed);
        }
        Ok(())
    }

    /// Up to `most` tokens after `text`, with which it has caught up, as long as they have the
    /// probability `least`; and in how many passes.
    pub(super) fn draft(
        &mut self,
        text: &[u32],
        most: usize,
        least: f32,
    ) -> Result<(Vec<u32>, usize), Error> {
        let mut drafts = Vec::with_capacity(most);
        let mut passes = 0;
        let mut next = text[self.tokens.len()..].to_vec();
        while drafts.len() < most && self.tokens.len() + next.len() <= self.engine.context() {
            let mut batch = Batch::new();
            batch.extend(self.sequence, &next, true);
            self.engine.forward(&batch)?;
            self.tokens.append(&mut next);
            passes += 1;
            let logits = self.engine.output(0).expect("the pass wanted its last row");
            let token = greedy(&logits[..self.v]);
            if log_probability(logits, token).exp() < least {
                break;
            }
            drafts.push(token);
            next.push(token);
        }
        Ok((drafts, passes))
    }

    /// Tokens at the start of `text` that its cache holds.
    fn shared(&self, text: &[u32]) -> usize {
        self.tokens.iter().zip(text).take_while(|(a, b)| a == b).count()
    }
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
