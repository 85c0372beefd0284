//! Regular expressions.

use super::limits;
use crate::error::{Error, ErrorKind};

/// A grammar whose texts match `pattern` as a whole. Anchors at its ends say the same and go.
///
/// # Errors
/// `Grammar` when it is empty, too long or ends within an escape. What else is wrong with it shows
/// when it is compiled.
pub(super) fn to_lark(pattern: &str) -> Result<String, Error> {
    let fail = |why: String| Error::new(ErrorKind::Grammar, format!("regular expression {why}"));
    let mut body = pattern.strip_prefix('^').unwrap_or(pattern);
    if let Some(before) = body.strip_suffix('$')
        && !ends_in_escape(before)
    {
        body = before;
    }
    if body.is_empty() {
        return Err(fail("is empty, expected one that some text matches".to_owned()));
    }
    check(body).map_err(fail)?;
    if weight(body).saturating_pow(2) > limits::MOST_WEIGHT {
        return Err(fail(limits::TOO_HEAVY.to_owned()));
    }
    Ok(format!("start: /{}/", llguidance::regex_to_lark(body, "")))
}

/// Fails, with what is wrong, where the compiler would quietly read another expression.
pub(super) fn check(pattern: &str) -> Result<(), String> {
    if pattern.len() > limits::MOST_PATTERN_BYTES {
        let (found, most) = (pattern.len(), limits::MOST_PATTERN_BYTES);
        return Err(format!("has `{found}` bytes, expected at most `{most}`"));
    }
    if ends_in_escape(pattern) {
        return Err("ends in a lone backslash".to_owned());
    }
    Ok(())
}

/// How many parts of `pattern` may be empty, from above.
pub(super) fn weight(pattern: &str) -> u64 {
    1 + pattern.matches(['?', '*', '+', '|', '{']).count() as u64
}

/// Whether a backslash at the end of `text` waits for what it escapes.
fn ends_in_escape(text: &str) -> bool {
    (text.len() - text.trim_end_matches('\\').len()) % 2 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anchors_go_and_slashes_stay() {
        for (pattern, expected) in [
            ("a|b", "start: /a|b/"),
            ("^a/b$", r"start: /a\/b/"),
            (r"a\$", r"start: /a\$/"),
            (r"a\\$", r"start: /a\\/"),
            ("a\nb", r"start: /a\nb/"),
        ] {
            assert_eq!(to_lark(pattern).unwrap(), expected, "{pattern}");
        }
        for pattern in ["", "^", "^$", "a\\", "a\\\\\\"] {
            assert!(to_lark(pattern).is_err(), "{pattern}");
        }
    }
}
