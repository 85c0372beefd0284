//! Ids to text, and tokens by their text.

use std::borrow::Cow;

use super::Tokenizer;
use crate::vocab::{SPACE, TokenKind};
use crate::{alphabet, bpe, fallback};

/// How ids are decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DecodeOptions {
    /// Leaves control tokens out of the text.
    pub skip_special: bool,
}

/// How a file spells the text of its tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spelling {
    /// In the byte alphabet. The vocabulary keeps the bytes.
    Bytes,
    /// With U+2581 for spaces. The vocabulary keeps it so.
    Spaces {
        /// Whether the first space of a text is none of its own.
        drops_first: bool,
    },
    /// As it is.
    Plain,
}

impl Tokenizer {
    /// The text of `ids`, with U+FFFD for bytes that are no UTF-8.
    ///
    /// Ids that the vocabulary does not have are left out.
    pub fn decode(&self, ids: &[u32], options: DecodeOptions) -> String {
        let bytes = self.decode_bytes(ids, options);
        String::from_utf8(bytes)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
    }

    /// The bytes of `ids`, which need not be UTF-8 where a text was cut.
    pub fn decode_bytes(&self, ids: &[u32], options: DecodeOptions) -> Vec<u8> {
        let mut out = Vec::new();
        let mut drops_first = self.spelling == Spelling::Spaces { drops_first: true };
        for &id in ids {
            if options.skip_special && self.is_control(id) {
                continue;
            }
            let bytes = self.token_bytes(id);
            let rest = if drops_first { bytes.strip_prefix(b" ") } else { None };
            out.extend_from_slice(rest.unwrap_or(&bytes));
            // BOS, which is no text, does not count as the first token.
            drops_first &= self.is_control(id);
        }
        out
    }

    /// The bytes that a token adds to a text; none for an id outside the vocabulary. Control
    /// tokens give their name.
    pub fn token_bytes(&self, id: u32) -> Cow<'_, [u8]> {
        let (Some(bytes), Some(kind)) = (self.vocab.bytes(id), self.vocab.kind(id)) else {
            return Cow::Borrowed(&[]);
        };
        match (kind, self.spelling) {
            (TokenKind::Byte, _) => match fallback::byte_of(bytes) {
                Some(byte) => Cow::Owned(vec![byte]),
                None => Cow::Borrowed(bytes),
            },
            (TokenKind::Control | TokenKind::Unknown, _) => Cow::Borrowed(bytes),
            (_, Spelling::Spaces { .. }) => match std::str::from_utf8(bytes) {
                Ok(text) if text.contains(SPACE) => {
                    Cow::Owned(text.replace(SPACE, " ").into_bytes())
                }
                _ => Cow::Borrowed(bytes),
            },
            _ => Cow::Borrowed(bytes),
        }
    }

    /// The token's text as its file spells it: `Ġthe` for ` the` in a byte-level vocabulary.
    pub fn token_text(&self, id: u32) -> Option<String> {
        let bytes = self.vocab.bytes(id)?;
        let is_spelt = matches!(self.vocab.kind(id)?, TokenKind::Normal | TokenKind::Unused);
        Some(if is_spelt && self.spelling == Spelling::Bytes {
            alphabet::encode(bytes)
        } else {
            String::from_utf8_lossy(bytes).into_owned()
        })
    }

    /// The id of a token by the text that its file gives it.
    pub fn id(&self, text: &str) -> Option<u32> {
        if self.spelling == Spelling::Bytes {
            let mut spelt = Vec::new();
            bpe::spell(text, &mut spelt);
            if let Some(id) = self.vocab.find(&spelt) {
                return Some(id);
            }
        }
        self.vocab.find(text.as_bytes())
    }
}
