//! Accelerators, power and heat, as `rushlight_host` reads them.

use std::collections::HashMap;
use std::time::Instant;

use rushlight_host::probe::accelerators::{
    Accelerator as Device, AcceleratorSample, AcceleratorSampler, Accelerators,
};
use rushlight_host::probe::heat::Heat as Hot;
use rushlight_host::probe::hwmon::SensorKind;
use rushlight_host::probe::nvml::{Nvml, NvmlSource};
use rushlight_host::probe::power::Power as Powers;
use rushlight_host::probe::{Absent, Reading, Reason, Tree};
use rushlight_host::{Measurement, PowerMeter};

use super::rate::{percent, rounded, shown};
use super::{Accelerator, Battery, Heat, Lack, Rail, Sample, Temperature, reason};

/// Temperatures and rails, at most.
const MOST: usize = 64;
/// Samples after which new devices are looked for: some nodes come late, when a machine starts.
const SEARCH: u64 = 60;

#[derive(Debug)]
pub(super) struct DeviceState {
    accelerators: Option<AcceleratorSampler>,
    meter: Option<PowerMeter>,
    measurement: Option<Measurement>,
    /// Joules and seconds of the last sample.
    last: Option<(f64, f64)>,
    /// Why there was no temperature.
    no_heat: Option<Absent>,
    count: u64,
}

impl DeviceState {
    pub(super) fn new() -> Self {
        Self {
            accelerators: None,
            meter: None,
            measurement: None,
            last: None,
            no_heat: None,
            count: 0,
        }
    }

    pub(super) fn read(&mut self, tree: &Tree, sample: &mut Sample, now: Instant) {
        if self.count.is_multiple_of(SEARCH) {
            self.search(tree);
        }
        self.accelerators(sample, now);
        self.power(sample);
        // Each sensor answers by itself, some slowly, and warmth is slow too: they take turns.
        match self.count % 2 {
            0 => self.no_heat = heat(tree, sample),
            _ => supplies(tree, sample),
        }
        if self.count == 0 {
            supplies(tree, sample);
        }
        if let Some(absent) = &self.no_heat {
            sample.lacks("heat", absent);
        }
        self.count += 1;
    }

    fn search(&mut self, tree: &Tree) {
        let mut found = Accelerators::read(tree);
        let is_nvidia = |device: &Device| device.driver.as_deref() == Some("nvidia");
        let has_nvidia = found.devices.iter().any(is_nvidia) || tree.exists("proc/driver/nvidia");
        let known = self.accelerators.as_ref().map(|sampler| sampler.devices().len());
        if known.is_some_and(|known| known >= found.devices.len()) {
            return;
        }
        let source = match has_nvidia.then(|| Nvml::of(tree)) {
            Some(Ok(mut nvml)) => {
                if let Ok(report) = nvml.report() {
                    found.add_nvml(&report);
                }
                NvmlSource::Asked(nvml)
            }
            Some(Err(absent)) => NvmlSource::Absent(absent),
            None => {
                let detail = "no NVIDIA driver".to_owned();
                NvmlSource::Absent(Absent { reason: Reason::NotFound, detail })
            }
        };
        self.accelerators = Some(AcceleratorSampler::new(tree, found.devices, source));
        let meter = PowerMeter::open(tree);
        self.measurement = meter.start();
        self.meter = Some(meter);
        self.last = None;
    }

    fn accelerators(&mut self, sample: &mut Sample, now: Instant) {
        sample.accelerators.clear();
        let Some(sampler) = &mut self.accelerators else { return };
        let readings = sampler.sample(now);
        let mut uses: HashMap<u32, (Option<f64>, Option<u64>)> = HashMap::new();
        for (device, reading) in sampler.devices().iter().zip(&readings) {
            sample.accelerators.push(accelerator(device, reading));
            for process in &reading.processes {
                let (busy, memory) = uses.entry(process.pid).or_default();
                if let Some(more) = process.utilisation.get() {
                    *busy = Some(busy.unwrap_or(0.0) + more);
                }
                if let Some(more) = process.memory.get() {
                    *memory = Some(memory.unwrap_or(0).saturating_add(*more));
                }
            }
        }
        for process in &mut sample.processes {
            let (busy, memory) = uses.get(&process.pid).copied().unwrap_or_default();
            process.gpu_percent = busy.map(|busy| percent(busy, 100.0));
            process.gpu_memory_bytes = memory;
        }
        if readings.is_empty() {
            let detail = "no GPU, NPU or TPU".to_owned();
            sample.lacks("accelerators", &Absent { reason: Reason::NotFound, detail });
        }
    }

    fn power(&mut self, sample: &mut Sample) {
        let power = &mut sample.power;
        (power.watts, power.source, power.is_estimated, power.joules) = (None, None, false, None);
        let Some(meter) = &self.meter else { return };
        let absent = match (meter.source(), &self.measurement) {
            (Ok(source), Some(measurement)) => {
                power.source = Some(format!("{}, {}", source.name, source.covers.name()));
                power.is_estimated = source.estimated;
                match measurement.energy() {
                    Ok(energy) => {
                        let now = (energy.joules, energy.seconds);
                        let (joules, seconds) = self.last.replace(now).unwrap_or((0.0, 0.0));
                        let seconds = energy.seconds - seconds;
                        // What was measured for a moment only is no mean.
                        power.watts = (seconds > 0.05)
                            .then(|| rounded((energy.joules - joules) / seconds, 1e3) as f32);
                        power.joules = Some(energy.joules);
                        return;
                    }
                    Err(absent) => absent,
                }
            }
            (Err(absent), _) => absent.clone(),
            (Ok(_), None) => return,
        };
        sample.lacks("power", &absent);
    }
}

fn accelerator(device: &Device, reading: &AcceleratorSample) -> Accelerator {
    let mut absent = Vec::new();
    let name = match device.name.as_str() {
        "" => &device.vendor,
        name => name,
    };
    // Of those that share the machine's memory that is told which they take.
    let shared = device.shares_memory == Some(true) && reading.memory_used.get().is_none();
    let (used, total) = match shared {
        true => (&reading.shared_used, &reading.shared_total),
        false => (&reading.memory_used, &reading.memory_total),
    };
    Accelerator {
        kind: device.kind.name().to_lowercase(),
        name: shown(name, 64),
        busy_percent: float(&reading.utilisation, "busy", &mut absent),
        memory_used_bytes: integer(used, "memory", &mut absent),
        memory_total_bytes: total.get().copied(),
        watts: float(&reading.power, "power", &mut absent),
        celsius: float(&reading.temperature, "heat", &mut absent),
        frequency_hz: integer(&reading.frequency, "frequency", &mut absent),
        throttled_by: None,
        absent,
    }
}

fn float(reading: &Reading<f64>, what: &str, absent: &mut Vec<Lack>) -> Option<f32> {
    note(reading, what, absent);
    reading.get().filter(|value| value.is_finite()).map(|value| rounded(*value, 1e3) as f32)
}

fn integer(reading: &Reading<u64>, what: &str, absent: &mut Vec<Lack>) -> Option<u64> {
    note(reading, what, absent);
    reading.get().copied()
}

fn note<T>(reading: &Reading<T>, what: &str, absent: &mut Vec<Lack>) {
    if let Err(why) = &reading.value {
        let (what, reason) = (what.to_owned(), reason(why.reason));
        absent.push(Lack { what, reason, detail: shown(&why.detail, 200) });
    }
}

/// Reads it, and says why there is no temperature, if there is none.
fn heat(tree: &Tree, sample: &mut Sample) -> Option<Absent> {
    let read = Hot::read(tree);
    let summary = &read.summary;
    let temperature = |name: &str, reading: &Reading<f64>| {
        let celsius = rounded(*reading.get()?, 1e3) as f32;
        Some(Temperature { name: shown(name, 64), celsius })
    };
    let name = summary.hottest_name.as_deref().unwrap_or_default();
    let nearest = summary.nearest.as_ref();
    let zones = read.zones.iter().filter_map(|zone| temperature(zone.name(), &zone.temperature));
    let chips = read.chips.iter().flat_map(|chip| {
        let of = chip.name.get().cloned().unwrap_or_default();
        chip.of(SensorKind::Temperature).filter_map(move |sensor| {
            let name = match &sensor.label {
                Some(label) => format!("{of} {label}"),
                None => of.clone(),
            };
            temperature(&name, &sensor.reading)
        })
    });
    let fans = read.chips.iter().flat_map(|chip| chip.of(SensorKind::Fan));
    // Turns per minute are no more than a fan can do.
    let fans = fans.filter_map(|fan| Some(fan.reading.get()?.clamp(0.0, 1e6) as u32));
    sample.heat = Heat {
        hottest: temperature(name, &summary.hottest),
        left_celsius: nearest.map(|nearest| rounded(nearest.left, 1e3) as f32),
        limit: nearest.map(|nearest| nearest.kind.name().to_owned()),
        is_throttled: summary.throttling.get().copied(),
        because: summary.because.iter().map(|why| shown(why, 100)).collect(),
        temperatures: zones.chain(chips).take(MOST).collect(),
        fans_rpm: fans.take(MOST).collect(),
    };
    summary.hottest.value.as_ref().err().cloned()
}

fn supplies(tree: &Tree, sample: &mut Sample) {
    let read = Powers::read(tree);
    let rails = read.rails.iter().filter_map(|rail| {
        let name = rail.label.as_deref().unwrap_or(&rail.chip);
        Some(Rail { name: shown(name, 64), watts: rounded(*rail.power.get()?, 1e3) as f32 })
    });
    sample.power.rails = rails.take(MOST).collect();
    let is_battery = |kind: &str| kind == "Battery";
    let battery = read.supplies.iter().find(|supply| {
        !supply.of_something_else && supply.kind.get().is_some_and(|kind| is_battery(kind))
    });
    sample.power.battery = battery.map(|battery| Battery {
        charge_percent: battery.capacity.get().map(|percent| *percent as f32),
        status: battery
            .status
            .get()
            .map(|status| shown(&status.to_lowercase(), 32))
            .unwrap_or_default(),
    });
}

#[cfg(test)]
mod tests;
