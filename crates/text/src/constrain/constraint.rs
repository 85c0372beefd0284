//! A grammar along one answer.

use std::sync::Arc;

use llguidance::Matcher;

use super::limits;
use super::mask::Mask;
use crate::error::{Error, ErrorKind};
use crate::tokenizer::Tokenizer;

/// Goes along with one answer: says which tokens may come next, and is told which one came.
///
/// A clone goes its own way from where it was made.
pub struct Constraint {
    matcher: Matcher,
    tokenizer: Arc<Tokenizer>,
    /// Of the present place, where it was asked for.
    mask: Option<Mask>,
    forced: Option<Vec<u32>>,
    /// Whether the grammar can stop at the present place, where it was asked for.
    may_end: Option<bool>,
}

impl Constraint {
    pub(super) fn new(matcher: Matcher, tokenizer: Arc<Tokenizer>) -> Self {
        Self { matcher, tokenizer, mask: None, forced: None, may_end: None }
    }

    /// The tokens that may come next. Tokens that end an answer are among them exactly when the
    /// grammar can stop; when nothing else can follow, they are the only ones.
    ///
    /// # Errors
    /// `Constraint` when no token can come next, or finding out costs more than the limits.
    pub fn mask(&mut self) -> Result<&Mask, Error> {
        let mask = match self.mask.take() {
            Some(mask) => mask,
            None => self.compute()?,
        };
        Ok(self.mask.insert(mask))
    }

    fn compute(&mut self) -> Result<Mask, Error> {
        let may_end = self.may_end()?;
        if self.matcher.is_stopped() && !may_end {
            return Err(self.failed("the answer cannot go on"));
        }
        let mut set = self.matcher.compute_mask_or_eos().map_err(|error| {
            limits::error(ErrorKind::Constraint, "constrained answer", &error.to_string())
        })?;
        for &end in self.tokenizer.ends() {
            set.set(end as usize, may_end);
        }
        if set.is_zero() {
            return Err(self.failed("no token of the vocabulary can come next"));
        }
        Ok(Mask::new(set))
    }

    /// Whether `token` may come next.
    ///
    /// # Errors
    /// As [`Constraint::mask`].
    pub fn allowed(&mut self, token: u32) -> Result<bool, Error> {
        Ok(self.mask()?.contains(token))
    }

    /// Makes every logit minus infinity whose token may not come next.
    ///
    /// # Errors
    /// As [`Constraint::mask`].
    pub fn apply(&mut self, logits: &mut [f32]) -> Result<(), Error> {
        self.mask()?.apply(logits);
        Ok(())
    }

    /// Goes on by `token`, which came next. After an error the place is the same as before, if the
    /// token was wrong.
    ///
    /// # Errors
    /// `Constraint` when the grammar does not have it there, or finding out costs more than the
    /// limits.
    pub fn accept(&mut self, token: u32) -> Result<(), Error> {
        if self.tokenizer.is_end(token) && self.is_finished() {
            return Ok(());
        }
        if self.tokenizer.is_end(token) && !self.may_end()? {
            return Err(self.unexpected(token));
        }
        if token as usize >= self.tokenizer.vocab_size() {
            return Err(self.unexpected(token));
        }
        let count = self.matcher.try_consume_tokens(&[token]).map_err(|error| {
            limits::error(ErrorKind::Constraint, "constrained answer", &error.to_string())
        })?;
        if count == 0 {
            return Err(self.unexpected(token));
        }
        self.mask = None;
        self.forced = None;
        self.may_end = None;
        Ok(())
    }

    /// Whether the answer is complete and nothing can follow.
    pub fn is_finished(&self) -> bool {
        self.matcher.is_stopped() && self.matcher.stop_reason().is_ok()
    }

    /// Whether the answer may end here, be it that more could follow.
    ///
    /// # Errors
    /// `Constraint` when an earlier step failed.
    pub fn may_end(&mut self) -> Result<bool, Error> {
        if let Some(may_end) = self.may_end {
            return Ok(may_end);
        }
        let may_end = self.is_finished()
            || self.matcher.is_accepting().map_err(|error| {
                limits::error(ErrorKind::Constraint, "constrained answer", &error.to_string())
            })?;
        self.may_end = Some(may_end);
        Ok(may_end)
    }

    /// The tokens that must come next, because the grammar leaves no choice: they may be accepted
    /// one after the other without a look at the model. Empty where there is a choice, and always
    /// for vocabularies whose texts begin with a space that is none of theirs.
    pub fn forced(&mut self) -> &[u32] {
        if self.forced.is_none() {
            let mut forced =
                if self.is_finished() { Vec::new() } else { self.matcher.compute_ff_tokens() };
            forced.retain(|&id| !self.tokenizer.is_end(id));
            self.forced = Some(forced);
        }
        self.forced.as_deref().unwrap_or_default()
    }

    fn unexpected(&self, token: u32) -> Error {
        let text = self.tokenizer.token_text(token).unwrap_or_default();
        self.failed(&format!("token `{token}` (`{text}`) cannot come next"))
    }

    fn failed(&self, why: &str) -> Error {
        limits::error(ErrorKind::Constraint, "constrained answer", why)
    }
}

impl Clone for Constraint {
    fn clone(&self) -> Self {
        Self {
            // Not the tables of the lexer either, which would be locked.
            matcher: self.matcher.deep_clone(),
            tokenizer: Arc::clone(&self.tokenizer),
            mask: self.mask.clone(),
            forced: self.forced.clone(),
            may_end: self.may_end,
        }
    }
}

impl std::fmt::Debug for Constraint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Constraint")
            .field("is_finished", &self.is_finished())
            .field("mask", &self.mask)
            .finish_non_exhaustive()
    }
}
