//! Joining neighbours, best pair first, until no pair joins: the loop that both BPE and
//! SentencePiece BPE are.
//!
//! A doubly linked list of symbols over the word and a priority queue of candidate pairs. Every
//! join removes a symbol and adds at most two candidates, so a word of n symbols takes
//! O(n log n) time and O(n) memory whatever it spells, without recursion.

#![expect(clippy::indexing_slicing, reason = "links are made here and stay below `symbols.len()`")]

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// No neighbour.
const NONE: u32 = u32::MAX;

/// The longest run of bytes that is merged as one. Positions are 32 bits wide.
pub(crate) const LONGEST: usize = 1 << 30;

/// A run of bytes of the word. Empty once it was joined to its left neighbour.
#[derive(Clone, Copy)]
struct Symbol {
    start: u32,
    len: u32,
    previous: u32,
    next: u32,
}

/// The loop's memory, kept from word to word.
#[derive(Default)]
pub(crate) struct Merger {
    symbols: Vec<Symbol>,
    /// (rank, left symbol) and the joint length at that time, which tells a stale candidate.
    queue: BinaryHeap<Reverse<(u32, u32, u32)>>,
}

impl Merger {
    /// Splits `word` at `lengths` (which add up to its length), joins, and hands the pieces to
    /// `emit` from left to right.
    ///
    /// `rank` gets two neighbours as one text and the length of the first, and says how good it is
    /// to join them, lower first; `None` joins never. Among equals the leftmost goes first.
    pub(crate) fn run(
        &mut self,
        word: &[u8],
        lengths: impl Iterator<Item = usize>,
        rank: impl Fn(&[u8], usize) -> Option<u32>,
        mut emit: impl FnMut(&[u8]),
    ) {
        debug_assert!(word.len() <= LONGEST, "the caller cuts longer words");
        self.symbols.clear();
        self.queue.clear();
        let mut start = 0u32;
        for (index, len) in (0u32..).zip(lengths) {
            let previous = index.checked_sub(1).unwrap_or(NONE);
            self.symbols.push(Symbol { start, len: len as u32, previous, next: index + 1 });
            start += len as u32;
        }
        let Some(last) = self.symbols.last_mut() else { return };
        last.next = NONE;

        for left in 0..self.symbols.len() as u32 - 1 {
            self.consider(word, left, left + 1, &rank);
        }
        while let Some(Reverse((_, left, joint))) = self.queue.pop() {
            let one = self.symbols[left as usize];
            if one.len == 0 || one.next == NONE {
                continue;
            }
            let right = one.next;
            let two = self.symbols[right as usize];
            if one.len + two.len != joint {
                continue;
            }
            self.symbols[left as usize].len = joint;
            self.symbols[left as usize].next = two.next;
            self.symbols[right as usize].len = 0;
            if two.next != NONE {
                self.symbols[two.next as usize].previous = left;
                self.consider(word, left, two.next, &rank);
            }
            if one.previous != NONE {
                self.consider(word, one.previous, left, &rank);
            }
        }

        for symbol in &self.symbols {
            if symbol.len > 0 {
                emit(&word[symbol.start as usize..][..symbol.len as usize]);
            }
        }
    }

    /// Queues the pair of two neighbours if it may be joined.
    fn consider(
        &mut self,
        word: &[u8],
        left: u32,
        right: u32,
        rank: &impl Fn(&[u8], usize) -> Option<u32>,
    ) {
        let one = self.symbols[left as usize];
        let two = self.symbols[right as usize];
        let joint = &word[one.start as usize..][..(one.len + two.len) as usize];
        if let Some(rank) = rank(joint, one.len as usize) {
            self.queue.push(Reverse((rank, left, one.len + two.len)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(word: &str, merges: &[(&str, &str)]) -> Vec<String> {
        let mut out = Vec::new();
        Merger::default().run(
            word.as_bytes(),
            word.chars().map(char::len_utf8),
            |joint, cut| {
                let (left, right) = joint.split_at(cut);
                merges
                    .iter()
                    .position(|(a, b)| a.as_bytes() == left && b.as_bytes() == right)
                    .map(|rank| rank as u32)
            },
            |piece| out.push(String::from_utf8_lossy(piece).into_owned()),
        );
        out
    }

    #[test]
    fn best_pair_first_then_leftmost() {
        let merges = [("b", "c"), ("a", "b"), ("a", "bc"), ("a", "a"), ("aa", "aa")];
        for (word, expected) in [
            ("", vec![]),
            ("a", vec!["a"]),
            ("abc", vec!["abc"]),
            ("abab", vec!["ab", "ab"]),
            ("aaaaa", vec!["aaaa", "a"]),
            ("aaaaaaa", vec!["aaaa", "aa", "a"]),
            ("xaby", vec!["x", "ab", "y"]),
        ] {
            assert_eq!(pieces(word, &merges), expected, "{word}");
        }
    }

    #[test]
    fn nothing_joins_without_a_rank() {
        assert_eq!(pieces("日本", &[]), ["日", "本"]);
    }
}
