//! Tokens by id and by text, in one arena.

use crate::error::{Error, ErrorKind};
use crate::hash::hash;
use crate::table::Table;

/// The character that stands for a space: U+2581, lower one eighth block.
pub(crate) const SPACE: &str = "\u{2581}";

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenKind {
    /// Text.
    Normal,
    /// What stands for text that no token spells.
    Unknown,
    /// Steers the model; text never becomes it unless special tokens are asked for.
    Control,
    /// Text that is one token wherever it occurs.
    UserDefined,
    /// Reserved.
    Unused,
    /// One byte, for text that no other token spells.
    Byte,
}

impl TokenKind {
    /// The kind of a number of `tokenizer.ggml.token_type`.
    pub(crate) fn from_ggml(number: i32) -> Self {
        match number {
            2 => Self::Unknown,
            3 => Self::Control,
            4 => Self::UserDefined,
            5 => Self::Unused,
            6 => Self::Byte,
            _ => Self::Normal,
        }
    }

    /// Whether the token is found in text only where special tokens are asked for.
    pub(crate) fn is_special(self) -> bool {
        matches!(self, Self::Control | Self::Unknown)
    }

    /// Whether text may become this token by merging or matching.
    fn is_reachable(self) -> bool {
        matches!(self, Self::Normal | Self::UserDefined | Self::Unused)
    }
}

/// The tokens of a model, while they are gathered. Ids are positions, `0..len`.
#[derive(Default)]
pub(crate) struct VocabBuilder {
    vocab: Vocab,
    hashes: Vec<u64>,
}

impl VocabBuilder {
    /// Room for `tokens` texts of `bytes` bytes together.
    pub(crate) fn with_capacity(tokens: usize, bytes: usize) -> Self {
        Self {
            vocab: Vocab {
                arena: Vec::with_capacity(bytes),
                ends: Vec::with_capacity(tokens),
                kinds: Vec::with_capacity(tokens),
                index: Table::default(),
            },
            hashes: Vec::with_capacity(tokens),
        }
    }

    /// Appends the token whose text `write` puts at the end of the arena.
    pub(crate) fn push(
        &mut self,
        kind: TokenKind,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), Error> {
        let vocab = &mut self.vocab;
        let start = vocab.arena.len();
        write(&mut vocab.arena);
        let too_big = || Error::new(ErrorKind::Vocabulary, "the tokens' texts exceed 4 GiB");
        vocab.ends.push(u32::try_from(vocab.arena.len()).map_err(|_| too_big())?);
        vocab.kinds.push(kind);
        self.hashes.push(hash(vocab.arena.get(start..).unwrap_or_default()));
        // Ids are 32 bits wide, and the table keeps one of them for itself.
        if self.hashes.len() >= u32::MAX as usize {
            return Err(too_big());
        }
        Ok(())
    }

    /// The vocabulary. Of two tokens with one text the first is found, and a normal one before
    /// any other.
    pub(crate) fn build(self) -> Vocab {
        let Self { mut vocab, hashes } = self;
        let normal = |id: &u32| vocab.kinds.get(*id as usize) == Some(&TokenKind::Normal);
        let ids = 0..hashes.len() as u32;
        let mut order: Vec<u32> = ids.clone().filter(normal).collect();
        order.extend(ids.filter(|id| !normal(id)));
        vocab.index = Table::new(
            order.iter().map(|&id| (hashes.get(id as usize).copied().unwrap_or_default(), id)),
        );
        vocab
    }
}

/// The tokens of a model.
#[derive(Default)]
pub(crate) struct Vocab {
    /// The texts, one after the other.
    arena: Vec<u8>,
    /// Where each text ends in `arena`.
    ends: Vec<u32>,
    kinds: Vec<TokenKind>,
    /// Ids by the hash of their text.
    index: Table,
}

impl Vocab {
    /// How many tokens there are.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The text of a token in the form that encoding compares with.
    pub(crate) fn bytes(&self, id: u32) -> Option<&[u8]> {
        let id = id as usize;
        let end = *self.ends.get(id)? as usize;
        let start = match id.checked_sub(1) {
            Some(before) => *self.ends.get(before)? as usize,
            None => 0,
        };
        self.arena.get(start..end)
    }

    /// What a token is for.
    pub(crate) fn kind(&self, id: u32) -> Option<TokenKind> {
        self.kinds.get(id as usize).copied()
    }

    /// The kinds in the order of ids.
    pub(crate) fn kinds(&self) -> &[TokenKind] {
        &self.kinds
    }

    /// Makes a token one that steers the model, whatever its file said.
    pub(crate) fn make_control(&mut self, id: u32) {
        if let Some(kind) = self.kinds.get_mut(id as usize) {
            *kind = TokenKind::Control;
        }
    }

    /// The token that text `text` becomes whole, if there is one.
    #[inline]
    pub(crate) fn reach(&self, text: &[u8]) -> Option<u32> {
        self.index.find(hash(text), |id| {
            self.bytes(id) == Some(text) && self.kind(id).is_some_and(TokenKind::is_reachable)
        })
    }

    /// The token with this text, whatever it is for.
    pub(crate) fn find(&self, text: &[u8]) -> Option<u32> {
        self.reach(text).or_else(|| self.index.find(hash(text), |id| self.bytes(id) == Some(text)))
    }
}
