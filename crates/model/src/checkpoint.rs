//! The two kinds of checkpoint: a GGUF file (or its shards) and a Hugging Face directory.

mod gguf;
mod hf;

pub use gguf::tokenizer;
pub(crate) use gguf::{open as open_mapped, read_gguf, tensors};
pub(crate) use hf::{read as read_small, read_directory, read_tensors};

use rushlight_text::Tokenizer;

use crate::embedding::Embedding;
use crate::{ARCHS, Arch, Dims, Error, ErrorKind, Weights};

/// What both kinds yield.
pub(crate) struct Checkpoint {
    pub(crate) arch: &'static Arch,
    pub(crate) dims: Dims,
    pub(crate) weights: Weights,
    pub(crate) tokenizer: Option<Tokenizer>,
    pub(crate) template: Option<String>,
    pub(crate) embedding: Embedding,
    pub(crate) name: Option<String>,
    pub(crate) license: Option<String>,
    /// Bytes of all weight files.
    pub(crate) bytes: u64,
}

fn unknown(name: &str, names: impl Fn(&Arch) -> Vec<&'static str>) -> Error {
    let known: Vec<_> = ARCHS.iter().flat_map(names).map(|n| format!("`{n}`")).collect();
    Error::new(
        ErrorKind::Architecture,
        format!("architecture `{name}`, expected one of {}", known.join(", ")),
    )
}

/// The file is an adapter of a model.
fn no_model() -> Error {
    Error::new(ErrorKind::Format, "this is an adapter, which adds to a model, expected a model")
        .with_hint("name the model that it was made for, and the adapter as `--lora PATH`")
}

/// Every token must have a row of the embedding.
fn check_vocabulary(tokenizer: &Tokenizer, dims: &Dims) -> Result<(), Error> {
    if tokenizer.vocab_size() > dims.v {
        return Err(Error::new(
            ErrorKind::Tokenizer,
            format!(
                "the tokenizer has `{}` tokens, but the embedding only `{}` rows",
                tokenizer.vocab_size(),
                dims.v
            ),
        ));
    }
    Ok(())
}
