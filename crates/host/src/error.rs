//! The error of this crate.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// What went wrong, for code that decides by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The operating system refused.
    Io,
    /// A path names something other than a regular file.
    NotARegularFile,
    /// A mapped file is no longer what it was when it was mapped.
    Changed,
    /// A worker thread could not be started.
    Threads,
    /// What a service manager handed over is not what it should be.
    Service,
    /// What is said of a sensor cannot be.
    Sensor,
}

/// An error with its place: `kind`, the file where there is one, and the cause.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    what: String,
    path: Option<PathBuf>,
    source: Option<io::Error>,
}

impl Error {
    pub(crate) fn io(what: impl Into<String>, path: &Path, source: io::Error) -> Self {
        Self {
            kind: ErrorKind::Io,
            what: what.into(),
            path: Some(path.to_owned()),
            source: Some(source),
        }
    }

    pub(crate) fn at(kind: ErrorKind, what: impl Into<String>, path: &Path) -> Self {
        Self { kind, what: what.into(), path: Some(path.to_owned()), source: None }
    }

    pub(crate) fn service(what: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Service, what: what.into(), path: None, source: None }
    }

    pub(crate) fn sensor(what: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Sensor, what: what.into(), path: None, source: None }
    }

    pub(crate) fn threads(what: impl Into<String>, source: io::Error) -> Self {
        Self { kind: ErrorKind::Threads, what: what.into(), path: None, source: Some(source) }
    }

    /// What went wrong, for code that decides by it.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The file that the error is about.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// What the user can do about it.
    pub fn hint(&self) -> Option<&str> {
        match self.kind {
            ErrorKind::Changed => {
                Some("do not rewrite a model in place: write a new file and rename it")
            }
            ErrorKind::Threads => Some("ask for fewer threads"),
            _ => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.path {
            Some(path) => write!(f, "`{}`: {}", path.display(), self.what),
            None => f.write_str(&self.what),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|e| e as _)
    }
}
