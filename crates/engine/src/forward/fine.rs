//! Which tokens of a batch have finer activations.
//!
//! Int8 activations cost a quantised model about as much accuracy as another engine's int8 do:
//! enough to turn a near-tie of the first token. The tokens just before an output weigh most in
//! it, and in a small batch, which waits for memory, their second row of int8 is nearly free.

use crate::batch::BatchRow;

/// Below this many fine tokens per output they would cost and hardly help: the batch is large.
const LEAST_SHARE: usize = 8;

/// Of `rows` the last ones before each wanted output, at most `budget` in all, rising.
pub(crate) fn choose(rows: &[BatchRow], budget: usize) -> Vec<usize> {
    let wanted = rows.iter().filter(|r| r.wanted).count();
    let share = budget.checked_div(wanted).unwrap_or(0);
    if share < LEAST_SHARE {
        return Vec::new();
    }
    let mut fine = vec![false; rows.len()];
    for (i, last) in rows.iter().enumerate().filter(|(_, r)| r.wanted) {
        let before = (0..=i).rev().take(share);
        for t in before.take_while(|&t| rows[t].sequence == last.sequence) {
            fine[t] = true;
        }
    }
    (0..rows.len()).filter(|&t| fine[t]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Sequence;

    fn rows(of: &[(Sequence, bool)]) -> Vec<BatchRow> {
        let row =
            |(position, &(sequence, wanted))| BatchRow { sequence, position, token: 0, wanted };
        of.iter().enumerate().map(row).collect()
    }

    #[test]
    fn the_last_tokens_of_each_answer_are_fine() {
        let [a, b] = Sequence::pair();
        let prompt: Vec<_> = (0..40).map(|t| (a, t == 39)).collect();
        assert_eq!(choose(&rows(&prompt), 16), (24..40).collect::<Vec<_>>());
        let two: Vec<_> = prompt.iter().copied().chain([(b, false), (b, true)]).collect();
        assert_eq!(choose(&rows(&two), 16), (32..42).collect::<Vec<_>>());
    }

    #[test]
    fn a_large_batch_or_one_without_outputs_has_none() {
        let [a, _] = Sequence::pair();
        assert_eq!(choose(&rows(&[(a, false); 4]), 16), Vec::<usize>::new());
        assert_eq!(choose(&rows(&[(a, true); 4]), 16), Vec::<usize>::new());
        assert_eq!(choose(&rows(&[(a, true); 4]), usize::MAX), [0, 1, 2, 3]);
    }
}
