//! How many tokens to draft: as many as pay, by what passes take and drafts are accepted.
//!
//! A pass over `1 + n` rows gives one token and as many more as drafts are accepted. With costs in
//! passes of one row, `n` is what makes
//!
//! ```text
//! (1 + expected accepted of n) / (pass of 1 + n rows + drafting n)
//! ```
//!
//! greatest, and none if that is not more than 1. Whether text that stood before comes again is
//! seen at every token without drafting it, so that ordinary text costs nothing to know. What
//! drafts could lose is taken from an allowance, which passes refill slowly and gains quickly:
//! however wrong the estimates are, the time lost stays a small share of all.

use super::acceptance::{Acceptance, Evidence};
use super::costs::{Costs, MOST_ROWS, Outlook};

/// Numbers of drafts that are considered; few, so that the cost of each is soon known.
const DRAFTS: [usize; 7] = [1, 2, 3, 5, 7, 15, MOST_ROWS - 1];
/// What must be gained for drafts to pay, a share: less is within the noise of the measurements.
const LEAST_GAIN: f64 = 0.03;
/// Passes of one row that a request may lose before it gained anything.
const FIRST_ALLOWANCE: f64 = 2.0;
/// What each pass adds.
const INCOME: f64 = 0.005;
/// What gains can fill it to: above the loss of the longest drafts.
const MOST_ALLOWANCE: f64 = 16.0;
/// Passes before a source of drafts that did not pay is tried again; doubled by each try that
/// loses.
const WAIT: usize = 64;
const LONGEST_WAIT: usize = 4096;
/// Passes with drafts after which one without keeps the measure of what they save.
const LONGEST_STREAK: usize = 48;

/// Decides, and learns from what it is told. It reads no clock.
#[derive(Clone, Debug)]
pub(super) struct Policy {
    acceptance: Acceptance,
    costs: Costs,
    allowance: f64,
    /// Passes with drafts since the last without.
    streak: usize,
    by_text: Trial,
    by_model: Trial,
}

/// When a source of drafts was last tried.
#[derive(Clone, Copy, Debug)]
struct Trial {
    /// Passes since.
    idle: usize,
    /// Passes until it is tried again though it does not pay.
    wait: usize,
}

/// Drafts that could be made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Offer {
    pub(super) evidence: Evidence,
    /// Drafts at most.
    pub(super) most: usize,
    /// Tokens that the draft model has missed.
    pub(super) behind: usize,
}

/// How many of them to make.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Plan {
    pub(super) drafts: usize,
    /// Tokens in the time of one without drafts.
    pub(super) gain: f64,
}

/// A pass and what came of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outcome {
    pub(super) evidence: Evidence,
    pub(super) drafts: usize,
    pub(super) accepted: usize,
    /// The pass.
    pub(super) seconds: f64,
    /// Everything that the draft model did for it.
    pub(super) drafting: f64,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            acceptance: Acceptance::default(),
            costs: Costs::default(),
            allowance: FIRST_ALLOWANCE,
            streak: 0,
            by_text: Trial { idle: 0, wait: WAIT },
            by_model: Trial { idle: 0, wait: WAIT },
        }
    }
}

impl Policy {
    /// Begins a request; what was measured before stays known.
    pub(super) fn begin(&mut self) {
        let Self { acceptance, costs, .. } = std::mem::take(self);
        *self = Self { acceptance, costs, ..Self::default() };
    }

    /// The best of an offer, if any of it pays.
    pub(super) fn plan(&self, offer: Offer) -> Option<Plan> {
        if self.costs.single().is_none() || self.streak >= LONGEST_STREAK {
            return None;
        }
        let trial = match offer.evidence {
            Evidence::Match(_) => self.by_text,
            Evidence::Model => self.by_model,
        };
        let again = || (trial.idle >= trial.wait).then(|| self.best(offer, Outlook::Hopeful));
        self.best(offer, Outlook::Measured).or_else(|| again()?)
    }

    /// Whether the draft model might pay, so that it is to know the prompt.
    pub(super) fn may_draft(&self) -> bool {
        let offer = Offer { evidence: Evidence::Model, most: DRAFTS[2], behind: 0 };
        self.costs.single().is_none() || self.best(offer, Outlook::Measured).is_some()
    }

    /// The best of an offer, as far as the allowance goes.
    fn best(&self, offer: Offer, outlook: Outlook) -> Option<Plan> {
        let hoped = Acceptance::default();
        let expected = |drafts| {
            let seen = self.acceptance.expected(offer.evidence, drafts);
            match (outlook, offer.evidence) {
                // Only trying tells more of the draft model.
                (Outlook::Hopeful, Evidence::Model) => {
                    seen.max(hoped.expected(offer.evidence, drafts))
                }
                _ => seen,
            }
        };
        let mut best: Option<Plan> = None;
        let most = offer.most.min(self.costs.most_rows().saturating_sub(1));
        for drafts in DRAFTS.into_iter().take_while(|n| *n <= most) {
            let cost = |outlook| {
                let drafting = match offer.evidence {
                    Evidence::Match(_) => 0.0,
                    Evidence::Model => self.costs.draft(drafts, offer.behind, outlook),
                };
                self.costs.pass(1 + drafts, outlook) + drafting
            };
            let gain = (1.0 + expected(drafts)) / cost(outlook);
            let least = best.map_or(1.0 + LEAST_GAIN, |plan| plan.gain);
            if gain >= least && cost(Outlook::Measured) - 1.0 <= self.allowance {
                best = Some(Plan { drafts, gain });
            }
        }
        best
    }

    /// A draft was accepted or not, or would have been.
    pub(super) fn observe(&mut self, evidence: Evidence, accepted: bool) {
        self.acceptance.observe(evidence, accepted);
    }

    /// The draft model ran `tokens` that it had missed.
    pub(super) fn caught_up(&mut self, tokens: usize, seconds: f64) {
        self.costs.observe_behind(tokens, seconds);
    }

    /// The draft model made so many passes, each for a token.
    pub(super) fn drafted(&mut self, passes: usize, seconds: f64) {
        self.costs.observe_draft(passes, seconds);
    }

    /// A pass is over.
    pub(super) fn settle(&mut self, outcome: Outcome) {
        let Outcome { evidence, drafts, accepted, seconds, drafting } = outcome;
        self.costs.observe_pass(1 + drafts, seconds);
        let Some(single) = self.costs.single() else { return };
        self.allowance += INCOME;
        self.by_text.idle += 1;
        self.by_model.idle += 1;
        if drafts == 0 && drafting == 0.0 {
            self.streak = 0;
        } else {
            let gain = (1 + accepted) as f64 - (seconds + drafting) / single;
            self.allowance += gain;
            self.streak += 1;
            let trial = match evidence {
                Evidence::Match(_) => &mut self.by_text,
                Evidence::Model => &mut self.by_model,
            };
            let wait = if gain > 0.0 { WAIT } else { (2 * trial.wait).min(LONGEST_WAIT) };
            *trial = Trial { idle: 0, wait };
        }
        self.allowance = self.allowance.min(MOST_ALLOWANCE);
    }
}

#[cfg(test)]
mod tests;
