//! Writes rules as Lark, with terminals where they say the same.

use std::collections::{HashMap, HashSet};
use std::fmt::Write;

use super::facts::Known;
use super::{Chars, Node, Rules};
use crate::error::Error;

/// What was written so far.
struct Writer<'r> {
    known: Known<'r>,
    /// The terminals, by the number of the rule that each is.
    terminal_of: HashMap<usize, usize>,
    terminals: Vec<String>,
    /// Rules that are named and perhaps not written.
    waiting: Vec<usize>,
}

/// The grammar in Lark.
///
/// # Errors
/// `Grammar` when its rules refer to each other beyond the limits.
pub(super) fn write(rules: &Rules) -> Result<String, Error> {
    let mut writer = Writer {
        known: Known::of(rules)?,
        terminal_of: HashMap::new(),
        terminals: Vec::new(),
        waiting: Vec::new(),
    };
    let start = writer.part(&Node::Rule(rules.root), Chars::NONE);
    let mut out = format!("start: {start}\n");
    let mut written = HashSet::new();
    while let Some(number) = writer.waiting.pop() {
        if let Some(body) = rules.bodies.get(number)
            && written.insert(number)
        {
            let text = writer.body(body, writer.known.after(number));
            _ = writeln!(out, "{}: {text}", writer.name(number));
        }
    }
    for (number, text) in writer.terminals.iter().enumerate() {
        _ = writeln!(out, "T{number}: {text}");
    }
    Ok(out)
}

impl Writer<'_> {
    fn name(&self, number: usize) -> String {
        let name = self.known.rules.names.get(number).map(String::as_str).unwrap_or_default();
        format!("r{number}-{}", name.to_ascii_lowercase())
    }

    /// A part of a rule.
    fn part(&mut self, node: &Node, after: Chars) -> String {
        match node {
            Node::Text(_) | Node::Class { .. } => self.inside(node),
            Node::Rule(number) if self.known.is_terminal(node, after) => self.terminal(*number),
            Node::Rule(number) => {
                self.waiting.push(*number);
                self.name(*number)
            }
            _ if self.known.is_terminal(node, after) => {
                let text = self.inside(node);
                self.terminals.push(text);
                format!("T{}", self.terminals.len() - 1)
            }
            Node::Sequence(_) | Node::Choice(_) => format!("({})", self.body(node, after)),
            Node::Repeat { .. } => self.body(node, after),
        }
    }

    /// A rule's body, whose parts are rules or terminals.
    fn body(&mut self, node: &Node, after: Chars) -> String {
        match node {
            Node::Sequence(parts) => {
                let afters = self.known.afters(parts, after);
                let texts = parts.iter().zip(afters).map(|(part, after)| self.part(part, after));
                texts.collect::<Vec<_>>().join(" ")
            }
            Node::Choice(parts) => {
                let texts = parts.iter().map(|part| match part {
                    Node::Sequence(_) if !self.known.is_terminal(part, after) => {
                        self.body(part, after)
                    }
                    _ => self.part(part, after),
                });
                texts.collect::<Vec<_>>().join("|")
            }
            Node::Repeat { part, least, most } => {
                let after = self.known.after_one(part, *most, after);
                let text = self.part(part, after);
                repeated(part, &text, *least, *most)
            }
            _ => self.part(node, after),
        }
    }

    /// A part of a terminal.
    fn inside(&mut self, node: &Node) -> String {
        match node {
            Node::Text(text) => quoted(text),
            Node::Class { pattern, .. } => format!("/{pattern}/"),
            Node::Rule(number) => self.terminal(*number),
            Node::Sequence(parts) => {
                let texts = parts.iter().map(|part| match part {
                    Node::Choice(_) => format!("({})", self.inside(part)),
                    _ => self.inside(part),
                });
                texts.collect::<Vec<_>>().join(" ")
            }
            Node::Choice(parts) => {
                let texts = parts.iter().map(|part| self.inside(part));
                texts.collect::<Vec<_>>().join("|")
            }
            Node::Repeat { part, least, most } => {
                let text = self.inside(part);
                let text = match **part {
                    Node::Sequence(_) | Node::Choice(_) => format!("({text})"),
                    _ => text,
                };
                repeated(part, &text, *least, *most)
            }
        }
    }

    /// The terminal that a regular rule is.
    fn terminal(&mut self, number: usize) -> String {
        if let Some(terminal) = self.terminal_of.get(&number) {
            return format!("T{terminal}");
        }
        let body = self.known.rules.bodies.get(number);
        let text = body.map(|body| self.inside(body)).unwrap_or_default();
        let terminal = self.terminals.len();
        self.terminals.push(text);
        self.terminal_of.insert(number, terminal);
        format!("T{terminal}")
    }
}

/// `text`, which stands for `part`, so many times.
fn repeated(part: &Node, text: &str, least: u32, most: Option<u32>) -> String {
    // A repetition of a repetition needs its own group.
    let text = match part {
        Node::Repeat { .. } if !text.starts_with('T') => format!("({text})"),
        _ => text.to_owned(),
    };
    match (least, most) {
        (0, None) => format!("{text}*"),
        (1, None) => format!("{text}+"),
        (0, Some(1)) => format!("{text}?"),
        (_, Some(most)) => format!("{text}~{least}..{most}"),
        (_, None) => format!("{text}~{least}..{least} {text}*"),
    }
}

/// A text as Lark spells it: JSON's escapes, with `DEL` too.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}
