//! Text to ids and back.

mod decode;
mod from_parts;
mod pair;
mod roles;

use std::borrow::Cow;

use crate::added::{Added, Fragment, SHIELD};
use crate::error::Error;
use crate::merge::Merger;
use crate::model::Model;
use crate::normalize::{self, Normalizer};
use crate::split::Splitter;
use crate::vocab::{TokenKind, Vocab};

pub use decode::DecodeOptions;
pub(crate) use decode::Spelling;
pub use pair::EncodedPair;
pub(crate) use pair::PairPiece;
pub(crate) use roles::Roles;

/// How text is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EncodeOptions {
    /// Puts the tokens around the text that the model expects: BOS, EOS, CLS, SEP.
    pub special: bool,
    /// Lets the text spell control tokens, as rendered chat templates do. Text of a user must be
    /// encoded without: then it never becomes a control token.
    pub parse_special: bool,
}

/// A vocabulary and its way of cutting text.
///
/// Immutable after it is made, and shared between threads.
pub struct Tokenizer {
    pub(crate) vocab: Vocab,
    pub(crate) spelling: Spelling,
    /// Tokens that are looked for in the text as it is given.
    pub(crate) added: Added,
    pub(crate) normalizers: Vec<Normalizer>,
    /// Tokens that are looked for after normalisation.
    pub(crate) added_normalized: Added,
    pub(crate) splitter: Splitter,
    pub(crate) model: Model,
    pub(crate) roles: Roles,
    /// Ids before and after a text that is encoded with [`EncodeOptions::special`].
    pub(crate) before: Vec<u32>,
    pub(crate) after: Vec<u32>,
    /// How two texts become one.
    pub(crate) pair: Vec<PairPiece>,
    /// Ids that end a generation, ascending.
    pub(crate) ends: Vec<u32>,
}

impl Tokenizer {
    /// The ids of `text`, in time linear in the text but for the logarithm of its longest word.
    ///
    /// # Errors
    /// `Pattern` when a pattern out of `tokenizer.json` runs past its limit on this text. With a
    /// vocabulary out of GGUF never.
    pub fn encode(&self, text: &str, options: EncodeOptions) -> Result<Vec<u32>, Error> {
        let mut out = Vec::with_capacity(text.len() / 4 + self.before.len() + self.after.len());
        if options.special {
            out.extend_from_slice(&self.before);
        }
        self.encode_into(text, options, &mut out)?;
        if options.special {
            out.extend_from_slice(&self.after);
        }
        Ok(out)
    }

    /// The ids of `text` alone.
    fn encode_into(
        &self,
        text: &str,
        options: EncodeOptions,
        out: &mut Vec<u32>,
    ) -> Result<(), Error> {
        let mut merger = Merger::default();
        let mut first = true;
        self.added.split(text, options.parse_special, |fragment| {
            match fragment {
                Fragment::Token(id) => out.push(id),
                Fragment::Text(text) => {
                    let bare = (options.parse_special && text.contains(SHIELD))
                        .then(|| text.replace(SHIELD, ""));
                    let text = bare.as_deref().unwrap_or(text);
                    let text = normalize::apply(&self.normalizers, text, first)?;
                    self.encode_normalized(&text, options, &mut merger, out)?;
                }
            }
            first = false;
            Ok(())
        })
    }

    fn encode_normalized(
        &self,
        text: &str,
        options: EncodeOptions,
        merger: &mut Merger,
        out: &mut Vec<u32>,
    ) -> Result<(), Error> {
        self.added_normalized.split(text, options.parse_special, |fragment| match fragment {
            Fragment::Token(id) => {
                out.push(id);
                Ok(())
            }
            Fragment::Text(text) => self
                .splitter
                .split(text, |piece| self.model.encode(&self.vocab, piece, merger, out)),
        })
    }

    /// The ids that [`EncodeOptions::special`] puts after a text.
    pub fn after(&self) -> &[u32] {
        &self.after
    }

    /// `text` such that within a prompt that is encoded with [`EncodeOptions::parse_special`] it
    /// stays text: for what users say, before it goes into a chat template.
    ///
    /// Special tokens that the text spells are taken apart by U+FDD0, which encoding leaves out;
    /// everything else is unchanged.
    pub fn shield<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.added.shield(text)
    }

    /// How many ids there are.
    pub fn vocab_size(&self) -> usize {
        self.vocab.len()
    }

    /// Whether a token steers the model rather than being text.
    pub fn is_control(&self, id: u32) -> bool {
        self.vocab.kind(id) == Some(TokenKind::Control)
    }

    /// Whether a generation ends with this token: end of text, turn or message.
    pub fn is_end(&self, id: u32) -> bool {
        self.ends.binary_search(&id).is_ok()
    }

    /// Lets a generation end with these tokens too: `eos_token_id` of `generation_config.json`, of
    /// which there may be several. Ids outside the vocabulary are left out.
    pub fn add_ends(&mut self, ids: impl IntoIterator<Item = u32>) {
        let size = self.vocab.len();
        self.ends.extend(ids.into_iter().filter(|&id| (id as usize) < size));
        self.ends.sort_unstable();
        self.ends.dedup();
    }

    /// Every id for which [`Tokenizer::is_end`] holds, ascending.
    pub fn ends(&self) -> &[u32] {
        &self.ends
    }
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokenizer")
            .field("tokens", &self.vocab.len())
            .field("added", &(self.added.len() + self.added_normalized.len()))
            .field("roles", &self.roles)
            .finish_non_exhaustive()
    }
}
