//! Log-probabilities that llama.cpp wrote, and how far ours are from them.
//!
//! The file (`llama-perplexity --kl-divergence-base`): `_logits_`, then `u32` window, `i32`
//! vocabulary, `i32` windows, the tokens as `i32`, and for each scored place two `f32` (step and
//! least value) and the log-probabilities in `u16` steps, padded to an even number.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use anyhow::{Context, bail};

use super::log_sum;

/// An open file of log-probabilities.
pub(super) struct Baseline {
    file: BufReader<File>,
    name: String,
    window: usize,
    v: usize,
    tokens: Vec<u32>,
}

impl Baseline {
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        let name = path.display().to_string();
        let file = File::open(path).with_context(|| format!("cannot read `{name}`"))?;
        let size = file.metadata()?.len();
        let mut file = BufReader::new(file);
        let mut magic = [0; 8];
        file.read_exact(&mut magic).with_context(|| format!("`{name}` is too short"))?;
        if &magic != b"_logits_" {
            bail!("`{name}` does not begin with `_logits_`, as a file of log-probabilities does");
        }
        let mut number = || -> anyhow::Result<usize> {
            let mut bytes = [0; 4];
            file.read_exact(&mut bytes).with_context(|| format!("`{name}` is too short"))?;
            Ok(u32::from_le_bytes(bytes) as usize)
        };
        let (window, v, windows) = (number()?, number()?, number()?);
        let count = window.checked_mul(windows).filter(|n| (*n as u64) < size / 4);
        let count =
            count.with_context(|| format!("`{name}` claims more tokens than it has bytes"))?;
        let tokens = (0..count).map(|_| number().map(|t| t as u32)).collect::<Result<_, _>>()?;
        Ok(Self { file, name, window, v, tokens })
    }

    /// Checks that it is about the same windows of the same vocabulary.
    pub(super) fn check(&self, window: usize, v: usize) -> anyhow::Result<()> {
        if (self.window, self.v) != (window, v) {
            bail!(
                "`{}` has windows of `{}` and a vocabulary of `{}`, expected `{window}` and `{v}`",
                self.name,
                self.window,
                self.v
            );
        }
        Ok(())
    }

    pub(super) fn check_tokens(&self, index: usize, ours: &[u32]) -> anyhow::Result<()> {
        // The first token may be a BOS that the file does not show.
        let theirs = self.tokens.chunks_exact(self.window.max(1)).nth(index);
        if theirs.and_then(|t| t.get(1..)) != ours.get(1..) {
            bail!("window `{index}` of `{}` has other tokens than the text has here", self.name);
        }
        Ok(())
    }

    /// The log-probabilities of the next scored place.
    pub(super) fn next(&mut self) -> anyhow::Result<Vec<f32>> {
        let mut head = [0; 8];
        let short = || format!("`{}` ends before the text does", self.name);
        self.file.read_exact(&mut head).with_context(short)?;
        let [a, b, c, d, e, f, g, h] = head;
        let (step, least) = (f32::from_le_bytes([a, b, c, d]), f32::from_le_bytes([e, f, g, h]));
        let mut steps = vec![0; self.v.next_multiple_of(2) * 2];
        self.file.read_exact(&mut steps).with_context(short)?;
        let value = |b: &[u8; 2]| least + step * f32::from(u16::from_le_bytes(*b));
        Ok(steps.as_chunks::<2>().0.iter().take(self.v).map(value).collect())
    }
}

/// The file has no smaller log-probabilities: what lies below is raised to about this, and llama.cpp
/// leaves it out of the divergence too.
const FLOOR: f32 = -16.0;

/// Sums over scored places.
#[derive(Default)]
pub(super) struct Agreement {
    places: usize,
    divergence: f64,
    same: usize,
}

impl Agreement {
    /// Adds one place: their log-probabilities, our logits.
    pub(super) fn add(&mut self, theirs: &[f32], ours: &[f32]) {
        let sum = log_sum(ours);
        let kl = theirs.iter().zip(ours).filter(|(t, _)| **t > FLOOR).map(|(t, o)| {
            let t = f64::from(*t);
            t.exp() * (t - (f64::from(*o) - sum))
        });
        self.divergence += kl.sum::<f64>();
        self.same += usize::from(top(theirs) == top(ours));
        self.places += 1;
    }

    /// Mean of `sum p ln(p / q)`, theirs `p`, ours `q`.
    pub(super) fn mean_divergence(&self) -> f64 {
        self.divergence / self.places as f64
    }

    /// How often both find the same token likeliest.
    pub(super) fn same_top(&self) -> f64 {
        self.same as f64 / self.places as f64
    }
}

fn top(values: &[f32]) -> Option<usize> {
    values.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1).then(b.0.cmp(&a.0))).map(|(i, _)| i)
}
