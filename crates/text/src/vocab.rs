//! Tokens by id and by text, in one arena.

use crate::error::{Error, ErrorKind};
use crate::hash::{HashedMap, hash};

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

/// The tokens of a model. Ids are positions, `0..len`.
#[derive(Default)]
pub(crate) struct Vocab {
    /// The texts, one after the other.
    arena: Vec<u8>,
    /// Where each text ends in `arena`.
    ends: Vec<u32>,
    kinds: Vec<TokenKind>,
    /// Reachable tokens by the hash of their text.
    index: HashedMap<u32>,
    /// The other tokens, likewise.
    hidden: HashedMap<u32>,
}

impl Vocab {
    /// Room for `tokens` texts of `bytes` bytes together.
    pub(crate) fn with_capacity(tokens: usize, bytes: usize) -> Self {
        let mut index = HashedMap::default();
        index.reserve(tokens);
        Self {
            arena: Vec::with_capacity(bytes),
            ends: Vec::with_capacity(tokens),
            kinds: Vec::with_capacity(tokens),
            index,
            hidden: HashedMap::default(),
        }
    }

    /// Appends the token whose text `write` puts at the end of the arena.
    pub(crate) fn push(
        &mut self,
        kind: TokenKind,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Result<u32, Error> {
        let start = self.arena.len();
        write(&mut self.arena);
        let too_big = || Error::new(ErrorKind::Vocabulary, "the tokens' texts exceed 4 GiB");
        let end = u32::try_from(self.arena.len()).map_err(|_| too_big())?;
        let id = u32::try_from(self.ends.len()).map_err(|_| too_big())?;
        let key = hash(self.arena.get(start..).unwrap_or_default());
        self.ends.push(end);
        self.kinds.push(kind);
        if !kind.is_reachable() {
            self.hidden.insert(key, id);
        } else if kind == TokenKind::Normal {
            self.index.insert(key, id);
        } else {
            self.index.entry(key).or_insert(id);
        }
        Ok(id)
    }

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

    /// Makes a token one that text does not reach.
    pub(crate) fn hide(&mut self, id: u32, kind: TokenKind) {
        let Some(key) = self.bytes(id).map(hash) else { return };
        if self.index.get(&key) == Some(&id) {
            self.index.remove(&key);
        }
        self.hidden.insert(key, id);
        if let Some(slot) = self.kinds.get_mut(id as usize) {
            *slot = kind;
        }
    }

    /// The token that text `text` becomes whole, if there is one.
    #[inline]
    pub(crate) fn reach(&self, text: &[u8]) -> Option<u32> {
        let id = *self.index.get(&hash(text))?;
        (self.bytes(id)? == text).then_some(id)
    }

    /// The token with this text, whatever it is for.
    pub(crate) fn find(&self, text: &[u8]) -> Option<u32> {
        self.reach(text).or_else(|| {
            let id = *self.hidden.get(&hash(text))?;
            (self.bytes(id)? == text).then_some(id)
        })
    }

    /// The kinds in the order of ids.
    pub(crate) fn kinds(&self) -> &[TokenKind] {
        &self.kinds
    }
}
