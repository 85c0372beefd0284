//! Texts as vectors, pairs of texts as scores: what is asked for, and how a vector is made of hidden
//! states.

mod pool;

use std::sync::Arc;
use std::time::Instant;

pub(crate) use pool::Pool;
use rushlight_model::Adapter;

use crate::{Engine, Error, ErrorKind};

/// Texts to be turned into vectors; for a model that ranks, pairs of texts into scores.
pub struct EmbedRequest {
    /// The texts.
    pub texts: Vec<EmbedText>,
    /// How vectors are made.
    pub options: EmbedOptions,
    /// What all texts run with.
    pub adapter: Option<Arc<Adapter>>,
    /// Greater ones are served first.
    pub priority: i32,
    /// When nobody wants them any more: the request fails then.
    pub deadline: Option<Instant>,
    /// Who is told what happens.
    pub sink: Box<dyn EmbedSink>,
}

impl EmbedRequest {
    /// A request of no special priority.
    pub fn new(texts: Vec<EmbedText>, options: EmbedOptions, sink: Box<dyn EmbedSink>) -> Self {
        Self { texts, options, adapter: None, priority: 0, deadline: None, sink }
    }
}

/// A text, or a pair of texts as one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EmbedText {
    /// All its tokens, those around it included.
    pub tokens: Vec<u32>,
    /// The segment of each; empty where all are of the first.
    pub segments: Vec<u8>,
}

/// How vectors are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EmbedOptions {
    /// Values of a vector: the first ones of all, for models that are trained so that they suffice.
    pub dimensions: Option<usize>,
    /// Whether vectors are brought to length 1, after they are cut.
    pub normalized: bool,
}

impl Default for EmbedOptions {
    fn default() -> Self {
        Self { dimensions: None, normalized: true }
    }
}

/// Who is told what becomes of a request.
pub trait EmbedSink: Send {
    /// Takes what happened, and says whether to go on. It is called between passes, for which all
    /// others wait: it must not block.
    fn event(&mut self, event: EmbedEvent<'_>) -> bool;

    /// Whether nobody waits any more. Asked before each pass.
    fn is_gone(&self) -> bool {
        false
    }
}

/// What happens to a request.
#[derive(Debug)]
#[non_exhaustive]
pub enum EmbedEvent<'a> {
    /// A text's vector is there. Texts come in their order.
    Vector {
        /// Which text's.
        index: usize,
        /// The vector, of width `d` or shorter; of a model that ranks one value, a logit.
        values: &'a [f32],
    },
    /// All are there.
    Finished {
        /// Tokens of all texts.
        tokens: usize,
        /// Its share of the energy of the passes that it ran in, where that is measured.
        energy: Option<crate::Spent>,
    },
    /// It failed.
    Failed(Error),
}

impl EmbedRequest {
    /// Whether the engine can do it.
    pub(crate) fn check(&self, engine: &Engine) -> Result<(), Error> {
        let model = engine.model();
        engine.check_adapter(self.adapter.as_deref())?;
        if self.texts.is_empty() {
            return Err(Error::new(ErrorKind::Option, "there is no text"));
        }
        let d = if model.ranks() { 1 } else { model.dims().d };
        if let Some(dimensions) = self.options.dimensions.filter(|n| *n == 0 || *n > d) {
            return Err(Error::new(
                ErrorKind::Option,
                format!("vectors of `{dimensions}` values, expected `1` to `{d}`"),
            ));
        }
        for (index, text) in self.texts.iter().enumerate() {
            text.check(engine, index)?;
        }
        Ok(())
    }
}

impl EmbedText {
    fn check(&self, engine: &Engine, index: usize) -> Result<(), Error> {
        let count = self.tokens.len();
        if count == 0 {
            return Err(Error::new(ErrorKind::Option, format!("text `{index}` has no tokens")));
        }
        if count > engine.context() {
            return Err(Error::new(
                ErrorKind::Context,
                format!(
                    "text `{index}` has `{count}` tokens, expected at most the context of `{}`",
                    engine.context()
                ),
            )
            .with_hint(format!(
                "raise the context (the model was trained for {}) or cut the text into pieces",
                engine.model().dims().context
            )));
        }
        if !self.segments.is_empty() && self.segments.len() != count {
            return Err(Error::new(
                ErrorKind::Batch,
                format!(
                    "text `{index}` has `{}` segments, expected one for each of `{count}` tokens",
                    self.segments.len()
                ),
            ));
        }
        engine.check_tokens(self.tokens.iter().copied())?;
        engine.check_segments(self.segments.iter().copied())
    }
}

impl EmbedOptions {
    /// Makes what a text's hidden states came to the vector that is asked for.
    ///
    /// # Errors
    /// If a value is no number.
    pub(crate) fn apply(self, vector: &mut Vec<f32>) -> Result<(), Error> {
        if let Some(at) = vector.iter().position(|x| !x.is_finite()) {
            return Err(Error::new(
                ErrorKind::Model,
                format!("value `{at}` of the vector is `{}`, expected a number", vector[at]),
            ));
        }
        vector.truncate(self.dimensions.unwrap_or(usize::MAX));
        let square: f64 = vector.iter().map(|x| f64::from(*x).powi(2)).sum();
        // A vector of zeros has no direction, and stays.
        if self.normalized && square > 0.0 {
            let scale = 1.0 / square.sqrt();
            vector.iter_mut().for_each(|x| *x = (f64::from(*x) * scale) as f32);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_are_cut_before_they_are_brought_to_length_one() {
        let apply = |dimensions, normalized, values: &[f32]| {
            let mut vector = values.to_vec();
            EmbedOptions { dimensions, normalized }.apply(&mut vector).map(|()| vector)
        };
        assert_eq!(apply(None, true, &[3.0, 0.0, 4.0]).unwrap(), [0.6, 0.0, 0.8]);
        assert_eq!(apply(Some(2), true, &[3.0, -4.0, 12.0]).unwrap(), [0.6, -0.8]);
        assert_eq!(apply(Some(2), false, &[3.0, -4.0, 12.0]).unwrap(), [3.0, -4.0]);
        assert_eq!(apply(None, true, &[0.0, 0.0]).unwrap(), [0.0, 0.0]);
        // Squares that no f32 holds.
        let large = 100f32.exp2();
        assert_eq!(apply(None, true, &[3.0 * large, 4.0 * large]).unwrap(), [0.6, 0.8]);
        let error = apply(None, true, &[1.0, f32::NAN]).unwrap_err();
        assert_eq!(error.to_string(), "value `1` of the vector is `NaN`, expected a number");
    }
}
