//! Sets of tokens.

use llguidance::toktrie::SimpleVob;

/// The tokens that may come next: one bit each.
#[derive(Clone, PartialEq, Eq)]
pub struct Mask(SimpleVob);

/// Tokens in a word of the set.
const BITS: usize = 32;

impl Mask {
    pub(super) fn new(set: SimpleVob) -> Self {
        Self(set)
    }

    /// Whether `id` may come next.
    pub fn contains(&self, id: u32) -> bool {
        let word = self.words().get(id as usize / BITS);
        (id as usize) < self.0.len() && word.is_some_and(|word| word >> (id % 32) & 1 == 1)
    }

    /// How many tokens may come next.
    pub fn count(&self) -> usize {
        self.iter().count()
    }

    /// The tokens that may come next, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        let size = self.0.len() as u32;
        self.words()
            .iter()
            .zip((0..).step_by(BITS))
            .flat_map(|(&word, start)| bits(word).map(move |bit| start + bit))
            .take_while(move |&id| id < size)
    }

    /// The set as words of 32 tokens, the first in the lowest bit.
    pub fn words(&self) -> &[u32] {
        self.0.as_slice()
    }

    /// Makes every logit minus infinity whose token may not come next, also those after the end
    /// of the vocabulary.
    pub fn apply(&self, logits: &mut [f32]) {
        let size = self.0.len().min(logits.len());
        let (logits, beyond) = logits.split_at_mut(size);
        beyond.fill(f32::NEG_INFINITY);
        let (chunks, rest) = logits.as_chunks_mut::<BITS>();
        let mut words = self.words().iter();
        for (chunk, &word) in chunks.iter_mut().zip(&mut words) {
            match word {
                0 => chunk.fill(f32::NEG_INFINITY),
                u32::MAX => {}
                _ => keep(chunk, word),
            }
        }
        keep(rest, words.next().copied().unwrap_or(0));
    }
}

/// Keeps the logits whose bit is set.
#[inline(always)]
fn keep(logits: &mut [f32], word: u32) {
    for (bit, logit) in logits.iter_mut().enumerate() {
        // A choice rather than a branch: it becomes a few vector instructions.
        *logit = if word & (1 << bit) == 0 { f32::NEG_INFINITY } else { *logit };
    }
}

/// The bits that are set, ascending.
fn bits(mut word: u32) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        let bit = word.trailing_zeros();
        word &= word.wrapping_sub(1);
        (bit < u32::BITS).then_some(bit)
    })
}

impl std::fmt::Debug for Mask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Mask({} of {})", self.count(), self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_view_is_the_same_set() {
        for size in [1usize, 31, 32, 33, 64, 100, 257] {
            let sets: [fn(usize) -> bool; 4] =
                [|_| false, |_| true, |id| id % 3 == 0, |id| id / 32 == 1];
            for (number, holds) in sets.into_iter().enumerate() {
                let case = format!("set {number} of {size}");
                let bits: Vec<bool> = (0..size).map(holds).collect();
                let mask = Mask::new(SimpleVob::from_slice(&bits));
                let expected: Vec<u32> =
                    (0..size as u32).filter(|&id| holds(id as usize)).collect();
                assert_eq!(mask.iter().collect::<Vec<_>>(), expected, "{case}");
                assert_eq!(mask.count(), expected.len(), "{case}");
                for len in [size, size - 1, size + 40] {
                    let mut logits = vec![1.0; len];
                    mask.apply(&mut logits);
                    for (id, logit) in logits.iter().enumerate() {
                        let expected = id < size && holds(id);
                        assert_eq!(*logit == 1.0, expected, "{case}, {id} of {len} logits");
                        assert_eq!(mask.contains(id as u32), expected, "{case}, {id}");
                    }
                }
            }
        }
    }
}
