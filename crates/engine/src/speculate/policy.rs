//! How many tokens to draft: as many as pay, by what passes take and drafts are accepted.
//!
//! A pass that writes a token of each of `w` answers gives as many more as drafts are accepted. With
//! costs in passes without drafts, `n` is what makes
//!
//! ```text
//! (1 + expected accepted of n / w) / (pass with n more rows + drafting n)
//! ```
//!
//! greatest, and none if that is not more than 1. Whose drafts they are is decided by how probably
//! each is accepted: one more of a text that repeats itself may be worth more than the first of
//! another. Whether text that stood before comes again is seen at every token without drafting it,
//! so that ordinary text costs nothing to know. What drafts could lose is taken from an allowance of
//! each answer, which passes refill slowly and gains quickly: however wrong the estimates are, the
//! time lost stays a small share of all.

use super::acceptance::{Acceptance, Evidence};
use super::costs::{Costs, MOST_GUESSES, Outlook, Pass};

/// Numbers of drafts that are considered; few, so that the cost of each is soon known.
const DRAFTS: [usize; 7] = [1, 2, 3, 5, 7, 15, MOST_GUESSES];
/// What must be gained for drafts to pay, a share: less is within the noise of the measurements.
const LEAST_GAIN: f64 = 0.03;
/// Passes without drafts that a request may lose before it gained anything.
const FIRST_ALLOWANCE: f64 = 2.0;
/// What each pass adds.
const INCOME: f64 = 0.005;
/// What gains can fill it to: above the loss of the longest drafts.
const MOST_ALLOWANCE: f64 = 16.0;
/// Passes before a source of drafts that did not pay is tried again; doubled by each try that
/// loses.
const WAIT: usize = 64;
const LONGEST_WAIT: usize = 4096;
/// Tokens over which what the draft model reads first is hoped to be gained back twice.
const AHEAD: usize = 256;

/// What is known of one text's drafts.
#[derive(Clone, Debug)]
pub(super) struct Policy {
    acceptance: Acceptance,
    allowance: f64,
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

impl Trial {
    const NEW: Self = Self { idle: 0, wait: WAIT };

    fn is_due(self) -> bool {
        self.idle >= self.wait
    }
}

/// Drafts that could be made for a text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Offer<'a> {
    pub(super) policy: &'a Policy,
    pub(super) evidence: Evidence,
    /// Drafts at most.
    pub(super) most: usize,
    /// Tokens that the draft model has missed.
    pub(super) behind: usize,
}

/// How many of them to make.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Plan {
    /// Of each offer.
    pub(super) drafts: Vec<usize>,
    /// Tokens in the time of one without drafts.
    pub(super) gain: f64,
}

/// What came of a pass for a text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outcome {
    pub(super) evidence: Evidence,
    /// Whether drafts were made for it, or tried to be.
    pub(super) tried: bool,
    /// What drafts saved, less what they cost, in passes without them.
    pub(super) gain: f64,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            acceptance: Acceptance::default(),
            allowance: FIRST_ALLOWANCE,
            by_text: Trial::NEW,
            by_model: Trial::NEW,
        }
    }
}

impl Policy {
    /// Begins another answer in a conversation; what was seen of drafts stays known.
    pub(super) fn begin(&mut self) {
        *self = Self { acceptance: std::mem::take(&mut self.acceptance), ..Self::default() };
    }

    /// For a request after others: how drafts fared in them, and when they are to be tried again.
    pub(super) fn after(&self) -> Self {
        Self { allowance: FIRST_ALLOWANCE, ..self.clone() }
    }

    /// Whether the draft model pays as far as is known, or nothing is known.
    pub(super) fn pays(&self, costs: &Costs) -> bool {
        // When it is tried again is another matter.
        let now = Self { by_model: Trial::NEW, ..self.after() };
        !costs.are_begun() || now.may_read(costs, Pass::alone(DRAFTS[2]), 0, AHEAD)
    }

    fn trial(&self, evidence: Evidence) -> Trial {
        match evidence {
            Evidence::Match(_) => self.by_text,
            Evidence::Model => self.by_model,
        }
    }

    /// How probably a draft is accepted where those before it are. Only trying tells more of the
    /// draft model, so that it is hoped for when it is to be tried again.
    pub(super) fn share(&self, evidence: Evidence) -> f64 {
        let seen = self.acceptance.share(evidence);
        match evidence == Evidence::Model && self.by_model.is_due() {
            true => seen.max(Acceptance::default().share(evidence)),
            false => seen,
        }
    }

    /// A draft was accepted or not, or would have been.
    pub(super) fn observe(&mut self, evidence: Evidence, accepted: bool) {
        self.acceptance.observe(evidence, accepted);
    }

    /// A pass is over.
    pub(super) fn settle(&mut self, outcome: Outcome) {
        let Outcome { evidence, tried, gain } = outcome;
        self.by_text.idle += 1;
        self.by_model.idle += 1;
        self.allowance += INCOME;
        if tried {
            self.allowance += gain;
            let trial = match evidence {
                Evidence::Match(_) => &mut self.by_text,
                Evidence::Model => &mut self.by_model,
            };
            let wait = if gain > 0.0 { WAIT } else { (2 * trial.wait).min(LONGEST_WAIT) };
            *trial = Trial { idle: 0, wait };
        }
        self.allowance = self.allowance.min(MOST_ALLOWANCE);
    }

    /// Whether the draft model might pay if the other texts of the pass are like this one, so that
    /// it is to run `behind` tokens that it has missed of a text that may have `left` more.
    pub(super) fn may_read(&self, costs: &Costs, pass: Pass, behind: usize, left: usize) -> bool {
        if !costs.are_begun() {
            return false;
        }
        let (evidence, most) = (Evidence::Model, DRAFTS[2]);
        let offers = vec![Offer { policy: self, evidence, most, behind: 0 }; pass.answers];
        let hoped = || self.by_model.is_due().then(|| best(costs, pass, &offers, Outlook::Hopeful));
        let plan = best(costs, pass, &offers, Outlook::Measured).or_else(|| hoped()?);
        plan.is_some_and(|plan| {
            let saved = (1.0 - 1.0 / plan.gain) * left.min(AHEAD) as f64;
            2.0 * costs.missed(behind * pass.answers, pass.rows) <= saved
        })
    }
}

/// The best of what is offered for a pass, if any of it pays.
pub(super) fn plan(costs: &Costs, pass: Pass, offers: &[Offer<'_>]) -> Option<Plan> {
    if !costs.are_known(pass) {
        return None;
    }
    best(costs, pass, offers, Outlook::Measured).or_else(|| {
        let mut offers = offers.to_vec();
        for offer in &mut offers {
            if !offer.policy.trial(offer.evidence).is_due() {
                offer.most = 0;
            }
        }
        best(costs, pass, &offers, Outlook::Hopeful)
    })
}

/// The best of what is offered, as far as allowances go.
fn best(costs: &Costs, pass: Pass, offers: &[Offer<'_>], outlook: Outlook) -> Option<Plan> {
    // How probably each draft is accepted, those before it included; which it is, and whose.
    let mut chances: Vec<(f64, usize, usize)> = Vec::new();
    for (who, offer) in offers.iter().enumerate() {
        let most = if offer.policy.allowance > 0.0 { offer.most.min(pass.room) } else { 0 };
        let mut all = 1.0;
        chances.extend((0..most).map(|at| {
            all *= offer.policy.share(offer.evidence.after(at));
            (all, at, who)
        }));
    }
    // Of one text they fall, so that its first ones are taken.
    chances.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let most = chances.len().min(pass.room).min(costs.most_drafts(pass.rows));
    let mut best: Option<Plan> = None;
    for n in DRAFTS.into_iter().take_while(|n| *n <= most) {
        let mut drafts = vec![0; offers.len()];
        let mut accepted = 0.0;
        for (chance, _, who) in &chances[..n] {
            drafts[*who] += 1;
            accepted += chance;
        }
        let cost = |outlook| {
            costs.pass(pass.rows, n, outlook) + drafting(costs, pass, offers, &drafts, outlook)
        };
        let gain = (1.0 + accepted / pass.answers.max(1) as f64) / cost(outlook);
        let of_drafts = offers.iter().zip(&drafts).filter(|(_, n)| **n > 0);
        let allowance: f64 = of_drafts.map(|(offer, _)| offer.policy.allowance).sum();
        let least = best.as_ref().map_or(1.0 + LEAST_GAIN, |plan| plan.gain);
        if gain >= least && cost(Outlook::Measured) - 1.0 <= allowance {
            best = Some(Plan { drafts, gain });
        }
    }
    best
}

/// What the draft model costs. It drafts one token of each text in a pass.
fn drafting(
    costs: &Costs,
    pass: Pass,
    offers: &[Offer<'_>],
    drafts: &[usize],
    outlook: Outlook,
) -> f64 {
    let of_model = || {
        let pairs = offers.iter().zip(drafts);
        pairs.filter(|(offer, n)| offer.evidence == Evidence::Model && **n > 0)
    };
    let passes = of_model().map(|(_, n)| *n).max().unwrap_or(0);
    let rows = |at: usize| of_model().filter(|(_, n)| **n > at).count();
    let all: f64 = (0..passes).map(|at| costs.draft(rows(at), pass.rows, outlook)).sum();
    let missed = || of_model().map(|(offer, _)| costs.missed(offer.behind, pass.rows)).sum::<f64>();
    match outlook {
        Outlook::Measured => all + missed(),
        // Those that it is hoped to run for all that come after.
        Outlook::Hopeful => all,
    }
}

#[cfg(test)]
mod tests;
