//! Accelerators, power and heat. Drivers may hang, so that they are asked on threads of their own: one
//! asks accelerators, one sensors.

mod accelerators;
mod sensors;

use std::time::{Duration, Instant};

use rushlight_host::probe::{Absent, Reason, Tree};

use super::rate::percent;
use super::watched::Watched;
use super::{Lack, Sample};
use accelerators::{Accelerated, AcceleratorReader};
use sensors::{Sensed, SensorReader};

/// Samples after which new devices are looked for: some nodes come late, when a machine starts.
const SEARCH: u64 = 60;

#[derive(Debug)]
pub(super) struct DeviceState {
    accelerators: Result<Watched<Accelerated>, Absent>,
    sensors: Result<Watched<Sensed>, Absent>,
}

impl DeviceState {
    pub(super) fn new(tree: &Tree) -> Self {
        let (mut accelerators, mut sensors) =
            (AcceleratorReader::new(tree), SensorReader::new(tree));
        Self {
            accelerators: Watched::start("accelerators", move |now| accelerators.read(now)),
            sensors: Watched::start("sensors", move |_| sensors.read()),
        }
    }

    /// Reads what there is. `seconds` is the time since the last sample.
    pub(super) fn read(&mut self, sample: &mut Sample, now: Instant, seconds: f64) {
        match &mut self.accelerators {
            Ok(watched) => {
                watched.ask(now);
                let silent = silence(watched, now, seconds);
                accelerators(sample, watched.latest(), silent.is_some());
                if let Some(detail) = silent {
                    stale(sample, "accelerators", detail);
                    for process in &mut sample.processes {
                        // Another one may have got its number.
                        (process.gpu_percent, process.gpu_memory_bytes) = (None, None);
                    }
                }
            }
            Err(absent) => sample.lacks("accelerators", absent),
        }
        match &mut self.sensors {
            Ok(watched) => {
                watched.ask(now);
                let silent = silence(watched, now, seconds);
                if let Some(sensed) = watched.latest() {
                    sample.power.clone_from(&sensed.power);
                    sample.heat.clone_from(&sensed.heat);
                    let lacks = [("power", &sensed.no_power), ("heat", &sensed.no_heat)];
                    for (what, absent) in lacks {
                        // That it is silent says more.
                        if let Some(absent) = absent.as_ref().filter(|_| silent.is_none()) {
                            sample.lacks(what, absent);
                        }
                    }
                }
                if let Some(detail) = silent {
                    stale(sample, "power", detail.clone());
                    stale(sample, "heat", detail);
                }
            }
            Err(absent) => {
                sample.lacks("power", absent);
                sample.lacks("heat", absent);
            }
        }
    }

    /// Waits for answers that are due, at most so long for all.
    pub(super) fn settle(&mut self, patience: Duration) {
        let end = Instant::now() + patience;
        if let Ok(watched) = &mut self.accelerators {
            watched.take(patience);
        }
        if let Ok(watched) = &mut self.sensors {
            watched.take(end.saturating_duration_since(Instant::now()));
        }
    }
}

/// What is said of a device that is silent for too long, or that never said anything.
fn silence<T: Send + 'static>(watched: &Watched<T>, now: Instant, seconds: f64) -> Option<String> {
    match watched.silent_for(now, seconds) {
        Some(silent) => Some(format!("no answer for {} s", silent.as_secs())),
        None if watched.latest().is_none() => Some("no answer yet".to_owned()),
        None => None,
    }
}

fn stale(sample: &mut Sample, what: &str, detail: String) {
    let (what, reason) = (what.to_owned(), Sample::STALE.to_owned());
    sample.absent.push(Lack { what, reason, detail });
}

fn accelerators(sample: &mut Sample, told: Option<&Accelerated>, is_silent: bool) {
    sample.accelerators.clear();
    let Some(told) = told else { return };
    sample.accelerators.extend_from_slice(&told.all);
    for process in &mut sample.processes {
        let (busy, memory) = told.uses.get(&process.pid).copied().unwrap_or_default();
        process.gpu_percent = busy.map(|busy| percent(busy, 100.0));
        process.gpu_memory_bytes = memory;
    }
    // That it is silent says more.
    if told.all.is_empty() && !is_silent {
        let detail = "no GPU, NPU or TPU".to_owned();
        sample.lacks("accelerators", &Absent { reason: Reason::NotFound, detail });
    }
}

#[cfg(test)]
mod tests;
