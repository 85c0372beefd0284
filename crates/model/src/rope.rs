//! Rotary position embeddings: frequencies under the published context extensions.

use std::f32::consts::TAU;

use crate::Error;

/// A rotary embedding: how fast each pair of head dimensions turns with the position.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Rope {
    /// Base of the geometric row of frequencies.
    pub base: f32,
    /// Head dimensions that turn; the rest stay as they are.
    pub rotated: usize,
    /// Context extension.
    pub scaling: Scaling,
}

/// How the frequencies were changed for a longer context.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Scaling {
    /// Not at all.
    None,
    /// All positions divided by `factor`.
    Linear {
        /// The divisor.
        factor: f32,
    },
    /// Each frequency divided by its own factor, as Llama 3.x files carry them ready.
    Factors {
        /// One divisor per pair.
        factors: Vec<f32>,
    },
    /// Llama 3.x: long waves divided, short ones kept (transformers, `_compute_llama3_parameters`).
    Llama3 {
        /// The divisor of long waves.
        factor: f32,
        /// Waves longer than `original / low` are divided.
        low: f32,
        /// Waves shorter than `original / high` are kept.
        high: f32,
        /// Context before the extension.
        original: f32,
    },
    /// YaRN (Peng et al. 2023, <https://arxiv.org/abs/2309.00071>), section 3.2.
    Yarn {
        /// The divisor of long waves.
        factor: f32,
        /// Rotations in the original context above which a frequency is kept.
        beta_fast: f32,
        /// Rotations below which it is divided.
        beta_slow: f32,
        /// Context before the extension.
        original: f32,
        /// Multiplies cosine and sine.
        attention_factor: f32,
    },
    /// LongRoPE (Ding et al. 2024, <https://arxiv.org/abs/2402.13753>): two sets of divisors.
    Long {
        /// One divisor per pair for contexts up to `original`.
        short: Vec<f32>,
        /// One divisor per pair for longer contexts.
        long: Vec<f32>,
        /// Context before the extension.
        original: usize,
        /// Multiplies cosine and sine.
        attention_factor: f32,
    },
}

/// Cosines and sines of one rotary embedding at some positions, shape `(positions, rotated / 2)`.
#[derive(Clone, Debug, Default)]
pub struct RopeTable {
    /// Cosines, row-major.
    pub cos: Vec<f32>,
    /// Sines, row-major.
    pub sin: Vec<f32>,
}

/// The attention factor that YaRN recommends, equation 22: `0.1 ln(factor) + 1`.
pub(crate) fn yarn_attention_factor(factor: f32) -> f32 {
    if factor <= 1.0 { 1.0 } else { 0.1 * factor.ln() + 1.0 }
}

impl Rope {
    /// The frequency of each pair, radians per position, and the factor on cosine and sine, for
    /// a session of `context` positions.
    pub fn frequencies(&self, context: usize) -> (Vec<f32>, f32) {
        let pairs = self.rotated / 2;
        let plain = |i: usize| self.base.powf(-2.0 * i as f32 / self.rotated as f32);
        let divided = |factors: &[f32]| -> Vec<f32> {
            factors.iter().enumerate().map(|(i, f)| plain(i) / f).collect()
        };
        match &self.scaling {
            Scaling::None => ((0..pairs).map(plain).collect(), 1.0),
            Scaling::Linear { factor } => ((0..pairs).map(|i| plain(i) / factor).collect(), 1.0),
            Scaling::Factors { factors } => (divided(factors), 1.0),
            Scaling::Llama3 { factor, low, high, original } => {
                let scaled = |i| llama3(plain(i), *factor, *low, *high, *original);
                ((0..pairs).map(scaled).collect(), 1.0)
            }
            Scaling::Yarn { factor, beta_fast, beta_slow, original, attention_factor } => {
                let (first, last) = self.yarn_range(*beta_fast, *beta_slow, *original);
                let scaled = |i: usize| {
                    let divided_part = ((i as f32 - first) / (last - first)).clamp(0.0, 1.0);
                    plain(i) * (1.0 - divided_part) + plain(i) / factor * divided_part
                };
                ((0..pairs).map(scaled).collect(), *attention_factor)
            }
            Scaling::Long { short, long, original, attention_factor } => {
                let factors = if context > *original { long } else { short };
                (divided(factors), *attention_factor)
            }
        }
    }

    /// The tables at `positions` for a session of `context` positions.
    pub fn table(&self, positions: impl Iterator<Item = usize>, context: usize) -> RopeTable {
        let (frequencies, factor) = self.frequencies(context);
        let mut table = RopeTable::default();
        for p in positions {
            for &f in &frequencies {
                let (sin, cos) = (p as f32 * f).sin_cos();
                table.cos.push(cos * factor);
                table.sin.push(sin * factor);
            }
        }
        table
    }

    /// The pairs between which YaRN blends: those that turn `beta` times in the original context.
    fn yarn_range(&self, beta_fast: f32, beta_slow: f32, original: f32) -> (f32, f32) {
        let n = self.rotated as f32;
        let pair = |turns: f32| n * (original / (turns * TAU)).ln() / (2.0 * self.base.ln());
        let first = pair(beta_fast).floor().max(0.0);
        let last = pair(beta_slow).ceil().min(n - 1.0);
        (first, if last == first { last + 0.001 } else { last })
    }

    pub(crate) fn check(&self, k: usize) -> Result<(), Error> {
        let Rope { base, rotated, .. } = self;
        if !base.is_finite() || *base <= 1.0 {
            return Err(Error::dims(format!("rotary base `{base}`, expected a number above 1")));
        }
        if *rotated == 0 || *rotated > k || !rotated.is_multiple_of(2) {
            return Err(Error::dims(format!(
                "`{rotated}` rotated dimensions, expected an even number up to the head width `{k}`"
            )));
        }
        let lists: &[&Vec<f32>] = match &self.scaling {
            Scaling::Factors { factors } => &[factors],
            Scaling::Long { short, long, .. } => &[short, long],
            _ => &[],
        };
        for list in lists {
            if list.len() != rotated / 2 {
                return Err(Error::dims(format!(
                    "`{}` rotary factors, expected one per pair: `{}`",
                    list.len(),
                    rotated / 2
                )));
            }
            if let Some(bad) = list.iter().find(|f| !f.is_finite() || **f <= 0.0) {
                return Err(Error::dims(format!(
                    "rotary factor `{bad}`, expected a positive number"
                )));
            }
        }
        Ok(())
    }
}

fn llama3(frequency: f32, factor: f32, low: f32, high: f32, original: f32) -> f32 {
    let wave = TAU / frequency;
    if wave < original / high {
        frequency
    } else if wave > original / low {
        frequency / factor
    } else {
        let smooth = (original / wave - low) / (high - low);
        (1.0 - smooth) * frequency / factor + smooth * frequency
    }
}
