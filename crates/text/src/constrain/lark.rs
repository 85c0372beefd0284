//! Lark grammars before they are compiled: what they embed is checked like everything else.

mod weight;

use serde_json::Value;

use super::{limits, schema};
use crate::error::{Error, ErrorKind};

/// The grammar, checked, with the schemas within it as the compiler gets them.
///
/// # Errors
/// `Grammar` when it exceeds the limits, embeds a schema that [`schema::check`] refuses, or asks
/// for texts that are no UTF-8. What else is wrong with it shows when it is compiled.
pub(super) fn check(grammar: &str) -> Result<String, Error> {
    let fail = |why: String| Error::new(ErrorKind::Grammar, format!("Lark grammar {why}"));
    if grammar.len() > limits::MOST_BYTES {
        let (found, most) = (grammar.len(), limits::MOST_BYTES);
        return Err(fail(format!("has `{found}` bytes, expected at most `{most}`")));
    }
    let (mut out, mut signs) = (String::with_capacity(grammar.len()), [0usize; SIGNS.len()]);
    let mut rest = grammar;
    loop {
        let next = WITH_JSON.iter().filter_map(|word| Some((rest.find(word)?, word))).min();
        let (before, word) = match next {
            Some((at, word)) => (rest.get(..at + word.len()).unwrap_or(rest), *word),
            None => (rest, ""),
        };
        for (sign, count) in SIGNS.iter().zip(&mut signs) {
            *count += before.matches(*sign).count();
        }
        out.push_str(before);
        rest = rest.get(before.len()..).unwrap_or_default();
        if word.is_empty() {
            break;
        }
        let Some((value, text)) = json_at(rest) else { continue };
        let line = grammar.len() - rest.len();
        let line = grammar.get(..line).unwrap_or_default().matches('\n').count() + 1;
        let in_line = |error: Error| fail(format!("in line `{line}`: {error}"));
        if word == "%json" {
            let checked = schema::check(&value).map_err(in_line)?.to_string();
            // As many lines as before, so that errors further down name the right one.
            let lines = "\n".repeat(text.matches('\n').count());
            out.push_str(&checked.replacen('{', &format!("{{{lines}"), 1));
        } else {
            if value.get("allow_invalid_utf8").is_some_and(|allows| *allows != false) {
                return Err(fail(format!("in line `{line}`: `allow_invalid_utf8` is not offered")));
            }
            out.push_str(text);
        }
        rest = rest.get(text.len()..).unwrap_or_default();
    }
    for (sign, count) in SIGNS.iter().zip(signs) {
        if count > limits::MOST_RULES {
            let most = limits::MOST_RULES;
            return Err(fail(format!("has `{count}` of `{sign}`, expected at most `{most}`")));
        }
    }
    weigh(&out).map_err(|why| fail(why.to_owned()))?;
    Ok(out)
}

/// Fails where compiling `grammar` would cost more than its limits tell.
pub(super) fn weigh(grammar: &str) -> Result<(), &'static str> {
    if weight::of(grammar) > limits::MOST_WEIGHT { Err(limits::TOO_HEAVY) } else { Ok(()) }
}

/// What may nest or refer: groups, rules, negations.
const SIGNS: [char; 5] = ['(', '[', '{', ':', '~'];

/// The words that JSON follows.
const WITH_JSON: [&str; 2] = ["%json", "%llguidance"];

/// The JSON that `text` begins with, and its text.
fn json_at(text: &str) -> Option<(Value, &str)> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    let value = values.next()?.ok()?;
    Some((value, text.get(..values.byte_offset())?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemas_within_are_checked_and_lines_stay() {
        let grammar = "start: a b\na: %json {\n \"type\":\n \"string\"}\nb: \"%json\"\n";
        let checked = check(grammar).unwrap();
        assert_eq!(checked.lines().count(), grammar.lines().count(), "{checked}");
        assert!(checked.contains("whitespace_pattern"), "{checked}");
        assert!(checked.ends_with("}\nb: \"%json\"\n"), "{checked}");
        for (grammar, expected) in [
            (
                "start: b\nb: %json {\"typ\": \"string\"}",
                "Lark grammar in line `2`: JSON schema has the keyword `typ`, which is not \
                 supported here",
            ),
            (
                "%llguidance {\"allow_invalid_utf8\": true}\nstart: \"a\"",
                "Lark grammar in line `1`: `allow_invalid_utf8` is not offered",
            ),
        ] {
            assert_eq!(check(grammar).unwrap_err().to_string(), expected);
        }
    }
}
