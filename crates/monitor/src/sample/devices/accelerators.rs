//! Accelerators, as `rushlight_host` reads them.

use std::collections::HashMap;
use std::time::Instant;

use rushlight_host::probe::accelerators::{
    Accelerator as Device, AcceleratorSample, AcceleratorSampler, Accelerators,
};
use rushlight_host::probe::nvml::{Nvml, NvmlSource};
use rushlight_host::probe::{Absent, Reading, Reason, Tree};

use super::super::rate::{rounded, shown};
use super::super::{Accelerator, Lack, reason};
use super::SEARCH;

/// What accelerators do.
#[derive(Debug, Default)]
pub(super) struct Accelerated {
    pub(super) all: Vec<Accelerator>,
    /// By the number of a process, what it uses of them: per cent of the time, and bytes.
    pub(super) uses: HashMap<u32, (Option<f64>, Option<u64>)>,
}

/// Finds them, and asks them again and again.
#[derive(Debug)]
pub(super) struct AcceleratorReader {
    tree: Tree,
    pub(super) sampler: Option<AcceleratorSampler>,
    count: u64,
}

impl AcceleratorReader {
    pub(super) fn new(tree: &Tree) -> Self {
        Self { tree: tree.clone(), sampler: None, count: 0 }
    }

    pub(super) fn read(&mut self, now: Instant) -> Accelerated {
        if self.count.is_multiple_of(SEARCH) {
            self.search();
        }
        self.count += 1;
        let mut told = Accelerated::default();
        let Some(sampler) = &mut self.sampler else { return told };
        let readings = sampler.sample(now);
        for (device, reading) in sampler.devices().iter().zip(&readings) {
            told.all.push(accelerator(device, reading));
            for process in &reading.processes {
                let (busy, memory) = told.uses.entry(process.pid).or_default();
                if let Some(more) = process.utilisation.get() {
                    *busy = Some(busy.unwrap_or(0.0) + more);
                }
                if let Some(more) = process.memory.get() {
                    *memory = Some(memory.unwrap_or(0).saturating_add(*more));
                }
            }
        }
        told
    }

    fn search(&mut self) {
        let tree = &self.tree;
        let mut found = Accelerators::read(tree);
        let is_nvidia = |device: &Device| device.driver.as_deref() == Some("nvidia");
        let has_nvidia = found.devices.iter().any(is_nvidia) || tree.exists("proc/driver/nvidia");
        let known = self.sampler.as_ref().map(|sampler| sampler.devices().len());
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
        self.sampler = Some(AcceleratorSampler::new(tree, found.devices, source));
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
