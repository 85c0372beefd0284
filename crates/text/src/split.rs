//! Cutting text into the pieces within which tokens are joined.
//!
//! Every published pre-tokenizer is a list of patterns, applied one after the other to the pieces
//! that the one before left. Most end in `…|\s+(?!\S)|\s+`: a run of white space leaves its last
//! character to the word that follows. That look-ahead is done here by hand, so that the patterns
//! stay regular and the whole is linear on any input.

pub(crate) mod presets;

use std::ops::Range;
use std::sync::OnceLock;

use regex::Regex;

use crate::error::{Error, ErrorKind};

/// One pass over the pieces.
pub(crate) enum Stage {
    /// Each match is a piece, and so is each gap between matches.
    Isolate(Pattern),
    /// As [`Stage::Isolate`], with `|\s+(?!\S)|\s+` after the pattern's own alternatives.
    Words(Pattern),
    /// Runs of digits in groups of three, counted from their right end.
    DigitGroups,
}

/// A regular expression, compiled at its first use: a millisecond for those with many classes.
pub(crate) struct Pattern {
    source: &'static str,
    compiled: OnceLock<Regex>,
}

impl Pattern {
    pub(crate) const fn new(source: &'static str) -> Self {
        Self { source, compiled: OnceLock::new() }
    }

    fn regex(&self, tail: &str) -> &Regex {
        self.compiled.get_or_init(|| {
            Regex::new(&format!("{}{tail}", self.source)).expect("the presets' patterns are tested")
        })
    }
}

/// A pre-tokenizer.
pub(crate) struct Splitter {
    stages: Vec<Stage>,
}

impl Splitter {
    pub(crate) fn new(stages: Vec<Stage>) -> Self {
        Self { stages }
    }

    /// Hands the pieces of `text` to `emit` from left to right. Together they are the text.
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
        let mut pieces = Vec::new();
        first.apply(text, 0, &mut pieces)?;
        for stage in rest {
            let before = std::mem::take(&mut pieces);
            pieces.reserve(before.len());
            for piece in before {
                let start = piece.start;
                stage.apply(slice(text, piece)?, start, &mut pieces)?;
            }
        }
        for piece in pieces {
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

impl Stage {
    /// Appends the pieces of `text`, which begins at `offset` of the whole.
    fn apply(&self, text: &str, offset: usize, out: &mut Vec<Range<usize>>) -> Result<(), Error> {
        match self {
            Self::Isolate(pattern) => {
                let found = pattern.regex("").find_iter(text).map(|found| found.range());
                isolate(text, offset, found, out);
            }
            Self::Words(pattern) => words(pattern.regex(r"|\s+"), text, offset, out),
            Self::DigitGroups => isolate(text, offset, digit_groups(text), out),
        }
        Ok(())
    }
}

/// Appends the matches and the gaps between them, without empty pieces.
fn isolate(
    text: &str,
    offset: usize,
    found: impl IntoIterator<Item = Range<usize>>,
    out: &mut Vec<Range<usize>>,
) {
    let mut done = 0;
    for found in found {
        for piece in [done..found.start, found.clone()] {
            if !piece.is_empty() {
                out.push(offset + piece.start..offset + piece.end);
            }
        }
        done = found.end;
    }
    if done < text.len() {
        out.push(offset + done..offset + text.len());
    }
}

/// [`isolate`] with the look-ahead `\s+(?!\S)`: a run of white space found by the last alternative
/// of `regex` gives its last character back, when something follows it and something is left.
///
/// The runs that other alternatives of the presets find end in a line break or are one character
/// long; the last alternative finds a line break only where none of them does.
fn words(regex: &Regex, text: &str, offset: usize, out: &mut Vec<Range<usize>>) {
    let breaks_lines = regex.as_str().contains(r"\s*[\r\n]");
    let mut done = 0;
    while let Some(found) = regex.find_at(text, done) {
        let mut end = found.end();
        let run = found.as_str();
        let mut chars = run.chars();
        let last = chars.next_back();
        if end < text.len()
            && let Some(last) = last
            && chars.next().is_some_and(char::is_whitespace)
            && last.is_whitespace()
            && !(breaks_lines && matches!(last, '\r' | '\n'))
        {
            end -= last.len_utf8();
        }
        for piece in [done..found.start(), found.start()..end] {
            if !piece.is_empty() {
                out.push(offset + piece.start..offset + piece.end);
            }
        }
        if end == done {
            break;
        }
        done = end;
    }
    if done < text.len() {
        out.push(offset + done..offset + text.len());
    }
}

/// Groups of three in every run of digits, the first shorter where the count asks for it.
fn digit_groups(text: &str) -> Vec<Range<usize>> {
    let mut groups = Vec::new();
    let mut starts: Vec<usize> = Vec::new();
    let ends = std::iter::once((text.len(), ' '));
    for (at, char) in text.char_indices().chain(ends) {
        if char.is_numeric() {
            starts.push(at);
            continue;
        }
        if starts.is_empty() {
            continue;
        }
        let first = starts.len() % 3;
        let firsts = starts.iter().take(first).take(1);
        let cuts: Vec<usize> = firsts
            .chain(starts.iter().skip(first).step_by(3))
            .copied()
            .chain(std::iter::once(at))
            .collect();
        groups.extend(cuts.iter().zip(cuts.iter().skip(1)).map(|(&start, &end)| start..end));
        starts.clear();
    }
    groups
}
