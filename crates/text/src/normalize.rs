//! What is done to text before it is cut.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization;

use crate::error::{Error, ErrorKind};
use crate::split::finder::Finder;

/// One step.
pub(crate) enum Normalizer {
    Form(Form),
    Lowercase,
    /// Leaves out the matches' characters, or puts a text in their place.
    Replace(Finder, String),
    Prepend(Prepend),
    /// Leaves out white space at the ends.
    Strip {
        left: bool,
        right: bool,
    },
}

/// The normalisation forms of Unicode.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Form {
    C,
    D,
    Kc,
    Kd,
}

/// A text that is put before others.
pub(crate) struct Prepend {
    pub(crate) text: String,
    /// Only where the text does not begin with it.
    pub(crate) unless_there: bool,
    /// Only at the start of the whole, not after added tokens.
    pub(crate) first_only: bool,
}

/// The longest text that the steps may make of one byte of input on average, and a bit for short
/// ones: compatibility forms expand at most 18-fold (Unicode Annex 15), replacements any number.
const MOST_GROWTH: usize = 32;

/// Applies `steps` to `text`, which begins the whole when `first`.
///
/// # Errors
/// `Pattern` when a pattern runs past its limit, or the text grows past reason.
pub(crate) fn apply<'t>(
    steps: &[Normalizer],
    text: &'t str,
    first: bool,
) -> Result<Cow<'t, str>, Error> {
    let most = text.len().saturating_mul(MOST_GROWTH).saturating_add(1 << 16);
    let mut out = Cow::Borrowed(text);
    for step in steps {
        if let Some(changed) = step.apply(&out, first, most)? {
            out = Cow::Owned(changed);
        }
        if out.len() > most {
            return Err(too_long(most));
        }
    }
    Ok(out)
}

fn too_long(most: usize) -> Error {
    Error::new(ErrorKind::Pattern, format!("normalizers make more than `{most}` bytes of the text"))
}

impl Normalizer {
    /// The text after this step, or `None` where it stays as it is.
    fn apply(&self, text: &str, first: bool, most: usize) -> Result<Option<String>, Error> {
        Ok(match self {
            // ASCII is in every form.
            Self::Form(_) if text.is_ascii() => None,
            Self::Form(Form::C) => Some(text.nfc().collect()),
            Self::Form(Form::D) => Some(text.nfd().collect()),
            Self::Form(Form::Kc) => Some(text.nfkc().collect()),
            Self::Form(Form::Kd) => Some(text.nfkd().collect()),
            Self::Lowercase => Some(text.chars().flat_map(char::to_lowercase).collect()),
            Self::Replace(finder, with) => replace(finder, with, text, most)?,
            Self::Prepend(prepend) => {
                let there = prepend.unless_there && text.starts_with(&prepend.text);
                let elsewhere = prepend.first_only && !first;
                (!there && !elsewhere && !text.is_empty())
                    .then(|| [prepend.text.as_str(), text].concat())
            }
            Self::Strip { left, right } => {
                let text = if *left { text.trim_start() } else { text };
                Some((if *right { text.trim_end() } else { text }).to_owned())
            }
        })
    }
}

fn replace(finder: &Finder, with: &str, text: &str, most: usize) -> Result<Option<String>, Error> {
    let mut matches = finder.matches(text);
    let mut out = String::new();
    let mut done = 0;
    while let Some(found) = matches.next()? {
        out.push_str(text.get(done..found.start).unwrap_or_default());
        out.push_str(with);
        done = found.end;
        if out.len() > most {
            return Err(too_long(most));
        }
    }
    if done == 0 {
        return Ok(None);
    }
    out.push_str(text.get(done..).unwrap_or_default());
    Ok(Some(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_follow_each_other() {
        let prepend = |unless_there, first_only| {
            Normalizer::Prepend(Prepend { text: "_".to_owned(), unless_there, first_only })
        };
        let space = || Normalizer::Replace(Finder::Literal(" ".to_owned()), "_".to_owned());
        let cases: [(&[Normalizer], &str, bool, &str); 9] = [
            (&[], "a b", true, "a b"),
            (&[space(), prepend(false, false)], " a b", true, "__a_b"),
            (&[space(), prepend(true, false)], " a b", true, "_a_b"),
            (&[prepend(false, true)], "a", false, "a"),
            (&[prepend(false, true)], "a", true, "_a"),
            (&[prepend(false, false)], "", true, ""),
            (&[Normalizer::Form(Form::D), Normalizer::Lowercase], "É", true, "e\u{301}"),
            (&[Normalizer::Form(Form::Kc)], "ﬁ①", true, "fi1"),
            (&[Normalizer::Strip { left: true, right: false }], " a ", true, "a "),
        ];
        for (index, (steps, text, first, expected)) in cases.iter().enumerate() {
            assert_eq!(apply(steps, text, *first).unwrap(), *expected, "case {index}");
        }
    }

    #[test]
    fn growth_is_bounded() {
        let steps: Vec<Normalizer> = (0..8)
            .map(|_| Normalizer::Replace(Finder::Literal("a".to_owned()), "a".repeat(100)))
            .collect();
        let error = apply(&steps, &"a".repeat(1000), true).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Pattern);
    }
}
