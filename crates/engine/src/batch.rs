//! What one forward pass computes: rows of sequence, position and token.

use crate::Sequence;

/// One row of a forward pass.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BatchRow {
    pub(crate) sequence: Sequence,
    pub(crate) position: usize,
    pub(crate) token: u32,
    /// Whether the logits (of an embedder: the hidden state) after this token are wanted.
    pub(crate) wanted: bool,
}

/// Tokens of any sequences, to run through the model together.
///
/// A prompt, a step of one answer, a step of sixteen answers and a speculative draft are the same
/// thing: rows. The rows of one sequence are in the order of its text and follow each other.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Position is filled in by the engine: the place after what the sequence has.
    pub(crate) rows: Vec<(Sequence, u32, bool)>,
}

impl Batch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends `tokens` to a sequence; the logits after the last of them are wanted if
    /// `want_last`.
    pub fn extend(&mut self, sequence: Sequence, tokens: &[u32], want_last: bool) {
        let last = tokens.len().saturating_sub(1);
        let row = |(i, t): (usize, &u32)| (sequence, *t, want_last && i == last);
        self.rows.extend(tokens.iter().enumerate().map(row));
    }

    /// As [`Batch::extend`], the logits after every token wanted.
    pub fn extend_all(&mut self, sequence: Sequence, tokens: &[u32]) {
        self.rows.extend(tokens.iter().map(|t| (sequence, *t, true)));
    }

    /// Rows in the batch.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}
