//! Choosing a token from logits.
//!
//! The order is that of the transformers library and of llama.cpp: penalties and bias on the
//! logits, then temperature, then the cuts (top-k, typical, top-p, min-p), then the draw.

mod cuts;
mod penalties;

use std::cell::RefCell;

use rushlight_kernels::{Row, best};
use rushlight_text::constrain::Constraint;

use crate::random::Random;
use crate::{Error, ErrorKind};

/// How tokens are chosen. The default is greedy.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SamplerOptions {
    /// Divides logits; 0 takes the most likely token.
    pub temperature: f32,
    /// Only the `k` most likely; 0 for all.
    pub top_k: usize,
    /// Only the most likely that together have this probability; 1 for all.
    pub top_p: f32,
    /// Only those at least this fraction as likely as the likeliest; 0 for all.
    pub min_p: f32,
    /// Locally typical sampling (Meister et al. 2022, <https://arxiv.org/abs/2202.00666>): the
    /// tokens whose information is nearest to the entropy, with this probability; 1 for all.
    pub typical_p: f32,
    /// Divides (or multiplies, below zero) the logits of recent tokens; 1 for none
    /// (Keskar et al. 2019, <https://arxiv.org/abs/1909.05858>).
    pub repetition_penalty: f32,
    /// Subtracted once from the logits of recent tokens.
    pub presence_penalty: f32,
    /// Subtracted from the logits of recent tokens for each time.
    pub frequency_penalty: f32,
    /// How many tokens count as recent.
    pub penalty_window: usize,
    /// Added to the logits of single tokens.
    pub logit_bias: Vec<(u32, f32)>,
    /// Start of the random row; the same seed and batch give the same text.
    pub seed: u64,
}

impl Default for SamplerOptions {
    fn default() -> Self {
        Self {
            temperature: 0.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            typical_p: 1.0,
            repetition_penalty: 1.0,
            presence_penalty: 0.0,
            frequency_penalty: 0.0,
            penalty_window: 64,
            logit_bias: Vec::new(),
            seed: 0,
        }
    }
}

/// A chosen token.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Choice {
    /// The token.
    pub token: u32,
    /// Natural logarithm of its probability under the model, before any option changed it.
    pub log_probability: f32,
}

/// Chooses tokens.
#[derive(Clone, Debug)]
pub struct Sampler {
    options: SamplerOptions,
    random: Random,
    /// The most recent tokens, oldest first.
    recent: std::collections::VecDeque<u32>,
}

/// Working memory, as large as a vocabulary: of each thread that chooses, not of each answer.
#[derive(Default)]
struct Scratch {
    logits: Vec<f32>,
    candidates: Vec<Candidate>,
    probabilities: Vec<f32>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// A token that may be drawn.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    token: u32,
    logit: f32,
    probability: f32,
}

impl Sampler {
    /// A sampler for a vocabulary of `v` tokens.
    ///
    /// # Errors
    /// If an option is out of its range.
    pub fn new(options: SamplerOptions, v: usize) -> Result<Self, Error> {
        options.check(v)?;
        let random = Random::new(options.seed);
        Ok(Self { options, random, recent: std::collections::VecDeque::new() })
    }

    /// Takes a token of the prompt or the answer into account for the penalties.
    pub fn accept(&mut self, token: u32) {
        if self.options.penalty_window == 0 {
            return;
        }
        while self.recent.len() >= self.options.penalty_window {
            self.recent.pop_front();
        }
        self.recent.push_back(token);
    }

    /// Chooses from logits of width `v`.
    pub fn choose(&mut self, logits: &[f32]) -> Choice {
        SCRATCH.with_borrow_mut(|scratch| {
            self.weigh(logits, scratch);
            self.pick(logits, scratch)
        })
    }

    /// A token that is given, as one that was chosen from logits of width `v`.
    pub(crate) fn given(&self, logits: &[f32], token: u32) -> Choice {
        SCRATCH.with_borrow_mut(|scratch| {
            let log_sum = log_sum(best(), logits, &mut scratch.probabilities);
            Choice { token, log_probability: logits[token as usize] - log_sum }
        })
    }

    /// As [`Sampler::choose`], only from what `constraint` allows next.
    ///
    /// # Errors
    /// If nothing may come next, or to find out costs too much.
    pub fn choose_within(
        &mut self,
        logits: &[f32],
        constraint: &mut Constraint,
    ) -> Result<Choice, Error> {
        SCRATCH.with_borrow_mut(|scratch| {
            self.weigh(logits, scratch);
            // After the biases: not even one of infinity brings back what the grammar forbids.
            constraint.apply(&mut scratch.logits).map_err(|e| {
                Error::new(ErrorKind::Constraint, "the answer cannot go on as its grammar has it")
                    .because(e)
            })?;
            Ok(self.pick(logits, scratch))
        })
    }

    /// The logits after penalties and biases.
    fn weigh(&self, logits: &[f32], scratch: &mut Scratch) {
        scratch.logits.clear();
        scratch.logits.extend_from_slice(logits);
        penalties::apply(&mut scratch.logits, &self.options, &self.recent);
    }

    fn pick(&mut self, logits: &[f32], scratch: &mut Scratch) -> Choice {
        let token = match self.options.temperature == 0.0 {
            true => greedy(&scratch.logits),
            false => self.draw(scratch),
        };
        let log_sum = log_sum(best(), logits, &mut scratch.probabilities);
        Choice { token, log_probability: logits[token as usize] - log_sum }
    }

    fn draw(&mut self, scratch: &mut Scratch) -> u32 {
        let Scratch { logits, candidates, .. } = scratch;
        let inverse = 1.0 / self.options.temperature;
        candidates.clear();
        candidates.extend(logits.iter().enumerate().map(|(token, logit)| Candidate {
            token: token as u32,
            logit: logit * inverse,
            probability: 0.0,
        }));
        cuts::apply(candidates, &self.options);
        let total: f64 = candidates.iter().map(|c| f64::from(c.probability)).sum();
        let mut left = f64::from(self.random.unit()) * total;
        for candidate in candidates.iter() {
            left -= f64::from(candidate.probability);
            if left < 0.0 {
                return candidate.token;
            }
        }
        // Rounding may leave a rest: never what cannot come.
        let possible = candidates.iter().rev().find(|c| c.probability > 0.0);
        possible.or(candidates.first()).map_or(0, |c| c.token)
    }
}

impl SamplerOptions {
    fn check(&self, v: usize) -> Result<(), Error> {
        let ranges = [
            ("temperature", self.temperature, 0.0, 100.0),
            ("top-p", self.top_p, 0.0, 1.0),
            ("min-p", self.min_p, 0.0, 1.0),
            ("typical-p", self.typical_p, 0.0, 1.0),
            ("repetition penalty", self.repetition_penalty, 0.01, 100.0),
            ("presence penalty", self.presence_penalty, -100.0, 100.0),
            ("frequency penalty", self.frequency_penalty, -100.0, 100.0),
        ];
        for (name, found, least, most) in ranges {
            if !(least..=most).contains(&found) {
                return Err(Error::new(
                    ErrorKind::Option,
                    format!("{name} `{found}`, expected `{least}` to `{most}`"),
                ));
            }
        }
        for (token, bias) in &self.logit_bias {
            if *token as usize >= v || bias.is_nan() {
                return Err(Error::new(
                    ErrorKind::Option,
                    format!(
                        "logit bias `{bias}` on token `{token}`, expected a number on one below `{v}`"
                    ),
                ));
            }
        }
        Ok(())
    }
}

/// The likeliest token, the first of equals.
pub(crate) fn greedy(logits: &[f32]) -> u32 {
    let mut best = 0;
    for (i, logit) in logits.iter().enumerate() {
        if *logit > logits[best] {
            best = i;
        }
    }
    best as u32
}

/// `ln softmax(logits)[token]`.
pub(crate) fn log_probability(logits: &[f32], token: u32) -> f32 {
    logits[token as usize] - log_sum(best(), logits, &mut Vec::new())
}

/// `ln(sum(exp(logits)))`, which is what logits are above the logarithms of their probabilities; from
/// that of the greatest, so that the kernels compute all exponentials.
fn log_sum(row: &Row, logits: &[f32], probabilities: &mut Vec<f32>) -> f32 {
    probabilities.clear();
    probabilities.extend_from_slice(logits);
    row.softmax(probabilities);
    let at = greedy(logits) as usize;
    logits[at] - probabilities[at].ln()
}

/// The `n` likeliest tokens and the natural logarithms of their probabilities, likeliest first.
pub fn top_log_probabilities(row: &Row, logits: &[f32], n: usize) -> Vec<(u32, f32)> {
    let log_sum = log_sum(row, logits, &mut Vec::new());
    let mut order: Vec<u32> = (0..logits.len() as u32).collect();
    let descending =
        |a: &u32, b: &u32| logits[*b as usize].total_cmp(&logits[*a as usize]).then(a.cmp(b));
    if n < order.len() {
        order.select_nth_unstable_by(n, descending);
        order.truncate(n);
    }
    order.sort_by(descending);
    order.into_iter().map(|t| (t, logits[t as usize] - log_sum)).collect()
}
