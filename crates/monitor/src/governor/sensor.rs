//! Whether what a sensor says can be believed.

use std::time::Duration;

/// How long the last good value stands for a missing one.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long a sensor must talk sense before it is believed again.
const PROBATION: Duration = Duration::from_secs(10);
/// How long a value may stay the same, bit for bit, under work that does not change either. Coarse
/// sensors may do that, so each time that one was suspected for nothing doubles it.
const STALE: Duration = Duration::from_secs(600);
/// The longest that this grows.
const STALEST: Duration = Duration::from_secs(4 * 3600);
/// Less than this is no work.
const WORK: f64 = 0.05;
/// A change of the power asked for, as a share of full speed's, that must move a value.
const MOVES: f64 = 0.3;

/// What a kind of sensor can say.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    pub(super) unit: &'static str,
    pub(super) least: f64,
    pub(super) most: f64,
    /// Whether 0 is nonsense while there is work.
    pub(super) zero_is_idle: bool,
    /// How long after such a change a value that has not moved counts as standing still. Longer than
    /// the steps of a coarse sensor take.
    pub(super) frozen_after: Duration,
}

/// Degrees. Silicon works from -40 to 125 °C; the kernel's own drivers refuse what is far outside.
pub(super) const CELSIUS: Kind = Kind {
    unit: "°C",
    least: -40.0,
    most: 150.0,
    zero_is_idle: false,
    frozen_after: Duration::from_secs(90),
};

/// Watts of anything that this governor may meet.
pub(super) const WATTS: Kind = Kind {
    unit: "W",
    least: 0.0,
    most: 10_000.0,
    zero_is_idle: true,
    frozen_after: Duration::from_secs(20),
};

/// A sensor's past.
#[derive(Clone, Debug)]
pub(super) struct Sensor {
    kind: Kind,
    /// The last good value and when it came.
    last: Option<(f64, Duration)>,
    /// Since when the value is the same, bit for bit.
    same_since: Duration,
    /// The least and greatest power asked for since, as shares.
    asked: (f64, f64),
    /// When these two came to differ by [`MOVES`].
    moved_at: Option<Duration>,
    /// For how long there was work since.
    worked: Duration,
    /// How long that may be.
    stale: Duration,
    /// When it was last asked.
    asked_at: Option<Duration>,
    /// Why it is not believed.
    fault: Option<String>,
    /// Since when it talks sense again.
    sound_since: Option<Duration>,
}

impl Sensor {
    pub(super) fn new(kind: Kind) -> Self {
        Self {
            kind,
            last: None,
            same_since: Duration::ZERO,
            asked: (f64::INFINITY, f64::NEG_INFINITY),
            moved_at: None,
            worked: Duration::ZERO,
            stale: STALE,
            asked_at: None,
            fault: None,
            sound_since: None,
        }
    }

    /// The value to go by, and whether it is a fresh one, or why there is none. `asked` is the power
    /// that the load has drawn since the last step, as a share of full speed's.
    pub(super) fn take(
        &mut self,
        now: Duration,
        value: Option<f64>,
        asked: f64,
    ) -> Result<(f64, bool), String> {
        match self.judge(now, value, asked) {
            Ok(value) if self.fault.is_none() => Ok((value, true)),
            Ok(value) => {
                let since = *self.sound_since.get_or_insert(now);
                if now.saturating_sub(since) >= PROBATION {
                    self.fault = None;
                    self.sound_since = None;
                    return Ok((value, true));
                }
                Err(self.fault.clone().unwrap_or_default())
            }
            Err(why) => {
                self.sound_since = None;
                let held = self.last.filter(|_| self.fault.is_none());
                match held {
                    // A value that is missed once is no fault; one that stands still is.
                    Some((last, at)) if now > at && now.saturating_sub(at) <= PATIENCE => {
                        Ok((last, false))
                    }
                    _ => {
                        self.fault = Some(why.clone());
                        Err(why)
                    }
                }
            }
        }
    }

    fn judge(&mut self, now: Duration, value: Option<f64>, asked: f64) -> Result<f64, String> {
        let unit = self.kind.unit;
        let Some(value) = value else { return Err("the sensor gives no value".to_owned()) };
        if !value.is_finite() || value < self.kind.least || value > self.kind.most {
            return Err(format!("the sensor says {value} {unit}, which cannot be"));
        }
        if value == 0.0 && self.kind.zero_is_idle && asked > WORK {
            return Err(format!("the sensor says 0 {unit} while there is work"));
        }
        let since = self.asked_at.replace(now).map_or(Duration::ZERO, |at| now.saturating_sub(at));
        if self.last.is_none_or(|(last, _)| last != value) {
            if self.worked >= self.stale && self.moved_at.is_none_or(|at| at > self.same_since) {
                self.stale = (self.stale * 2).min(STALEST);
            }
            self.same_since = now;
            self.asked = (asked, asked);
            self.moved_at = None;
            self.worked = Duration::ZERO;
        } else if asked > WORK {
            self.worked += since.min(PATIENCE);
        }
        self.last = Some((value, now));
        self.asked = (self.asked.0.min(asked), self.asked.1.max(asked));
        if self.asked.1 - self.asked.0 >= MOVES {
            let moved_at = *self.moved_at.get_or_insert(now);
            if now.saturating_sub(moved_at) >= self.kind.frozen_after {
                let seconds = now.saturating_sub(self.same_since).as_secs();
                return Err(format!(
                    "the sensor stands at {value} {unit} for {seconds} s although the load changed"
                ));
            }
        }
        if self.worked >= self.stale {
            let minutes = self.worked.as_secs() / 60;
            return Err(format!(
                "the sensor stands at {value} {unit} through {minutes} minutes of work"
            ));
        }
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn a_missing_value_is_bridged_for_a_moment_and_believed_again_after_a_while() {
        let mut sensor = Sensor::new(CELSIUS);
        assert_eq!(sensor.take(second(0), Some(50.0), 1.0), Ok((50.0, true)));
        for n in 1..=3 {
            assert_eq!(sensor.take(second(n), None, 1.0), Ok((50.0, false)), "{n}");
        }
        assert!(sensor.take(second(4), None, 1.0).unwrap_err().contains("no value"));
        for n in 5..15 {
            assert!(sensor.take(second(n), Some(51.0 + n as f64), 1.0).is_err(), "{n}");
        }
        assert_eq!(sensor.take(second(15), Some(52.0), 1.0), Ok((52.0, true)));
    }

    #[test]
    fn nonsense_is_no_value() {
        for (kind, value) in [
            (CELSIUS, f64::NAN),
            (CELSIUS, f64::INFINITY),
            (CELSIUS, -274.0),
            (CELSIUS, 85_000.0),
            (WATTS, -1.0),
            (WATTS, 0.0),
            (WATTS, 1e9),
        ] {
            assert!(Sensor::new(kind).take(second(0), Some(value), 1.0).is_err(), "{value}");
        }
        assert!(Sensor::new(WATTS).take(second(0), Some(0.0), 0.0).is_ok());
    }

    #[test]
    fn a_value_that_stands_still_while_the_load_changes_is_a_fault() {
        let mut sensor = Sensor::new(CELSIUS);
        // At rest it may stand still for as long as it likes.
        for n in 0..1000 {
            assert!(sensor.take(second(n), Some(40.0), 0.0).is_ok(), "{n}");
        }
        let fault = (1000..1200).find(|n| sensor.take(second(*n), Some(40.0), 1.0).is_err());
        assert_eq!(fault, Some(1090));
        assert!(sensor.take(second(1200), Some(40.0), 1.0).unwrap_err().contains("stands at 40"));
        // One that moves is believed again.
        let sound =
            (1201..1300).find(|n| sensor.take(second(*n), Some(*n as f64 / 20.0), 1.0).is_ok());
        assert_eq!(sound, Some(1211));
    }

    #[test]
    fn a_value_that_never_moves_is_suspected_less_and_less_often() {
        let mut sensor = Sensor::new(CELSIUS);
        let mut when = Vec::new();
        let mut since = 0;
        for n in 0..10_000 {
            // It moves as soon as it is suspected, as the power falls.
            let value = 50.0 + when.len() as f64;
            if sensor.take(second(n), Some(value), 0.5).is_err() && n > since + 20 {
                when.push(n - since);
                since = n;
            }
        }
        assert_eq!(when.len(), 4, "{when:?}");
        assert!(when.windows(2).all(|two| two[1] > two[0] * 3 / 2), "{when:?}");
    }
}
