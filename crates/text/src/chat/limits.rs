//! What a template's text may look like before it is parsed.
//!
//! minijinja's parser recurses for every operator and every `elif` of a chain, and only some of
//! it is counted; so their number is bounded here, and parsing has a stack to match.

use minijinja::machinery::{Token, tokenize};
use minijinja::syntax::SyntaxConfig;
use minijinja::{Error, ErrorKind};

/// The longest template, in bytes. The longest published ones have 20 kB.
const MOST_BYTES: usize = 256 << 10;

/// The most tokens in one tag. Published templates have at most some 300.
const MOST_TOKENS: usize = 4096;

/// The most `elif` in a template.
const MOST_BRANCHES: usize = 1024;

/// The stack on which templates are parsed and rendered.
pub(super) const STACK_BYTES: usize = 64 << 20;

/// # Errors
/// When a bound is exceeded, or the text does not even fall into tokens.
pub(super) fn check(source: &str, syntax: SyntaxConfig) -> Result<(), Error> {
    if source.len() > MOST_BYTES {
        return Err(too_many(format!("{} bytes", source.len()), MOST_BYTES));
    }
    let (mut tokens, mut branches) = (0, 0);
    for token in tokenize(source, false, syntax) {
        match token?.0 {
            Token::TemplateData(_) | Token::VariableStart | Token::BlockStart => tokens = 0,
            Token::Ident("elif") => branches += 1,
            _ => tokens += 1,
        }
        if tokens > MOST_TOKENS {
            return Err(too_many(format!("{tokens} tokens in one tag"), MOST_TOKENS));
        }
        if branches > MOST_BRANCHES {
            return Err(too_many(format!("{branches} `elif`"), MOST_BRANCHES));
        }
    }
    Ok(())
}

fn too_many(found: String, most: usize) -> Error {
    Error::new(ErrorKind::SyntaxError, format!("has {found}, expected at most {most}"))
}
