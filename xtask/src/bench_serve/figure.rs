//! What was found.

use crate::bench::figure::{Samples, Spread};
use std::fmt;

/// What is asked of a server.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Scene {
    /// Users at once with a prompt of their own.
    Users { count: usize, tokens: usize },
    /// A long prompt while others are answered.
    Disturbed { count: usize },
    /// A long prompt of which nothing was read before.
    Cold,
    /// One of which most was.
    Warm,
}

impl fmt::Display for Scene {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Users { count: 1, tokens } => write!(f, "1 user, {tokens} tokens"),
            Self::Users { count, tokens } => write!(f, "{count} users, {tokens} tokens each"),
            Self::Disturbed { count } => write!(f, "a long prompt while {count} are answered"),
            Self::Cold => f.write_str("a long prompt"),
            Self::Warm => f.write_str("a long prompt, its beginning read before"),
        }
    }
}

/// What is measured of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Metric {
    /// Tokens of answers per second, from the first request to the last token.
    Rate,
    /// Milliseconds to the first piece of an answer, and the quantile.
    First(f64),
    /// Milliseconds between pieces, and the quantile.
    Gap(f64),
}

impl Metric {
    /// Whether more is better.
    fn is_rate(self) -> bool {
        self == Self::Rate
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quantile = |q: &f64| match *q {
            0.5 => "p50".to_owned(),
            1.0 => "most".to_owned(),
            other => format!("p{:.0}", other * 100.0),
        };
        match self {
            Self::Rate => f.write_str("tokens/s"),
            Self::First(q) => write!(f, "first token, {}, ms", quantile(q)),
            Self::Gap(q) => write!(f, "between tokens, {}, ms", quantile(q)),
        }
    }
}

/// One thing, measured of every server, a sample each round.
#[derive(Clone, Debug)]
pub(super) struct Figure {
    pub(super) scene: Scene,
    /// Tokens of a prompt, as ours counts them.
    pub(super) prompt: usize,
    pub(super) metric: Metric,
    /// Of each server, ours first.
    pub(super) samples: Vec<Samples>,
}

impl Figure {
    pub(super) fn of(&self, engine: usize) -> Option<Spread> {
        self.samples.get(engine)?.spread()
    }

    /// How many times better ours is than a peer: of rates ours over theirs, of times theirs
    /// over ours.
    pub(super) fn ratio(&self, peer: usize) -> Option<Spread> {
        let (ours, theirs) = (self.of(0)?, self.of(peer)?);
        Some(if self.metric.is_rate() { ours.over(theirs) } else { theirs.over(ours) })
    }
}

/// The least of `values` that a part `q` of them is not above.
pub(crate) fn quantile(values: &mut [f64], q: f64) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let rank = (values.len() as f64 * q).ceil() as usize;
    values.get(rank.max(1) - 1).copied()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A figure with these samples of each server.
    pub(crate) fn figure(scene: Scene, metric: Metric, samples: &[&[f64]]) -> Figure {
        let samples = samples.iter().map(|values| {
            let mut samples = Samples::default();
            samples.add(values);
            samples
        });
        Figure { scene, prompt: 80, metric, samples: samples.collect() }
    }

    #[test]
    fn a_ratio_above_one_is_ours_being_better() {
        let ratio = |metric, ours: &[f64], theirs: &[f64]| {
            figure(Scene::Cold, metric, &[ours, theirs]).ratio(1).map(|spread| spread.median)
        };
        assert_eq!(ratio(Metric::Rate, &[40.0], &[10.0]), Some(4.0));
        assert_eq!(ratio(Metric::First(0.5), &[40.0], &[10.0]), Some(0.25));
        assert_eq!(ratio(Metric::First(0.5), &[40.0], &[]), None);
    }

    #[test]
    fn quantiles_are_values() {
        let of = |values: &[f64], q| quantile(&mut values.to_vec(), q);
        assert_eq!(of(&[], 0.5), None);
        assert_eq!(of(&[3.0], 0.99), Some(3.0));
        assert_eq!(of(&[4.0, 1.0, 3.0, 2.0], 0.5), Some(2.0));
        assert_eq!(of(&[4.0, 1.0, 3.0, 2.0], 0.99), Some(4.0));
        let hundred: Vec<f64> = (1..=200).map(f64::from).collect();
        assert_eq!(of(&hundred, 0.99), Some(198.0));
    }
}
