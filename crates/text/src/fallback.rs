//! What becomes of text that no token spells.

use crate::vocab::{TokenKind, Vocab};

/// The tokens of single bytes, and the one for what cannot be said.
pub(crate) struct Fallback {
    /// By byte; empty where the vocabulary spells no bytes.
    bytes: Vec<Option<u32>>,
    unknown: Option<u32>,
    /// Whether neighbouring unknown characters are one token.
    fuses: bool,
}

impl Fallback {
    /// The unknown token only.
    pub(crate) fn unknown(unknown: Option<u32>, fuses: bool) -> Self {
        Self { bytes: Vec::new(), unknown, fuses }
    }

    /// The tokens of kind [`TokenKind::Byte`], whose text is `<0x00>` to `<0xFF>`.
    pub(crate) fn bytes(vocab: &Vocab, unknown: Option<u32>, fuses: bool) -> Self {
        let mut bytes = vec![None; 256];
        for (id, _) in (0u32..).zip(vocab.kinds()).filter(|(_, kind)| **kind == TokenKind::Byte) {
            if let Some(byte) = vocab.bytes(id).and_then(byte_of)
                && let Some(slot) = bytes.get_mut(usize::from(byte))
            {
                *slot = Some(id);
            }
        }
        Self { bytes, unknown, fuses }
    }

    /// Appends what stands for `text`, a character that begins a word where `out` is `start` long.
    pub(crate) fn encode(&self, text: &[u8], start: usize, out: &mut Vec<u32>) {
        let before = out.len();
        for &byte in text {
            if let Some(&Some(id)) = self.bytes.get(usize::from(byte)) {
                out.push(id);
                continue;
            }
            out.truncate(before);
            let follows = before > start && out.last().copied() == self.unknown;
            if !(self.fuses && follows) {
                out.extend(self.unknown);
            }
            return;
        }
    }
}

/// The byte that `<0xNN>` names.
pub(crate) fn byte_of(text: &[u8]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let &[high, low] = text.strip_prefix(b"<0x")?.strip_suffix(b">")? else { return None };
    u8::try_from(digit(high)? << 4 | digit(low)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn unknown_characters() {
        for (fuses, expected) in [(true, vec![9, 7]), (false, vec![9, 7, 7])] {
            let fallback = Fallback::unknown(Some(7), fuses);
            let mut out = vec![9];
            fallback.encode("é".as_bytes(), 1, &mut out);
            fallback.encode("ü".as_bytes(), 1, &mut out);
            assert_eq!(out, expected);
        }
    }
}
