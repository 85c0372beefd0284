//! Speculation: tokens are guessed, the model checks several guesses in one pass.
//!
//! A pass over a few rows costs less than as many passes, since the weights are read once. So what
//! probably comes next is appended to the token at hand of one answer or of several, and the logits after each row say what the
//! model says: the sampler draws from them as it would have without guesses, and as long as what it
//! draws is what was guessed, the next logits are there already (Leviathan et al. 2022,
//! <https://arxiv.org/abs/2211.17192>, with the sampler's own draw in place of a second one).
//! Guesses come from earlier text or from a smaller model. They change how fast an answer comes,
//! never what it says.

mod acceptance;
mod costs;
mod draft;
mod guesser;
mod lookup;
mod policy;
mod text;

pub(crate) use costs::{MOST_GUESSES, Pass};
pub use draft::DraftModel;
pub(crate) use guesser::{Ask, Guesser};
pub(crate) use text::{Guessed, Speculator};

/// Whether tokens are guessed and checked several at a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Speculation {
    /// One token a pass.
    Off,
    /// As far as it pays, in passes of so few rows that each is computed as it would be alone: the
    /// text is the same.
    #[default]
    Auto,
    /// As far as it pays, in longer passes too: where much text comes again, more is gained. Their
    /// rounding may turn a near-tie between tokens, and since what pays is measured, not always the
    /// same.
    Wide,
    /// Whenever there is a guess, however little it pays; the text is the same.
    Always,
}

/// What a draft model does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Drafting {
    /// It is asked where it is expected to pay.
    Asked,
    /// It did not pay, and is seldom tried.
    Resting,
    /// It failed, and is not used any more.
    Failed,
}

#[cfg(test)]
mod tests;
