//! The error of this crate.

use std::fmt;
use std::path::Path;

/// What went wrong, for code that decides by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The operating system refused.
    Io,
    /// A digest, a model name, a source or a file path is not written as it must be.
    Syntax,
    /// There is no such model, file or package.
    NotFound,
    /// Bytes are not those that were promised: another digest, another size, cut short.
    Mismatch,
    /// The directory is not a store this version can read, or what is in it breaks the rules.
    Layout,
    /// The network or the server failed.
    Network,
    /// Our own rules forbid it: plain `http`, a redirect to another scheme, an oversized answer.
    Refused,
    /// The network is needed and `HF_HUB_OFFLINE` forbids it.
    Offline,
    /// Python's `pip` failed or is missing.
    Pip,
    /// An archive is damaged or hostile.
    Archive,
    /// The files are not a model that can be stored.
    Model,
    /// More than one model fits what was asked for.
    Ambiguous,
    /// Not enough space on the disk.
    Space,
}

/// An error with its place, what was found and expected, its cause, and often what to do.
#[derive(Debug)]
pub struct Error(Box<Fault>);

#[derive(Debug)]
struct Fault {
    kind: ErrorKind,
    /// A path, an address or a name.
    place: Option<String>,
    what: String,
    hint: Option<String>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub(crate) fn new(kind: ErrorKind, what: impl Into<String>) -> Self {
        Self(Box::new(Fault { kind, place: None, what: what.into(), hint: None, source: None }))
    }

    /// For `map_err` on what the operating system returns.
    pub(crate) fn io<E>(what: &str, path: &Path) -> impl FnOnce(E) -> Error + use<E>
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        let (what, place) = (what.to_owned(), path.display().to_string());
        move |e| Error::new(ErrorKind::Io, what).at(place).because(e)
    }

    pub(crate) fn at(mut self, place: impl fmt::Display) -> Self {
        self.0.place = Some(place.to_string());
        self
    }

    pub(crate) fn advise(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    pub(crate) fn because(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// What went wrong, for code that decides by it.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The path, address or name that the error is about.
    pub fn place(&self) -> Option<&str> {
        self.0.place.as_deref()
    }

    /// What the user can do about it.
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.place {
            Some(place) => write!(f, "`{place}`: {}", self.0.what),
            None => f.write_str(&self.0.what),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|e| e as _)
    }
}
