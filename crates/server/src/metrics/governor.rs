//! What is told of a governor. Without one there is nothing in these.

use std::sync::atomic::Ordering;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::{Float, Labels};
use crate::throttle::Throttle;

/// What is told of a governor.
#[derive(Debug, Default)]
pub(super) struct GovernorMetrics {
    step: Family<Labels<1>, Gauge>,
    steps: Family<Labels<1>, Counter>,
    faults: Family<Labels<0>, Gauge>,
    limit: Family<Labels<1>, Float>,
    reading: Family<Labels<1>, Float>,
}

impl GovernorMetrics {
    pub(super) fn register(&self, all: &mut Registry) {
        let step = "The step of the governor's ladder, 0 at full speed, by its kind";
        all.register("governor_step", step, self.step.clone());
        all.register("governor_steps", "Steps of the governor, by their way", self.steps.clone());
        let faults = "Sensors of a limit that are not believed";
        all.register("governor_sensor_faults", faults, self.faults.clone());
        let limit = "Limits that were asked for, in watts and °C";
        all.register("governor_limit", limit, self.limit.clone());
        let reading = "What the sensors of the limits said last, in watts and °C";
        all.register("governor_reading", reading, self.reading.clone());
    }

    pub(super) fn set(&self, throttle: &Throttle) {
        let (governed, moves) = throttle.governed();
        // There is one rung at a time.
        self.step.clear();
        self.step.get_or_create(&[("rung", governed.rung.to_owned())]).set(governed.step as i64);
        for (way, count) in ["slower", "faster"].into_iter().zip(moves) {
            let counter = self.steps.get_or_create(&[("way", way.to_owned())]);
            counter.inner().store(count, Ordering::Relaxed);
        }
        self.faults.get_or_create(&[]).set(governed.faults.len() as i64);
        let set = |family: &Family<Labels<1>, Float>, of: &str, value: Option<f64>| {
            let labels = [("of", of.to_owned())];
            match value {
                Some(value) => {
                    family.get_or_create(&labels).set(value);
                }
                None => {
                    family.remove(&labels);
                }
            }
        };
        set(&self.limit, "watts", governed.limit_watts);
        set(&self.limit, "celsius", governed.limit_celsius);
        set(&self.reading, "watts", governed.watts);
        set(&self.reading, "celsius", governed.celsius);
    }
}
