//! Which tokens of a batch have finer activations.
//!
//! Int8 activations move logits enough to turn a near-tie of an answer's first token, where they
//! hurt most. The last tokens of the prompt weigh most in it, and their second row of int8 costs
//! little beside the rest of the prompt.

use crate::Activations;
use crate::batch::{BatchRow, Wanted};

/// Fine tokens of a prompt: 16 settled near-ties of a first token as F32 does, 4 did not.
pub(crate) const FINE: usize = 16;

/// The rows with finer activations, rising.
pub(crate) fn choose(rows: &[BatchRow], activations: Activations) -> Vec<usize> {
    match activations {
        Activations::Int8 => return Vec::new(),
        Activations::Int16 => return (0..rows.len()).collect(),
        Activations::Mixed => {}
    }
    let mut fine = vec![false; rows.len()];
    for last in (1..rows.len()).filter(|&i| ends_prompt(rows, i)) {
        let before = (0..=last).rev().take(FINE);
        for t in before.take_while(|&t| rows[t].sequence == rows[last].sequence) {
            fine[t] = true;
        }
    }
    (0..rows.len()).filter(|&t| fine[t]).collect()
}

/// Whether an output is wanted of row `i` and none of the row before it, of the same text.
fn ends_prompt(rows: &[BatchRow], i: usize) -> bool {
    let [before, row] = [rows[i - 1], rows[i]];
    row.wanted != Wanted::Nothing
        && before.wanted == Wanted::Nothing
        && before.sequence == row.sequence
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Sequence;

    fn rows(of: &[(Sequence, bool)]) -> Vec<BatchRow> {
        let row = |(position, &(sequence, wanted))| {
            let wanted = if wanted { Wanted::Logits } else { Wanted::Nothing };
            BatchRow { sequence, position, token: 0, segment: 0, wanted }
        };
        of.iter().enumerate().map(row).collect()
    }

    #[test]
    fn the_last_tokens_of_each_prompt_are_fine() {
        let [a, b] = Sequence::pair();
        let choose = |of: &[_]| choose(&rows(of), Activations::Mixed);
        let prompt: Vec<_> = (0..40).map(|t| (a, t == 39)).collect();
        assert_eq!(choose(&prompt), (24..40).collect::<Vec<_>>());
        let two: Vec<_> = prompt.iter().copied().chain([(b, false), (b, true)]).collect();
        assert_eq!(choose(&two), (24..42).collect::<Vec<_>>());
    }

    #[test]
    fn steps_of_answers_and_scored_texts_are_not() {
        let [a, b] = Sequence::pair();
        let choose = |of: &[_]| choose(&rows(of), Activations::Mixed);
        assert_eq!(choose(&[(a, true)]), Vec::<usize>::new());
        assert_eq!(choose(&[(a, true), (b, true)]), Vec::<usize>::new());
        assert_eq!(choose(&[(a, true); 40]), Vec::<usize>::new());
        assert_eq!(choose(&[(a, false); 40]), Vec::<usize>::new());
    }

    #[test]
    fn all_or_none_are_when_asked_for() {
        let [a, _] = Sequence::pair();
        let choose = |kind| choose(&rows(&[(a, false), (a, true)]), kind);
        assert_eq!(choose(Activations::Int16), [0, 1]);
        assert_eq!(choose(Activations::Int8), Vec::<usize>::new());
    }
}
