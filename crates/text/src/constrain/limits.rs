//! What a grammar may cost.

use llguidance::api::ParserLimits;

use crate::error::{Error, ErrorKind};

/// The longest grammar or schema, in bytes. A set of 58 tools of a published agent has 97 kB.
pub(super) const MOST_BYTES: usize = 512 << 10;

/// The longest regular expression, in bytes.
pub(super) const MOST_PATTERN_BYTES: usize = 64 << 10;

/// How deep schemas and groups may nest. What reads them recurses, below on a stack to match.
pub(super) const MOST_DEPTH: usize = 64;

/// The most opening brackets, and the most rules, of a grammar: rules may refer to each other in
/// one long chain, which is followed by recursion.
pub(super) const MOST_RULES: usize = 4096;

/// The most that the squares of rows of parts, which may be empty, come to: each costs some
/// fifteen nanoseconds.
pub(super) const MOST_WEIGHT: u64 = 32_000_000;

/// What is said above [`MOST_WEIGHT`].
pub(super) const TOO_HEAVY: &str = "has too long rows of parts that may be empty";

/// The most bytes of a token that grammars look at. Longer ones do not occur in constrained
/// answers.
pub(super) const MOST_TOKEN_BYTES: usize = 512;

/// The most bytes of all tokens. The tables of a vocabulary hold four million nodes of one byte.
pub(super) const MOST_VOCABULARY_BYTES: usize = 4 << 20;

/// The stack on which grammars are compiled. Only what is touched of it is ever memory.
const STACK_BYTES: usize = 128 << 20;

/// The limits of the compiled grammar. Fuel is counted work, and so the same on every machine.
pub(super) fn parser() -> ParserLimits {
    ParserLimits {
        // A kilobyte or two each: up to 64 MB for an answer.
        max_lexer_states: 40_000,
        verbose_errors: false,
        ..ParserLimits::default()
    }
}

/// Runs `what` where its recursion has room, whatever thread this is. A panic there, which would
/// be a mistake in a library, becomes an error.
pub(super) fn on_own_stack<T: Send>(
    what: impl FnOnce() -> Result<T, Error> + Send,
) -> Result<T, Error> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("grammar".to_owned())
            .stack_size(STACK_BYTES)
            .spawn_scoped(scope, what)
            .map_err(|error| {
                Error::new(ErrorKind::Grammar, "no thread to compile the grammar on")
                    .with_source(error)
            })?;
        thread.join().unwrap_or_else(|_| {
            Err(Error::new(ErrorKind::Grammar, "the grammar made its compiler panic"))
        })
    })
}

/// The library's message as an error of this crate: without traces and states, and with a hint
/// where the message names an option that is not offered here.
pub(super) fn error(kind: ErrorKind, what: &str, message: &str) -> Error {
    let message = ["\n<backtrace>", "\n<state>", "\n<non-verbose/>"]
        .iter()
        .filter_map(|end| message.split_once(end))
        .fold(
            message,
            |shortest, (before, _)| {
                if before.len() < shortest.len() { before } else { shortest }
            },
        )
        .trim_end();
    let message = &cut(message);
    if let Some(what_failed) = message.strip_prefix("panic: ") {
        let message = "larger or deeper than its compiler can hold";
        return Error::new(kind, format!("{what}: {message} ({what_failed})"));
    }
    if message == "NoExtensionBias" {
        return Error::new(kind, format!("{what}: no token of the vocabulary can come next"));
    }
    let one_of = "oneOf constraints are not supported";
    if message.contains(one_of) {
        let message = "the branches of `oneOf` may overlap, which cannot be followed";
        return Error::new(kind, format!("{what}: {message}"))
            .with_hint("`anyOf` says the same where no value matches two branches");
    }
    Error::new(kind, format!("{what}: {message}"))
}

/// The beginnings of the first lines: messages repeat what they are about, which may be long.
fn cut(message: &str) -> String {
    let cut = |line: &str| match line.char_indices().nth(MOST_LINE) {
        None => line.to_owned(),
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
    };
    message.lines().take(MOST_LINES).map(cut).collect::<Vec<_>>().join("\n")
}

/// Characters and lines of a message.
const MOST_LINE: usize = 200;
const MOST_LINES: usize = 12;
