//! Candidates measured in turn, round after round, until it is clear which is best.
//!
//! Machines are noisy, and differently from one second to the next. So candidates are only compared
//! with what was measured in the same round, as a ratio, and the ratios of many rounds have a median
//! and a doubt. What is clearly worse leaves early.

use std::time::Duration;

use super::{Device, Goal, Point, Sample, Setting, Spread, Table, Task};

/// Rounds at most.
const MOST_ROUNDS: usize = 12;
/// Rounds from which a race of several candidates may be decided.
const LEAST_ROUNDS: usize = 5;
/// A cost this much above the least is as good: fewer threads are worth it.
const AS_GOOD: f64 = 1.02;
/// And one this much above it, where the doubt reaches down to the least.
const PERHAPS_AS_GOOD: f64 = 1.03;

/// What is measured once, or twice, must be this much better to replace the one in use: a neighbour on
/// the machine easily takes a half.
const SURE: [f64; 2] = [2.0, 1.15];

/// One of those that are compared.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Candidate {
    pub(crate) setting: Setting,
    /// What is measured of it: its cost is that of all together.
    pub(crate) tasks: Vec<Task>,
}

impl Candidate {
    pub(crate) fn points(&self) -> Vec<Point> {
        self.tasks.iter().map(|task| self.setting.point(*task)).collect()
    }

    /// The same of another setting.
    pub(crate) fn of(&self, setting: Setting) -> Self {
        Self { setting, tasks: self.tasks.clone() }
    }
}

/// What came of one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fate {
    /// Measured to the end.
    Stayed,
    /// Clearly worse, and measured no longer.
    Left,
    /// Over the watts that are allowed.
    TooHot,
    /// It cannot run, or nothing is known of what the goal asks for.
    Impossible,
    /// There was no time.
    Untried,
}

/// Who raced, in which rounds, and what came of it.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    /// In the order in which they were given.
    pub(crate) candidates: Vec<Candidate>,
    /// Of each.
    pub(crate) fates: Vec<Fate>,
    /// The one that runs unless another one is better.
    in_use: usize,
    rounds: Vec<usize>,
}

/// Measures `candidates`, the preferred ones first, until `end` of the device's time. The one that is
/// in use is measured before all others: without it no other is better.
pub(crate) fn race(
    device: &mut impl Device,
    table: &mut Table,
    goal: &Goal,
    candidates: Vec<Candidate>,
    in_use: usize,
    end: Duration,
) -> anyhow::Result<Outcome> {
    let fates = vec![Fate::Untried; candidates.len()];
    let mut race = Outcome { candidates, fates, in_use, rounds: Vec::new() };
    while race.rounds.len() < MOST_ROUNDS && !race.is_decided(table, goal) {
        // A round that is not completed says little, but for the first, which shows what there is.
        if !race.rounds.is_empty() {
            race.make_room(table, goal, end.saturating_sub(device.elapsed()));
        }
        let racing: Vec<usize> = race.racing().collect();
        let left = end.saturating_sub(device.elapsed());
        if left.is_zero() || (!race.rounds.is_empty() && race.takes(table, &racing) > left) {
            break;
        }
        let round = table.next_round();
        for candidate in turns(&racing, in_use, race.rounds.len()) {
            race.measure(device, table, goal, candidate, round, end)?;
        }
        race.rounds.push(round);
        race.drop_worse(table, goal);
    }
    race.drop_hot(table, goal);
    Ok(race)
}

/// Forwards, then backwards, each time from another one on: what drifts evens out.
fn turns(racing: &[usize], in_use: usize, round: usize) -> Vec<usize> {
    let mut turns = racing.to_vec();
    if round == 0 {
        turns.sort_by_key(|i| *i != in_use);
        return turns;
    }
    turns.rotate_left(round / 2 % racing.len().max(1));
    if round % 2 == 1 {
        turns.reverse();
    }
    turns
}

impl Outcome {
    fn racing(&self) -> impl Iterator<Item = usize> {
        let fates = self.fates.iter().enumerate();
        fates.filter(|(_, fate)| matches!(fate, Fate::Stayed | Fate::Untried)).map(|(i, _)| i)
    }

    /// How long a round of some takes.
    fn takes(&self, table: &Table, some: &[usize]) -> Duration {
        let points = some.iter().flat_map(|i| self.candidates[*i].points());
        points.map(|point| table.takes(&point)).sum()
    }

    /// Halves those that race, the worse ones leave, until a round of them takes no longer than `left`
    /// or two are left.
    fn make_room(&mut self, table: &Table, goal: &Goal, left: Duration) {
        let mut racing: Vec<usize> = self.stayed();
        let Some(leader) = self.leader(table, goal, &racing) else { return };
        let relative = |i: &usize| {
            self.ratios(table, goal, *i, leader).map_or(f64::INFINITY, |ratios| ratios.median)
        };
        racing.sort_by(|a, b| relative(a).total_cmp(&relative(b)));
        while racing.len() > 2 && self.takes(table, &racing) > left {
            for i in racing.split_off(racing.len().div_ceil(2).max(2)) {
                self.fates[i] = Fate::Left;
            }
        }
    }

    fn measure(
        &mut self,
        device: &mut impl Device,
        table: &mut Table,
        goal: &Goal,
        candidate: usize,
        round: usize,
        end: Duration,
    ) -> anyhow::Result<()> {
        for point in self.candidates[candidate].points() {
            let begin = device.elapsed();
            // Candidates share points.
            if table.at(&point, round).is_some() {
                continue;
            }
            if begin >= end || begin + table.takes(&point) > end {
                return Ok(());
            }
            if let Some(sample) = device.sample(&point)? {
                table.add(point, round, sample);
            }
            table.took(point, device.elapsed().saturating_sub(begin));
        }
        self.fates[candidate] = match self.cost(table, goal, candidate, round) {
            Some(_) => Fate::Stayed,
            None => Fate::Impossible,
        };
        Ok(())
    }

    fn cost(&self, table: &Table, goal: &Goal, candidate: usize, round: usize) -> Option<f64> {
        let part = |point: Point| Some((point.task, table.at(&point, round)?));
        let parts: Option<Vec<_>> =
            self.candidates[candidate].points().into_iter().map(part).collect();
        goal.cost(&parts?)
    }

    /// What one costs in relation to another, in the rounds that both ran in.
    fn ratios(&self, table: &Table, goal: &Goal, one: usize, other: usize) -> Option<Spread> {
        let cost = |candidate, round| self.cost(table, goal, candidate, round);
        let ratio = |round: &usize| Some(cost(one, *round)? / cost(other, *round)?);
        Spread::of(self.rounds.iter().filter_map(ratio).collect())
    }

    /// The one of `some` whose costs are the least.
    fn leader(&self, table: &Table, goal: &Goal, some: &[usize]) -> Option<usize> {
        let reference = *some.first()?;
        let relative = |i: usize| {
            self.ratios(table, goal, i, reference).map_or(f64::INFINITY, |ratios| ratios.median)
        };
        some.iter().copied().min_by(|a, b| relative(*a).total_cmp(&relative(*b)))
    }

    fn stayed(&self) -> Vec<usize> {
        self.racing().filter(|i| self.fates[*i] == Fate::Stayed).collect()
    }

    fn drop_worse(&mut self, table: &Table, goal: &Goal) {
        if self.rounds.len() >= 2 {
            self.drop_hot(table, goal);
        }
        // What is perhaps too hot drives out nothing.
        let mut stayed = self.stayed();
        stayed.retain(|i| !self.is_hot(table, goal, *i));
        let Some(leader) = self.leader(table, goal, &stayed) else { return };
        for i in stayed.into_iter().filter(|i| *i != leader) {
            let Some(ratios) = self.ratios(table, goal, i, leader) else { continue };
            let worse = match ratios.count {
                1 => ratios.least > 2.5,
                2 => ratios.least > 1.2,
                3 => ratios.least > 1.08,
                _ => ratios.median - ratios.doubt() > PERHAPS_AS_GOOD,
            };
            if worse {
                self.fates[i] = Fate::Left;
            }
        }
    }

    /// Takes out what is over the watts.
    fn drop_hot(&mut self, table: &Table, goal: &Goal) {
        for i in self.stayed() {
            if self.is_hot(table, goal, i) {
                self.fates[i] = Fate::TooHot;
            }
        }
    }

    fn is_hot(&self, table: &Table, goal: &Goal, candidate: usize) -> bool {
        let points = self.candidates[candidate].points();
        points.iter().filter_map(|p| table.median(p)).any(|sample| !goal.allows(&sample))
    }

    /// Whether more rounds would change nothing that matters.
    fn is_decided(&self, table: &Table, goal: &Goal) -> bool {
        let racing = self.racing().count();
        if racing == 0 || (racing == 1 && self.rounds.len() >= 3) {
            return true;
        }
        let stayed = self.stayed();
        let Some(leader) = self.leader(table, goal, &stayed) else { return false };
        let others = stayed.into_iter().filter(|i| *i != leader);
        let mut ratios = others.filter_map(|i| self.ratios(table, goal, i, leader));
        self.rounds.len() >= LEAST_ROUNDS
            && ratios.all(|ratios| {
                let (low, high) = (ratios.median - ratios.doubt(), ratios.median + ratios.doubt());
                high < AS_GOOD || low > AS_GOOD
            })
    }

    /// The first of those that `keep` names and that are as good as the best of them; where none of
    /// them stayed, the best of those that left. `None` if the one in use was not measured.
    pub(crate) fn best(
        &self,
        table: &Table,
        goal: &Goal,
        keep: impl Fn(&Candidate) -> bool,
    ) -> Option<usize> {
        if self.fates.get(self.in_use) == Some(&Fate::Untried) {
            return None;
        }
        let kept = |fate: Fate| -> Vec<usize> {
            let all = 0..self.candidates.len();
            let kept = all.filter(|i| self.fates[*i] == fate && keep(&self.candidates[*i]));
            kept.filter(|i| !self.is_hot(table, goal, *i)).collect()
        };
        let stayed = kept(Fate::Stayed);
        let Some(leader) = self.leader(table, goal, &stayed) else {
            let cost = |i: &usize| {
                let cost = self.estimate(table, goal, *i).and_then(|parts| goal.cost(&parts));
                cost.unwrap_or(f64::INFINITY)
            };
            return kept(Fate::Left).into_iter().min_by(|a, b| cost(a).total_cmp(&cost(b)));
        };
        if stayed.contains(&self.in_use)
            && let Some(ratios) = self.ratios(table, goal, self.in_use, leader)
            && SURE.get(ratios.count - 1).is_some_and(|sure| ratios.least < *sure)
        {
            return Some(self.in_use);
        }
        let as_good = |i: &usize| {
            let Some(ratios) = self.ratios(table, goal, *i, leader) else { return false };
            let doubtful = ratios.count > 2 && ratios.median - ratios.doubt() <= 1.0;
            ratios.median <= if doubtful { PERHAPS_AS_GOOD } else { AS_GOOD }
        };
        stayed.into_iter().find(as_good)
    }

    /// What one would have measured, had it run in as many rounds as the best: by how much it was
    /// another in the rounds that both ran in.
    pub(crate) fn estimate(
        &self,
        table: &Table,
        goal: &Goal,
        candidate: usize,
    ) -> Option<Vec<(Task, Sample)>> {
        let leader = self.leader(table, goal, &self.stayed()).unwrap_or(candidate);
        let points = self.candidates[candidate].points().into_iter();
        let pairs = points.zip(self.candidates[leader].points());
        let part = |(one, best): (Point, Point)| {
            let middle = |of: fn(&Sample) -> Option<f64>| {
                let ratio = |round: &usize| {
                    Some(of(&table.at(&one, *round)?)? / of(&table.at(&best, *round)?)?)
                };
                let ratios = Spread::of(self.rounds.iter().filter_map(ratio).collect())?;
                Some(of(&table.median(&best)?)? * ratios.median)
            };
            let rate = middle(|sample| Some(sample.tokens_per_second))?;
            let joules_per_token = middle(|sample| sample.joules_per_token);
            Some((one.task, Sample { tokens_per_second: rate, joules_per_token }))
        };
        pairs.map(part).collect()
    }
}
