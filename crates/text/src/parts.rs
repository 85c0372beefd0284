//! What a file says about its vocabulary, before anything is believed.

use crate::error::{Error, ErrorKind};

/// How a vocabulary turns text into tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum VocabKind {
    /// Byte-level BPE with ranked merges (`tokenizer.ggml.model` = `gpt2`).
    #[default]
    Bpe,
    /// SentencePiece BPE by scores, with byte fallback (`llama`).
    Spm,
    /// Greedy longest match within words (`bert`).
    WordPiece,
}

impl VocabKind {
    /// The kind that `tokenizer.ggml.model` names.
    ///
    /// # Errors
    /// `Unsupported` for any other name.
    pub fn from_ggml(name: &str) -> Result<Self, Error> {
        match name {
            "gpt2" => Ok(Self::Bpe),
            "llama" => Ok(Self::Spm),
            "bert" => Ok(Self::WordPiece),
            _ => Err(Error::new(
                ErrorKind::Unsupported,
                format!("tokenizer model `{name}` is unknown, expected `gpt2`, `llama` or `bert`"),
            )),
        }
    }
}

/// The vocabulary as GGUF metadata carries it; field by field the keys `tokenizer.ggml.*`.
///
/// A `None` means that the file does not say, and the default of the kind applies.
#[derive(Debug, Clone, Default)]
pub struct VocabParts<'a> {
    /// `model`.
    pub kind: VocabKind,
    /// `tokens`: the text of each id.
    pub tokens: Vec<&'a str>,
    /// `scores`: one for each token or empty. Needed by [`VocabKind::Spm`].
    pub scores: Vec<f32>,
    /// `token_type`: one for each token or empty (1 normal, 2 unknown, 3 control, 4 user-defined,
    /// 5 unused, 6 byte).
    pub token_types: Vec<i32>,
    /// `merges`: `left right`, best first. Needed by [`VocabKind::Bpe`].
    pub merges: Vec<&'a str>,
    /// `pre`: the name of the pre-tokenizer of a BPE.
    pub pre: Option<&'a str>,
    /// `bos_token_id`.
    pub bos: Option<u32>,
    /// `eos_token_id`.
    pub eos: Option<u32>,
    /// `eot_token_id`: end of turn.
    pub eot: Option<u32>,
    /// `eom_token_id`: end of message.
    pub eom: Option<u32>,
    /// `unknown_token_id`.
    pub unk: Option<u32>,
    /// `seperator_token_id` (spelt so in files).
    pub sep: Option<u32>,
    /// `padding_token_id`.
    pub pad: Option<u32>,
    /// `cls_token_id`.
    pub cls: Option<u32>,
    /// `mask_token_id`.
    pub mask: Option<u32>,
    /// `add_bos_token`.
    pub add_bos: Option<bool>,
    /// `add_eos_token`.
    pub add_eos: Option<bool>,
    /// `add_space_prefix`.
    pub add_space_prefix: Option<bool>,
    /// `remove_extra_whitespaces`.
    pub remove_extra_whitespaces: Option<bool>,
    /// `normalizer.lowercase`, of [`VocabKind::WordPiece`].
    pub lowercase: Option<bool>,
    /// `normalizer.strip_accents`, of [`VocabKind::WordPiece`].
    pub strip_accents: Option<bool>,
}
