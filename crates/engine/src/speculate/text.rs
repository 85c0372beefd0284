//! One text: what is guessed of it, and what becomes of that.

use std::time::Duration;

use super::Speculation;
use super::acceptance::Evidence;
use super::lookup::Lookup;
use super::policy::{Outcome, Policy};

/// A text and what is known of guesses for it.
#[derive(Debug, Default)]
pub(crate) struct Speculator {
    speculation: Speculation,
    pub(super) lookup: Lookup,
    pub(super) policy: Policy,
    proposal: Option<Proposal>,
    guessed: Guessed,
}

/// Tokens that were guessed and checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Guessed {
    pub(crate) drafted: usize,
    /// Those of them that were right.
    pub(crate) accepted: usize,
    /// Those of them that the draft model guessed.
    pub(crate) by_model: usize,
    /// Those of these that were right.
    pub(crate) accepted_by_model: usize,
}

impl std::ops::Sub for Guessed {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self {
            drafted: self.drafted - other.drafted,
            accepted: self.accepted - other.accepted,
            by_model: self.by_model - other.by_model,
            accepted_by_model: self.accepted_by_model - other.accepted_by_model,
        }
    }
}

/// The guesses of the last pass and what became of them.
#[derive(Debug)]
pub(super) struct Proposal {
    evidence: Evidence,
    tokens: Vec<u32>,
    /// How many of them are in the pass; of none in it the first is still compared.
    checked: usize,
    /// Guesses that were planned: the draft model may stop before.
    planned: usize,
    accepted: usize,
    /// This text's part of what the pass's guesses cost.
    share: f64,
    /// What the draft model took for all texts of the pass.
    drafting: Duration,
    /// That part, in passes without guesses.
    cost: f64,
    /// Answers that the pass computed tokens of.
    answers: usize,
}

impl Proposal {
    /// So many guesses were planned. Of a draft model's all are checked, of quoted ones these.
    pub(super) fn new(evidence: Evidence, tokens: Vec<u32>, planned: usize) -> Self {
        let checked = planned.min(tokens.len());
        let (share, drafting, cost) = (0.0, Duration::ZERO, 0.0);
        let (accepted, answers) = (0, 1);
        Self { evidence, tokens, checked, planned, accepted, share, drafting, cost, answers }
    }

    /// With this share of the costs of a pass.
    pub(super) fn with_share(self, share: f64, drafting: Duration) -> Self {
        Self { share, drafting, ..self }
    }
}

impl Speculator {
    /// A text that begins with `tokens`.
    pub(super) fn new(speculation: Speculation, tokens: &[u32], policy: Policy) -> Self {
        let mut lookup = Lookup::default();
        lookup.follow(tokens);
        Self { speculation, lookup, policy, proposal: None, guessed: Guessed::default() }
    }

    /// Begins another answer in the same conversation, to `prompt`.
    pub(crate) fn begin(&mut self, speculation: Speculation, prompt: &[u32]) {
        self.speculation = speculation;
        self.proposal = None;
        self.guessed = Guessed::default();
        if !self.is_off() {
            self.lookup.follow(prompt);
            self.policy.begin();
        }
    }

    pub(crate) fn is_off(&self) -> bool {
        self.speculation == Speculation::Off
    }

    pub(super) fn is_always(&self) -> bool {
        self.speculation == Speculation::Always
    }

    /// Whether its passes may be longer than those that are exact.
    pub(crate) fn is_wide(&self) -> bool {
        self.speculation == Speculation::Wide
    }

    /// The text.
    pub(super) fn tokens(&self) -> &[u32] {
        self.lookup.text()
    }

    pub(super) fn take_up(&mut self, proposal: Proposal) {
        self.proposal = Some(proposal);
    }

    /// The guesses to be checked after the text.
    pub(crate) fn guesses(&self) -> &[u32] {
        self.proposal.as_ref().map_or(&[], |p| &p.tokens[..p.checked])
    }

    /// The guesses are void.
    pub(crate) fn forget(&mut self) {
        self.proposal = None;
    }

    /// There is room for so many guesses only.
    pub(crate) fn cut(&mut self, most: usize) {
        if let Some(proposal) = self.proposal.as_mut().filter(|p| p.checked > most) {
            (proposal.checked, proposal.planned) = (most, most);
        }
    }

    pub(super) fn drafting(&self) -> Option<Duration> {
        self.proposal.as_ref().map(|proposal| proposal.drafting)
    }

    /// The pass has run, of so many answers. With the guesses it took `more` than without, in
    /// passes without.
    pub(super) fn ran(&mut self, answers: usize, more: f64) {
        let Some(proposal) = &mut self.proposal else { return };
        (proposal.answers, proposal.cost) = (answers, proposal.share * more);
        self.guessed.drafted += proposal.checked;
        if proposal.evidence == Evidence::Model {
            self.guessed.by_model += proposal.checked;
        }
    }

    /// Takes the next token of the answer. If it is the next guess, gives how many rows after the
    /// text's own last one the row of the pass is that follows it; otherwise the guesses left are
    /// void.
    pub(crate) fn accept(&mut self, token: u32) -> Option<usize> {
        if self.is_off() {
            return None;
        }
        self.lookup.push(token);
        let mut proposal = self.proposal.take()?;
        let at = proposal.accepted;
        let hit = proposal.tokens.get(at) == Some(&token);
        if at < proposal.tokens.len() || at < proposal.planned {
            self.policy.observe(proposal.evidence.after(at), hit);
        }
        if hit && at < proposal.checked {
            proposal.accepted += 1;
            self.guessed.accepted += 1;
            if proposal.evidence == Evidence::Model {
                self.guessed.accepted_by_model += 1;
            }
            self.proposal = Some(proposal);
            return Some(at + 1);
        }
        self.policy.settle(Outcome {
            evidence: proposal.evidence,
            tried: proposal.planned > 0,
            gain: at as f64 / proposal.answers.max(1) as f64 - proposal.cost,
        });
        None
    }

    /// What was guessed for this answer.
    pub(crate) fn guessed(&self) -> Guessed {
        self.guessed
    }
}
