//! Answers that follow a grammar: which tokens may come next.
//!
//! [`Constraints`] are made once for a vocabulary and shared; they compile a [`Grammar`] into a
//! [`Constraint`], which goes along with one answer. What cannot be followed to the letter is an
//! error that says what and where: an answer is never quietly unconstrained. Grammars may come
//! from anyone, so their size, nesting and cost are bounded, and so is the cost of every step.
//!
//! ```
//! use std::sync::Arc;
//!
//! use rushlight_text::constrain::{Constraints, Grammar};
//! use rushlight_text::{Tokenizer, VocabKind, VocabParts};
//!
//! let tokenizer = Tokenizer::from_parts(VocabParts {
//!     kind: VocabKind::Bpe,
//!     tokens: vec!["<|im_end|>", "y", "e", "s", "n", "o", "ye"],
//!     token_types: vec![3, 1, 1, 1, 1, 1, 1],
//!     merges: vec!["y e"],
//!     pre: Some("gpt-2"),
//!     ..VocabParts::default()
//! })?;
//! let constraints = Constraints::new(Arc::new(tokenizer));
//! let mut answer = constraints.compile(&Grammar::Regex("yes|so".to_owned()))?;
//!
//! let mut logits = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
//! answer.apply(&mut logits)?; // `y`, `s` and `ye` may come first.
//! assert_eq!(logits.map(|logit| logit > f32::NEG_INFINITY), [
//!     false, true, false, true, false, false, true,
//! ]);
//! answer.accept(6)?;
//! answer.accept(3)?;
//! assert!(answer.is_finished());
//! # Ok::<(), rushlight_text::Error>(())
//! ```

mod constraint;
mod gbnf;
mod lark;
mod limits;
mod mask;
mod regex;
mod schema;
mod vocabulary;

use std::sync::{Arc, OnceLock};

use llguidance::api::TopLevelGrammar;
use llguidance::{Matcher, ParserFactory};

pub use constraint::Constraint;
pub use mask::Mask;
pub(crate) use schema::text_of;

use crate::error::{Error, ErrorKind};
use crate::tokenizer::Tokenizer;

/// What an answer must look like.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Grammar {
    /// Any JSON object.
    JsonObject,
    /// JSON that a schema describes (drafts 4 to 2020-12; references within the schema only).
    JsonSchema(serde_json::Value),
    /// A text that matches a regular expression as a whole.
    Regex(String),
    /// A grammar in llguidance's dialect of Lark, whose first rule is `start`.
    Lark(String),
    /// A grammar in llama.cpp's GBNF, whose first rule is `root`.
    Gbnf(String),
}

impl Grammar {
    /// The grammar after every check that needs no vocabulary.
    fn check(&self) -> Result<TopLevelGrammar, Error> {
        Ok(match self {
            Self::JsonObject => TopLevelGrammar::from_json_schema(schema::guided(
                serde_json::json!({"type": "object"}),
            )),
            Self::JsonSchema(schema) => TopLevelGrammar::from_json_schema(schema::check(schema)?),
            Self::Regex(pattern) => TopLevelGrammar::from_lark(regex::to_lark(pattern)?),
            Self::Lark(grammar) => TopLevelGrammar::from_lark(lark::check(grammar)?),
            Self::Gbnf(grammar) => TopLevelGrammar::from_lark(gbnf::to_lark(grammar)?),
        })
    }

    /// What it is called in an error with this message, with the place where that can be told.
    fn name_for(&self, message: &str) -> String {
        /// Words of messages, and the keywords that they are about.
        const ABOUT: [(&str, &[&str]); 2] =
            [("oneOf", &["oneOf"]), ("min/maxProperties", &["minProperties", "maxProperties"])];
        let about = ABOUT.iter().find(|(words, _)| message.contains(words));
        let places = match (self, about) {
            (Self::JsonSchema(schema), Some((_, keywords))) => schema::places(schema, keywords),
            _ => Vec::new(),
        };
        if places.is_empty() {
            return self.name().to_owned();
        }
        format!("{} `{}`", self.name(), places.join("`, `"))
    }

    /// What it is called in errors.
    fn name(&self) -> &'static str {
        match self {
            Self::JsonObject | Self::JsonSchema(_) => "JSON schema",
            Self::Regex(_) => "regular expression",
            Self::Lark(_) => "Lark grammar",
            Self::Gbnf(_) => "GBNF grammar",
        }
    }
}

/// The constraints of one vocabulary. Cheap to clone and shared between threads.
///
/// The vocabulary is looked through at the first [`Constraints::compile`], which takes some tenths
/// of a second for large ones; [`Constraints::prepare`] does it ahead of time.
#[derive(Clone)]
pub struct Constraints {
    shared: Arc<Shared>,
}

struct Shared {
    tokenizer: Arc<Tokenizer>,
    factory: OnceLock<Result<ParserFactory, String>>,
}

impl Constraints {
    /// Constraints for the vocabulary of `tokenizer`.
    pub fn new(tokenizer: Arc<Tokenizer>) -> Self {
        Self { shared: Arc::new(Shared { tokenizer, factory: OnceLock::new() }) }
    }

    /// Looks through the vocabulary, unless that is done.
    ///
    /// # Errors
    /// `Vocabulary` when it is too large to be searched.
    pub fn prepare(&self) -> Result<(), Error> {
        self.factory().map(drop)
    }

    /// The constraint of one answer.
    ///
    /// # Errors
    /// `Grammar` when the grammar is wrong, says something that cannot be followed, or costs more
    /// than its limits; `Vocabulary` as [`Constraints::prepare`].
    pub fn compile(&self, grammar: &Grammar) -> Result<Constraint, Error> {
        let top = limits::on_own_stack(|| grammar.check())?;
        let factory = self.factory()?;
        let matcher = limits::on_own_stack(|| {
            let parser = factory.create_parser(top).map_err(|error| {
                let message = error.to_string();
                limits::error(ErrorKind::Grammar, &grammar.name_for(&message), &message)
            })?;
            let mut matcher = Matcher::new(Ok(parser));
            match matcher.grammar_warnings().first() {
                None => Ok(matcher),
                Some(warning) => Err(limits::error(ErrorKind::Grammar, grammar.name(), warning)),
            }
        })?;
        // The first mask is needed anyway, and shows whether there is any answer.
        let mut constraint = Constraint::new(matcher, Arc::clone(&self.shared.tokenizer));
        limits::on_own_stack(|| match constraint.mask() {
            Ok(_) => Ok(()),
            Err(error) => {
                let message = format!("{}: no answer can begin", grammar.name());
                Err(Error::new(ErrorKind::Grammar, format!("{message} ({error})")))
            }
        })?;
        Ok(constraint)
    }

    fn factory(&self) -> Result<&ParserFactory, Error> {
        let Shared { tokenizer, factory } = &*self.shared;
        factory
            .get_or_init(|| {
                limits::on_own_stack(|| vocabulary::factory(tokenizer))
                    .map_err(|error| error.to_string())
            })
            .as_ref()
            .map_err(|error| Error::new(ErrorKind::Vocabulary, error.as_str()))
    }
}

impl std::fmt::Debug for Constraints {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Constraints")
            .field("tokenizer", &self.shared.tokenizer)
            .finish_non_exhaustive()
    }
}
