//! Byte-level BPE: pieces of text, spelt in bytes, joined in the order of the merges.

use crate::alphabet;
use crate::error::{Error, ErrorKind};
use crate::hash::{HashedMap, hash, hash_pair};
use crate::merge::{LONGEST, Merger};
use crate::split::{Splitter, presets};
use crate::vocab::Vocab;

/// The merges and how text is cut before they apply.
pub(crate) struct Bpe {
    splitter: Splitter,
    /// Rank of a merge by [`hash_pair`] of its sides.
    ///
    /// A rank is not compared with the text it was read from: two of a million merges share a
    /// key by chance once in 10^7 vocabularies, and a file made to collide only misleads itself.
    ranks: HashedMap<u32>,
    ignore_merges: bool,
    unknown: Option<u32>,
}

impl Bpe {
    /// From merges in the byte alphabet, `left right`, best first.
    pub(crate) fn from_ggml(
        merges: &[&str],
        preset: &presets::Preset,
        unknown: Option<u32>,
    ) -> Result<Self, Error> {
        let mut ranks = HashedMap::default();
        ranks.reserve(merges.len());
        let mut pair = Vec::new();
        for (rank, merge) in (0u32..).zip(merges) {
            // The left side may itself begin with a space in files that do not use the alphabet.
            let cut = merge.char_indices().skip(1).find(|&(_, char)| char == ' ');
            let Some((left, right)) = cut.map(|(at, _)| merge.split_at(at)) else {
                return Err(Error::new(
                    ErrorKind::Vocabulary,
                    format!("merge {rank} is `{merge}`, expected two texts with a space between"),
                ));
            };
            pair.clear();
            spell(left, &mut pair);
            let middle = pair.len();
            spell(right.get(1..).unwrap_or_default(), &mut pair);
            let (left, right) = pair.split_at(middle);
            ranks.entry(hash_pair(hash(left), hash(right))).or_insert(rank);
        }
        let stages = preset.stages.iter().map(|rule| rule.stage()).collect();
        Ok(Self {
            splitter: Splitter::new(stages),
            ranks,
            ignore_merges: preset.ignore_merges,
            unknown,
        })
    }

    /// Appends the ids of `text`.
    pub(crate) fn encode(
        &self,
        vocab: &Vocab,
        text: &str,
        merger: &mut Merger,
        out: &mut Vec<u32>,
    ) -> Result<(), Error> {
        self.splitter.split(text, |piece| {
            for word in piece.as_bytes().chunks(LONGEST) {
                self.encode_word(vocab, word, merger, out);
            }
        })
    }

    fn encode_word(&self, vocab: &Vocab, word: &[u8], merger: &mut Merger, out: &mut Vec<u32>) {
        if (self.ignore_merges || word.len() == 1)
            && let Some(id) = vocab.reach(word)
        {
            out.push(id);
            return;
        }
        merger.run(
            word,
            std::iter::repeat_n(1, word.len()),
            |joint, cut| {
                let (left, right) = joint.split_at_checked(cut)?;
                self.ranks.get(&hash_pair(hash(left), hash(right))).copied()
            },
            |piece| match vocab.reach(piece) {
                Some(id) => out.push(id),
                None => {
                    for byte in piece {
                        out.extend(vocab.reach(&[*byte]).or(self.unknown));
                    }
                }
            },
        );
    }
}

/// Appends what `text` spells in the byte alphabet, or the text itself where it spells nothing.
pub(crate) fn spell(text: &str, out: &mut Vec<u8>) {
    if !alphabet::decode_into(text, out) {
        out.extend_from_slice(text.as_bytes());
    }
}
