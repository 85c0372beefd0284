//! BPE by merges: the pieces of a text, joined in the order of the merges.

use crate::alphabet;
use crate::fallback::Fallback;
use crate::hash::{hash, hash_pair};
use crate::merge::{LONGEST, Merger};
use crate::table::Table;
use crate::vocab::Vocab;

/// The merges, and what they begin with.
pub(crate) struct Bpe {
    /// Rank of a merge by [`hash_pair`] of its sides.
    ///
    /// A rank is not compared with the text it was read from. What a wrong one joined would have
    /// to be a token besides, or it is not joined: by chance that is never, and a file that is
    /// made to collide only misleads itself.
    ranks: Table,
    /// A piece that is a token whole is that token, whatever the merges make of it.
    ignore_merges: bool,
    units: Units,
}

/// What is joined first.
pub(crate) enum Units {
    /// Bytes: every text can be spelt. The fallback is for vocabularies that lack some.
    Bytes { unknown: Option<u32> },
    /// Characters; those that are no token are spelt in byte tokens or are unknown.
    Characters { fallback: Fallback },
}

/// Merges while they are gathered, best first.
#[derive(Default)]
pub(crate) struct Merges {
    pairs: Vec<u64>,
    /// The text of a pair, one after the other.
    pair: Vec<u8>,
}

impl Merges {
    pub(crate) fn with_capacity(merges: usize) -> Self {
        Self { pairs: Vec::with_capacity(merges), pair: Vec::new() }
    }

    /// Adds the merge of two texts that are spelt in the byte alphabet.
    pub(crate) fn push_spelt(&mut self, left: &str, right: &str) {
        self.pair.clear();
        spell(left, &mut self.pair);
        let middle = self.pair.len();
        spell(right, &mut self.pair);
        let (left, right) = self.pair.split_at(middle);
        self.pairs.push(hash_pair(hash(left), hash(right)));
    }

    /// Adds the merge of two texts as they are.
    pub(crate) fn push(&mut self, left: &str, right: &str) {
        self.pairs.push(hash_pair(hash(left.as_bytes()), hash(right.as_bytes())));
    }
}

impl Bpe {
    pub(crate) fn new(units: Units, ignore_merges: bool, merges: Merges) -> Self {
        let ranks = Table::new(merges.pairs.iter().copied().zip(0..merges.pairs.len() as u32));
        Self { ranks, ignore_merges, units }
    }

    /// Appends the ids of `piece`.
    pub(crate) fn encode(
        &self,
        vocab: &Vocab,
        piece: &str,
        merger: &mut Merger,
        out: &mut Vec<u32>,
    ) {
        let mut rest = piece;
        while !rest.is_empty() {
            let (word, after) = rest.split_at(rest.floor_char_boundary(LONGEST));
            rest = after;
            self.encode_word(vocab, word, merger, out);
        }
    }

    fn encode_word(&self, vocab: &Vocab, word: &str, merger: &mut Merger, out: &mut Vec<u32>) {
        if (self.ignore_merges || word.len() == 1)
            && let Some(id) = vocab.reach(word.as_bytes())
        {
            out.push(id);
            return;
        }
        let rank = |joint: &[u8], cut| {
            let (left, right) = joint.split_at_checked(cut)?;
            self.ranks.find(hash_pair(hash(left), hash(right)), |_| vocab.reach(joint).is_some())
        };
        let bytes = word.as_bytes();
        match &self.units {
            Units::Bytes { unknown } => {
                let emit = |piece: &[u8]| match vocab.reach(piece) {
                    Some(id) => out.push(id),
                    None => {
                        let ids = piece.iter().flat_map(|byte| vocab.reach(&[*byte]).or(*unknown));
                        out.extend(ids);
                    }
                };
                merger.run(bytes, std::iter::repeat_n(1, bytes.len()), rank, emit);
            }
            Units::Characters { fallback } => {
                let start = out.len();
                let emit = |piece: &[u8]| match vocab.reach(piece) {
                    Some(id) => out.push(id),
                    None => fallback.encode(piece, start, out),
                };
                merger.run(bytes, word.chars().map(char::len_utf8), rank, emit);
            }
        }
    }
}

/// The sides of a merge in GGUF, `left right`. The left one may itself begin with a space where
/// the byte alphabet is not used.
pub(crate) fn sides(merge: &str) -> Option<(&str, &str)> {
    let first = merge.chars().next()?.len_utf8();
    // Of 49,000 short merges, a loop takes a third of the instructions of `str::find`.
    let cut = first + merge.as_bytes().get(first..)?.iter().position(|byte| *byte == b' ')?;
    Some((merge.get(..cut)?, merge.get(cut + 1..)?))
}

/// Appends what `text` spells in the byte alphabet, or the text itself where it spells nothing.
pub(crate) fn spell(text: &str, out: &mut Vec<u8>) {
    if !alphabet::decode_into(text, out) {
        out.extend_from_slice(text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sides_of_merges() {
        for (merge, expected) in [
            ("a b", Some(("a", "b"))),
            ("a b c", Some(("a", "b c"))),
            ("  b", Some((" ", "b"))),
            ("a ", Some(("a", ""))),
            ("é ü", Some(("é", "ü"))),
            ("ab", None),
            (" b", None),
            (" ", None),
            ("", None),
        ] {
            assert_eq!(sides(merge), expected, "{merge:?}");
        }
    }
}
