//! Finding the matches of one pattern.

use std::ops::Range;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use regex::Regex;

use crate::error::{Error, ErrorKind};

/// The longest pattern that a file may bring. The longest published ones have 600 bytes.
const MOST_PATTERN_BYTES: usize = 16 << 10;

/// Steps back that one match of a backtracking pattern may take (fancy-regex's own default).
const MOST_STEPS: usize = 1_000_000;

/// The time that a backtracking pattern may take on one text. Reasonable ones need a microsecond
/// a match; this ends hostile ones that stay below [`MOST_STEPS`] again and again.
const MOST_TIME: Duration = Duration::from_secs(5);

/// One pattern.
pub(crate) enum Finder {
    /// A pattern of ours, compiled at its first use: a millisecond for those with many classes.
    Preset(&'static str, OnceLock<Regex>),
    /// A regular pattern out of a file: linear on any text.
    Linear(Regex),
    /// A pattern out of a file that looks around or takes without giving back.
    Backtracking(Box<fancy_regex::Regex>),
    /// A text.
    Literal(String),
}

impl Finder {
    pub(crate) const fn preset(source: &'static str) -> Self {
        Self::Preset(source, OnceLock::new())
    }

    /// A pattern out of `tokenizer.json`, in Oniguruma's syntax as far as published patterns use
    /// it: `^` and `$` match at every line.
    ///
    /// # Errors
    /// `Pattern` when it does not compile or is too long.
    pub(crate) fn from_file(source: &str) -> Result<Self, Error> {
        if source.len() > MOST_PATTERN_BYTES {
            return Err(Error::new(
                ErrorKind::Pattern,
                format!(
                    "pattern has `{}` bytes, expected at most `{MOST_PATTERN_BYTES}`",
                    source.len()
                ),
            ));
        }
        let lines = format!("(?m:{source})");
        if !is_possessive(source)
            && let Ok(regex) = Regex::new(&lines)
        {
            return Ok(Self::Linear(regex));
        }
        let regex = fancy_regex::RegexBuilder::new(&lines)
            .backtrack_limit(MOST_STEPS)
            .build()
            .map_err(|error| {
                Error::new(ErrorKind::Pattern, format!("pattern `{source}` does not compile"))
                    .with_source(error)
            })?;
        Ok(Self::Backtracking(Box::new(regex)))
    }

    /// The matches in `text`, to be asked for one after the other.
    pub(crate) fn matches<'f, 't>(&'f self, text: &'t str) -> Matches<'f, 't> {
        Matches { finder: self, text, at: 0, began: None }
    }

    fn find_at(&self, text: &str, at: usize) -> Result<Option<Range<usize>>, Error> {
        Ok(match self {
            Self::Preset(source, regex) => {
                let regex = regex
                    .get_or_init(|| Regex::new(source).expect("the presets' patterns are tested"));
                regex.find_at(text, at).map(|found| found.range())
            }
            Self::Linear(regex) => regex.find_at(text, at).map(|found| found.range()),
            Self::Backtracking(regex) => regex
                .find_from_pos(text, at)
                .map_err(|error| {
                    Error::new(
                        ErrorKind::Pattern,
                        format!("pattern `{}` at byte `{at}` of the text", regex.as_str()),
                    )
                    .with_source(error)
                })?
                .map(|found| found.range()),
            Self::Literal(what) => text
                .get(at..)
                .and_then(|rest| rest.find(what.as_str()))
                .map(|start| at + start..at + start + what.len()),
        })
    }
}

/// Whether a quantifier of `source` is possessive (`x++`), which the regular engine would read
/// as a repetition of a repetition.
fn is_possessive(source: &str) -> bool {
    let mut before = [b'\\'; 2];
    for &byte in source.as_bytes() {
        if byte == b'+' && matches!(before[1], b'+' | b'*' | b'?') && before[0] != b'\\' {
            return true;
        }
        before = [before[1], byte];
    }
    false
}

/// What [`Finder::matches`] returns: an iterator whose caller may set where to go on.
pub(crate) struct Matches<'f, 't> {
    finder: &'f Finder,
    text: &'t str,
    at: usize,
    /// When a backtracking pattern began.
    began: Option<Instant>,
}

impl Matches<'_, '_> {
    /// The next match that is not empty.
    pub(crate) fn next(&mut self) -> Result<Option<Range<usize>>, Error> {
        if let Finder::Backtracking(regex) = self.finder
            && self.began.get_or_insert_with(Instant::now).elapsed() > MOST_TIME
        {
            return Err(Error::new(
                ErrorKind::Pattern,
                format!(
                    "pattern `{}` took over `{}` s on a text of `{}` bytes",
                    regex.as_str(),
                    MOST_TIME.as_secs(),
                    self.text.len()
                ),
            ));
        }
        while let Some(found) = self.finder.find_at(self.text, self.at)? {
            if !found.is_empty() {
                self.at = found.end;
                return Ok(Some(found));
            }
            // An empty match cuts nothing; the search goes on a character later.
            let Some(char) = self.text.get(found.end..).and_then(|rest| rest.chars().next()) else {
                break;
            };
            self.at = found.end + char.len_utf8();
        }
        Ok(None)
    }

    /// Goes on at `at`, which lies within the last match.
    pub(crate) fn go_on_at(&mut self, at: usize) {
        self.at = at;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn possessive_quantifiers() {
        for (source, expected) in [
            (r"\p{L}+", false),
            (r"\p{L}++", true),
            (r"[^a]?+b", true),
            (r"a{1,3}+", false),
            (r"\++", false),
            (r"\?+", false),
            ("+", false),
        ] {
            assert_eq!(is_possessive(source), expected, "{source}");
        }
    }
}
