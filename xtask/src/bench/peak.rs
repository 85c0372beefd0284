//! What the machine can do at most, measured between the rounds.

use super::engine::{Work, capture};
use super::figure::{Samples, Spread};
use crate::run::built;
use anyhow::{Context, Result};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Milliseconds for each quantity.
const TIME: &str = "300";

/// The key of the bytes read per second; the others are multiply-adds per second.
const READ: &str = "read_bytes_per_second";

/// Builds the program that measures it.
pub(super) fn build() -> Result<PathBuf> {
    built(&["--release", "--package", "rushlight-kernels", "--example", "peak"], "peak")
}

/// Measures once.
pub(super) fn measure(program: &Path, threads: usize) -> Result<Value> {
    let (text, _) = capture(Command::new(program).args([&threads.to_string(), TIME]))?;
    serde_json::from_str(&text).context("`peak` prints no JSON")
}

/// Samples of every quantity with one number of threads.
#[derive(Debug, Default)]
pub(super) struct Peaks(BTreeMap<String, Samples>);

impl Peaks {
    pub(super) fn add(&mut self, found: &Value) {
        for (key, value) in found.as_object().into_iter().flatten() {
            if let (true, Some(number)) = (key != "threads", value.as_f64()) {
                self.0.entry(key.clone()).or_default().add(&[number]);
            }
        }
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (&str, Spread)> {
        self.0.iter().filter_map(|(key, samples)| Some((key.as_str(), samples.spread()?)))
    }

    /// Bytes read per second.
    pub(super) fn read(&self) -> Option<Spread> {
        self.0.get(READ)?.spread()
    }

    /// Multiply-adds of int8 per second, by the instruction that the kernels `row` use; by the
    /// best where they use none of those.
    pub(super) fn int8(&self, row: &str) -> Option<Spread> {
        let own = self.0.get(&format!("int8_{row}")).and_then(Samples::spread);
        own.or_else(|| self.best("int8_"))
    }

    /// Multiply-adds of f32 per second.
    pub(super) fn f32(&self) -> Option<Spread> {
        self.best("f32_")
    }

    fn best(&self, prefix: &str) -> Option<Spread> {
        let all = self.all().filter(|(key, _)| key.starts_with(prefix));
        all.map(|(_, spread)| spread).max_by(|a, b| a.median.total_cmp(&b.median))
    }

    /// Tokens per second when nothing but `work` costs time, and both halves of it overlap.
    pub(super) fn ceiling(&self, work: &Work, row: &str) -> Option<Spread> {
        let (read, int8) = (self.read()?, self.int8(row)?);
        let rate = |read: f64, int8: f64| 1.0 / (work.bytes / read).max(work.multiply_adds / int8);
        Some(Spread {
            median: rate(read.median, int8.median),
            low: rate(read.low, int8.low),
            high: rate(read.high, int8.high),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_ceiling_is_the_lower_of_two() {
        let mut peaks = Peaks::default();
        for (read, int8) in [(50.0, 900.0), (40.0, 1000.0), (60.0, 1100.0)] {
            peaks.add(&json!({
                "threads": 2,
                "read_bytes_per_second": read,
                "int8_avx512": int8,
                "int8_avx2": 300.0,
            }));
        }
        let work = |bytes, multiply_adds| Work { bytes, multiply_adds };
        let spread = |low, median, high| Some(Spread { median, low, high });
        let cases = [
            (work(10.0, 10.0), "avx512", spread(4.0, 5.0, 6.0)),
            (work(0.1, 10.0), "avx512", spread(90.0, 100.0, 110.0)),
            (work(0.1, 10.0), "avx2", spread(30.0, 30.0, 30.0)),
            (work(0.1, 10.0), "scalar", spread(90.0, 100.0, 110.0)),
        ];
        for (work, row, expected) in cases {
            assert_eq!(peaks.ceiling(&work, row), expected, "{work:?} {row}");
        }
        assert_eq!(peaks.f32(), None);
        assert!(Peaks::default().ceiling(&work(1.0, 1.0), "avx512").is_none());
    }
}
