//! Tokens that are found in text before anything else: control and user-defined ones.

use std::borrow::Cow;
use std::sync::OnceLock;

use aho_corasick::{AhoCorasick, MatchKind};

use crate::error::{Error, ErrorKind};

/// A token that is found whole.
#[derive(Debug, Clone)]
pub(crate) struct AddedToken {
    pub(crate) id: u32,
    pub(crate) text: String,
    /// Found only where special tokens are asked for.
    pub(crate) special: bool,
    /// Takes the white space before it along.
    pub(crate) strips_left: bool,
    /// Takes the white space after it along.
    pub(crate) strips_right: bool,
    /// Found only between characters that make no word.
    pub(crate) single_word: bool,
}

impl AddedToken {
    pub(crate) fn new(id: u32, text: String, special: bool) -> Self {
        Self { id, text, special, strips_left: false, strips_right: false, single_word: false }
    }
}

/// What text falls into.
#[derive(Debug, PartialEq)]
pub(crate) enum Fragment<'t> {
    Text(&'t str),
    Token(u32),
}

/// The tokens, and one automaton for each way of looking for them: leftmost first, the longest
/// of those that begin there, in one pass over the text however many tokens there are.
#[derive(Default)]
pub(crate) struct Added {
    tokens: Vec<AddedToken>,
    all: OnceLock<Finder>,
    plain: OnceLock<Finder>,
}

/// An automaton and the token behind each of its patterns.
struct Finder {
    automaton: Option<AhoCorasick>,
    tokens: Vec<usize>,
}

impl Added {
    /// # Errors
    /// `Vocabulary` when the texts are too many for an automaton.
    pub(crate) fn new(mut tokens: Vec<AddedToken>) -> Result<Self, Error> {
        tokens.retain(|token| !token.text.is_empty());
        let total: usize = tokens.iter().map(|token| token.text.len()).sum();
        if total > MOST_BYTES {
            return Err(Error::new(
                ErrorKind::Vocabulary,
                format!("added tokens hold `{total}` bytes, expected at most `{MOST_BYTES}`"),
            ));
        }
        Ok(Self { tokens, all: OnceLock::new(), plain: OnceLock::new() })
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.tokens.len()
    }

    /// `text` with [`SHIELD`] after every character of what would be found as a special token, so
    /// that neither it nor a part of it is.
    pub(crate) fn shield<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let finder = self.all.get_or_init(|| Finder::new(&self.tokens, true));
        // Shields of the text's own are none.
        let mut text = match text.contains(SHIELD) {
            true => Cow::Owned(text.replace(SHIELD, "")),
            false => Cow::Borrowed(text),
        };
        let mut shielded = String::new();
        let mut done = 0;
        for found in finder.automaton.iter().flat_map(|automaton| automaton.find_iter(&*text)) {
            let index = finder.tokens.get(found.pattern().as_usize());
            let is_special =
                index.and_then(|&index| self.tokens.get(index)).is_some_and(|token| token.special);
            if let (true, Some(before), Some(token)) =
                (is_special, text.get(done..found.start()), text.get(found.range()))
            {
                shielded.push_str(before);
                shielded.extend(token.chars().flat_map(|char| [char, SHIELD]));
                done = found.end();
            }
        }
        if done > 0 {
            shielded.push_str(text.get(done..).unwrap_or_default());
            text = Cow::Owned(shielded);
        }
        text
    }

    /// Hands the fragments of `text` to `emit` from left to right. Special tokens are looked for
    /// only when `special` is true.
    pub(crate) fn split<'t>(
        &self,
        text: &'t str,
        special: bool,
        mut emit: impl FnMut(Fragment<'t>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let finder = if special { &self.all } else { &self.plain };
        let finder = finder.get_or_init(|| Finder::new(&self.tokens, special));
        let mut done = 0;
        for found in finder.automaton.iter().flat_map(|automaton| automaton.find_iter(text)) {
            let token = finder
                .tokens
                .get(found.pattern().as_usize())
                .and_then(|&index| self.tokens.get(index));
            let (Some(token), Some(before), Some(after)) =
                (token, text.get(done..found.start()), text.get(found.end()..))
            else {
                continue;
            };
            if token.single_word
                && (text.get(..found.start()).is_some_and(|text| text.ends_with(is_word))
                    || after.starts_with(is_word))
            {
                continue;
            }
            let before = if token.strips_left { before.trim_end() } else { before };
            if !before.is_empty() {
                emit(Fragment::Text(before))?;
            }
            emit(Fragment::Token(token.id))?;
            done = found.end();
            if token.strips_right {
                done += after.len() - after.trim_start().len();
            }
        }
        match text.get(done..) {
            Some(rest) if !rest.is_empty() => emit(Fragment::Text(rest)),
            _ => Ok(()),
        }
    }
}

/// What keeps a text from being a special token: a code point that is no character, and which is
/// taken out again before text is cut.
pub(crate) const SHIELD: char = '\u{fdd0}';

/// The most bytes that the texts of all added tokens may hold. Gemma 3, with 6,400 of them the
/// richest known, has 60 kB; an automaton takes some tens of times its text.
const MOST_BYTES: usize = 8 << 20;

/// Whether a character makes a word (`\w`).
fn is_word(char: char) -> bool {
    char.is_alphanumeric() || char == '_'
}

impl Finder {
    fn new(tokens: &[AddedToken], special: bool) -> Self {
        let (indices, texts): (Vec<_>, Vec<_>) = tokens
            .iter()
            .enumerate()
            .filter(|(_, token)| special || !token.special)
            .map(|(index, token)| (index, token.text.as_str()))
            .unzip();
        if texts.is_empty() {
            return Self { automaton: None, tokens: indices };
        }
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(texts)
            .expect("`MOST_BYTES` keeps the states below the automaton's limit");
        Self { automaton: Some(automaton), tokens: indices }
    }
}
