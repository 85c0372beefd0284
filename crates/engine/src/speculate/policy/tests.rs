//! The policy on texts and machines that are numbers.

use super::*;
use crate::random::Random;

/// A text and a machine: what passes cost, and how drafts fare.
struct World {
    /// Of a pass of `1 + n` rows beyond one of one row, for each of the `n`.
    row: f64,
    /// A token of the draft model.
    draft: f64,
    /// The share of drafts that are accepted.
    share: f64,
    evidence: Evidence,
}

/// What a run took, in passes of one row, beside what it would have taken without drafts.
struct Took {
    share: f64,
    /// Passes with drafts.
    drafted: usize,
    /// The drafts of the last pass.
    last: usize,
}

impl World {
    /// Until `tokens` were written.
    fn run(&self, policy: &mut Policy, tokens: usize) -> Took {
        let mut random = Random::new(7);
        let (mut written, mut time, mut drafted, mut last) = (0, 0.0, 0, 0);
        policy.begin();
        while written < tokens {
            let offer = Offer { evidence: self.evidence, most: MOST_ROWS - 1, behind: 0 };
            let drafts = policy.plan(offer).map_or(0, |plan| plan.drafts);
            let mut accepted = 0;
            // Text is compared at every token, drafted or not.
            let compared = if self.evidence == Evidence::Model { drafts } else { drafts.max(1) };
            for i in 0..compared {
                let hit = f64::from(random.unit()) < self.share;
                policy.observe(self.evidence.after(i), hit);
                if !hit {
                    break;
                }
                accepted += usize::from(i < drafts);
            }
            // Times scatter by a tenth.
            let scatter = 0.95 + 0.1 * f64::from(random.unit());
            let seconds = (1.0 + self.row * drafts as f64) * scatter;
            let drafting = match self.evidence {
                Evidence::Model => self.draft * drafts as f64,
                Evidence::Match(_) => 0.0,
            };
            policy.drafted(if drafting > 0.0 { drafts } else { 0 }, drafting);
            policy.settle(Outcome { evidence: self.evidence, drafts, accepted, seconds, drafting });
            time += seconds + drafting;
            written += 1 + accepted;
            drafted += usize::from(drafts > 0);
            last = drafts;
        }
        Took { share: time / written as f64, drafted, last }
    }
}

/// Whatever the evidence, the cost and the draft model, little is lost where nothing is accepted,
/// and where passes over several rows cost as much as they give.
#[test]
fn nothing_is_lost_where_nothing_is_gained() {
    let mut failures = Vec::new();
    for evidence in [Evidence::Match(2), Evidence::Match(5), Evidence::Match(40), Evidence::Model] {
        for (row, share) in [(0.05, 0.0), (0.4, 0.0), (0.4, 0.2), (1.0, 0.9), (3.0, 0.9)] {
            for tokens in [256, 4096] {
                let world = World { row, draft: 0.4, share, evidence };
                let took = world.run(&mut Policy::default(), tokens);
                if took.share > 1.02 {
                    let place = format!("{evidence:?} row {row} share {share} of {tokens} tokens");
                    failures.push(format!("{place}: {:.3}", took.share));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn what_comes_again_is_drafted_as_far_as_it_pays() {
    let cases = [
        // (row, draft, share, evidence, at most this much of the time, at least drafts at last)
        (0.1, 0.0, 1.0, Evidence::Match(16), 0.25, 15),
        (0.4, 0.0, 1.0, Evidence::Match(16), 0.55, 7),
        (0.4, 0.0, 0.9, Evidence::Match(4), 0.75, 2),
        (0.1, 0.1, 0.9, Evidence::Model, 0.5, 3),
        (0.4, 0.1, 0.9, Evidence::Model, 0.85, 1),
    ];
    for (row, draft, share, evidence, most, drafts) in cases {
        let world = World { row, draft, share, evidence };
        let mut policy = Policy::default();
        world.run(&mut policy, 256);
        // A second request, which knows what the first measured.
        let took = world.run(&mut policy, 1000);
        let place = format!("{evidence:?} row {row} share {share}");
        assert!(took.share < most, "{place}: {:.3}", took.share);
        assert!(took.last >= drafts || took.last == 0, "{place}: {}", took.last);
    }
}

#[test]
fn a_policy_that_was_wrong_finds_back() {
    let mut policy = Policy::default();
    let draft = |share, row| World { row, draft: 0.1, share, evidence: Evidence::Model };
    draft(0.0, 0.1).run(&mut policy, 1000);
    let took = draft(0.0, 0.1).run(&mut policy, 4000);
    assert!(took.drafted <= 12, "{} tries in 4000 passes", took.drafted);
    draft(0.9, 0.1).run(&mut policy, 1000);
    let took = draft(0.9, 0.1).run(&mut policy, 1000);
    assert!(took.share < 0.6, "{}", took.share);
    // Passes that took long once, when another program ran.
    let text = |row| World { row, draft: 0.0, share: 0.95, evidence: Evidence::Match(16) };
    let mut policy = Policy::default();
    text(2.0).run(&mut policy, 200);
    text(0.1).run(&mut policy, 1000);
    let took = text(0.1).run(&mut policy, 1000);
    assert!(took.share < 0.5, "{}", took.share);
}

#[test]
fn nothing_is_drafted_before_a_pass_was_measured() {
    let mut policy = Policy::default();
    let offer = Offer { evidence: Evidence::Match(16), most: 7, behind: 0 };
    assert_eq!(policy.plan(offer), None);
    let evidence = offer.evidence;
    policy.settle(Outcome { evidence, drafts: 0, accepted: 0, seconds: 1.0, drafting: 0.0 });
    assert!(policy.plan(offer).is_some_and(|plan| plan.drafts > 0));
    assert_eq!(policy.plan(Offer { most: 0, ..offer }), None);
    // A draft model that would first have to read much.
    policy.caught_up(100, 20.0);
    let offer = Offer { evidence: Evidence::Model, most: 7, behind: 100 };
    assert_eq!(policy.plan(offer), None);
}
