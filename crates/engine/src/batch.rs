//! What one forward pass computes: rows of sequence, position and token.

use std::ops::Range;

use crate::Sequence;

/// What is wanted of a row after the last layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Keys and values are all.
    #[default]
    Nothing,
    /// The logits of the token that follows.
    Logits,
    /// The hidden state, after the last norm.
    State,
}

/// One row of a forward pass.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BatchRow {
    pub(crate) sequence: Sequence,
    pub(crate) position: usize,
    pub(crate) token: u32,
    /// Which of the model's segment vectors is added.
    pub(crate) segment: u8,
    pub(crate) wanted: Wanted,
}

/// Tokens of any sequences, to run through the model together.
///
/// A prompt, a step of one answer, a step of sixteen answers, a speculative draft and texts to be
/// embedded are the same thing: rows. The rows of one sequence are in the order of its text and
/// follow each other.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Positions are filled in by the engine: the places after what the sequence has.
    pub(crate) rows: Vec<BatchRow>,
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
        for (i, token) in tokens.iter().enumerate() {
            let wanted = if want_last && i == last { Wanted::Logits } else { Wanted::Nothing };
            self.push(sequence, *token, 0, wanted);
        }
    }

    /// As [`Batch::extend`], the logits after every token wanted.
    pub fn extend_all(&mut self, sequence: Sequence, tokens: &[u32]) {
        tokens.iter().for_each(|token| self.push(sequence, *token, 0, Wanted::Logits));
    }

    /// Appends `tokens` to a sequence; the hidden states of those at `wanted` are wanted. Each token
    /// is of the segment at its place in `segments`, the first one where there is none.
    pub fn extend_states(
        &mut self,
        sequence: Sequence,
        tokens: &[u32],
        segments: &[u8],
        wanted: Range<usize>,
    ) {
        for (i, token) in tokens.iter().enumerate() {
            let segment = segments.get(i).copied().unwrap_or(0);
            let wanted = if wanted.contains(&i) { Wanted::State } else { Wanted::Nothing };
            self.push(sequence, *token, segment, wanted);
        }
    }

    fn push(&mut self, sequence: Sequence, token: u32, segment: u8, wanted: Wanted) {
        self.rows.push(BatchRow { sequence, position: 0, token, segment, wanted });
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
