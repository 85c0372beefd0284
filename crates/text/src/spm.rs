//! SentencePiece BPE: characters joined in the order of the joint token's score.
//!
//! Files of this kind carry scores and no merges.

use crate::error::{Error, ErrorKind};
use crate::fallback::Fallback;
use crate::merge::{LONGEST, Merger};
use crate::vocab::Vocab;

/// Scores as ranks, and what the rest falls back to.
pub(crate) struct Spm {
    /// By id; lower is better.
    ranks: Vec<u32>,
    fallback: Fallback,
}

impl Spm {
    /// # Errors
    /// `Vocabulary` when there is not one score for each token, or one is no number.
    pub(crate) fn new(vocab: &Vocab, scores: &[f32], fallback: Fallback) -> Result<Self, Error> {
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
                format!("score of token `{id}` is `NaN`, expected a number"),
            ));
        }
        Ok(Self { ranks: scores.iter().map(|&score| rank_of(score)).collect(), fallback })
    }

    /// Appends the ids of `piece`, whose spaces are U+2581.
    pub(crate) fn encode(
        &self,
        vocab: &Vocab,
        piece: &str,
        merger: &mut Merger,
        out: &mut Vec<u32>,
    ) {
        let start = out.len();
        let mut rest = piece;
        while !rest.is_empty() {
            let (word, after) = rest.split_at(rest.floor_char_boundary(LONGEST));
            rest = after;
            merger.run(
                word.as_bytes(),
                word.chars().map(char::len_utf8),
                |joint, _| self.ranks.get(vocab.reach(joint)? as usize).copied(),
                |piece| match vocab.reach(piece) {
                    Some(id) => out.push(id),
                    None => self.fallback.encode(piece, start, out),
                },
            );
        }
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
}
