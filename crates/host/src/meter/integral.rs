//! The energy so far, from readings of a sensor.

use std::time::{Duration, Instant};

use super::{PowerSensor, Sample};
use crate::probe::Absent;

/// Watts of one counter that are more than any takes: what it counted in the time since it was read
/// last is then no energy, and a range that this power goes through in that time may have been gone
/// through more than once. The greatest packages have limits of about 500 W.
pub(super) const MOST_WATTS: f64 = 1000.0;
/// How exact the time of a reading is, at worst: a reader may be held up, and counters change once in a
/// millisecond.
const SLACK: f64 = 0.25;

/// The energy so far.
#[derive(Debug, Default)]
pub(super) struct Integral {
    /// By readings.
    by_readings: f64,
    /// With what was taken since, as if the power had stayed. It never shrinks.
    joules: f64,
    last: Option<(Instant, Sample)>,
    problem: Option<Absent>,
    caveats: u64,
    caveat: &'static str,
}

impl Integral {
    /// Takes no account of what comes until the next reading.
    pub(super) fn pause(&mut self) {
        (self.last, self.problem) = (None, None);
        self.by_readings = self.joules;
    }

    /// The energy so far.
    pub(super) fn joules(&self) -> f64 {
        self.joules
    }

    /// Why the sensor told nothing when it was read last.
    pub(super) fn problem(&self) -> Option<&Absent> {
        self.problem.as_ref()
    }

    /// How often something happened that makes the energy doubtful, and what last.
    pub(super) fn caveats(&self) -> u64 {
        self.caveats
    }

    pub(super) fn caveat(&self) -> &'static str {
        self.caveat
    }

    /// Whether the last reading is so old, or there is none.
    pub(super) fn is_older_than(&self, time: Duration) -> bool {
        self.last.as_ref().is_none_or(|(at, _)| at.elapsed() >= time)
    }

    /// Goes on with the power of the last reading. False if that cannot be: then it is to be read.
    pub(super) fn extend(&mut self) -> bool {
        let Some((at, Sample::Watts(watts))) = &self.last else { return false };
        self.joules = self.joules.max(self.by_readings + watts * at.elapsed().as_secs_f64());
        true
    }

    /// Reads the sensor.
    pub(super) fn read(&mut self, sensor: &dyn PowerSensor) {
        let sample = match sensor.read() {
            Ok(sample) => sample,
            Err(absent) => {
                if self.problem.replace(absent).is_none() && self.last.is_some() {
                    self.doubt("the sensor could not be read for a while");
                }
                return;
            }
        };
        self.take(Instant::now(), sample, sensor.ranges(), sensor.most_watts());
    }

    fn take(&mut self, now: Instant, sample: Sample, ranges: &[Option<f64>], most_watts: f64) {
        if self.problem.take().is_some() && self.last.is_none() {
            self.doubt("the sensor could not be read at first");
        }
        if let Some((at, before)) = self.last.take() {
            let seconds = now.saturating_duration_since(at).as_secs_f64();
            self.by_readings += match (&before, &sample) {
                (Sample::Watts(before), Sample::Watts(now)) => (before + now) / 2.0 * seconds,
                (Sample::Joules(before), Sample::Joules(now)) => {
                    self.counted(before, now, ranges, most_watts, seconds)
                }
                _ => {
                    self.doubt("the sensor told watts once and joules once");
                    0.0
                }
            };
        }
        self.joules = self.joules.max(self.by_readings);
        self.last = Some((now, sample));
    }

    /// What all counters counted in so many seconds.
    fn counted(
        &mut self,
        before: &[f64],
        now: &[f64],
        ranges: &[Option<f64>],
        most_watts: f64,
        seconds: f64,
    ) -> f64 {
        let most = most_watts * (seconds + SLACK);
        if before.len() != now.len() {
            self.doubt("an energy counter came or went");
        }
        let mut sum = 0.0;
        for (i, (before, now)) in before.iter().zip(now).enumerate() {
            let range = ranges.get(i).copied().flatten();
            if range.is_some_and(|range| most_watts * seconds > range) {
                self.doubt("the energy counter may have begun at zero again more than once");
            }
            let counted = match range {
                _ if now >= before => now - before,
                Some(range) => now + range - before,
                None => {
                    self.doubt("the energy counter began again");
                    continue;
                }
            };
            match (0.0..=most).contains(&counted) {
                true => sum += counted,
                false => self.doubt("the energy counter made a jump, which is left out"),
            }
        }
        sum
    }

    fn doubt(&mut self, why: &'static str) {
        self.caveats += 1;
        self.caveat = why;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Joules of readings at seconds, and the last doubt.
    fn sum(readings: &[(f64, Sample)], range: Option<f64>) -> (f64, &'static str) {
        let mut integral = Integral::default();
        let begin = Instant::now();
        for (at, sample) in readings {
            integral.take(
                begin + Duration::from_secs_f64(*at),
                sample.clone(),
                &[range],
                MOST_WATTS,
            );
        }
        (integral.joules(), integral.caveat())
    }

    #[test]
    fn watts_are_integrated_and_counters_wrap() {
        let counted = |all: &[(f64, f64)], range| {
            let all: Vec<_> = all.iter().map(|(t, j)| (*t, Sample::Joules(vec![*j]))).collect();
            sum(&all, range)
        };
        let watts =
            [(0.0, Sample::Watts(4.0)), (1.0, Sample::Watts(8.0)), (3.0, Sample::Watts(8.0))];
        assert_eq!(sum(&watts, None), (22.0, ""));
        assert_eq!(counted(&[(0.0, 10.0), (1.0, 15.0)], Some(65536.0)), (5.0, ""));
        // From 65530 over 65536 to 4.
        assert_eq!(counted(&[(0.0, 65530.0), (1.0, 4.0)], Some(65536.0)), (10.0, ""));
        let (joules, doubt) = counted(&[(0.0, 65530.0), (1.0, 4.0), (2.0, 6.0)], None);
        assert_eq!((joules, doubt), (2.0, "the energy counter began again"));
        let (joules, doubt) = counted(&[(0.0, 10.0), (100.0, 15.0)], Some(65536.0));
        assert_eq!(joules, 5.0);
        assert!(doubt.contains("more than once"), "{doubt}");
        let (joules, doubt) = counted(&[(0.0, 10.0), (1.0, 1e9), (2.0, 1e9 + 7.0)], Some(1e12));
        assert_eq!(joules, 7.0);
        assert!(doubt.contains("a jump"), "{doubt}");
    }

    #[test]
    fn what_is_told_never_shrinks() {
        let mut integral = Integral::default();
        integral.take(Instant::now(), Sample::Watts(1000.0), &[], MOST_WATTS);
        std::thread::sleep(Duration::from_millis(5));
        assert!(integral.extend());
        let told = integral.joules();
        assert!(told >= 5.0, "{told}");
        integral.take(Instant::now(), Sample::Watts(0.0), &[], MOST_WATTS);
        assert!(integral.joules() >= told);
        integral.pause();
        std::thread::sleep(Duration::from_millis(5));
        let paused = integral.joules();
        integral.take(Instant::now(), Sample::Watts(1000.0), &[], MOST_WATTS);
        assert_eq!(integral.joules(), paused);
    }
}
