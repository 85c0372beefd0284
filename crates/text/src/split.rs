//! Cutting text into the pieces within which tokens are joined.
//!
//! Every published pre-tokenizer is a list of patterns, applied one after the other to the pieces
//! that the one before left. Most end in `…|\s+(?!\S)|\s+`: a run of white space leaves its last
//! character to the word that follows. That look-ahead is done here by hand, so that the patterns
//! stay regular and the whole is linear on any input.

pub(crate) mod finder;
pub(crate) mod presets;

use std::ops::Range;

use crate::error::{Error, ErrorKind};
use finder::Finder;

/// One pass over the pieces.
pub(crate) enum Stage {
    /// The matches of a pattern and the gaps between them.
    Split(Finder, Behavior),
    /// The matches of a pattern with `\s+` as its last alternative, in the place of
    /// `\s+(?!\S)|\s+`, and the gaps between them.
    Words(Finder, OwnSpace),
    /// Runs of digits in groups of three, counted from their right end.
    DigitGroups,
}

/// What becomes of the matches of a [`Stage::Split`], by Hugging Face's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behavior {
    /// Each is a piece.
    Isolated,
    /// They are left out.
    Removed,
    /// Only they are left.
    Kept,
    /// Each ends the piece before it.
    MergedWithPrevious,
    /// Each begins the piece after it.
    MergedWithNext,
    /// Neighbouring ones are one piece.
    Contiguous,
}

/// Which runs of white space the other alternatives of [`Stage::Words`] match.
pub(crate) enum OwnSpace {
    /// None that is longer than a character.
    None,
    /// Those that end in a line break, and all of them.
    LineBreaks,
    /// Those that this pattern finds at their start: the other alternatives after `\A`.
    Of(Finder),
}

/// A pre-tokenizer.
#[derive(Default)]
pub(crate) struct Splitter {
    stages: Vec<Stage>,
}

impl Splitter {
    pub(crate) fn new(stages: Vec<Stage>) -> Self {
        Self { stages }
    }

    /// Hands the pieces of `text` to `emit` from left to right.
    ///
    /// # Errors
    /// `Pattern` when a pattern from a file runs past its limit on this text.
    pub(crate) fn split<'t>(
        &self,
        text: &'t str,
        mut emit: impl FnMut(&'t str),
    ) -> Result<(), Error> {
        let Some((first, rest)) = self.stages.split_first() else {
            emit(text);
            return Ok(());
        };
        let mut pieces = Pieces::default();
        first.apply(text, &mut pieces)?;
        for stage in rest {
            let before = std::mem::take(&mut pieces.ranges);
            pieces.ranges.reserve(before.len());
            for piece in before {
                pieces.offset = piece.start;
                stage.apply(slice(text, piece)?, &mut pieces)?;
            }
        }
        for piece in pieces.ranges {
            emit(slice(text, piece)?);
        }
        Ok(())
    }
}

/// A piece of `text`; the error is for patterns that would cut a character.
fn slice(text: &str, piece: Range<usize>) -> Result<&str, Error> {
    text.get(piece.clone()).ok_or_else(|| {
        Error::new(
            ErrorKind::Pattern,
            format!("a pattern matched `{}..{}`, which cuts a character", piece.start, piece.end),
        )
    })
}

/// Pieces as they are found.
#[derive(Default)]
struct Pieces {
    /// Where they lie in the whole text.
    ranges: Vec<Range<usize>>,
    /// Where the piece that is being cut begins in the whole text.
    offset: usize,
}

impl Pieces {
    fn push(&mut self, piece: Range<usize>) {
        if !piece.is_empty() {
            self.ranges.push(self.offset + piece.start..self.offset + piece.end);
        }
    }
}

impl Stage {
    fn apply(&self, text: &str, out: &mut Pieces) -> Result<(), Error> {
        match self {
            Self::Split(finder, behavior) => split(finder, *behavior, text, out),
            Self::Words(finder, own) => words(finder, own, text, out),
            Self::DigitGroups => {
                digit_groups(text, out);
                Ok(())
            }
        }
    }
}

fn split(finder: &Finder, behavior: Behavior, text: &str, out: &mut Pieces) -> Result<(), Error> {
    let mut matches = finder.matches(text);
    // Where the piece that is being gathered begins, and where the last match ended.
    let (mut start, mut done) = (0, 0);
    while let Some(found) = matches.next()? {
        match behavior {
            Behavior::Isolated => {
                out.push(done..found.start);
                out.push(found.clone());
            }
            Behavior::Removed => out.push(done..found.start),
            Behavior::Kept => out.push(found.clone()),
            Behavior::MergedWithPrevious => out.push(done..found.end),
            Behavior::MergedWithNext => {
                out.push(start..found.start);
                start = found.start;
            }
            Behavior::Contiguous => {
                if found.start > done {
                    out.push(start..done);
                    out.push(done..found.start);
                    start = found.start;
                }
            }
        }
        done = found.end;
    }
    match behavior {
        Behavior::Kept => {}
        Behavior::MergedWithNext => out.push(start..text.len()),
        Behavior::Contiguous => {
            out.push(start..done);
            out.push(done..text.len());
        }
        _ => out.push(done..text.len()),
    }
    Ok(())
}

/// A run of white space that the last alternative found gives its last character back, when
/// something follows it and something is left.
fn words(finder: &Finder, own: &OwnSpace, text: &str, out: &mut Pieces) -> Result<(), Error> {
    let mut matches = finder.matches(text);
    let mut done = 0;
    while let Some(mut found) = matches.next()? {
        if found.end < text.len()
            && let Some(run) = text.get(found.clone())
            && let Some(shorter) = without_last_space(run)
            && !own.has(run, text.get(found.start..).unwrap_or_default())?
        {
            found.end = found.start + shorter;
            matches.go_on_at(found.end);
        }
        out.push(done..found.start);
        out.push(found.clone());
        done = found.end;
    }
    out.push(done..text.len());
    Ok(())
}

/// The length of a run of at least two white-space characters without the last.
fn without_last_space(run: &str) -> Option<usize> {
    let last = run.chars().next_back()?;
    let shorter = run.len() - last.len_utf8();
    (shorter > 0 && run.chars().rev().all(char::is_whitespace)).then_some(shorter)
}

impl OwnSpace {
    /// Whether another alternative found `run`, at the start of `rest`.
    fn has(&self, run: &str, rest: &str) -> Result<bool, Error> {
        Ok(match self {
            Self::None => false,
            Self::LineBreaks => run.ends_with(['\r', '\n']),
            Self::Of(others) => others.matches(rest).next()?.is_some(),
        })
    }
}

/// Groups of three in every run of digits, the first shorter where the count asks for it.
fn digit_groups(text: &str, out: &mut Pieces) {
    let mut done = 0;
    let mut digits: Vec<usize> = Vec::new();
    for (at, char) in text.char_indices().chain([(text.len(), ' ')]) {
        if char.is_numeric() {
            digits.push(at);
            continue;
        }
        let Some(&start) = digits.first() else { continue };
        out.push(done..start);
        done = start;
        let first = digits.len() % 3;
        for &cut in digits.iter().skip(first).step_by(3).chain([&at]) {
            out.push(done..cut);
            done = cut;
        }
        digits.clear();
    }
    out.push(done..text.len());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(stage: Stage, text: &str) -> Vec<String> {
        let mut out = Vec::new();
        Splitter::new(vec![stage]).split(text, |piece| out.push(piece.to_owned())).unwrap();
        out
    }

    #[test]
    fn behaviors() {
        let text = "-a--b-";
        for (behavior, expected) in [
            (Behavior::Isolated, vec!["-", "a", "-", "-", "b", "-"]),
            (Behavior::Removed, vec!["a", "b"]),
            (Behavior::Kept, vec!["-", "-", "-", "-"]),
            (Behavior::MergedWithPrevious, vec!["-", "a-", "-", "b-"]),
            (Behavior::MergedWithNext, vec!["-a", "-", "-b", "-"]),
            (Behavior::Contiguous, vec!["-", "a", "--", "b", "-"]),
        ] {
            let stage = Stage::Split(Finder::Literal("-".to_owned()), behavior);
            assert_eq!(pieces(stage, text), expected, "{behavior:?}");
        }
    }

    #[test]
    fn groups_of_digits() {
        for (text, expected) in [
            ("", vec![]),
            ("ab", vec!["ab"]),
            ("1", vec!["1"]),
            ("1234567", vec!["1", "234", "567"]),
            ("x12345y", vec!["x", "12", "345", "y"]),
            ("123 456", vec!["123", " ", "456"]),
        ] {
            assert_eq!(pieces(Stage::DigitGroups, text), expected, "{text}");
        }
    }

    /// Where a run of white space is found by the words' own alternatives, and where it is not.
    #[test]
    fn white_space_leaves_its_last_character() {
        let own = || OwnSpace::Of(Finder::from_file(r"\A(?: ?\w+| ?-+\n*|\s*\n)").unwrap());
        let finder = || Finder::from_file(r" ?\w+| ?-+\n*|\s*\n|\s+").unwrap();
        for (text, expected) in [
            ("  a", vec![" ", " a"]),
            ("   ", vec!["   "]),
            ("\t\ta", vec!["\t", "\t", "a"]),
            (" \n  a", vec![" \n", " ", " a"]),
            ("a  b ", vec!["a", " ", " b", " "]),
            (" a \nb", vec![" a", " \n", "b"]),
            (" -\n\nb", vec![" -\n\n", "b"]),
        ] {
            assert_eq!(pieces(Stage::Words(finder(), own()), text), expected, "{text:?}");
        }
    }
}
