//! How much power is which clock, where the kernel bounds the one and not the other.
//!
//! A processor that may draw less lowers its clock, and with it the voltage, by itself. What it draws at
//! full speed and at rest is seen while nothing is lowered; between them power goes with the clock and
//! the square of the voltage, which falls about half as far as the clock does.

use std::time::{Duration, Instant};

use crate::probe::Tree;
use crate::probe::power::{POWERCAP, rapl_energy};

/// The shortest time whose mean watts count.
const WINDOW: Duration = Duration::from_millis(500);
/// Watts that no processor draws.
const ABSURD: f64 = 10_000.0;

/// What a processor draws.
#[derive(Clone, Debug)]
pub(super) struct Draw {
    zone: String,
    /// Watts that it may draw for long: more is drawn for moments.
    most: f64,
    /// The counter at a time, in joules.
    last: Option<(Instant, f64)>,
    /// Watts at rest: the least that were seen. And at work with nothing lowered: the most.
    rest: Option<f64>,
    full: Option<f64>,
}

impl Draw {
    pub(super) fn new(zone: &str, most: f64) -> Self {
        Self { zone: zone.to_owned(), most, last: None, rest: None, full: None }
    }

    pub(super) fn zone(&self) -> &str {
        &self.zone
    }

    /// Looks at the counter; `is_full` if there was work all the time since the last look, and nothing was
    /// lowered.
    pub(super) fn look(&mut self, tree: &Tree, now: Instant, is_full: bool) {
        let path = format!("{POWERCAP}/{}", self.zone);
        let Ok(joules) = rapl_energy(tree, &path).value else { return };
        let (then, before) = *self.last.get_or_insert((now, joules));
        let seconds = now.saturating_duration_since(then);
        if seconds >= WINDOW {
            self.last = Some((now, joules));
            self.learn((joules - before) / seconds.as_secs_f64(), is_full);
        }
    }

    /// Begins anew, since something was changed.
    pub(super) fn forget(&mut self) {
        self.last = None;
    }

    fn learn(&mut self, watts: f64, is_full: bool) {
        // A counter that began anew tells nothing.
        if !(0.0..ABSURD).contains(&watts) {
            return;
        }
        self.rest = Some(self.rest.map_or(watts, |rest| rest.min(watts)));
        if is_full {
            let watts = watts.min(self.most);
            self.full = Some(self.full.map_or(watts, |full| full.max(watts)));
        }
    }

    /// Microwatts at a share of the highest clock. Before work was seen, of what it may draw.
    pub(super) fn at(&self, share: f64) -> u64 {
        let (rest, full) = (self.rest.unwrap_or(0.0), self.full.unwrap_or(self.most));
        let power = share * (0.5 + 0.5 * share).powi(2);
        ((rest + (full - rest).max(0.0) * power) * 1e6) as u64
    }
}

/// Whether the counter of a zone can be read.
pub(super) fn is_counted(tree: &Tree, zone: &str) -> bool {
    rapl_energy(tree, &format!("{POWERCAP}/{zone}")).get().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn power_between_rest_and_full_speed_goes_with_the_clock_and_the_voltage() {
        let mut draw = Draw::new("intel-rapl:0", 28.0);
        // Nothing was seen: 28 * 0.5 * 0.75².
        assert_eq!(draw.at(0.5), 7_875_000);
        // At rest, reading, a counter that began anew, writing, and lowered.
        for (watts, is_full) in
            [(5.0, false), (25.0, true), (-9e9, true), (1e9, true), (15.0, true), (9.0, false)]
        {
            draw.learn(watts, is_full);
        }
        assert_eq!(draw.at(1.0), 25_000_000);
        // 5 + 20 * 0.5 * 0.75².
        assert_eq!(draw.at(0.5), 10_625_000);
        assert_eq!(draw.at(0.0), 5_000_000);
        // For a moment it draws more than it may for long.
        draw.learn(60.0, true);
        assert_eq!(draw.at(1.0), 28_000_000);
    }
}
