//! The ways of turning a piece of text into ids.

use crate::bpe::Bpe;
use crate::merge::Merger;
use crate::spm::Spm;
use crate::vocab::Vocab;
use crate::wordpiece::WordPiece;

/// One of them.
pub(crate) enum Model {
    Bpe(Bpe),
    Spm(Spm),
    WordPiece(WordPiece),
}

impl Model {
    /// Appends the ids of `piece`.
    pub(crate) fn encode(
        &self,
        vocab: &Vocab,
        piece: &str,
        merger: &mut Merger,
        out: &mut Vec<u32>,
    ) {
        match self {
            Self::Bpe(bpe) => bpe.encode(vocab, piece, merger, out),
            Self::Spm(spm) => spm.encode(vocab, piece, merger, out),
            Self::WordPiece(wordpiece) => wordpiece.encode(vocab, piece, out),
        }
    }
}
