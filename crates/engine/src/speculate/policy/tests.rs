//! The policy on texts and machines that are numbers.

use super::*;
use crate::random::Random;
use crate::speculate::costs;

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

/// The drafts that are made of what one text offers.
fn drafts(policy: &Policy, costs: &Costs, evidence: Evidence, most: usize, behind: usize) -> usize {
    let offer = Offer { policy, evidence, most, behind };
    plan(costs, Pass::alone(most), &[offer]).map_or(0, |plan| plan.drafts[0])
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
    fn run(&self, (policy, costs): &mut (Policy, Costs), tokens: usize) -> Took {
        let mut random = Random::new(7);
        let (mut written, mut time, mut drafted, mut last) = (0, 0.0, 0, 0);
        policy.begin();
        while written < tokens {
            let drafts = drafts(policy, costs, self.evidence, MOST_GUESSES, 0);
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
            if drafting > 0.0 {
                costs.observe_draft(1, self.draft);
            }
            let took = costs::Took { pass: seconds, drafting };
            let more = costs.observe(Pass::alone(MOST_GUESSES), drafts, took);
            let gain = accepted as f64 - more;
            policy.settle(Outcome { evidence: self.evidence, tried: drafts > 0, gain });
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
                let took = world.run(&mut new(), tokens);
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
        let mut known = new();
        world.run(&mut known, 256);
        // A second request, which knows what the first measured.
        let took = world.run(&mut known, 1000);
        let place = format!("{evidence:?} row {row} share {share}");
        assert!(took.share < most, "{place}: {:.3}", took.share);
        assert!(took.last >= drafts || took.last == 0, "{place}: {}", took.last);
    }
}

#[test]
fn a_policy_that_was_wrong_finds_back() {
    let mut known = new();
    let draft = |share, row| World { row, draft: 0.1, share, evidence: Evidence::Model };
    draft(0.0, 0.1).run(&mut known, 1000);
    let took = draft(0.0, 0.1).run(&mut known, 4000);
    assert!(took.drafted <= 12, "{} tries in 4000 passes", took.drafted);
    draft(0.9, 0.1).run(&mut known, 1000);
    let took = draft(0.9, 0.1).run(&mut known, 1000);
    assert!(took.share < 0.6, "{}", took.share);
    // Passes that took long once, when another program ran.
    let text = |row| World { row, draft: 0.0, share: 0.95, evidence: Evidence::Match(16) };
    let mut known = new();
    text(2.0).run(&mut known, 200);
    text(0.1).run(&mut known, 1000);
    let took = text(0.1).run(&mut known, 1000);
    assert!(took.share < 0.5, "{}", took.share);
}

#[test]
fn nothing_is_drafted_before_a_pass_was_measured() {
    let (mut policy, mut costs) = new();
    let evidence = Evidence::Match(16);
    assert_eq!(drafts(&policy, &costs, evidence, 7, 0), 0);
    costs.observe(Pass::alone(7), 0, costs::Took { pass: 1.0, drafting: 0.0 });
    policy.settle(Outcome { evidence, tried: false, gain: 0.0 });
    assert!(drafts(&policy, &costs, evidence, 7, 0) > 0);
    assert_eq!(drafts(&policy, &costs, evidence, 0, 0), 0);
    // A draft model that would first have to read much.
    assert!(drafts(&policy, &costs, Evidence::Model, 7, 0) > 0);
    costs.observe_behind(100, 20.0);
    assert_eq!(drafts(&policy, &costs, Evidence::Model, 7, 100), 0);
    let may_read = |behind, left| policy.may_read(&costs, Pass::alone(7), behind, left);
    assert!(may_read(10, 1000) && !may_read(1000, 1000) && !may_read(10, 4));
    // Beside others that leave room for one guess, what is gained is a share of a pass.
    let beside = Pass { rows: 6, answers: 6, reads: false, room: 1 };
    assert!(!policy.may_read(&costs, beside, 10, 1000));
}

/// Of many answers some repeat themselves: they get the rows, and what the others lose by it is
/// less than what is gained.
#[test]
fn the_rows_go_to_whom_they_serve() {
    let costs = {
        let mut costs = Costs::default();
        for rows in [1, 4, 7, 14] {
            let took = costs::Took { pass: 1.0 + 0.1 * (rows - 1) as f64, drafting: 0.0 };
            costs.observe(Pass { rows, answers: rows, ..Pass::alone(0) }, 0, took);
        }
        costs
    };
    let policies = [0.0, 0.9, 0.5, 0.95].map(|share| {
        let mut policy = Policy::default();
        let mut random = Random::new(1);
        (0..200)
            .for_each(|_| policy.observe(Evidence::Match(16), f64::from(random.unit()) < share));
        policy
    });
    let offers = policies.each_ref().map(|policy| {
        let evidence = Evidence::Match(16);
        Offer { policy, evidence, most: 10, behind: 0 }
    });
    let plan = |room| plan(&costs, Pass { rows: 4, answers: 4, reads: false, room }, &offers);
    let few = plan(3).unwrap();
    assert_eq!((few.drafts[0], few.drafts.iter().sum::<usize>()), (0, 3));
    assert!(few.drafts[3] >= few.drafts[1] && few.drafts[1] >= few.drafts[2], "{few:?}");
    let many = plan(10).unwrap();
    assert!(many.gain > few.gain && many.drafts[0] == 0, "{many:?}");
    // Who has nothing left to lose gets none.
    let mut spent = offers;
    let mut poor = policies[3].clone();
    poor.settle(Outcome { evidence: Evidence::Match(16), tried: true, gain: -3.0 });
    spent[3].policy = &poor;
    let pass = Pass { rows: 4, answers: 4, reads: false, room: 3 };
    assert_eq!(super::plan(&costs, pass, &spent).unwrap().drafts[3], 0);
}

fn new() -> (Policy, Costs) {
    Default::default()
}
