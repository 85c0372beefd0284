//! WordPiece: the longest token that begins each word, then the longest that goes on, and so on.
//!
//! Tokens that begin a word are kept with U+2581 before them and tokens that go on without, as
//! GGUF has them; `tokenizer.json` marks the latter with `##` instead.

use crate::normalize::{Form, Normalizer};
use crate::split::finder::Finder;
use crate::split::{Behavior, Stage};
use crate::vocab::{SPACE, Vocab};

/// The longest word, in characters, that is looked up; longer ones are unknown (BERT's own limit).
pub(crate) const LONGEST_WORD: usize = 100;

/// How words are looked up.
pub(crate) struct WordPiece {
    /// Whether a reachable token has this length in bytes, by length.
    lengths: Vec<bool>,
    unknown: Option<u32>,
    longest_word: usize,
}

impl WordPiece {
    pub(crate) fn new(vocab: &Vocab, unknown: Option<u32>, longest_word: usize) -> Self {
        // No word in UTF-8 is longer than four bytes a character and its mark.
        let longest = longest_word.min(1 << 16) * 4 + SPACE.len();
        let mut lengths = vec![false; longest + 1];
        for id in 0..vocab.len() as u32 {
            let len = vocab.bytes(id).map_or(0, <[u8]>::len);
            if let Some(has) = lengths.get_mut(len) {
                *has = true;
            }
        }
        lengths.truncate(lengths.iter().rposition(|&has| has).map_or(0, |last| last + 1));
        Self { lengths, unknown, longest_word }
    }

    /// Appends the ids of `word`, or the unknown token where its parts are not all tokens.
    pub(crate) fn encode(&self, vocab: &Vocab, word: &str, out: &mut Vec<u32>) {
        // The mark of a begun word is no character of a word.
        if word.chars().nth(self.longest_word).is_some() || word.contains(SPACE) {
            out.extend(self.unknown);
            return;
        }
        let before = out.len();
        let marked = [SPACE, word].concat();
        let mut rest = marked.as_bytes();
        while !rest.is_empty() {
            let Some((id, len)) = self.longest(vocab, rest) else {
                out.truncate(before);
                out.extend(self.unknown);
                return;
            };
            out.push(id);
            rest = rest.get(len..).unwrap_or_default();
        }
    }

    /// The longest token that `text` begins with.
    fn longest(&self, vocab: &Vocab, text: &[u8]) -> Option<(u32, usize)> {
        let lengths = self.lengths.iter().enumerate().take(text.len() + 1).skip(1);
        lengths
            .rev()
            .filter(|(_, has)| **has)
            .find_map(|(len, _)| Some((vocab.reach(text.get(..len)?)?, len)))
    }
}

/// What BERT does to text. Source: Hugging Face's `BertNormalizer`.
pub(crate) fn bert_normalizers(
    clean: bool,
    strip_accents: bool,
    lowercase: bool,
) -> Vec<Normalizer> {
    let mut steps = Vec::new();
    let removes = |pattern| Normalizer::Replace(Finder::preset(pattern), String::new());
    if clean {
        steps.push(removes(r"[\x00\x{FFFD}\p{Cc}\p{Cf}\p{Co}--\t\n\r]+"));
    }
    if strip_accents {
        steps.push(Normalizer::Form(Form::D));
        steps.push(removes(r"\p{Mn}+"));
    }
    if lowercase {
        steps.push(Normalizer::Lowercase);
    }
    steps
}

/// How BERT cuts text: white space is left out, punctuation stands alone.
pub(crate) fn bert_stages() -> [Stage; 2] {
    [
        Stage::Split(Finder::preset(r"\s+"), Behavior::Removed),
        Stage::Split(punctuation(), Behavior::Isolated),
    ]
}

/// One punctuation character, by BERT's reading of ASCII.
pub(crate) fn punctuation() -> Finder {
    Finder::preset(r"[!-/:-@\[-`{-~\p{P}]")
}

/// Han characters stand alone. Source of the blocks: `is_chinese_char` of Hugging Face's
/// `BertNormalizer`, with its `2B920` for `2B820`.
pub(crate) fn han_stage() -> Stage {
    let han = Finder::preset(concat!(
        r"[\x{4E00}-\x{9FFF}\x{3400}-\x{4DBF}\x{20000}-\x{2A6DF}\x{2A700}-\x{2B73F}",
        r"\x{2B740}-\x{2B81F}\x{2B920}-\x{2CEAF}\x{F900}-\x{FAFF}\x{2F800}-\x{2FA1F}]",
    ));
    Stage::Split(han, Behavior::Isolated)
}
