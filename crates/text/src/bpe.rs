//! BPE by merges: the pieces of a text, joined in the order of the merges.

use crate::alphabet;
use crate::error::{Error, ErrorKind};
use crate::fallback::Fallback;
use crate::hash::{HashedMap, hash, hash_pair};
use crate::merge::{LONGEST, Merger};
use crate::vocab::Vocab;

/// The merges, and what they begin with.
pub(crate) struct Bpe {
    /// Rank of a merge by [`hash_pair`] of its sides.
    ///
    /// A rank is not compared with the text it was read from: two of a million merges share a
    /// key by chance once in 10^7 vocabularies, and a file made to collide only misleads itself.
    ranks: HashedMap<u32>,
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

impl Bpe {
    /// From pairs in the form that `vocab` is kept in, best first.
    pub(crate) fn new(units: Units, ignore_merges: bool, merges: usize) -> Self {
        let mut ranks = HashedMap::default();
        ranks.reserve(merges);
        Self { ranks, ignore_merges, units }
    }

    /// Adds the merge of `left` and `right`, which is worse than those before.
    pub(crate) fn push(&mut self, left: &[u8], right: &[u8]) -> Result<(), Error> {
        let rank = u32::try_from(self.ranks.len())
            .map_err(|_| Error::new(ErrorKind::Vocabulary, "there are over 2^32 merges"))?;
        self.ranks.entry(hash_pair(hash(left), hash(right))).or_insert(rank);
        Ok(())
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
            self.ranks.get(&hash_pair(hash(left), hash(right))).copied()
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
    let cut = merge.char_indices().skip(1).find(|&(_, char)| char == ' ')?.0;
    Some((merge.get(..cut)?, merge.get(cut + 1..)?))
}

/// Appends what `text` spells in the byte alphabet, or the text itself where it spells nothing.
pub(crate) fn spell(text: &str, out: &mut Vec<u8>) {
    if !alphabet::decode_into(text, out) {
        out.extend_from_slice(text.as_bytes());
    }
}
