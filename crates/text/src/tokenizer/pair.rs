//! Two texts as one, as models read them that compare them.

use super::{EncodeOptions, Tokenizer};
use crate::error::Error;

/// A piece of what two texts become, and the segment that the model is told for its tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PairPiece {
    /// A token that is always there.
    Token {
        /// The token.
        id: u32,
        /// Its segment.
        segment: u8,
    },
    /// The first text.
    First(u8),
    /// The second text.
    Second(u8),
}

impl PairPiece {
    /// BERT's: `[CLS] first [SEP] second [SEP]`, the second text and what follows in segment 1.
    ///
    /// Source: transformers, `BertTokenizer.create_token_type_ids_from_sequences`.
    pub(crate) fn bert(cls: Option<u32>, sep: Option<u32>) -> Vec<Self> {
        let token = |id: Option<u32>, segment| id.map(|id| Self::Token { id, segment });
        [token(cls, 0), Some(Self::First(0)), token(sep, 0), Some(Self::Second(1)), token(sep, 1)]
            .into_iter()
            .flatten()
            .collect()
    }

    /// RoBERTa's: `<s> first </s></s> second </s>`, all in segment 0.
    ///
    /// Source: transformers, `RobertaTokenizer.build_inputs_with_special_tokens`.
    pub(crate) fn roberta(cls: Option<u32>, sep: Option<u32>) -> Vec<Self> {
        let token = |id: Option<u32>| id.map(|id| Self::Token { id, segment: 0 });
        [
            token(cls),
            Some(Self::First(0)),
            token(sep),
            token(sep),
            Some(Self::Second(0)),
            token(sep),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// Nothing around the texts.
    pub(crate) fn plain() -> Vec<Self> {
        vec![Self::First(0), Self::Second(1)]
    }
}

/// Two texts as one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EncodedPair {
    /// The tokens.
    pub ids: Vec<u32>,
    /// To each token the segment that the model is told: transformers' `token_type_ids`.
    pub segments: Vec<u8>,
}

impl Tokenizer {
    /// Two texts as one, put together as the tokenizer's file says: for models that compare them.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`].
    pub fn encode_pair(
        &self,
        first: &str,
        second: &str,
        options: EncodeOptions,
    ) -> Result<EncodedPair, Error> {
        let mut out = EncodedPair::default();
        for piece in &self.pair {
            let segment = match *piece {
                PairPiece::Token { id, segment } => {
                    if options.special {
                        out.ids.push(id);
                    }
                    segment
                }
                PairPiece::First(segment) => {
                    self.encode_into(first, options, &mut out.ids)?;
                    segment
                }
                PairPiece::Second(segment) => {
                    self.encode_into(second, options, &mut out.ids)?;
                    segment
                }
            };
            out.segments.resize(out.ids.len(), segment);
        }
        Ok(out)
    }
}
