//! Text to ids and back.

mod from_parts;

use std::borrow::Cow;

use crate::added::{Added, Fragment};
use crate::alphabet;
use crate::bpe::Bpe;
use crate::error::Error;
use crate::merge::Merger;
use crate::spm::{self, Spm};
use crate::vocab::{TokenKind, Vocab};

/// How text is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EncodeOptions {
    /// Puts the tokens around the text that the model expects: BOS, EOS, CLS, SEP.
    pub special: bool,
    /// Lets the text spell control tokens, as rendered chat templates do. Text of a user must be
    /// encoded without: then it never becomes a control token.
    pub parse_special: bool,
}

/// How ids are decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DecodeOptions {
    /// Leaves control tokens out of the text.
    pub skip_special: bool,
}

/// How ids become bytes.
pub(crate) enum Model {
    Bpe(Bpe),
    Spm(Spm),
}

/// The ids with a role, where the vocabulary has them.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Roles {
    pub(crate) bos: Option<u32>,
    pub(crate) eos: Option<u32>,
    pub(crate) unk: Option<u32>,
    pub(crate) sep: Option<u32>,
    pub(crate) pad: Option<u32>,
    pub(crate) cls: Option<u32>,
    pub(crate) mask: Option<u32>,
    pub(crate) eot: Option<u32>,
    pub(crate) eom: Option<u32>,
}

/// A vocabulary and its way of cutting text.
///
/// Immutable after it is made, and shared between threads.
pub struct Tokenizer {
    vocab: Vocab,
    model: Model,
    added: Added,
    roles: Roles,
    /// Ids before and after a text that is encoded with [`EncodeOptions::special`].
    before: Vec<u32>,
    after: Vec<u32>,
    /// Ids that end a generation, ascending.
    ends: Vec<u32>,
}

impl Tokenizer {
    /// The ids of `text`. Time is linear in the text but for a logarithm of its longest word.
    ///
    /// # Errors
    /// `Pattern` when a pattern out of `tokenizer.json` runs past its limit on this text. With a
    /// vocabulary out of GGUF never.
    pub fn encode(&self, text: &str, options: EncodeOptions) -> Result<Vec<u32>, Error> {
        let mut out = Vec::with_capacity(text.len() / 4 + self.before.len() + self.after.len());
        if options.special {
            out.extend_from_slice(&self.before);
        }
        let mut merger = Merger::default();
        let mut begins = true;
        self.added.split(text, options.parse_special, |fragment| {
            match fragment {
                Fragment::Token(id) => {
                    out.push(id);
                    begins = true;
                }
                Fragment::Text(text) => {
                    match &self.model {
                        Model::Bpe(bpe) => bpe.encode(&self.vocab, text, &mut merger, &mut out)?,
                        Model::Spm(spm) => {
                            spm.encode(&self.vocab, text, begins, &mut merger, &mut out);
                        }
                    }
                    begins = false;
                }
            }
            Ok(())
        })?;
        if options.special {
            out.extend_from_slice(&self.after);
        }
        Ok(out)
    }

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
        let mut first = true;
        for &id in ids {
            let kind = self.vocab.kind(id);
            if options.skip_special && matches!(kind, Some(TokenKind::Control)) {
                continue;
            }
            let bytes = self.token_bytes(id);
            let drops_space = first && self.drops_first_space();
            let bytes =
                if drops_space { bytes.strip_prefix(b" ") } else { None }.unwrap_or(bytes.as_ref());
            out.extend_from_slice(bytes);
            first = false;
        }
        out
    }

    fn drops_first_space(&self) -> bool {
        match &self.model {
            Model::Bpe(_) => false,
            Model::Spm(spm) => spm.adds_space_prefix(),
        }
    }

    /// How many ids there are.
    pub fn vocab_size(&self) -> usize {
        self.vocab.len()
    }

    /// The bytes that a token adds to a text; none for an id outside the vocabulary. Control
    /// tokens give their name.
    pub fn token_bytes(&self, id: u32) -> Cow<'_, [u8]> {
        let (Some(bytes), Some(kind)) = (self.vocab.bytes(id), self.vocab.kind(id)) else {
            return Cow::Borrowed(&[]);
        };
        match (&self.model, kind) {
            (_, TokenKind::Byte) => match spm::byte_of(bytes) {
                Some(byte) => Cow::Owned(vec![byte]),
                None => Cow::Borrowed(bytes),
            },
            (Model::Spm(_), TokenKind::Normal | TokenKind::UserDefined | TokenKind::Unused) => {
                unescape(bytes)
            }
            _ => Cow::Borrowed(bytes),
        }
    }

    /// The token's text as its file spells it: `Ġthe` for ` the` in a byte-level vocabulary.
    pub fn token_text(&self, id: u32) -> Option<String> {
        let bytes = self.vocab.bytes(id)?;
        Some(match (&self.model, self.vocab.kind(id)?) {
            (Model::Bpe(_), TokenKind::Normal | TokenKind::Unused) => alphabet::encode(bytes),
            _ => String::from_utf8_lossy(bytes).into_owned(),
        })
    }

    /// The id of a token by the text that its file gives it.
    pub fn id(&self, text: &str) -> Option<u32> {
        let found = self.vocab.find(text.as_bytes());
        match &self.model {
            Model::Bpe(_) => {
                let mut spelt = Vec::new();
                crate::bpe::spell(text, &mut spelt);
                self.vocab.find(&spelt).or(found)
            }
            _ => found,
        }
    }

    /// Whether a token steers the model rather than being text.
    pub fn is_control(&self, id: u32) -> bool {
        self.vocab.kind(id) == Some(TokenKind::Control)
    }

    /// Whether a generation ends with this token: end of text, turn or message.
    pub fn is_end(&self, id: u32) -> bool {
        self.ends.binary_search(&id).is_ok()
    }

    /// Every id for which [`Tokenizer::is_end`] holds, ascending.
    pub fn ends(&self) -> &[u32] {
        &self.ends
    }

    /// Beginning of text.
    pub fn bos(&self) -> Option<u32> {
        self.roles.bos
    }

    /// End of text.
    pub fn eos(&self) -> Option<u32> {
        self.roles.eos
    }

    /// End of turn.
    pub fn eot(&self) -> Option<u32> {
        self.roles.eot
    }

    /// Padding.
    pub fn pad(&self) -> Option<u32> {
        self.roles.pad
    }

    /// What stands for text that no token spells.
    pub fn unk(&self) -> Option<u32> {
        self.roles.unk
    }

    /// Separator, of embedders.
    pub fn sep(&self) -> Option<u32> {
        self.roles.sep
    }

    /// Start of a classified text, of embedders.
    pub fn cls(&self) -> Option<u32> {
        self.roles.cls
    }

    /// Mask, of embedders.
    pub fn mask(&self) -> Option<u32> {
        self.roles.mask
    }

    /// Whether [`EncodeOptions::special`] puts BOS before a text.
    pub fn adds_bos(&self) -> bool {
        self.roles.bos.is_some() && self.before.first().copied() == self.roles.bos
    }

    /// Whether [`EncodeOptions::special`] puts EOS after a text.
    pub fn adds_eos(&self) -> bool {
        self.roles.eos.is_some() && self.after.last().copied() == self.roles.eos
    }
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokenizer")
            .field("tokens", &self.vocab.len())
            .field("added", &self.added.tokens().len())
            .field("roles", &self.roles)
            .finish_non_exhaustive()
    }
}

/// `bytes` with spaces for U+2581.
fn unescape(bytes: &[u8]) -> Cow<'_, [u8]> {
    match std::str::from_utf8(bytes) {
        Ok(text) if text.contains(spm::SPACE) => {
            Cow::Owned(text.replace(spm::SPACE, " ").into_bytes())
        }
        _ => Cow::Borrowed(bytes),
    }
}
