//! What was measured.

use std::collections::HashMap;
use std::time::Duration;

use super::{Goal, Point, Task};

/// One measurement.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sample {
    pub(crate) tokens_per_second: f64,
    /// Of the whole device, where it has a meter.
    pub(crate) joules_per_token: Option<f64>,
}

impl Sample {
    /// Average watts while it ran.
    pub(crate) fn watts(&self) -> Option<f64> {
        Some(self.joules_per_token? * self.tokens_per_second)
    }
}

/// All samples of each point, each with the round that it belongs to: what was measured in the same
/// round had the same neighbours on the machine, and is compared.
#[derive(Debug, Default)]
pub(crate) struct Table {
    samples: HashMap<Point, Vec<(usize, Sample)>>,
    /// How long the last measurement took, of a point and of anything with its task.
    took: (HashMap<Point, Duration>, HashMap<Task, Duration>),
    round: usize,
}

impl Table {
    /// Begins a round.
    pub(crate) fn next_round(&mut self) -> usize {
        self.round += 1;
        self.round
    }

    pub(crate) fn add(&mut self, point: Point, round: usize, sample: Sample) {
        self.samples.entry(point).or_default().push((round, sample));
    }

    /// Notes how long a measurement took.
    pub(crate) fn took(&mut self, point: Point, time: Duration) {
        self.took.0.insert(point, time);
        self.took.1.insert(point.task, time);
    }

    /// How long a measurement takes, as far as is known.
    pub(crate) fn takes(&self, point: &Point) -> Duration {
        let of_task = || self.took.1.get(&point.task);
        self.took.0.get(point).or_else(of_task).copied().unwrap_or_default()
    }

    /// The sample of a point in a round.
    pub(crate) fn at(&self, point: &Point, round: usize) -> Option<Sample> {
        let all = self.samples.get(point)?;
        all.iter().find(|(other, _)| *other == round).map(|(_, sample)| *sample)
    }

    /// The middle sample of a point, by rate, joules apart.
    pub(crate) fn median(&self, point: &Point) -> Option<Sample> {
        let all = self.samples.get(point)?;
        let joules: Option<Vec<f64>> = all.iter().map(|(_, s)| s.joules_per_token).collect();
        Some(Sample {
            tokens_per_second: self.rates(point)?.median,
            joules_per_token: joules.and_then(Spread::of).map(|spread| spread.median),
        })
    }

    /// Tokens per second of a point.
    pub(crate) fn rates(&self, point: &Point) -> Option<Spread> {
        let all = self.samples.get(point)?;
        Spread::of(all.iter().map(|(_, sample)| sample.tokens_per_second).collect())
    }

    /// What a combination of points costs, by their medians.
    pub(crate) fn cost(&self, goal: &Goal, points: &[Point]) -> Option<f64> {
        let samples = points.iter().map(|point| Some((point.task, self.median(point)?)));
        goal.cost(&samples.collect::<Option<Vec<_>>>()?)
    }
}

/// Some measurements of the same.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
    pub(crate) count: usize,
    quartiles: (f64, f64),
}

impl Spread {
    /// `None` of nothing.
    pub(crate) fn of(mut all: Vec<f64>) -> Option<Self> {
        all.sort_by(f64::total_cmp);
        let (least, most) = (*all.first()?, *all.last()?);
        let at = |share: f64| {
            let place = share * (all.len() - 1) as f64;
            let (below, above) = (all[place.floor() as usize], all[place.ceil() as usize]);
            below + (above - below) * place.fract()
        };
        let quartiles = (at(0.25), at(0.75));
        Some(Self { median: at(0.5), least, most, count: all.len(), quartiles })
    }

    /// How far the median of many measurements may be from this one, in most cases: half the width of
    /// the notch of a box plot (McGill, Tukey and Larsen 1978).
    pub(crate) fn doubt(&self) -> f64 {
        1.57 * (self.quartiles.1 - self.quartiles.0) / (self.count as f64).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_quartiles_and_doubt() {
        assert_eq!(Spread::of(vec![]), None);
        let one = Spread::of(vec![3.0]).unwrap();
        assert_eq!((one.median, one.least, one.most, one.doubt()), (3.0, 3.0, 3.0, 0.0));
        let five = Spread::of(vec![5.0, 1.0, 2.0, 4.0, 3.0]).unwrap();
        assert_eq!((five.median, five.quartiles), (3.0, (2.0, 4.0)));
        assert!((five.doubt() - 1.57 * 2.0 / 5f64.sqrt()).abs() < 1e-12);
        assert_eq!(Spread::of(vec![1.0, 2.0]).unwrap().median, 1.5);
    }
}
