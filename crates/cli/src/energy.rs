//! Energy of work as it is told: how much, of what, by which sensor, or why not.

use std::time::Duration;

use rushlight_host::probe::{Absent, Tree};
use rushlight_host::{Energy, Measurement, PowerMeter};
use serde_json::{Value, json};

use crate::args::Estimate;

/// The meter of this machine.
pub(crate) fn meter(estimate: Estimate) -> anyhow::Result<PowerMeter> {
    let meter = PowerMeter::open(&Tree::this_machine());
    Ok(match estimate.watts_per_core {
        Some(watts) => meter.or_estimate(watts)?,
        None => meter,
    })
}

/// Energy of work, or why it is not known; `None` where there is no sensor.
pub(crate) type Spent = Option<Result<Energy, Absent>>;

/// The energy of what was measured.
pub(crate) fn end(measurement: Option<Measurement>) -> Spent {
    measurement.map(|measurement| measurement.energy())
}

/// What a machine takes that does nothing, in watts: the average of so long. `None` if it cannot be
/// measured; an estimate counts only what this process does.
pub(crate) fn idle_watts(meter: &PowerMeter, settle: Duration, window: Duration) -> Option<f64> {
    let source = meter.source().ok()?;
    if source.estimated {
        return Some(0.0);
    }
    std::thread::sleep(settle);
    meter.watts_for(window)
}

/// `INA3221 VDD_IN (the whole device)`, or `no sensor: …` and what can be done.
pub(crate) fn source(meter: &PowerMeter) -> String {
    match meter.source() {
        Ok(source) => format!("{} ({})", source.name, source.covers.name()),
        Err(absent) => {
            let hint = meter.hint().map_or(String::new(), |hint| format!("; hint: {hint}"));
            format!("no sensor: {absent}{hint}")
        }
    }
}

/// What measures, for `--json`.
pub(crate) fn source_json(meter: &PowerMeter) -> Value {
    match meter.source() {
        Ok(source) => json!({
            "source": source.name,
            "covers": source.covers.name(),
            "estimated": source.estimated,
        }),
        Err(absent) => json!({
            "source": null,
            "reason": absent.reason,
            "detail": absent.detail,
        }),
    }
}

/// `12.3 J, 0.41 J/token, 8.2 W` of so many tokens.
pub(crate) fn figures(energy: &Energy, tokens: usize) -> String {
    let each = match tokens {
        0 => String::new(),
        _ => format!(", {} J/token", short(energy.joules / tokens as f64)),
    };
    let caveat = energy.caveat.as_ref().map_or(String::new(), |caveat| format!(" ({caveat})"));
    format!("{} J{each}, {} W{caveat}", short(energy.joules), short(energy.watts()))
}

/// Three digits that say something.
pub(crate) fn short(value: f64) -> String {
    let digits = match value.abs() {
        100.0.. => 0,
        10.0.. => 1,
        1.0.. => 2,
        _ => 3,
    };
    format!("{value:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short() {
        let energy = |joules, seconds| Energy { joules, seconds, caveat: None };
        assert_eq!(figures(&energy(12.34, 1.5), 30), "12.3 J, 0.411 J/token, 8.23 W");
        assert_eq!(figures(&energy(0.0, 0.0), 0), "0.000 J, 0.000 W");
        let doubtful = Energy { caveat: Some("a jump".to_owned()), ..energy(1234.0, 10.0) };
        assert_eq!(figures(&doubtful, 2), "1234 J, 617 J/token, 123 W (a jump)");
    }
}
