//! GBNF, the grammars of llama.cpp, as Lark grammars.
//!
//! GBNF is read by characters. Lark is read by terminals, each as long as it can be, which is much
//! quicker and not always the same: after `[a-z]*` as a terminal no `x` can follow, for it has
//! been read. So a part becomes a terminal where what may follow it cannot go on with it; a
//! grammar that does not refer to itself is one terminal as a whole.

mod chars;
mod facts;
mod parse;
mod write;

use super::limits;
use crate::error::{Error, ErrorKind};
use chars::Chars;

/// The Lark grammar that says the same.
///
/// # Errors
/// `Grammar` with the line, when it is no GBNF, lacks a rule or exceeds the limits.
pub(super) fn to_lark(grammar: &str) -> Result<String, Error> {
    if grammar.len() > limits::MOST_BYTES {
        let (found, most) = (grammar.len(), limits::MOST_BYTES);
        return Err(fail(format!("has `{found}` bytes, expected at most `{most}`")));
    }
    let lark = write::write(&parse::parse(grammar)?)?;
    super::lark::weigh(&lark).map_err(fail)?;
    Ok(lark)
}

/// A rule's body, or a part of it.
#[derive(Debug, PartialEq)]
enum Node {
    /// A text as it stands.
    Text(String),
    /// One of a set of characters: a class as regular expressions spell it.
    Class {
        pattern: String,
        chars: Chars,
    },
    /// A rule, by its number.
    Rule(usize),
    Sequence(Vec<Node>),
    /// One of several.
    Choice(Vec<Node>),
    /// A part from `least` to `most` times; without a bound where `most` is absent.
    Repeat {
        part: Box<Node>,
        least: u32,
        most: Option<u32>,
    },
}

/// A grammar's rules.
#[derive(Debug)]
struct Rules {
    names: Vec<String>,
    bodies: Vec<Node>,
    root: usize,
}

fn fail(why: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Grammar, format!("GBNF grammar {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grammars_become_lark() {
        for (grammar, expected) in [
            ("root ::= \"a\" | [b-d]+ # or\n", "start: T0\nT0: \"a\"|/[b-d]/+\n"),
            (
                "root ::= \"[\" (root (\",\" root)*)? \"]\" | ws [0-9]{1,3}\nws ::= [ \\t]*",
                "start: r0-root\nr0-root: \"[\" (r0-root (\",\" r0-root)*)? \"]\"|T1\n\
                 T0: /[\\x{20}\\x{9}]/*\nT1: T0 /[0-9]/~1..3\n",
            ),
            // What follows could be read as more of the name, so the name is read by characters.
            (
                "root ::= name \"x\" root | \"!\"\nname ::= [a-z]+",
                "start: r0-root\nr0-root: r1-name \"x\" r0-root|\"!\"\nr1-name: /[a-z]/+\n",
            ),
        ] {
            assert_eq!(to_lark(grammar).unwrap(), expected, "{grammar}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (grammar, expected) in [
            ("", "has no rule `root`"),
            ("a ::= \"b\"", "has no rule `root`"),
            ("root ::= a\n", "in line `1`: there is no rule `a`"),
            ("root ::= \"a\"\n\nroot ::= \"b\"", "in line `3`: a second rule `root`"),
            ("root ::= \"a", "in line `1`: expected `\"` before the line ends"),
            ("root ::= [a", "in line `1`: expected `]` before the line ends"),
            ("root ::= [z-a]", "in line `1`: range `z-a` is empty"),
            ("root ::= []", "in line `1`: an empty set of characters"),
            ("root ::= (\"a\"\n", "in line `2`: expected `)`, found the end"),
            ("root ::= \"a\" )", "in line `1`: expected the end of the rule, found `)`"),
            ("root ::= *", "in line `1`: expected something to repeat before `*`"),
            ("root ::= \"a\"{3,2}", "in line `1`: `{3,2}` repeats nothing"),
            ("root ::= \"a\"{x}", "in line `1`: expected a number, found `x`"),
            (
                "root ::= \"a\"{99999999999}",
                "in line `1`: `99999999999` repetitions, expected at most `100000`",
            ),
            ("root = \"a\"", "in line `1`: expected `::=` after `root`"),
            ("\n ::= \"a\"", "in line `2`: expected the name of a rule, found `:`"),
            ("root ::= \"\\q\"", "in line `1`: `\\q` is no escape"),
            ("root ::= \"\\xZZ\"", "in line `1`: expected `2` hexadecimal digits"),
            ("root ::= \"\\UFFFFFFFF\"", "in line `1`: `FFFFFFFF` is no character"),
            ("root ::= <[12]>", "in line `1`: tokens such as `<…>` are not supported"),
        ] {
            let error = to_lark(grammar).unwrap_err();
            assert_eq!(error.to_string(), format!("GBNF grammar {expected}"), "{grammar}");
            assert_eq!(error.kind(), ErrorKind::Grammar);
        }
        let deep = format!("root ::= {}\"a\"{}", "(".repeat(60_000), ")".repeat(60_000));
        assert_eq!(
            to_lark(&deep).unwrap_err().to_string(),
            "GBNF grammar in line `1`: groups nest deeper than `24` levels"
        );
    }
}
