//! What may be spent while a battery feeds the device.

use std::str::FromStr;

use super::Battery;
use crate::{Error, ErrorKind};

/// Below so many per cent of a battery that feeds the device, less may be spent.
///
/// Written `30` or `30=5`: below 30 per cent, 5 watts at most.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct BatteryPolicy {
    /// Per cent of its charge.
    pub percent: f64,
    /// Watts that may be spent below; without a word half of what may be spent otherwise.
    pub watts: Option<f64>,
}

impl BatteryPolicy {
    /// Whether less may be spent. A battery that feeds the device and does not tell its charge counts
    /// as low.
    pub(super) fn applies(&self, battery: Option<Battery>) -> bool {
        battery.is_some_and(|battery| {
            battery.feeds
                && battery.percent.is_none_or(|percent| percent.is_nan() || percent < self.percent)
        })
    }
}

impl FromStr for BatteryPolicy {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = |what: String| {
            Error::new(ErrorKind::Limit, format!("battery `{text}`: {what}"))
                .with_hint("expected `30` for below 30 per cent, or `30=5` for 5 watts then")
        };
        let (percent, watts) = match text.split_once('=') {
            Some((percent, watts)) => (percent, Some(watts)),
            None => (text, None),
        };
        let percent = match percent.parse::<f64>() {
            Ok(n) if n > 0.0 && n <= 100.0 => n,
            _ => return Err(wrong(format!("`{percent}` is not a number of per cent up to 100"))),
        };
        let watts = match watts {
            Some(text) => match text.parse::<f64>() {
                Ok(watts) if watts.is_finite() && watts > 0.0 => Some(watts),
                _ => return Err(wrong(format!("`{text}` is not a number of watts above 0"))),
            },
            None => None,
        };
        Ok(Self { percent, watts })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_read_or_refused() {
        let good = |percent, watts| Some(BatteryPolicy { percent, watts });
        let cases = [
            ("30", good(30.0, None)),
            ("100=2.5", good(100.0, Some(2.5))),
            ("0", None),
            ("101", None),
            ("NaN", None),
            ("30=0", None),
            ("30=", None),
            ("=5", None),
            ("", None),
        ];
        for (text, want) in cases {
            assert_eq!(text.parse::<BatteryPolicy>().ok(), want, "{text}");
        }
    }

    #[test]
    fn a_battery_that_does_not_tell_counts_as_low() {
        let policy: BatteryPolicy = "30".parse().unwrap();
        let battery = |feeds, percent| Some(Battery { feeds, percent });
        let cases = [
            (None, false),
            (battery(false, Some(5.0)), false),
            (battery(true, Some(30.0)), false),
            (battery(true, Some(29.0)), true),
            (battery(true, None), true),
            (battery(true, Some(f64::NAN)), true),
        ];
        for (battery, low) in cases {
            assert_eq!(policy.applies(battery), low, "{battery:?}");
        }
    }
}
