//! Reads GBNF.

use std::collections::HashMap;

use super::{Chars, Node, Rules, fail};
use crate::constrain::limits;
use crate::error::Error;

/// How deep groups may nest: what reads Lark takes thirty levels.
const MOST_DEPTH: usize = 24;

/// The most repetitions.
const MOST_REPETITIONS: u32 = 100_000;

/// The rules of `grammar`.
///
/// # Errors
/// `Grammar` with the line.
pub(super) fn parse(grammar: &str) -> Result<Rules, Error> {
    let mut parser = Parser { grammar, rest: grammar, depth: 0, numbers: HashMap::new() };
    let mut bodies: Vec<Option<Node>> = Vec::new();
    parser.space(true);
    while !parser.rest.is_empty() {
        let start = parser.rest;
        let name = parser.name()?;
        let number = parser.number(name, start)?;
        parser.space(false);
        if !parser.take("::=") {
            return Err(parser.fail(format!("expected `::=` after `{name}`")));
        }
        parser.space(true);
        let body = parser.choice(false)?;
        if !parser.rest.is_empty() && !parser.rest.starts_with(['\n', '\r']) {
            let found = parser.found();
            return Err(parser.fail(format!("expected the end of the rule, found {found}")));
        }
        if bodies.len() < parser.numbers.len() {
            bodies.resize_with(parser.numbers.len(), || None);
        }
        match bodies.get_mut(number) {
            Some(place @ None) => *place = Some(body),
            _ => return Err(parser.fail_at(start, format!("a second rule `{name}`"))),
        }
        parser.space(true);
    }
    parser.rules(bodies)
}

struct Parser<'g> {
    grammar: &'g str,
    rest: &'g str,
    depth: usize,
    /// The rules' numbers by name, and where each is first named.
    numbers: HashMap<&'g str, (usize, &'g str)>,
}

impl<'g> Parser<'g> {
    fn rules(self, bodies: Vec<Option<Node>>) -> Result<Rules, Error> {
        let Some(&(root, _)) = self.numbers.get("root") else {
            return Err(fail("has no rule `root`"));
        };
        let mut names = vec![""; self.numbers.len()];
        for (name, (number, _)) in &self.numbers {
            if let Some(place) = names.get_mut(*number) {
                *place = name;
            }
        }
        let bodies = bodies.into_iter().chain(std::iter::repeat_with(|| None));
        let bodies = names.iter().zip(bodies).map(|(name, body)| {
            let place = self.numbers.get(name).map_or("", |(_, place)| place);
            body.ok_or_else(|| self.fail_at(place, format!("there is no rule `{name}`")))
        });
        let bodies = bodies.collect::<Result<_, _>>()?;
        Ok(Rules { bodies, root, names: names.into_iter().map(str::to_owned).collect() })
    }

    fn number(&mut self, name: &'g str, place: &'g str) -> Result<usize, Error> {
        let next = self.numbers.len();
        if next >= limits::MOST_RULES {
            let most = limits::MOST_RULES;
            return Err(self.fail(format!("more than `{most}` rules")));
        }
        Ok(self.numbers.entry(name).or_insert((next, place)).0)
    }

    /// Alternatives, up to what is none of theirs.
    fn choice(&mut self, nested: bool) -> Result<Node, Error> {
        let mut choices = vec![self.sequence(nested)?];
        loop {
            if self.take("|") {
                self.space(true);
            } else if !(self.continues() && self.take("|")) {
                break;
            } else {
                self.space(true);
            }
            choices.push(self.sequence(nested)?);
        }
        Ok(one_or(choices, Node::Choice))
    }

    /// Whether the rule goes on in a next line that begins with `|`; then that is next.
    fn continues(&mut self) -> bool {
        let here = self.rest;
        self.space(true);
        let continues = self.rest.starts_with('|');
        if !continues {
            self.rest = here;
        }
        continues
    }

    fn sequence(&mut self, nested: bool) -> Result<Node, Error> {
        let mut parts: Vec<Node> = Vec::new();
        let mut is_repeated = false;
        loop {
            let place = self.rest;
            let Some(first) = self.rest.chars().next() else { break };
            let part = match first {
                '"' => self.text()?,
                '[' => self.class()?,
                '.' => {
                    self.take(".");
                    Node::Class { pattern: r"[\s\S]".to_owned(), chars: Chars::ALL }
                }
                '(' => self.group()?,
                '*' | '+' | '?' | '{' => {
                    let Some(part) = parts.pop().filter(|_| !is_repeated) else {
                        let why = format!("expected something to repeat before `{first}`");
                        return Err(self.fail(why));
                    };
                    self.repeat(part)?
                }
                '<' | '!' => {
                    return Err(self.fail("tokens such as `<…>` are not supported".to_owned()));
                }
                _ if is_name(first) => {
                    let name = self.name()?;
                    Node::Rule(self.number(name, place)?)
                }
                _ => break,
            };
            is_repeated = matches!(first, '*' | '+' | '?' | '{');
            parts.push(part);
            self.space(nested);
        }
        Ok(one_or(parts, Node::Sequence))
    }

    fn group(&mut self) -> Result<Node, Error> {
        self.take("(");
        self.depth += 1;
        if self.depth > MOST_DEPTH {
            return Err(self.fail(format!("groups nest deeper than `{MOST_DEPTH}` levels")));
        }
        self.space(true);
        let inner = self.choice(true)?;
        self.depth -= 1;
        if !self.take(")") {
            let found = self.found();
            return Err(self.fail(format!("expected `)`, found {found}")));
        }
        Ok(inner)
    }

    fn repeat(&mut self, part: Node) -> Result<Node, Error> {
        let place = self.rest;
        let (least, most) = if self.take("*") {
            (0, None)
        } else if self.take("+") {
            (1, None)
        } else if self.take("?") {
            (0, Some(1))
        } else {
            self.take("{");
            self.space(false);
            let least = if self.rest.starts_with(',') { 0 } else { self.count()? };
            self.space(false);
            let most = if self.take(",") {
                self.space(false);
                if self.rest.starts_with('}') { None } else { Some(self.count()?) }
            } else {
                Some(least)
            };
            self.space(false);
            if !self.take("}") {
                let found = self.found();
                return Err(self.fail(format!("expected `}}`, found {found}")));
            }
            (least, most)
        };
        if most.is_some_and(|most| most < least) {
            let sign = place.get(..place.len() - self.rest.len()).unwrap_or_default();
            return Err(self.fail(format!("`{sign}` repeats nothing")));
        }
        Ok(Node::Repeat { part: Box::new(part), least, most })
    }

    fn count(&mut self) -> Result<u32, Error> {
        let digits = self.take_while(|char| char.is_ascii_digit());
        if digits.is_empty() {
            let found = self.found();
            return Err(self.fail(format!("expected a number, found {found}")));
        }
        digits.parse().ok().filter(|count| *count <= MOST_REPETITIONS).ok_or_else(|| {
            let most = MOST_REPETITIONS;
            self.fail(format!("`{digits}` repetitions, expected at most `{most}`"))
        })
    }

    fn text(&mut self) -> Result<Node, Error> {
        self.take("\"");
        let mut text = String::new();
        while !self.take("\"") {
            text.push(self.char('"')?);
        }
        Ok(Node::Text(text))
    }

    fn class(&mut self) -> Result<Node, Error> {
        self.take("[");
        let negated = self.take("^");
        let (mut pattern, mut chars) = (String::from("["), Chars::NONE);
        if negated {
            pattern.push('^');
        }
        let empty = pattern.len();
        while !self.take("]") {
            let first = self.char(']')?;
            let mut last = first;
            if self.rest.starts_with('-') && !self.rest.starts_with("-]") {
                self.take("-");
                last = self.char(']')?;
            }
            if last < first {
                return Err(self.fail(format!("range `{first}-{last}` is empty")));
            }
            chars = chars.and(Chars::range(first, last));
            pattern.push_str(&spelt(first));
            if last != first {
                pattern.push('-');
                pattern.push_str(&spelt(last));
            }
        }
        if pattern.len() == empty {
            return Err(self.fail("an empty set of characters".to_owned()));
        }
        pattern.push(']');
        Ok(Node::Class { pattern, chars: if negated { chars.negated() } else { chars } })
    }

    /// The next character of a text or a class, which `end` ends.
    fn char(&mut self, end: char) -> Result<char, Error> {
        let mut chars = self.rest.chars();
        let char = match chars.next() {
            None | Some('\n' | '\r') => {
                return Err(self.fail(format!("expected `{end}` before the line ends")));
            }
            Some('\\') => chars.next().unwrap_or('\n'),
            Some(char) => {
                self.rest = chars.as_str();
                return Ok(char);
            }
        };
        let digits = match char {
            'x' => 2,
            'u' => 4,
            'U' => 8,
            _ => {
                let escaped = match char {
                    'n' => '\n',
                    'r' => '\r',
                    't' => '\t',
                    '\\' | '"' | '[' | ']' | '-' | '^' | '/' => char,
                    _ => return Err(self.fail(format!("`\\{char}` is no escape"))),
                };
                self.rest = chars.as_str();
                return Ok(escaped);
            }
        };
        let code = chars.as_str().get(..digits).unwrap_or_default();
        if code.len() < digits || !code.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(self.fail(format!("expected `{digits}` hexadecimal digits")));
        }
        self.rest = chars.as_str().get(digits..).unwrap_or_default();
        let number = u32::from_str_radix(code, 16).ok();
        number
            .and_then(char::from_u32)
            .ok_or_else(|| self.fail(format!("`{code}` is no character")))
    }

    fn name(&mut self) -> Result<&'g str, Error> {
        let name = self.take_while(is_name);
        if name.is_empty() {
            let found = self.found();
            return Err(self.fail(format!("expected the name of a rule, found {found}")));
        }
        Ok(name)
    }

    fn take(&mut self, sign: &str) -> bool {
        let rest = self.rest.strip_prefix(sign);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn take_while(&mut self, mut holds: impl FnMut(char) -> bool) -> &'g str {
        let end = self.rest.find(|char| !holds(char)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    /// Leaves out white space and remarks; line ends only where the rule goes on.
    fn space(&mut self, lines: bool) {
        loop {
            self.take_while(|char| {
                matches!(char, ' ' | '\t') || lines && matches!(char, '\n' | '\r')
            });
            if !self.rest.starts_with('#') {
                return;
            }
            self.take_while(|char| char != '\n' && char != '\r');
        }
    }

    fn found(&self) -> String {
        match self.rest.chars().next() {
            None => "the end".to_owned(),
            Some('\n' | '\r') => "the line's end".to_owned(),
            Some(char) => format!("`{char}`"),
        }
    }

    fn fail(&self, why: String) -> Error {
        self.fail_at(self.rest, why)
    }

    fn fail_at(&self, place: &str, why: String) -> Error {
        let before = self.grammar.len().saturating_sub(place.len());
        let line = self.grammar.bytes().take(before).filter(|byte| *byte == b'\n').count() + 1;
        fail(format!("in line `{line}`: {why}"))
    }
}

fn is_name(char: char) -> bool {
    char.is_ascii_alphanumeric() || matches!(char, '-' | '_')
}

/// The only part, or all of them together.
fn one_or(mut parts: Vec<Node>, together: impl Fn(Vec<Node>) -> Node) -> Node {
    match parts.pop() {
        Some(part) if parts.is_empty() => part,
        Some(part) => {
            parts.push(part);
            together(parts)
        }
        None => Node::Text(String::new()),
    }
}

/// A character within a class of a regular expression.
fn spelt(char: char) -> String {
    match char {
        _ if char.is_ascii_alphanumeric() => char.to_string(),
        _ => format!(r"\x{{{:x}}}", u32::from(char)),
    }
}
