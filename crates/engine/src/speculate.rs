//! Speculation: tokens are guessed, the model checks several guesses in one pass.
//!
//! A pass over a few rows costs less than as many passes, since the weights are read once. So what
//! probably comes next is appended to the token at hand, and the logits after each row say what the
//! model says: the sampler draws from them as it would have without guesses, and as long as what it
//! draws is what was guessed, the next logits are there already (Leviathan et al. 2022,
//! <https://arxiv.org/abs/2211.17192>, with the sampler's own draw in place of a second one).
//! Guesses come from earlier text or from a smaller model. They change how fast an answer comes,
//! never what it says.

mod acceptance;
mod costs;
mod draft;
mod lookup;
mod policy;

use std::time::{Duration, Instant};

pub use draft::DraftModel;

use crate::Error;
use acceptance::Evidence;
use costs::MOST_ROWS;
use lookup::{Found, Lookup};
use policy::{Offer, Outcome, Plan, Policy};

/// Whether tokens are guessed and checked several at a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Speculation {
    /// One token a pass.
    Off,
    /// As far as it pays, in passes of so few rows that each is computed as it would be alone: the
    /// text is the same.
    #[default]
    Auto,
    /// As far as it pays, in longer passes too: where much text comes again, more is gained. Their
    /// rounding may turn a near-tie between tokens, and since what pays is measured, not always the
    /// same.
    Wide,
    /// Whenever there is a guess, however little it pays; the text is the same.
    Always,
}

/// A draft less probable than this, by the draft model, is none: it would likely be rejected, and
/// those after it with it.
const LEAST_PROBABILITY: f32 = 0.5;

/// Makes guesses and keeps account of them.
#[derive(Debug, Default)]
pub(crate) struct Speculator {
    speculation: Speculation,
    lookup: Lookup,
    draft: Option<DraftModel>,
    policy: Policy,
    proposal: Option<Proposal>,
    drafted: usize,
    accepted: usize,
}

/// The drafts of the last pass and what became of them.
#[derive(Debug)]
struct Proposal {
    evidence: Evidence,
    tokens: Vec<u32>,
    /// How many of them are in the pass; of none in it the first is still compared.
    checked: usize,
    /// Drafts that were planned: the draft model may stop before.
    planned: usize,
    accepted: usize,
    drafting: Duration,
    pass: Duration,
}

impl Speculator {
    /// Drafts with `model` too.
    pub(crate) fn set_draft(&mut self, model: DraftModel) {
        self.draft = Some(model);
    }

    /// Begins an answer to `prompt`.
    ///
    /// # Errors
    /// If the draft model fails.
    pub(crate) fn begin(&mut self, speculation: Speculation, prompt: &[u32]) -> Result<(), Error> {
        self.speculation = speculation;
        self.proposal = None;
        (self.drafted, self.accepted) = (0, 0);
        if speculation == Speculation::Off {
            return Ok(());
        }
        self.lookup.follow(prompt);
        self.policy.begin();
        if let Some(draft) = &mut self.draft
            && self.policy.may_draft()
        {
            let (begin, behind) = (Instant::now(), draft.behind(prompt));
            draft.catch_up(prompt)?;
            self.policy.caught_up(behind, begin.elapsed().as_secs_f64());
        }
        Ok(())
    }

    /// Takes the next token of the answer. If it is the next draft, gives the row of the last pass
    /// that follows it; otherwise the drafts left are void.
    pub(crate) fn accept(&mut self, token: u32) -> Option<usize> {
        if self.speculation == Speculation::Off {
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
            self.accepted += 1;
            self.proposal = Some(proposal);
            return Some(at + 1);
        }
        self.policy.settle(Outcome {
            evidence: proposal.evidence,
            drafts: proposal.checked,
            accepted: at,
            seconds: proposal.pass.as_secs_f64(),
            drafting: proposal.drafting.as_secs_f64(),
        });
        None
    }

    /// What the next pass is to check: up to `most` tokens after the text. `exact` rows are
    /// computed as they would be alone.
    ///
    /// # Errors
    /// If the draft model fails.
    pub(crate) fn propose(&mut self, most: usize, exact: usize) -> Result<&[u32], Error> {
        let rows = match self.speculation {
            Speculation::Off => return Ok(&[]),
            Speculation::Wide => MOST_ROWS,
            Speculation::Auto | Speculation::Always => exact,
        };
        let most = most.min(rows.saturating_sub(1));
        let found = self.lookup.find();
        let by_text = found.and_then(|f| self.plan(Evidence::Match(f.length), most));
        let by_model = self.draft.as_ref().and_then(|_| self.plan(Evidence::Model, most));
        let proposal = match by_model {
            Some(plan) if by_text.is_none_or(|t| plan.gain > t.gain) => self.ask(plan.drafts)?,
            _ => self.quote(found, by_text.map_or(0, |plan| plan.drafts)),
        };
        self.drafted += proposal.checked;
        let proposal = self.proposal.insert(proposal);
        Ok(&proposal.tokens[..proposal.checked])
    }

    /// The pass has run, without the drafts if there was no room for them.
    pub(crate) fn ran(&mut self, drafts: usize, time: Duration) {
        let Some(proposal) = &mut self.proposal else { return };
        proposal.pass = time;
        if drafts < proposal.checked {
            self.drafted -= proposal.checked - drafts;
            (proposal.checked, proposal.planned) = (drafts, drafts);
        }
    }

    /// Tokens that were drafted for this answer, and accepted.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.drafted, self.accepted)
    }

    fn plan(&self, evidence: Evidence, most: usize) -> Option<Plan> {
        if self.speculation == Speculation::Always {
            return (most > 0).then_some(Plan { drafts: most, gain: 1.0 });
        }
        let behind = match (evidence, &self.draft) {
            (Evidence::Model, Some(draft)) => draft.behind(self.lookup.text()),
            _ => 0,
        };
        self.policy.plan(Offer { evidence, most, behind })
    }

    /// What followed in the text; the first token is named even if none is to be checked.
    fn quote(&self, found: Option<Found>, drafts: usize) -> Proposal {
        let tokens = found.map(|f| self.lookup.continuation(f, drafts.max(1)));
        Proposal {
            evidence: Evidence::Match(found.map_or(0, |f| f.length)),
            tokens: tokens.unwrap_or_default(),
            checked: drafts,
            planned: drafts,
            accepted: 0,
            drafting: Duration::ZERO,
            pass: Duration::ZERO,
        }
    }

    /// What the draft model says.
    fn ask(&mut self, planned: usize) -> Result<Proposal, Error> {
        let text = self.lookup.text();
        let always = self.speculation == Speculation::Always;
        let least = if always { 0.0 } else { LEAST_PROBABILITY };
        let (mut tokens, mut drafting) = (Vec::new(), Duration::ZERO);
        if let Some(draft) = &mut self.draft {
            let (begin, behind) = (Instant::now(), draft.behind(text));
            draft.catch_up(text)?;
            let caught_up = begin.elapsed();
            let passes;
            (tokens, passes) = draft.draft(text, planned, least)?;
            drafting = begin.elapsed();
            self.policy.caught_up(behind, caught_up.as_secs_f64());
            self.policy.drafted(passes, (drafting - caught_up).as_secs_f64());
        }
        Ok(Proposal {
            evidence: Evidence::Model,
            checked: tokens.len(),
            tokens,
            planned,
            accepted: 0,
            drafting,
            pass: Duration::ZERO,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draft_model_that_has_nothing_to_say_is_not_asked() {
        let mut speculator = Speculator::default();
        speculator.begin(Speculation::Auto, &[1]).unwrap();
        assert!(speculator.policy.may_draft());
        for _ in 0..100 {
            let proposal = Proposal {
                evidence: Evidence::Model,
                tokens: Vec::new(),
                checked: 0,
                planned: 3,
                accepted: 0,
                drafting: Duration::from_millis(1),
                pass: Duration::ZERO,
            };
            speculator.proposal = Some(proposal);
            speculator.ran(0, Duration::from_millis(10));
            assert_eq!(speculator.accept(1), None);
        }
        speculator.begin(Speculation::Auto, &[1]).unwrap();
        assert!(!speculator.policy.may_draft());
    }

    #[test]
    fn drafts_are_counted_when_they_were_checked() {
        let mut speculator = Speculator::default();
        speculator.begin(Speculation::Always, &[1, 2, 3, 4, 1]).unwrap();
        assert_eq!(speculator.accept(2), None);
        assert_eq!(speculator.propose(2, 7).unwrap(), [3, 4]);
        speculator.ran(2, Duration::ZERO);
        assert_eq!((speculator.accept(3), speculator.accept(9)), (Some(1), None));
        assert_eq!(speculator.counts(), (2, 1));
        // There was no room for these.
        assert!(speculator.propose(2, 7).unwrap().is_empty());
        assert_eq!((speculator.accept(1), speculator.accept(2)), (None, None));
        assert_eq!(speculator.propose(2, 7).unwrap(), [3, 9]);
        speculator.ran(0, Duration::ZERO);
        assert_eq!(speculator.accept(3), None);
        assert_eq!(speculator.counts(), (2, 1));
    }
}
