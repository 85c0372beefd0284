//! SentencePiece BPE: characters joined in the order of the joint token's score.
//!
//! Files of this kind carry scores and no merges. Characters that no token spells fall back to
//! one token per byte.

use crate::error::{Error, ErrorKind};
use crate::merge::{LONGEST, Merger};
use crate::vocab::{TokenKind, Vocab};

/// The character that stands for a space: U+2581, lower one eighth block.
pub(crate) const SPACE: &str = "\u{2581}";

/// Scores as ranks, and the tokens of single bytes.
pub(crate) struct Spm {
    /// By id; lower is better.
    ranks: Vec<u32>,
    bytes: ByteTokens,
    /// Whether text after the start or a special token gets a space before it.
    add_space_prefix: bool,
}

/// The token of each byte, where there is one, and what stands for the others.
pub(crate) struct ByteTokens {
    ids: Vec<Option<u32>>,
    unknown: Option<u32>,
}

impl ByteTokens {
    /// The tokens of kind [`TokenKind::Byte`], whose text is `<0x00>` to `<0xFF>`.
    pub(crate) fn find(vocab: &Vocab, unknown: Option<u32>) -> Self {
        let mut ids = vec![None; 256];
        for (id, _) in (0u32..).zip(vocab.kinds()).filter(|(_, kind)| **kind == TokenKind::Byte) {
            if let Some(byte) = vocab.bytes(id).and_then(byte_of)
                && let Some(slot) = ids.get_mut(usize::from(byte))
            {
                *slot = Some(id);
            }
        }
        Self { ids, unknown }
    }

    /// Appends the tokens of `text`, byte by byte.
    pub(crate) fn encode(&self, text: &[u8], out: &mut Vec<u32>) {
        for &byte in text {
            out.extend(self.ids.get(usize::from(byte)).copied().flatten().or(self.unknown));
        }
    }
}

/// The byte that `<0xNN>` names.
pub(crate) fn byte_of(text: &[u8]) -> Option<u8> {
    let digits = text.strip_prefix(b"<0x")?.strip_suffix(b">")?;
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let &[high, low] = digits else { return None };
    u8::try_from(digit(high)? << 4 | digit(low)?).ok()
}

impl Spm {
    /// # Errors
    /// `Vocabulary` when there is not one score for each token, or one is no number.
    pub(crate) fn new(
        vocab: &Vocab,
        scores: &[f32],
        unknown: Option<u32>,
        add_space_prefix: bool,
    ) -> Result<Self, Error> {
        if scores.len() < vocab.len() {
            return Err(Error::new(
                ErrorKind::Vocabulary,
                format!(
                    "`{}` scores for `{}` tokens, expected one each",
                    scores.len(),
                    vocab.len()
                ),
            ));
        }
        if let Some(id) = scores.iter().position(|score| score.is_nan()) {
            return Err(Error::new(
                ErrorKind::Vocabulary,
                format!("score of token {id} is not a number"),
            ));
        }
        Ok(Self {
            ranks: scores.iter().map(|&score| rank_of(score)).collect(),
            bytes: ByteTokens::find(vocab, unknown),
            add_space_prefix,
        })
    }

    /// Appends the ids of `text`, which follows the start or a special token when `begins`.
    pub(crate) fn encode(
        &self,
        vocab: &Vocab,
        text: &str,
        begins: bool,
        merger: &mut Merger,
        out: &mut Vec<u32>,
    ) {
        let prefix = if self.add_space_prefix && begins { SPACE } else { "" };
        let escaped = [prefix, &text.replace(' ', SPACE)].concat();
        let mut rest = escaped.as_str();
        while !rest.is_empty() {
            let (word, after) = rest.split_at(rest.floor_char_boundary(LONGEST));
            rest = after;
            merger.run(
                word.as_bytes(),
                word.chars().map(char::len_utf8),
                |joint, _| self.ranks.get(vocab.reach(joint)? as usize).copied(),
                |piece| match vocab.reach(piece) {
                    Some(id) => out.push(id),
                    None => self.bytes.encode(piece, out),
                },
            );
        }
    }

    /// Whether decoding drops the first space.
    pub(crate) fn adds_space_prefix(&self) -> bool {
        self.add_space_prefix
    }
}

/// A number that is lower for a higher score.
fn rank_of(score: f32) -> u32 {
    // Adding zero makes both zeros one; flipping as below orders the bits of floats like integers.
    let bits = (score + 0.0).to_bits();
    let ascending = if bits >> 31 == 0 { bits | 1 << 31 } else { !bits };
    !ascending
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_descend_with_scores() {
        let scores = [f32::INFINITY, 1e9, 1.0, f32::MIN_POSITIVE, 0.0, -1e-9, -1.0, f32::MIN];
        for pair in scores.windows(2) {
            assert!(rank_of(pair[0]) < rank_of(pair[1]), "{pair:?}");
        }
        assert_eq!(rank_of(0.0), rank_of(-0.0));
    }

    #[test]
    fn byte_names() {
        for (text, byte) in [
            ("<0x0A>", Some(10)),
            ("<0xff>", Some(255)),
            ("<0x+A>", None),
            ("<0x0>", None),
            ("<0x00A>", None),
            ("0x0A", None),
        ] {
            assert_eq!(byte_of(text.as_bytes()), byte, "{text}");
        }
    }
}
