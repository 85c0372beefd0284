//! Many hidden states as one vector.

use std::ops::Range;

use rushlight_model::Pooling;

/// What the hidden states of a text's tokens come to, which may be given in several parts.
#[derive(Clone, Debug)]
pub(crate) struct Pool {
    pooling: Pooling,
    /// Tokens of the text.
    count: usize,
    /// Their sum, or the one that is taken.
    vector: Vec<f32>,
}

impl Pool {
    /// Of a text of so many tokens.
    pub(crate) fn new(pooling: Pooling, count: usize) -> Self {
        Self { pooling, count, vector: Vec::new() }
    }

    /// Of the tokens `part` of the text those whose states are needed, counted from the first of the
    /// part.
    pub(crate) fn wanted(&self, part: Range<usize>) -> Range<usize> {
        let n = part.len();
        match self.pooling {
            Pooling::Cls => 0..n.min(usize::from(part.start == 0)),
            Pooling::Last => n - n.min(usize::from(part.end == self.count))..n,
            _ => 0..n,
        }
    }

    /// Takes the next state that was wanted.
    pub(crate) fn push(&mut self, state: &[f32]) {
        if self.vector.is_empty() {
            self.vector.resize(state.len(), 0.0);
        }
        self.vector.iter_mut().zip(state).for_each(|(sum, x)| *sum += x);
    }

    /// The vector.
    pub(crate) fn finish(self) -> Vec<f32> {
        let mut vector = self.vector;
        if self.pooling == Pooling::Mean {
            let count = self.count.max(1) as f32;
            vector.iter_mut().for_each(|x| *x /= count);
        }
        vector
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_in_parts_comes_to_the_same_as_in_one() {
        let states: Vec<[f32; 2]> = (0..7).map(|i| [i as f32, 10.0 - i as f32]).collect();
        let parts: [&[Range<usize>]; 4] =
            [std::slice::from_ref(&(0..7)), &[0..3, 3..7], &[0..1, 1..6, 6..7], &[0..6, 6..7]];
        let wanted =
            [(Pooling::Mean, [3.0, 7.0]), (Pooling::Cls, [0.0, 10.0]), (Pooling::Last, [6.0, 4.0])];
        for (pooling, want) in wanted {
            for parts in parts {
                let mut pool = Pool::new(pooling, states.len());
                for part in parts {
                    let wanted = pool.wanted(part.clone());
                    states[part.clone()][wanted].iter().for_each(|state| pool.push(state));
                }
                assert_eq!(pool.finish(), want, "{pooling:?} {parts:?}");
            }
        }
    }
}
