//! One measurement of an engine.

use std::time::Instant;

use rushlight_engine::{Batch, Engine, Sequence};

use super::work::{Total, total};
use crate::args::Load;
use crate::load;

/// What is timed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum What {
    /// Tokens of prompts, as many at once as a chunk has.
    #[default]
    Prefill,
    /// Tokens of answers, one of each sequence at once.
    Decode,
}

impl What {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Prefill => "prefill",
            Self::Decode => "decode",
        }
    }
}

/// One measured quantity.
#[derive(Debug)]
pub(super) struct Measured {
    pub(super) what: What,
    /// Of each sequence.
    pub(super) tokens: usize,
    /// Positions that each sequence has before.
    pub(super) depth: usize,
    pub(super) sequences: usize,
    /// Tokens per second of all sequences, ascending.
    pub(super) rates: Vec<f64>,
    /// What each repetition asks of the machine.
    pub(super) work: Total,
}

impl Default for Measured {
    fn default() -> Self {
        let (what, work) = (What::default(), Total::default());
        Self { what, tokens: 1, depth: 0, sequences: 1, rates: Vec::new(), work }
    }
}

impl Measured {
    pub(super) fn median(&self) -> f64 {
        let n = self.rates.len();
        let middle = |i: usize| self.rates.get(i).copied().unwrap_or_default();
        if n % 2 == 1 {
            middle(n / 2)
        } else {
            (middle(n / 2) + middle((n / 2).saturating_sub(1))) / 2.0
        }
    }
}

/// Fills in the rates and the work of `what`.
pub(super) fn measure(
    engine: &mut Engine,
    load: &Load,
    mut what: Measured,
    repeats: usize,
) -> anyhow::Result<Measured> {
    let adapter = load::asked(engine);
    let start = |_| engine.start_with(adapter.clone());
    let sequences: Vec<Sequence> = (0..what.sequences).map(start).collect::<Result<_, _>>()?;
    let rates = rates(engine, &sequences, &what, repeats.max(1));
    sequences.into_iter().for_each(|sequence| engine.end(sequence));
    what.rates = rates?;
    what.rates.sort_by(f64::total_cmp);
    what.work = total(engine, load, &what);
    Ok(what)
}

fn rates(
    engine: &mut Engine,
    sequences: &[Sequence],
    what: &Measured,
    repeats: usize,
) -> anyhow::Result<Vec<f64>> {
    let tokens = filler(what.depth.max(what.tokens), engine.model().dims().v);
    let (before, tokens) = (&tokens[..what.depth], &tokens[..what.tokens]);
    for &sequence in sequences {
        engine.prefill(sequence, before)?;
    }
    let mut rates = Vec::with_capacity(repeats);
    for _ in 0..repeats {
        let begin = Instant::now();
        match what.what {
            What::Prefill => {
                for &sequence in sequences {
                    engine.prefill(sequence, tokens)?;
                }
            }
            What::Decode => {
                for token in tokens.chunks(1) {
                    let mut batch = Batch::new();
                    sequences.iter().for_each(|sequence| batch.extend(*sequence, token, true));
                    engine.forward(&batch)?;
                }
            }
        }
        let seconds = begin.elapsed().as_secs_f64();
        rates.push((sequences.len() * tokens.len()) as f64 / seconds);
        sequences.iter().for_each(|sequence| engine.truncate(*sequence, what.depth));
    }
    Ok(rates)
}

/// Tokens to run: which ones does not matter for the time.
fn filler(n: usize, vocabulary: usize) -> Vec<u32> {
    (0..n).map(|i| ((10 + (i * 7) % 200) % vocabulary) as u32).collect()
}
