//! A vocabulary as grammars see it: bytes, with tokens that are no text apart.

use std::sync::Arc;

use llguidance::ParserFactory;
use llguidance::earley::SlicedBiasComputer;
use llguidance::toktrie::INVALID_TOKEN;
use llguidance::toktrie::{InferenceCapabilities, TokEnv, TokRxInfo, TokTrie, TokenizerEnv};

use super::limits;
use crate::error::{Error, ErrorKind};
use crate::tokenizer::{DecodeOptions, EncodeOptions, Spelling, Tokenizer};
use crate::vocab::TokenKind;

/// What compiles grammars for the vocabulary of `tokenizer`.
///
/// # Errors
/// `Vocabulary` when it is too large.
pub(super) fn factory(tokenizer: &Arc<Tokenizer>) -> Result<ParserFactory, Error> {
    let words = words(tokenizer);
    let bytes: usize = words.iter().map(Vec::len).sum();
    if bytes > limits::MOST_VOCABULARY_BYTES || words.len() > limits::MOST_VOCABULARY_BYTES {
        return Err(Error::new(
            ErrorKind::Vocabulary,
            format!(
                "a vocabulary of `{}` tokens and `{bytes}` bytes, expected at most `{}` bytes \
                 for constrained answers",
                words.len(),
                limits::MOST_VOCABULARY_BYTES
            ),
        ));
    }
    let ends = tokenizer.ends();
    let end = ends.first().copied().unwrap_or(INVALID_TOKEN);
    let trie = TokTrie::from(&TokRxInfo::new(words.len() as u32, end), &words);
    let trie = if ends.is_empty() { trie } else { trie.with_eos_tokens(ends) };
    let env: TokEnv = Arc::new(Vocabulary { tokenizer: Arc::clone(tokenizer), trie });
    let mut factory = ParserFactory::new(
        &env,
        InferenceCapabilities::default(),
        &SlicedBiasComputer::general_slices(),
    )
    .map_err(|error| Error::new(ErrorKind::Vocabulary, error.to_string()))?;
    *factory.limits_mut() = limits::parser();
    factory.quiet();
    Ok(factory)
}

/// The bytes of each token; none for those that do not occur in constrained answers.
fn words(tokenizer: &Tokenizer) -> Vec<Vec<u8>> {
    (0..tokenizer.vocab_size() as u32)
        .map(|id| {
            let bytes = tokenizer.token_bytes(id);
            if bytes.len() > limits::MOST_TOKEN_BYTES {
                return Vec::new();
            }
            match tokenizer.vocab.kind(id) {
                _ if tokenizer.is_end(id) => special(&bytes),
                Some(TokenKind::Control) => special(&bytes),
                // It stands for text that is not known, and reserved tokens were never trained.
                Some(TokenKind::Unknown | TokenKind::Unused) | None => Vec::new(),
                // Text never has the byte that marks tokens that are no text.
                _ if bytes.contains(&TokTrie::SPECIAL_TOKEN_MARKER) && bytes.len() > 1 => {
                    Vec::new()
                }
                _ => bytes.into_owned(),
            }
        })
        .collect()
}

/// A token that grammars reach by its name only.
fn special(name: &[u8]) -> Vec<u8> {
    [&[TokTrie::SPECIAL_TOKEN_MARKER], name].concat()
}

/// The vocabulary, with the way in which it cuts text.
struct Vocabulary {
    tokenizer: Arc<Tokenizer>,
    trie: TokTrie,
}

impl TokenizerEnv for Vocabulary {
    fn tok_trie(&self) -> &TokTrie {
        &self.trie
    }

    fn tokenize_bytes(&self, bytes: &[u8]) -> Vec<u32> {
        if let Ok(text) = std::str::from_utf8(bytes)
            && let Ok(ids) = self.tokenizer.encode(text, EncodeOptions::default())
            && self.tokenizer.decode_bytes(&ids, DecodeOptions::default()) == bytes
        {
            return ids;
        }
        // Normalised text, or a part of a character.
        self.trie.greedy_tokenize(bytes)
    }

    /// Whether text that a grammar leaves no choice about may be cut here: not where a space
    /// before the text is none of its own.
    fn tokenize_is_canonical(&self) -> bool {
        self.tokenizer.spelling == Spelling::Bytes
    }
}
