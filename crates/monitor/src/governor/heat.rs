//! From a temperature to a budget.
//!
//! A proportional-integral controller on the temperature that the slope foretells. The proportional
//! part sees a burst coming; the integral finds the power that the device can shed for good, which
//! depends on the air around it and is unknown. It stands still while the budget is at an end of
//! its range, while there is little to do, and close to the target: so it does not wind up, and does
//! not hunt between two settings that are next to each other.

use std::collections::VecDeque;
use std::time::Duration;

/// How far below the limit the target is, in °C: noise and steps of a sensor are up to about 1 °C.
const MARGIN: f64 = 1.5;
/// How far below the kernel's own trip point the limit is, in °C.
const BELOW_TRIP: f64 = 1.0;
/// How far ahead the temperature is foretold, in seconds: about as long as the chip takes to follow a
/// change of power.
const HORIZON: f64 = 5.0;
/// Share of full power for each °C.
const PROPORTIONAL: f64 = 0.12;
/// Share of full power for each °C in each second.
const INTEGRAL: f64 = 0.0012;
/// °C around the target within which the integral stands still.
const NEAR: f64 = 0.5;
/// Seconds over which the temperature is averaged.
const SMOOTH: f64 = 2.0;
/// How far back the slope looks.
const WINDOW: Duration = Duration::from_secs(8);
/// However often somebody asks.
const MOST_SAMPLES: usize = 64;

/// What is known of the temperature.
#[derive(Clone, Debug)]
pub(super) struct Heat {
    samples: VecDeque<(Duration, f64)>,
    smooth: Option<f64>,
    integral: f64,
}

/// What the temperature allows.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Allowed {
    /// A share of full power.
    pub(super) share: f64,
    /// The limit that holds, in °C.
    pub(super) limit: f64,
    /// °C now, smoothed.
    pub(super) celsius: f64,
    /// °C per second.
    pub(super) slope: f64,
}

impl Heat {
    pub(super) fn new() -> Self {
        // Half: what a device sheds for good is a good deal of full power, or it needs no governor.
        Self { samples: VecDeque::new(), smooth: None, integral: 0.5 }
    }

    /// Forgets the past, which was too long ago.
    pub(super) fn forget(&mut self) {
        self.samples.clear();
        self.smooth = None;
    }

    /// What `celsius` allows under `limit`, with the kernel slowing at `trip`. `seconds` is since the
    /// last step, `busy` as in [`Load`](super::Load).
    pub(super) fn allow(
        &mut self,
        now: Duration,
        seconds: f64,
        celsius: f64,
        (limit, trip): (f64, Option<f64>),
        busy: f64,
    ) -> Allowed {
        // A trip point far below is that of a fan, or of another sensor.
        let trip = trip.filter(|trip| trip.is_finite() && *trip > limit - 15.0);
        let limit = trip.map_or(limit, |trip| limit.min(trip - BELOW_TRIP));
        let smooth = match self.smooth {
            Some(smooth) => smooth + (celsius - smooth) * (seconds / (seconds + SMOOTH)),
            None => celsius,
        };
        self.smooth = Some(smooth);
        if self.samples.back().is_some_and(|(at, _)| now <= *at) {
            // A clock that went back tells no slope.
            self.samples.clear();
        }
        self.samples.push_back((now, celsius));
        let is_old = |at: Duration| now.saturating_sub(at) > WINDOW;
        while self.samples.len() > MOST_SAMPLES
            || self.samples.front().is_some_and(|(at, _)| is_old(*at))
        {
            self.samples.pop_front();
        }
        let slope = slope(&self.samples);
        let error = limit - MARGIN - (smooth + slope * HORIZON);
        let wanted = self.integral + PROPORTIONAL * error;
        let winds_up = (wanted >= 1.0 && error > 0.0) || (wanted <= 0.0 && error < 0.0);
        if busy > 0.5 && !winds_up && error.abs() > NEAR {
            self.integral = (self.integral + INTEGRAL * error * seconds).clamp(0.0, 1.0);
        }
        let share = (self.integral + PROPORTIONAL * error).clamp(0.0, 1.0);
        Allowed { share, limit, celsius: smooth, slope }
    }
}

/// The slope of the least-squares line, in units per second.
fn slope(samples: &VecDeque<(Duration, f64)>) -> f64 {
    // Fewer tell more of noise than of the way.
    if samples.len() < 4 {
        return 0.0;
    }
    let n = samples.len() as f64;
    let first = samples[0].0;
    let time = |at: Duration| at.saturating_sub(first).as_secs_f64();
    let mean_time = samples.iter().map(|(at, _)| time(*at)).sum::<f64>() / n;
    let mean = samples.iter().map(|(_, value)| value).sum::<f64>() / n;
    let (mut both, mut square) = (0.0, 0.0);
    for (at, value) in samples {
        let apart = time(*at) - mean_time;
        both += apart * (value - mean);
        square += apart * apart;
    }
    if square > 0.0 { both / square } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(heat: &mut Heat, celsius: impl Fn(u64) -> f64, seconds: u64, busy: f64) -> Allowed {
        let mut last = None;
        for n in 0..seconds {
            last = Some(heat.allow(Duration::from_secs(n), 1.0, celsius(n), (75.0, None), busy));
        }
        last.unwrap()
    }

    #[test]
    fn a_cool_device_may_do_all_and_a_hot_one_nothing() {
        assert_eq!(run(&mut Heat::new(), |_| 40.0, 20, 1.0).share, 1.0);
        assert_eq!(run(&mut Heat::new(), |_| 95.0, 20, 1.0).share, 0.0);
    }

    #[test]
    fn what_rises_is_slowed_before_it_is_there() {
        let level = run(&mut Heat::new(), |_| 70.0, 20, 1.0);
        let rising = run(&mut Heat::new(), |n| 51.0 + n as f64, 20, 1.0);
        assert!((rising.slope - 1.0).abs() < 1e-9, "{rising:?}");
        assert!(rising.share < level.share - 0.2, "{rising:?} {level:?}");
    }

    #[test]
    fn nothing_winds_up_however_long_it_lasts() {
        let mut heat = Heat::new();
        run(&mut heat, |_| 40.0, 100_000, 1.0);
        assert_eq!(heat.integral, 0.5);
        // A long idle time does not raise what is allowed afterwards.
        let mut idle = Heat::new();
        run(&mut idle, |_| 72.0, 100_000, 0.0);
        assert_eq!(idle.integral, 0.5);
        run(&mut heat, |_| 95.0, 100_000, 1.0);
        assert!((heat.integral - 0.5).abs() < 0.02, "{}", heat.integral);
        heat.forget();
        assert!(run(&mut heat, |_| 40.0, 20, 1.0).share > 0.99);
    }

    #[test]
    fn the_kernels_trip_point_counts_where_it_is_lower() {
        let mut heat = Heat::new();
        let limit =
            |heat: &mut Heat, trip| heat.allow(Duration::ZERO, 1.0, 60.0, (85.0, trip), 1.0).limit;
        for (trip, want) in [
            (None, 85.0),
            (Some(80.0), 79.0),
            (Some(95.0), 85.0),
            (Some(40.0), 85.0),
            (Some(f64::NAN), 85.0),
        ] {
            assert_eq!(limit(&mut heat, trip), want, "{trip:?}");
        }
    }
}
