//! What the terminals and rules of a Lark grammar cost before they are compiled.
//!
//! The compiler counts its work only after it is done, and a row of parts that may be empty costs
//! it the square of the row's length. Terminals that refer to terminals make long rows of short
//! texts.

use std::collections::HashMap;

use super::json_at;
use crate::constrain::regex;

/// A rule or terminal: each of its alternatives as a row of parts.
#[derive(Default)]
struct Definition<'g> {
    alternatives: Vec<Row<'g>>,
}

/// A row of parts: those that are known to weigh something, and terminals by their names.
#[derive(Default)]
struct Row<'g> {
    known: u64,
    terminals: Vec<&'g str>,
}

/// The squares of the rows' weights, all together.
pub(super) fn of(grammar: &str) -> u64 {
    let definitions = definitions(grammar);
    let mut weights = HashMap::new();
    let mut total = 0u64;
    for definition in definitions.values() {
        for row in &definition.alternatives {
            total = total.saturating_add(row.weight(&definitions, &mut weights).saturating_pow(2));
        }
    }
    total
}

impl<'g> Row<'g> {
    fn weight(
        &self,
        definitions: &HashMap<&'g str, Definition<'g>>,
        weights: &mut HashMap<&'g str, u64>,
    ) -> u64 {
        self.terminals.iter().fold(self.known, |sum, name| {
            sum.saturating_add(match (weights.get(name), definitions.get(name)) {
                (Some(weight), _) => *weight,
                (None, None) => 1,
                (None, Some(definition)) => {
                    // Terminals that refer to themselves are refused later.
                    weights.insert(name, 1);
                    let rows = definition.alternatives.iter();
                    let weight = rows.fold(0u64, |sum, row| {
                        sum.saturating_add(row.weight(definitions, weights))
                    });
                    weights.insert(name, weight);
                    weight
                }
            })
        })
    }
}

fn definitions(grammar: &str) -> HashMap<&str, Definition<'_>> {
    let mut all: HashMap<&str, Definition<'_>> = HashMap::new();
    let (mut current, mut depth) = ("", 0usize);
    // The name that a line begins with: it is defined there, if a colon follows.
    let mut first = None;
    let mut is_new_line = true;
    let mut rest = grammar;
    while let Some(sign) = rest.chars().next() {
        let (token, kind) = token(rest, sign);
        rest = rest.get(token.len()..).unwrap_or_default();
        let name = match kind {
            Kind::Name if is_new_line => {
                first = Some(token);
                is_new_line = false;
                continue;
            }
            Kind::Colon => {
                if let Some(name) = first.take() {
                    (current, depth) = (name, 0);
                    all.entry(current).or_default().alternatives.push(Row::default());
                }
                continue;
            }
            Kind::Name => Some(token),
            _ => None,
        };
        is_new_line = match kind {
            Kind::Line => true,
            Kind::Space => is_new_line,
            _ => false,
        };
        let definition = all.entry(current).or_default();
        match kind {
            Kind::Open => depth += 1,
            Kind::Close => depth = depth.saturating_sub(1),
            Kind::Or if depth == 0 => definition.alternatives.push(Row::default()),
            _ => {}
        }
        if definition.alternatives.is_empty() {
            definition.alternatives.push(Row::default());
        }
        if let Some(row) = definition.alternatives.last_mut() {
            row.known = row.known.saturating_add(match kind {
                Kind::Text => 1,
                Kind::Pattern => regex::weight(token),
                Kind::Name if !is_terminal(token) => 1,
                _ => 0,
            });
            row.terminals.extend(name.filter(|name| is_terminal(name)));
        }
    }
    all
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Name,
    Text,
    Pattern,
    Colon,
    Or,
    Open,
    Close,
    Line,
    Space,
    Other,
}

/// The token that `text` begins with, whose first sign is `sign`.
fn token(text: &str, sign: char) -> (&str, Kind) {
    let until = |end: Option<usize>| text.get(..end.unwrap_or(text.len())).unwrap_or(text);
    let is_name = |char: char| char.is_ascii_alphanumeric() || matches!(char, '_' | '-');
    match sign {
        '"' => (quoted(text, '"'), Kind::Text),
        '/' if text.starts_with("//") => (until(text.find('\n')), Kind::Space),
        '#' => (until(text.find('\n')), Kind::Space),
        '/' => (quoted(text, '/'), Kind::Pattern),
        '<' => (until(text.find('>').map(|end| end + 1)), Kind::Text),
        '%' => {
            let word = until(text.find(|char: char| char != '%' && !is_name(char)));
            let json = matches!(word, "%json" | "%llguidance" | "%regex")
                .then(|| json_at(text.get(word.len()..).unwrap_or_default()))
                .flatten();
            let json = json.map_or(0, |(_, json)| json.len());
            (until(Some(word.len() + json)), Kind::Text)
        }
        ':' if text.starts_with("::") => (until(Some(2)), Kind::Other),
        ':' => (until(Some(1)), Kind::Colon),
        '|' => (until(Some(1)), Kind::Or),
        '(' | '[' | '{' => (until(Some(1)), Kind::Open),
        ')' | ']' | '}' => (until(Some(1)), Kind::Close),
        '\n' => (until(Some(1)), Kind::Line),
        ' ' | '\t' | '\r' | '!' | '?' => (until(Some(1)), Kind::Space),
        _ if is_name(sign) => (until(text.find(|char| !is_name(char))), Kind::Name),
        _ => (until(Some(sign.len_utf8())), Kind::Other),
    }
}

/// A text between two of `sign`, with escapes.
fn quoted(text: &str, sign: char) -> &str {
    let mut is_escaped = true;
    let end = text.char_indices().find(|&(_, char)| {
        let ends = char == sign && !is_escaped;
        is_escaped = char == '\\' && !is_escaped;
        ends
    });
    end.and_then(|(at, _)| text.get(..=at)).unwrap_or(text)
}

fn is_terminal(name: &str) -> bool {
    name.starts_with(|first: char| first == '_' || first.is_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_squared() {
        for (grammar, expected) in [
            ("start: \"a\"", 1),
            ("start: \"a\" \"b\" | c\n\nc: // remark\n  \"d\"", 4 + 1 + 1),
            ("start: A\nA: \"a\" | B B\nB: /a?b*/ \"]\" # x: y", 81 + 1 + 64 + 16),
            ("start: (\"a\" | \"b\") \"c:(\"\n  | %json {\"d\": \": |\"} <x> e", 9 + 9),
            ("a[suffix=\"x\"]: A A\nA.2: \"\\\"a\"", 4 + 9 + 1),
        ] {
            assert_eq!(of(grammar), expected, "{grammar}");
        }
        let powers = format!("A: /a?/\nB: {0}\nC: {1}", "A ".repeat(900), "B ".repeat(900));
        assert!(of(&powers) > 1 << 40);
        assert!(of("A: B B\nB: A A") < 100);
    }
}
