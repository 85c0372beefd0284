//! How much work waits for memory (Documentation/accounting/psi.rst).

use serde::Serialize;

use crate::probe::{Reading, Reason, Tree, Unit};

const FILE: &str = "proc/pressure/memory";

/// The share of the last seconds that was spent waiting for memory.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Pressure {
    /// In which something waited, of 10 seconds.
    pub some_10s: Reading<f32>,
    /// In which everything waited, of 10 seconds.
    pub full_10s: Reading<f32>,
    /// In which everything waited, of 5 minutes.
    pub full_300s: Reading<f32>,
}

impl Pressure {
    pub(super) fn read(tree: &Tree) -> Self {
        let text = tree.text(FILE);
        let share = |kind: &str, span: &str| {
            let found = text.clone().check(Unit::Percent, |text| share(&text, kind, span));
            match found.value {
                Err(absent) if absent.reason == Reason::NotFound => {
                    let detail = "the kernel does not measure it (`psi=1` on its command line may)";
                    Reading::absent(Reason::NotFound, detail, Unit::Percent, FILE)
                }
                _ => found,
            }
        };
        Self {
            some_10s: share("some", "avg10"),
            full_10s: share("full", "avg10"),
            full_300s: share("full", "avg300"),
        }
    }
}

/// `full avg10=0.12 avg60=…`
fn share(text: &str, kind: &str, span: &str) -> Result<f32, String> {
    let line = text.lines().find(|line| line.split(' ').next() == Some(kind));
    let words = line.into_iter().flat_map(|line| line.split(' '));
    let mut values = words.filter_map(|word| word.split_once('=')).filter(|pair| pair.0 == span);
    let value = values.next().and_then(|pair| pair.1.parse::<f32>().ok());
    match value {
        Some(share) if (0.0..=100.0).contains(&share) => Ok(share),
        Some(share) => Err(format!("`{share}` is no share of 100")),
        None => Err(format!("there is no `{span}` in a line `{kind}`")),
    }
}
