//! The energy so far, from readings of a sensor.

use std::time::{Duration, Instant};

use super::Sample;
use crate::clock::Clock;
use crate::probe::Absent;

/// Watts of one counter that are more than any takes: what it counted in the time since it was read
/// last is then no energy, and a range that this power goes through in that time may have been gone
/// through more than once. The greatest packages have limits of about 500 W.
pub(super) const MOST_WATTS: f64 = 1000.0;
/// How exact the time of a reading is, at worst: a reader may be held up, and counters change once in a
/// millisecond.
const SLACK: f64 = 0.25;
/// What the clocks must differ by more than before, to say that the machine slept.
const LEAST_SLEEP: Duration = Duration::from_millis(100);

/// When something was read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    /// By a clock that stands still while the machine sleeps.
    awake: Instant,
    /// How long the machine has slept since it started.
    slept: Duration,
}

impl Moment {
    /// This one.
    pub(super) fn now() -> Self {
        // A reader that is held up between the clocks would see a sleep: then they are read again.
        let mut slept = Duration::ZERO;
        for _ in 0..8 {
            let before = Clock::Monotonic.now();
            let boot = Clock::Boot.now();
            let after = Clock::Monotonic.now();
            slept = boot.saturating_sub(after);
            if after - before < LEAST_SLEEP / 10 {
                break;
            }
        }
        Self { awake: Instant::now(), slept }
    }
}

/// What a sensor's readings are held against.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds<'a> {
    /// The joules after which each counter begins at zero again.
    pub(super) ranges: &'a [Option<f64>],
    /// Watts of a counter that are more than there can be.
    pub(super) most_watts: f64,
}

/// The energy so far.
#[derive(Debug, Default)]
pub(super) struct Integral {
    /// By readings.
    by_readings: f64,
    /// With what was taken since, as if the power had stayed. It never shrinks.
    joules: f64,
    /// The moment that `joules` counts to; none before the first reading.
    until: Option<Instant>,
    /// The moment that it counts from since it began; none before the first reading.
    from: Option<Instant>,
    last: Option<(Moment, Sample)>,
    problem: Option<Absent>,
    /// When it began, until there is a reading.
    since: Option<Instant>,
    caveats: u64,
    caveat: &'static str,
}

impl Integral {
    /// Takes no account of what came before `now`.
    pub(super) fn begin(&mut self, now: Instant) {
        (self.last, self.from, self.until, self.problem) = (None, None, None, None);
        self.since = Some(now);
        self.by_readings = self.joules;
    }

    /// The energy so far.
    pub(super) fn joules(&self) -> f64 {
        self.joules
    }

    /// The moment that [`Integral::joules`] counts to: that of the last reading, or to which its power was
    /// said to last. None before the first reading.
    pub(super) fn until(&self) -> Option<Instant> {
        self.until
    }

    /// Why the sensor told nothing when it was read last.
    pub(super) fn problem(&self) -> Option<&Absent> {
        self.problem.as_ref()
    }

    /// The moment that joules count from since [`Integral::begin`]; none before the first reading.
    pub(super) fn from(&self) -> Option<Instant> {
        self.from
    }

    /// How often something happened that makes the energy doubtful, and what last.
    pub(super) fn caveats(&self) -> u64 {
        self.caveats
    }

    pub(super) fn caveat(&self) -> &'static str {
        self.caveat
    }

    /// Whether there is a reading.
    pub(super) fn is_known(&self) -> bool {
        self.last.is_some()
    }

    /// Whether the last reading is so old, or there is none.
    pub(super) fn is_older_than(&self, time: Duration) -> bool {
        self.last.as_ref().is_none_or(|(at, _)| at.awake.elapsed() >= time)
    }

    /// Goes on with the power of the last reading. False if that cannot be: then it is to be read.
    pub(super) fn extend(&mut self) -> bool {
        let Some((at, Sample::Watts(watts))) = &self.last else { return false };
        let now = Instant::now();
        let seconds = now.saturating_duration_since(at.awake).as_secs_f64();
        self.tell(self.by_readings + watts * seconds, now);
        true
    }

    /// So many joules were taken until `now`. Neither goes back.
    fn tell(&mut self, joules: f64, now: Instant) {
        self.joules = self.joules.max(joules);
        self.until = self.until.max(Some(now));
    }

    /// Takes what a sensor said at a moment.
    pub(super) fn take(&mut self, now: Moment, said: Result<Sample, Absent>, bounds: Bounds<'_>) {
        match said {
            Ok(sample) => self.add(now, sample, bounds),
            Err(absent) => {
                if self.problem.replace(absent).is_none() && self.last.is_some() {
                    self.doubt("the sensor could not be read for a while");
                }
            }
        }
    }

    fn add(&mut self, now: Moment, sample: Sample, bounds: Bounds<'_>) {
        // Who began to measure meanwhile has not heard of it.
        if self.problem.take().is_some() {
            self.doubt(match self.last {
                None => "the sensor could not be read at first",
                Some(_) => "the sensor could not be read for a while",
            });
        }
        if let Some((at, before)) = self.last.take() {
            let seconds = now.awake.saturating_duration_since(at.awake).as_secs_f64();
            let slept = now.slept.saturating_sub(at.slept) >= LEAST_SLEEP;
            self.by_readings += match (&before, &sample) {
                // Neither what the machine took asleep nor whether its counters went on is known.
                _ if slept => {
                    self.doubt("the machine slept meanwhile, which is left out");
                    0.0
                }
                (Sample::Watts(before), Sample::Watts(now)) => (before + now) / 2.0 * seconds,
                (Sample::Joules(before), Sample::Joules(now)) => {
                    self.counted(before, now, bounds, seconds)
                }
                _ => {
                    self.doubt("the sensor told watts once and joules once");
                    0.0
                }
            };
        }
        let since = self.since.take();
        // A first reading of watts that was long in coming tells of the time before it.
        if let (Some(since), Sample::Watts(watts)) = (since, &sample) {
            let seconds = now.awake.saturating_duration_since(since).as_secs_f64();
            self.by_readings += watts * seconds;
        }
        let from = since.filter(|_| matches!(sample, Sample::Watts(_))).unwrap_or(now.awake);
        self.from.get_or_insert(from);
        self.tell(self.by_readings, now.awake);
        self.last = Some((now, sample));
    }

    /// What all counters counted in so many seconds.
    fn counted(&mut self, before: &[f64], now: &[f64], bounds: Bounds<'_>, seconds: f64) -> f64 {
        let Bounds { ranges, most_watts } = bounds;
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

    pub(super) fn doubt(&mut self, why: &'static str) {
        self.caveats += 1;
        self.caveat = why;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO_BOUNDS: Bounds<'_> = Bounds { ranges: &[], most_watts: MOST_WATTS };

    /// Joules of readings at seconds, and the last doubt.
    fn sum(readings: &[(f64, Sample)], range: Option<f64>) -> (f64, &'static str) {
        let mut integral = Integral::default();
        let begin = Instant::now();
        let bounds = Bounds { ranges: &[range], most_watts: MOST_WATTS };
        for (at, sample) in readings {
            let now = Moment { awake: begin + Duration::from_secs_f64(*at), slept: Duration::ZERO };
            integral.take(now, Ok(sample.clone()), bounds);
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
        assert_eq!(integral.until(), None);
        let first = Moment::now();
        integral.take(first, Ok(Sample::Watts(1000.0)), NO_BOUNDS);
        assert_eq!(integral.until(), Some(first.awake));
        std::thread::sleep(Duration::from_millis(5));
        assert!(integral.extend());
        let (told, until) = (integral.joules(), integral.until());
        assert!(told >= 5.0, "{told}");
        // One that was read before that, and is told of now.
        let early = Moment { awake: first.awake, ..Moment::now() };
        integral.take(early, Ok(Sample::Watts(0.0)), NO_BOUNDS);
        assert_eq!((integral.joules(), integral.until()), (told, until));
        integral.take(Moment::now(), Ok(Sample::Watts(0.0)), NO_BOUNDS);
        assert!(integral.joules() >= told && integral.until() > until);
        let (paused, now) = (integral.joules(), Moment::now());
        let after = |seconds| Moment { awake: now.awake + Duration::from_secs(seconds), ..now };
        integral.begin(now.awake);
        // A first reading that is late tells of the time before it.
        integral.take(after(2), Ok(Sample::Watts(1000.0)), NO_BOUNDS);
        assert_eq!(integral.joules(), paused + 2000.0);
        assert_eq!(integral.from(), Some(now.awake));
        integral.begin(after(60).awake);
        integral.take(after(60), Ok(Sample::Watts(1000.0)), NO_BOUNDS);
        assert_eq!(integral.joules(), paused + 2000.0);
        // Of a counter only what follows its first reading is known.
        integral.begin(after(70).awake);
        assert_eq!((integral.from(), integral.until()), (None, None));
        integral.take(after(72), Ok(Sample::Joules(vec![7.0])), NO_BOUNDS);
        integral.take(after(73), Ok(Sample::Joules(vec![8.0])), NO_BOUNDS);
        let ends = (integral.from(), integral.until());
        assert_eq!(ends, (Some(after(72).awake), Some(after(73).awake)));
    }

    #[test]
    fn what_a_machine_took_asleep_is_left_out() {
        let watts = |watts| Sample::Watts(watts);
        let joules = |joules| Sample::Joules(vec![joules]);
        // Seconds awake and asleep, and what was read; the joules and whether there is a doubt.
        let cases = [
            (
                vec![(0.0, 0.0, watts(5.0)), (1.0, 0.0, watts(5.0)), (2.0, 0.05, watts(5.0))],
                10.0,
                false,
            ),
            (vec![(0.0, 7.0, watts(5.0)), (1.0, 7.0, watts(5.0))], 5.0, false),
            (
                vec![(0.0, 0.0, watts(5.0)), (1.0, 3600.0, watts(5.0)), (3.0, 3600.0, watts(5.0))],
                10.0,
                true,
            ),
            // The counter went on.
            (
                vec![
                    (0.0, 0.0, joules(0.0)),
                    (1.0, 3600.0, joules(200.0)),
                    (2.0, 3600.0, joules(203.0)),
                ],
                3.0,
                true,
            ),
            // It began again, which is no turn through its range.
            (
                vec![
                    (0.0, 0.0, joules(60_000.0)),
                    (1.0, 3600.0, joules(1.0)),
                    (2.0, 3600.0, joules(4.0)),
                ],
                3.0,
                true,
            ),
        ];
        for (readings, wanted, is_doubtful) in cases {
            let mut integral = Integral::default();
            let begin = Instant::now();
            for (awake, asleep, sample) in readings.clone() {
                let now = Moment {
                    awake: begin + Duration::from_secs_f64(awake),
                    slept: Duration::from_secs_f64(asleep),
                };
                let bounds = Bounds { ranges: &[Some(60_100.0)], most_watts: MOST_WATTS };
                integral.take(now, Ok(sample), bounds);
            }
            assert_eq!(integral.joules(), wanted, "{readings:?}");
            let caveat = integral.caveat();
            assert_eq!(caveat.contains("slept"), is_doubtful, "{readings:?}: {caveat}");
        }
    }

    #[test]
    fn a_reader_that_is_held_up_sees_no_sleep() {
        let first = Moment::now();
        std::thread::sleep(2 * LEAST_SLEEP);
        let second = Moment::now();
        assert!(second.slept.saturating_sub(first.slept) < LEAST_SLEEP, "{first:?} {second:?}");
    }
}
