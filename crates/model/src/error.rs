//! Why a model cannot be loaded.

use std::path::{Path, PathBuf};

/// What kind of thing went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A file cannot be read or mapped.
    Read,
    /// A file breaks its format's rules.
    Format,
    /// The architecture is not one of the rows.
    Architecture,
    /// The metadata is missing something, or its numbers are impossible together.
    Dims,
    /// A tensor is missing, unexpected, or of another shape or type.
    Tensor,
    /// An adapter is of a kind that cannot run here, or does not fit the model.
    Adapter,
    /// The tokenizer or the chat template is broken.
    Tokenizer,
    /// A file of prepared weights is broken, or was made of another model.
    Prepared,
    /// Prepared weights cannot be written.
    Write,
    /// There is no space for prepared weights.
    Space,
}

/// Why a model cannot be loaded.
///
/// ```text
/// Error
/// |- Read          the file or directory
/// |- Format        formats::Error: where in the file
/// |- Architecture  the name that was found
/// |- Dims          the numbers
/// |- Tensor        its name, found and expected shape
/// |- Adapter       its tensor or key, found and expected
/// |- Tokenizer     text::Error
/// |- Prepared      what was found and expected
/// |- Write         the file
/// `- Space         bytes needed and free
/// ```
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    path: Option<PathBuf>,
    hint: Option<String>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), path: None, hint: None, source: None }
    }

    pub(crate) fn dims(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Dims, message)
    }

    pub(crate) fn tensor(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Tensor, message)
    }

    pub(crate) fn adapter(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Adapter, message)
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

    pub(crate) fn at(mut self, path: &Path) -> Self {
        self.path.get_or_insert_with(|| path.to_owned());
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
        if let Some(path) = &self.path {
            write!(f, "`{}`: ", path.display())?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|e| &**e as &(dyn std::error::Error + 'static))
    }
}

impl From<rushlight_formats::Error> for Error {
    fn from(error: rushlight_formats::Error) -> Self {
        Self::new(ErrorKind::Format, "the file breaks its format's rules").because(error)
    }
}
