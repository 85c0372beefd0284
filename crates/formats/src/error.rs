//! What is wrong with a file, where, and what was expected there.

use std::fmt;
use std::path::{Path, PathBuf};

/// What kind of fault a file has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The bytes are not of this format at all.
    Format,
    /// The right format in a version, or byte order, that is not read.
    Version,
    /// The file ends before the data that it announces.
    Truncated,
    /// A count, length or depth beyond what is accepted.
    Limit,
    /// A value of another type than asked for, or an unknown type.
    Type,
    /// A value that its meaning forbids.
    Value,
    /// Something that must be there is not.
    Missing,
    /// A name that occurs twice.
    Duplicate,
    /// Tensor data out of range, misaligned, overlapping or of the wrong size.
    Layout,
    /// Text that is not UTF-8.
    Encoding,
    /// JSON that does not parse.
    Syntax,
    /// A file name that is not a plain name.
    Name,
    /// Reading or writing failed.
    Io,
}

/// A fault in a model file: the place, what was found there and what was expected.
///
/// Text from the file is quoted with control characters escaped and cut to a sensible length.
#[derive(Debug)]
pub struct Error(Box<Fault>);

#[derive(Debug)]
struct Fault {
    kind: ErrorKind,
    path: Option<PathBuf>,
    place: String,
    found: String,
    expected: String,
    hint: Option<&'static str>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    pub(crate) fn new(
        kind: ErrorKind,
        place: impl Into<String>,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) -> Self {
        Error(Box::new(Fault {
            kind,
            path: None,
            place: place.into(),
            found: found.into(),
            expected: expected.into(),
            hint: None,
            source: None,
        }))
    }

    pub(crate) fn with_hint(mut self, hint: &'static str) -> Self {
        self.0.hint = Some(hint);
        self
    }

    pub(crate) fn with_source(
        mut self,
        source: impl std::error::Error + Send + Sync + 'static,
    ) -> Self {
        self.0.source = Some(Box::new(source));
        self
    }

    /// Puts the place inside an outer one: `offset 12` becomes `key 3, offset 12`.
    pub(crate) fn within(mut self, outer: impl fmt::Display) -> Self {
        self.0.place = format!("{outer}, {}", self.0.place);
        self
    }

    /// Names the file; the parsers see bytes only, so the one who opened it adds this.
    #[must_use]
    pub fn with_path(mut self, path: impl Into<PathBuf>) -> Self {
        self.0.path = Some(path.into());
        self
    }

    /// What kind of fault this is.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The file, when known.
    pub fn path(&self) -> Option<&Path> {
        self.0.path.as_deref()
    }

    /// Where in the file: an offset, a key, a tensor.
    pub fn place(&self) -> &str {
        &self.0.place
    }

    /// What was found there.
    pub fn found(&self) -> &str {
        &self.0.found
    }

    /// What was expected there.
    pub fn expected(&self) -> &str {
        &self.0.expected
    }

    /// What the user may do about it.
    pub fn hint(&self) -> Option<&str> {
        self.0.hint
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(path) = &self.0.path {
            write!(f, "`{}`: ", path.display())?;
        }
        write!(f, "{}: found {}, expected {}", self.0.place, self.0.found, self.0.expected)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

/// Text from a file as it may be shown: control characters escaped, at most 80 characters, in
/// backticks.
pub(crate) fn quoted(text: &str) -> String {
    const SHOWN: usize = 80;
    let mut shown: String = text.chars().take(SHOWN).flat_map(char::escape_debug).collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    format!("`{shown}`")
}
