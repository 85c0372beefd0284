//! `keep_alive`: how long a model stays when nobody uses it any more.

use std::time::Duration;

use serde_json::Value;

use crate::failure::Failure;
use crate::fields::{Fields, wrong};

/// Seconds that are as good as for ever.
const MOST_SECONDS: f64 = 1e9;

/// How long a model stays; `None` is for good.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct KeepAlive(Option<Duration>);

impl KeepAlive {
    /// Takes a number of seconds or a duration as Go writes it (`5m`, `1h30m`, `500ms`); below zero is
    /// for good, as in Ollama.
    pub(super) fn take(fields: &mut Fields) -> Result<Option<Self>, Failure> {
        let Some(value) = fields.take("keep_alive") else { return Ok(None) };
        let seconds = match &value {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => seconds(text),
            _ => None,
        };
        match seconds {
            Some(seconds) if (0.0..=MOST_SECONDS).contains(&seconds) => {
                Ok(Some(Self(Some(Duration::from_secs_f64(seconds)))))
            }
            Some(_) => Ok(Some(Self(None))),
            None => {
                let name = fields.name("keep_alive");
                Err(wrong(&name, &value, "seconds, or a duration such as `5m`"))
            }
        }
    }

    /// Whether the model is to leave at once.
    pub(super) fn ends(self) -> bool {
        self.0 == Some(Duration::ZERO)
    }

    /// How long it stays unused.
    pub(super) fn idle(self) -> Option<Duration> {
        self.0
    }
}

/// Seconds of numbers with units; one alone may be without.
fn seconds(text: &str) -> Option<f64> {
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text),
    };
    if let Ok(number) = rest.parse::<u32>() {
        return Some(sign * f64::from(number));
    }
    let mut all = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(digits);
        let unit = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(unit);
        let factor = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        all += number.parse::<f64>().ok()? * factor;
        rest = after;
    }
    (!text.is_empty() && text != "-").then_some(sign * all)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn durations() {
        let cases = [
            (json!("5m"), Some(Some(300.0))),
            (json!("1h30m"), Some(Some(5400.0))),
            (json!("1.5s"), Some(Some(1.5))),
            (json!("500ms"), Some(Some(0.5))),
            (json!("10"), Some(Some(10.0))),
            (json!(0), Some(Some(0.0))),
            (json!("0"), Some(Some(0.0))),
            (json!(-1), Some(None)),
            (json!("-1m"), Some(None)),
            (json!(1e300), Some(None)),
            (json!("m"), None),
            (json!(""), None),
            (json!("-"), None),
            (json!("5 m"), None),
            (json!("5x"), None),
            (json!(true), None),
        ];
        for (value, want) in cases {
            let mut fields = Fields::new(json!({ "keep_alive": value }), "").unwrap();
            let found = KeepAlive::take(&mut fields).ok();
            let want = want.map(|seconds| Some(KeepAlive(seconds.map(Duration::from_secs_f64))));
            assert_eq!(found, want, "{value}");
        }
    }
}
