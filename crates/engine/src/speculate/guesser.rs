//! Who guesses, for which texts, and how many tokens.

use std::time::{Duration, Instant};

use super::acceptance::Evidence;
use super::costs::{Costs, Pass, Took};
use super::draft::{DraftModel, Wish};
use super::lookup::Found;
use super::policy::{Offer, Plan, Policy, plan};
use super::text::{Proposal, Speculator};
use super::{Drafting, Speculation};
use crate::{Engine, Error};

/// A draft less probable than this, by the draft model, is none: it would likely be rejected, and
/// those after it with it.
const LEAST_PROBABILITY: f32 = 0.5;

/// Tokens that the draft model has missed from which reading them is decided for itself, and not with
/// the next drafts.
const LONG: usize = 32;

/// A match from which the text is trusted more than a draft model.
const LONG_MATCH: usize = 10;

/// Makes guesses for the texts of one engine.
#[derive(Debug, Default)]
pub(crate) struct Guesser {
    costs: Costs,
    draft: Option<DraftModel>,
    /// How the drafts of earlier requests fared.
    known: Policy,
    failed: bool,
}

/// A text that the next pass computes a token of.
pub(crate) struct Ask<'a> {
    /// Which text, to the draft model.
    pub(crate) key: u64,
    pub(crate) text: &'a mut Speculator,
    /// Guesses that it has room for.
    pub(crate) most: usize,
    /// Tokens that are still to come, at most.
    pub(crate) left: usize,
}

impl Ask<'_> {
    /// So many drafts, at most.
    fn wish(&self, most: usize) -> Wish<'_> {
        Wish { key: self.key, text: self.text.tokens(), most }
    }
}

/// Whose guesses a pass checks.
struct Division {
    /// Of each text.
    evidence: Vec<Evidence>,
    drafts: Vec<usize>,
}

impl Guesser {
    /// Drafts with `model` too.
    pub(crate) fn set_draft(&mut self, model: DraftModel) {
        self.draft = Some(model);
    }

    #[cfg(test)]
    pub(super) fn costs(&self) -> &Costs {
        &self.costs
    }

    /// The draft model's engine.
    pub(crate) fn draft_engine(&self) -> Option<&Engine> {
        self.draft.as_ref().map(DraftModel::engine)
    }

    /// Passes of the draft model.
    pub(crate) fn draft_passes(&self) -> u64 {
        self.draft.as_ref().map_or(0, DraftModel::passes)
    }

    /// What the draft model does, by how its drafts fared and what they cost; `None` without one.
    pub(crate) fn drafting(&self) -> Option<Drafting> {
        match &self.draft {
            None => self.failed.then_some(Drafting::Failed),
            Some(_) if self.known.pays(&self.costs) => Some(Drafting::Asked),
            Some(_) => Some(Drafting::Resting),
        }
    }

    /// Goes on without the draft model.
    pub(crate) fn give_up(&mut self) {
        (self.draft, self.failed) = (None, true);
    }

    /// A new text, for which is known what is known of those before.
    pub(crate) fn follow(&self, speculation: Speculation, tokens: &[u32]) -> Speculator {
        Speculator::new(speculation, tokens, self.known.after())
    }

    /// Remembers how the drafts for a text fared.
    pub(crate) fn learn(&mut self, text: &Speculator) {
        self.known = text.policy.clone();
    }

    /// Forgets what the draft model read of all texts but these.
    pub(crate) fn keep_only(&mut self, keys: impl Fn(u64) -> bool) {
        if let Some(draft) = &mut self.draft {
            draft.keep_only(keys);
        }
    }

    /// Bytes that [`Guesser::give_back`] would give back, at most.
    pub(crate) fn idle_bytes(&self, rests: bool) -> u64 {
        self.draft.as_ref().map_or(0, |draft| draft.idle_bytes(rests))
    }

    /// Gives back what memory the draft model has for no text, or where nobody asks it at all. Returns the
    /// bytes, at most.
    pub(crate) fn give_back(&mut self, rests: bool) -> u64 {
        self.draft.as_mut().map_or(0, |draft| draft.give_back(rests))
    }

    /// Guesses for the texts of a pass. Before it the draft model may read so many tokens that it
    /// has missed, where it might pay.
    ///
    /// # Errors
    /// If the draft model fails.
    pub(crate) fn propose(
        &mut self,
        pass: Pass,
        asks: &mut [Ask<'_>],
        read: usize,
    ) -> Result<(), Error> {
        self.read(pass, asks, read)?;
        let found: Vec<Option<Found>> = asks.iter().map(|ask| ask.text.lookup.find()).collect();
        let always = asks.iter().any(|ask| ask.text.is_always());
        let division = match always {
            true => self.all(pass, asks, &found),
            false => self.best(pass, asks, &found),
        };
        let begin = Instant::now();
        let wishes: Vec<Wish<'_>> = asks
            .iter()
            .zip(division.evidence.iter().zip(&division.drafts))
            .map(|(ask, (evidence, n))| {
                let most = if *evidence == Evidence::Model { *n } else { 0 };
                ask.wish(most)
            })
            .collect();
        let mut drafted = vec![Vec::new(); asks.len()];
        let mut drafting = Duration::ZERO;
        if let Some(draft) = &mut self.draft
            && wishes.iter().any(|wish| wish.most > 0)
        {
            let least = if always { 0.0 } else { LEAST_PROBABILITY };
            drafted = draft.draft(&wishes, least, &mut self.costs)?;
            drafting = begin.elapsed();
        }
        let planned: usize = division.drafts.iter().sum();
        for (i, ask) in asks.iter_mut().enumerate() {
            let n = division.drafts[i];
            let share = n as f64 / planned.max(1) as f64;
            let by_text = Evidence::Match(found[i].map_or(0, |f| f.length));
            let evidence = if n > 0 { division.evidence[i] } else { by_text };
            let proposal = match evidence {
                Evidence::Model => Proposal::new(evidence, std::mem::take(&mut drafted[i]), n),
                // The first token is named even if none is to be checked.
                Evidence::Match(_) => {
                    let quote = |f| ask.text.lookup.continuation(f, n.max(1));
                    Proposal::new(evidence, found[i].map(quote).unwrap_or_default(), n)
                }
            };
            ask.text.take_up(proposal.with_share(share, drafting));
        }
        Ok(())
    }

    /// The pass has run for these texts, with those of the guesses that there was room for.
    pub(crate) fn ran<'a>(
        &mut self,
        pass: Pass,
        texts: impl Iterator<Item = &'a mut Speculator>,
        time: Duration,
    ) {
        let mut texts: Vec<&mut Speculator> = texts.collect();
        let drafts = texts.iter().map(|text| text.guesses().len()).sum();
        let drafting = texts.iter().filter_map(|text| text.drafting()).max().unwrap_or_default();
        let took = Took { pass: time.as_secs_f64(), drafting: drafting.as_secs_f64() };
        let more = self.costs.observe(pass, drafts, took);
        texts.iter_mut().for_each(|text| text.ran(pass.answers, more));
    }

    /// Has the draft model read up to `most` tokens of what it has missed of texts for which it
    /// might pay.
    fn read(&mut self, pass: Pass, asks: &[Ask<'_>], mut most: usize) -> Result<(), Error> {
        let Some(draft) = &mut self.draft else { return Ok(()) };
        let all: Vec<Wish<'_>> = asks.iter().map(|ask| ask.wish(0)).collect();
        for ask in asks.iter().filter(|ask| !ask.text.is_off()) {
            let (text, behind) = (&ask.text, draft.behind(ask.key, ask.text.tokens()));
            // What the text says itself needs no other guesses.
            let quotes = || text.lookup.find().is_some_and(|f| f.length >= LONG_MATCH);
            let pays = || text.policy.may_read(&self.costs, pass, behind, ask.left);
            if behind < LONG || quotes() || !pays() {
                continue;
            }
            most -= draft.read(ask.wish(most), &all, &mut self.costs)?;
            if most == 0 {
                break;
            }
        }
        Ok(())
    }

    /// All guesses that there are.
    fn all(&self, pass: Pass, asks: &[Ask<'_>], found: &[Option<Found>]) -> Division {
        let evidence = found.iter().map(|found| match found {
            None if self.draft.is_some() => Evidence::Model,
            found => Evidence::Match(found.map_or(0, |f| f.length)),
        });
        let mut room = pass.room;
        let mut others = asks.iter().filter(|ask| ask.text.is_always()).count();
        let drafts = asks.iter().map(|ask| {
            if !ask.text.is_always() {
                return 0;
            }
            let n = ask.most.min(room.div_ceil(others));
            (room, others) = (room - n, others - 1);
            n
        });
        let (evidence, drafts) = (evidence.collect(), drafts.collect());
        Division { evidence, drafts }
    }

    /// As many as pay, by what each text says or by whoever says more.
    fn best(&self, pass: Pass, asks: &[Ask<'_>], found: &[Option<Found>]) -> Division {
        let by_text = asks.iter().zip(found).map(|(ask, found)| Offer {
            policy: &ask.text.policy,
            evidence: Evidence::Match(found.map_or(0, |f| f.length)),
            most: if found.is_some() && !ask.text.is_off() { ask.most } else { 0 },
            behind: 0,
        });
        let by_text: Vec<Offer<'_>> = by_text.collect();
        let best = plan(&self.costs, pass, &by_text);
        let (offers, best) = match &self.draft {
            None => (by_text, best),
            Some(draft) => {
                let either = asks.iter().zip(&by_text).map(|(ask, offer)| {
                    let (evidence, policy) = (Evidence::Model, offer.policy);
                    let behind = draft.behind(ask.key, ask.text.tokens());
                    let by_model = policy.share(evidence) > policy.share(offer.evidence);
                    let can = behind < LONG && !ask.text.is_off();
                    match can && (by_model || offer.most == 0) {
                        true => Offer { evidence, most: ask.most, behind, policy },
                        false => *offer,
                    }
                });
                let either: Vec<Offer<'_>> = either.collect();
                let plan = plan(&self.costs, pass, &either);
                let gain = |plan: &Option<Plan>| plan.as_ref().map_or(0.0, |plan| plan.gain);
                match gain(&plan) > gain(&best) {
                    true => (either, plan),
                    false => (by_text, best),
                }
            }
        };
        let drafts = best.map_or_else(|| vec![0; asks.len()], |plan| plan.drafts);
        Division { evidence: offers.iter().map(|offer| offer.evidence).collect(), drafts }
    }
}
