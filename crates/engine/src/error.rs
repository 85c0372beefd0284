//! Why a model cannot run, or a request cannot be served.

/// What kind of thing went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The machine has not the memory, with the numbers.
    Memory,
    /// An option is out of its range.
    Option,
    /// The context is full, or the prompt does not fit.
    Context,
    /// A token, sequence or position that does not exist.
    Batch,
    /// The worker threads cannot be started.
    Threads,
    /// The model cannot do what is asked: an embedder generates no text.
    Model,
    /// A file of earlier texts that cannot be read or written, or is damaged.
    Prefixes,
    /// The grammar of an answer lets nothing follow that the model could say.
    Constraint,
    /// Too many requests wait already.
    Busy,
    /// The time that a request had is over.
    Deadline,
}

/// Why a model cannot run, or a request cannot be served.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    hint: Option<String>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None, source: None }
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn because(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What kind of thing went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What the user might do about it.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|e| &**e as &(dyn std::error::Error + 'static))
    }
}
