//! What was found: samples, figures, ratios.

use super::OURS;
use super::engine::Work;
use std::fmt;

/// What is measured, in the order of the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// A prompt.
    Prefill { tokens: usize },
    /// An answer, `depth` positions in.
    Decode { depth: usize, tokens: usize },
    /// `count` answers together, each after its own prompt.
    Sequences { count: usize, prompt: usize, tokens: usize },
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Prefill { tokens } => write!(f, "prefill of {tokens}"),
            Self::Decode { depth: 0, tokens } => write!(f, "decode of {tokens}"),
            Self::Decode { depth, tokens } => write!(f, "decode of {tokens} at depth {depth}"),
            Self::Sequences { count, prompt, tokens } => {
                write!(f, "decode of {tokens}, {count} at once after prompts of {prompt}")
            }
        }
    }
}

/// Tokens per second, ascending.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Samples(Vec<f64>);

impl Samples {
    pub(crate) fn add(&mut self, rates: &[f64]) {
        self.0.extend(rates.iter().filter(|rate| rate.is_finite() && **rate > 0.0));
        self.0.sort_by(f64::total_cmp);
    }

    pub(crate) fn all(&self) -> &[f64] {
        &self.0
    }

    pub(crate) fn spread(&self) -> Option<Spread> {
        let (low, high) = (*self.0.first()?, *self.0.last()?);
        let middle = self.0.len() / 2;
        let median = match self.0.len() % 2 {
            1 => self.0[middle],
            _ => (self.0[middle - 1] + self.0[middle]) / 2.0,
        };
        Some(Spread { median, low, high })
    }
}

/// A median between the least and the most.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Spread {
    /// This over `other`: the ratio of the medians, between the least and the most that the
    /// spreads of both allow.
    pub(crate) fn over(self, other: Spread) -> Spread {
        Spread {
            median: self.median / other.median,
            low: self.low / other.high,
            high: self.high / other.low,
        }
    }
}

/// One thing, measured by every engine.
#[derive(Clone, Debug)]
pub(super) struct Figure {
    pub(super) model: String,
    pub(super) threads: usize,
    pub(super) kind: Kind,
    /// Of each engine, ours first; empty where it could not measure.
    pub(super) samples: Vec<Samples>,
    /// What it asks of the machine.
    pub(super) work: Option<Work>,
    /// Tokens per second that the machine allows.
    pub(super) ceiling: Option<Spread>,
}

impl Figure {
    pub(super) fn ours(&self) -> Option<Spread> {
        self.of(OURS)
    }

    pub(super) fn of(&self, engine: usize) -> Option<Spread> {
        self.samples.get(engine)?.spread()
    }

    /// The peer with the highest median.
    pub(super) fn best_peer(&self) -> Option<(usize, Spread)> {
        let peers = (OURS + 1..self.samples.len()).filter_map(|i| Some((i, self.of(i)?)));
        peers.max_by(|a, b| a.1.median.total_cmp(&b.1.median))
    }

    /// Ours over the best peer.
    pub(super) fn ratio(&self) -> Option<Spread> {
        Some(self.ours()?.over(self.best_peer()?.1))
    }

    /// The fraction of the ceiling that an engine reaches.
    pub(super) fn fraction(&self, engine: usize) -> Option<Spread> {
        Some(self.of(engine)?.over(self.ceiling?))
    }

    /// Of all figures the one of the same file and threads with no positions before.
    pub(super) fn shallow<'a>(&self, all: &'a [Figure]) -> Option<&'a Figure> {
        let Kind::Decode { depth: 1.., tokens } = self.kind else { return None };
        all.iter().find(|other| {
            other.kind == Kind::Decode { depth: 0, tokens }
                && (&other.model, other.threads) == (&self.model, self.threads)
        })
    }

    /// What an engine keeps of its speed at no depth.
    pub(super) fn kept(&self, all: &[Figure], engine: usize) -> Option<Spread> {
        Some(self.of(engine)?.over(self.shallow(all)?.of(engine)?))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A figure with these samples of each engine.
    pub(crate) fn figure(kind: Kind, samples: &[&[f64]]) -> Figure {
        let samples = samples.iter().map(|rates| {
            let mut samples = Samples::default();
            samples.add(rates);
            samples
        });
        Figure {
            model: "tiny-Q4_0.gguf".to_owned(),
            threads: 2,
            kind,
            samples: samples.collect(),
            work: None,
            ceiling: None,
        }
    }

    #[test]
    fn medians_are_of_what_was_measured() {
        let cases: [(&[f64], Option<[f64; 3]>); 5] = [
            (&[], None),
            (&[f64::NAN, 0.0], None),
            (&[3.0], Some([3.0, 3.0, 3.0])),
            (&[3.0, 1.0, 2.0], Some([1.0, 2.0, 3.0])),
            (&[4.0, 1.0, 2.0, 8.0], Some([1.0, 3.0, 8.0])),
        ];
        for (rates, expected) in cases {
            let mut samples = Samples::default();
            samples.add(rates);
            let found = samples.spread().map(|s| [s.low, s.median, s.high]);
            assert_eq!(found, expected, "{rates:?}");
        }
    }

    #[test]
    fn the_ratio_is_to_the_best_peer_that_measured() {
        let found = figure(
            Kind::Prefill { tokens: 8 },
            &[&[30.0, 40.0, 50.0], &[10.0, 20.0, 25.0], &[], &[18.0, 19.0, 60.0]],
        );
        assert_eq!(found.best_peer().map(|(index, _)| index), Some(1));
        assert_eq!(found.ratio(), Some(Spread { median: 2.0, low: 1.2, high: 5.0 }));
        let alone = figure(Kind::Prefill { tokens: 8 }, &[&[30.0], &[]]);
        assert_eq!(alone.ratio(), None);
    }

    #[test]
    fn what_is_kept_at_depth_is_of_the_same_file() {
        let all = [
            figure(Kind::Decode { depth: 0, tokens: 4 }, &[&[10.0], &[8.0]]),
            figure(Kind::Decode { depth: 9, tokens: 4 }, &[&[9.0], &[4.0]]),
        ];
        let kept = |engine| all[1].kept(&all, engine).map(|spread| spread.median);
        assert_eq!((kept(0), kept(1)), (Some(0.9), Some(0.5)));
        assert_eq!(all[0].kept(&all, 0), None);
    }
}
