//! What can be wrong with a vocabulary, a pattern, a template or a grammar.

use std::fmt;

/// Why a tokenizer, a template or a grammar was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The vocabulary contradicts itself: an id out of range, lists of different lengths.
    Vocabulary,
    /// A tokenizer model, pre-tokenizer, normalizer or decoder that this crate does not know.
    Unsupported,
    /// `tokenizer.json` or `tokenizer_config.json` is not what its format says.
    Json,
    /// A regular expression does not compile, or ran past its limit on a text.
    Pattern,
    /// A chat template does not parse, failed, or asked for more than its limits.
    Template,
    /// A grammar, schema or regular expression does not parse, is not supported, or asks for more
    /// than its limits.
    Grammar,
    /// An answer left its grammar, or following it there costs more than its limits.
    Constraint,
}

/// An error of this crate.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    hint: Option<&'static str>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None, source: None }
    }

    pub(crate) fn with_source(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.source = Some(source.into());
        self
    }

    pub(crate) fn with_hint(mut self, hint: &'static str) -> Self {
        self.hint = Some(hint);
        self
    }

    /// What sort of error this is.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What may help, where something is known to.
    pub fn hint(&self) -> Option<&str> {
        self.hint
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
