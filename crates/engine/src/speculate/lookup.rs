//! Prompt lookup: where the last tokens stood before, what followed them may follow again
//! (Saxena 2023, <https://github.com/apoorvumang/prompt-lookup-decoding>).

use std::collections::HashMap;

/// How many tokens must have stood before, best first.
const GRAMS: [usize; 3] = [4, 3, 2];
/// A match is measured up to here; a longer one says no more.
const LONGEST_MATCH: usize = 16;

/// Some last tokens, zeros behind them if there are fewer than four: each number has its own map.
type Gram = [u32; 4];

/// The text of a session and an index of it, by which the end of the text is found in what was
/// before it without a search.
#[derive(Debug, Default)]
pub(super) struct Lookup {
    text: Vec<u32>,
    /// For each length of [`GRAMS`]: the place after the most recent occurrence.
    places: [HashMap<Gram, usize>; GRAMS.len()],
}

/// A place in the text that stands after what also stands at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    place: usize,
    /// Tokens before the place that equal those at the end.
    pub(super) length: usize,
}

impl Lookup {
    /// The whole text.
    pub(super) fn text(&self) -> &[u32] {
        &self.text
    }

    /// Makes `tokens` the text; what it shares with the text before is not read again.
    pub(super) fn follow(&mut self, tokens: &[u32]) {
        let same = self.text.iter().zip(tokens).take_while(|(a, b)| a == b).count();
        // Places beyond the cut stay in the index; `find` sees that they no longer match.
        self.text.truncate(same);
        tokens[same..].iter().for_each(|t| self.push(*t));
    }

    /// Appends a token. What ends before it has a follower now, and may be found.
    pub(super) fn push(&mut self, token: u32) {
        for (n, places) in GRAMS.into_iter().zip(&mut self.places) {
            if let Some(gram) = last(&self.text, n) {
                places.insert(gram, self.text.len());
            }
        }
        self.text.push(token);
    }

    /// The most recent earlier occurrence of the longest end of the text.
    pub(super) fn find(&self) -> Option<Found> {
        GRAMS.into_iter().zip(&self.places).find_map(|(n, places)| {
            // Of a text that was cut the end itself may be there, which nothing follows yet.
            let place = *places.get(&last(&self.text, n)?).filter(|p| **p < self.text.len())?;
            let before = self.text.get(..place)?;
            let pairs = before.iter().rev().zip(self.text.iter().rev());
            let length = pairs.take(LONGEST_MATCH).take_while(|(a, b)| a == b).count();
            (length >= n).then_some(Found { place, length })
        })
    }

    /// Up to `most` tokens that followed what was found. Where the text ends they go on with
    /// themselves, as a text that repeats does.
    pub(super) fn continuation(&self, found: Found, most: usize) -> Vec<u32> {
        let mut tokens = Vec::with_capacity(most);
        for at in found.place..found.place + most {
            let token = self.text.get(at).copied();
            tokens.extend(token.or_else(|| tokens.get(at - self.text.len()).copied()));
        }
        tokens
    }
}

/// The last `n` tokens.
fn last(text: &[u32], n: usize) -> Option<Gram> {
    let start = text.len().checked_sub(n)?;
    let mut gram = Gram::default();
    gram[..n].copy_from_slice(&text[start..]);
    Some(gram)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &[u32]) -> Lookup {
        let mut lookup = Lookup::default();
        lookup.follow(text);
        lookup
    }

    #[test]
    fn the_longest_then_the_most_recent_is_found() {
        let cases: [(&[u32], Option<usize>, &[u32]); 8] = [
            (&[], None, &[]),
            (&[1, 1], None, &[]),
            (&[1, 2, 3, 4], None, &[]),
            (&[1, 2, 3, 9, 1, 2], Some(2), &[3, 9, 1, 2]),
            // Four tokens beat the later two.
            (&[1, 2, 3, 4, 5, 3, 4, 6, 1, 2, 3, 4], Some(4), &[5, 3, 4, 6]),
            // Of equals the later.
            (&[1, 2, 3, 1, 2, 4, 1, 2], Some(2), &[4, 1, 2, 4]),
            // The match is longer than the longest gram.
            (&[1, 2, 3, 4, 5, 6, 7, 1, 2, 3, 4, 5, 6], Some(6), &[7, 1, 2, 3]),
            // A text that repeats goes on with itself.
            (&[7, 8, 7, 8], Some(2), &[7, 8, 7, 8]),
        ];
        for (text, length, want) in cases {
            let lookup = of(text);
            let found = lookup.find();
            assert_eq!(found.map(|f| f.length), length, "{text:?}");
            let tokens = found.map(|f| lookup.continuation(f, 4)).unwrap_or_default();
            assert_eq!(tokens, want, "{text:?}");
        }
    }

    #[test]
    fn the_index_agrees_with_a_search() {
        let mut state = 1u32;
        let mut random = |n: u32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 16) % n
        };
        let mut lookup = Lookup::default();
        for _ in 0..2000 {
            lookup.push(random(4));
            let text = lookup.text();
            let place = GRAMS.into_iter().find_map(|n| {
                let end = text.len().checked_sub(n).map(|start| &text[start..])?;
                (n..text.len()).rev().find(|&p| text[..p].ends_with(end))
            });
            assert_eq!(lookup.find().map(|f| f.place), place);
        }
    }

    #[test]
    fn a_text_that_was_cut_is_not_found() {
        let mut lookup = of(&[1, 2, 3, 4, 5, 6, 7, 8]);
        lookup.follow(&[1, 2, 3, 9, 4, 5]);
        assert_eq!(lookup.find(), None);
        lookup.follow(&[1, 2, 3, 9, 4, 5, 1, 2]);
        let found = lookup.find().unwrap();
        assert_eq!(lookup.continuation(found, 2), [3, 9]);
        // An answer is asked for again: its prompt ends where the answer began.
        let mut lookup = of(&[1, 2, 3, 4, 5]);
        lookup.follow(&[1, 2, 3, 4]);
        assert_eq!(lookup.find(), None);
    }
}
