//! How often what is drafted turns out to be what the model says.

/// What stands behind a drafted token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Evidence {
    /// The text before it stood elsewhere, this many tokens of it.
    Match(usize),
    /// The draft model says so.
    Model,
}

impl Evidence {
    /// What stands behind the draft that is `accepted` tokens further: the match has grown.
    pub(super) fn after(self, accepted: usize) -> Self {
        match self {
            Self::Match(length) => Self::Match(length + accepted),
            Self::Model => Self::Model,
        }
    }

    fn class(self) -> usize {
        match self {
            Self::Match(length) => LENGTHS.partition_point(|least| *least <= length),
            Self::Model => LENGTHS.len() + 1,
        }
    }
}

/// Lengths of a match at which a new class of evidence begins.
const LENGTHS: [usize; 6] = [3, 4, 5, 7, 10, 16];
/// Shares of each class before anything was seen: matches of 2 tokens, 3, 4 and so on, then the
/// draft model's. A guess that a few dozen tokens replace.
const PRIOR: [f64; LENGTHS.len() + 2] = [0.25, 0.35, 0.45, 0.6, 0.7, 0.8, 0.9, 0.7];
/// What was seen before anything was seen, in trials.
const PRIOR_TRIALS: f64 = 4.0;
/// Trials that are remembered, so that a share follows the text.
const WINDOW: f64 = 32.0;

/// A share with the weight of what it was seen in.
#[derive(Clone, Copy, Debug)]
struct Share {
    hits: f64,
    trials: f64,
}

/// The share of drafts that were accepted, by what stood behind them.
#[derive(Clone, Debug)]
pub(super) struct Acceptance {
    shares: [Share; PRIOR.len()],
}

impl Default for Acceptance {
    fn default() -> Self {
        let share = |p: f64| Share { hits: p * PRIOR_TRIALS, trials: PRIOR_TRIALS };
        Self { shares: PRIOR.map(share) }
    }
}

impl Acceptance {
    /// Takes a draft into account.
    pub(super) fn observe(&mut self, evidence: Evidence, accepted: bool) {
        let share = &mut self.shares[evidence.class()];
        let keep = (WINDOW / (share.trials + 1.0)).min(1.0);
        share.hits = keep * (share.hits + f64::from(u8::from(accepted)));
        share.trials = keep * (share.trials + 1.0);
    }

    /// The share of drafts with this behind them that were accepted.
    pub(super) fn share(&self, evidence: Evidence) -> f64 {
        let share = self.shares[evidence.class()];
        share.hits / share.trials
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_follow_what_is_seen() {
        let mut acceptance = Acceptance::default();
        let share = |a: &Acceptance| a.share(Evidence::Match(2));
        assert!((share(&acceptance) - PRIOR[0]).abs() < 1e-9);
        (0..100).for_each(|_| acceptance.observe(Evidence::Match(2), true));
        assert!(share(&acceptance) > 0.95);
        (0..100).for_each(|_| acceptance.observe(Evidence::Match(2), false));
        assert!(share(&acceptance) < 0.05);
        let long = acceptance.share(Evidence::Match(1000));
        assert!((long - PRIOR[6]).abs() < 1e-9, "another class is as it was");
    }
}
