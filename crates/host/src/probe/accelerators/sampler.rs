//! What accelerators do at a moment, again and again.

use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use serde::Serialize;

use super::fdinfo::{Clients, Engine, Held};
use super::meters::{Counter, Load, MOST_WATTS, Meters};
use super::uses::{Use, name_of, of_clients, processes, share};
use super::{Accelerator, driver};
use crate::probe::nvml::{NvmlGpu, NvmlSource};
use crate::probe::{Absent, Reading, Reason, Tree, Unit};

/// Reads what accelerators do. It keeps what was read before, since much of it is counters: a rate
/// is that since the last sample, and the first sample has none.
///
/// One sample a second is often enough, and more than one may slow the device down (Intel's NPU).
#[derive(Debug)]
pub struct AcceleratorSampler {
    tree: Tree,
    devices: Vec<Accelerator>,
    nvml: NvmlSource,
    clients: Clients,
    before: Before,
}

/// What counters said at the last sample.
#[derive(Debug, Default)]
struct Before {
    /// Device and name of the counter → its value and the clock that it goes by, in seconds.
    counters: HashMap<(usize, String), (f64, f64)>,
    /// Device and client → its engines, and when.
    engines: HashMap<(String, u64), (BTreeMap<String, Engine>, Instant)>,
    start: Option<Instant>,
}

/// What an accelerator does at a moment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AcceleratorSample {
    /// Per cent of the time in which it worked, of its busiest engine where it has several.
    pub utilisation: Reading<f64>,
    /// Bytes of its own memory that are taken.
    pub memory_used: Reading<u64>,
    /// Bytes of its own memory.
    pub memory_total: Reading<u64>,
    /// Bytes of the machine's memory that are taken for it.
    pub shared_used: Reading<u64>,
    /// Bytes of the machine's memory that it may take.
    pub shared_total: Reading<u64>,
    /// Hertz now; 0 while it sleeps.
    pub frequency: Reading<u64>,
    /// Hertz at most.
    pub frequency_max: Reading<u64>,
    /// Degrees Celsius.
    pub temperature: Reading<f64>,
    /// Watts, told or by the difference of `energy`.
    pub power: Reading<f64>,
    /// Joules since some start: a counter, for differences.
    pub energy: Reading<f64>,
    /// The processes that use it, as far as this user may see them.
    pub processes: Vec<ProcessUse>,
}

/// What a process uses of an accelerator.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProcessUse {
    /// Its number.
    pub pid: u32,
    /// Its name, as the kernel has it.
    pub name: String,
    /// Per cent of the time in which the busiest engine worked for it.
    pub utilisation: Reading<f64>,
    /// Bytes of memory that are held for it.
    pub memory: Reading<u64>,
}

impl AcceleratorSampler {
    /// A sampler of `devices`, which are of the machine that `tree` is of.
    pub fn new(tree: &Tree, devices: Vec<Accelerator>, nvml: NvmlSource) -> Self {
        let (clients, before) = (Clients::default(), Before::default());
        Self { tree: tree.clone(), devices, nvml, clients, before }
    }

    /// The accelerators, in the order of the samples.
    pub fn devices(&self) -> &[Accelerator] {
        &self.devices
    }

    /// What each accelerator does at `now`.
    pub fn sample(&mut self, now: Instant) -> Vec<AcceleratorSample> {
        if self.devices.is_empty() {
            return Vec::new();
        }
        let has_nvidia = self.devices.iter().any(is_asked_by_nvml);
        let report =
            if has_nvidia { self.nvml.report().map(|report| report.gpus) } else { Ok(Vec::new()) };
        let uses = self.uses(now);
        let start = *self.before.start.get_or_insert(now);
        let seconds = now.duration_since(start).as_secs_f64();
        let mut samples = Vec::with_capacity(self.devices.len());
        for (index, device) in self.devices.iter().enumerate() {
            let meters = Meters::read(&self.tree, device);
            let is_its = |path: &str| device.nodes.iter().any(|node| node.path == path);
            let uses: Vec<&Use> = uses.iter().filter(|held| is_its(&held.node)).collect();
            let is_silent = self.clients.silent.iter().any(|node| is_its(node));
            let sees = self.clients.sees;
            let mut sample =
                self.before.sample(index, seconds, meters, || of_clients(&uses, sees, is_silent));
            sample.processes = processes(&self.tree, &uses);
            if is_asked_by_nvml(device) {
                match &report {
                    Ok(gpus) => {
                        if let Some(gpu) = of_nvml(device, gpus) {
                            sample.add_nvml(&self.tree, gpu);
                        }
                    }
                    Err(absent) => sample.add_absence(absent),
                }
            }
            samples.push(sample);
        }
        samples
    }

    /// What each client used since the last sample.
    fn uses(&mut self, now: Instant) -> Vec<Use> {
        let has_nodes = |device: &Accelerator| device.nodes.iter().any(|node| is_drm(&node.path));
        if !self.devices.iter().any(has_nodes) {
            return Vec::new();
        }
        let mut next = HashMap::new();
        let held = self.clients.read(&self.tree, now);
        let uses = held.into_iter().map(|Held { pid, node, client }| {
            let key = client.key(&node);
            let before = self.before.engines.get(&key);
            let mut engines = client.engines;
            let busy = before.map(|(old, then)| {
                let seconds = now.duration_since(*then).as_secs_f64();
                let engines = engines.iter_mut();
                engines
                    .filter_map(|(name, engine)| {
                        Some((name.clone(), share(old.get(name)?, engine, seconds)?))
                    })
                    .collect::<BTreeMap<String, f64>>()
            });
            next.insert(key, (engines, now));
            Use { pid, node, busy, memory_bytes: client.memory_bytes }
        });
        let uses = uses.collect();
        self.before.engines = next;
        uses
    }
}

impl Before {
    fn sample(
        &mut self,
        index: usize,
        seconds: f64,
        meters: Meters,
        of_clients: impl FnOnce() -> Reading<f64>,
    ) -> AcceleratorSample {
        let utilisation = match meters.load {
            Load::Told(reading) => reading,
            Load::Counted(counters, source) => self.busiest(index, seconds, &counters, source),
            Load::OfClients => of_clients(),
        };
        let (mut power, energy) = (meters.power, meters.energy);
        if power.get().is_none()
            && let Some(joules) = energy.get()
        {
            let counter = Counter { name: "energy".to_owned(), busy: *joules, at: None };
            power = match self.rate(index, seconds, &counter) {
                Some(watts) if watts > MOST_WATTS => {
                    let detail = format!("`{watts:.0}` W cannot be");
                    Reading::absent(Reason::Damaged, detail, Unit::Watts, &energy.source)
                }
                Some(watts) if watts >= 0.0 => Reading::new(watts, Unit::Watts, &energy.source),
                Some(_) => Reading::absent(Reason::Damaged, WENT_BACK, Unit::Watts, &energy.source),
                None => Reading::absent(Reason::NotFound, FIRST, Unit::Watts, &energy.source),
            };
        }
        AcceleratorSample {
            utilisation,
            memory_used: meters.memory_used,
            memory_total: meters.memory_total,
            shared_used: meters.shared_used,
            shared_total: meters.shared_total,
            frequency: meters.frequency,
            frequency_max: meters.frequency_max,
            temperature: meters.temperature,
            power,
            energy,
            processes: Vec::new(),
        }
    }

    fn busiest(
        &mut self,
        index: usize,
        seconds: f64,
        counters: &[Counter],
        source: String,
    ) -> Reading<f64> {
        let rates = counters.iter().map(|counter| self.rate(index, seconds, counter));
        // All are asked, so that each is kept for the next sample.
        let rates: Vec<f64> = rates.collect::<Vec<_>>().into_iter().flatten().collect();
        match rates.iter().copied().reduce(f64::max) {
            None => Reading::absent(Reason::NotFound, FIRST, Unit::Percent, source),
            Some(rate) if rate < 0.0 => {
                Reading::absent(Reason::Damaged, WENT_BACK, Unit::Percent, source)
            }
            Some(rate) => Reading::new((rate * 100.0).min(100.0), Unit::Percent, source),
        }
    }

    /// How much a counter grew in a second since the last sample; `None` the first time.
    fn rate(&mut self, index: usize, seconds: f64, counter: &Counter) -> Option<f64> {
        let at = counter.at.unwrap_or(seconds);
        let key = (index, counter.name.clone());
        let (busy, then) = self.counters.insert(key, (counter.busy, at))?;
        (at > then).then(|| (counter.busy - busy) / (at - then))
    }
}

pub(super) const FIRST: &str = "a rate takes two samples, and this is the first";
const WENT_BACK: &str = "the counter went back: the driver has started anew";
/// Whether NVML knows the device: one of NVIDIA's with NVIDIA's own driver.
fn is_asked_by_nvml(device: &Accelerator) -> bool {
    let driver = device.driver.as_deref().and_then(driver::driver);
    driver.is_some_and(|driver| driver.vendor == driver::NVIDIA && driver.remark.is_none())
}

fn is_drm(path: &str) -> bool {
    path.starts_with("/dev/dri/") || path.starts_with("/dev/accel/")
}

/// The GPU that NVML means: at the same address, or the only one where it tells none.
fn of_nvml<'a>(device: &Accelerator, gpus: &'a [NvmlGpu]) -> Option<&'a NvmlGpu> {
    let same = gpus.iter().find(|gpu| gpu.address.get() == device.address.as_ref());
    same.or_else(|| match gpus {
        [only] if only.address.get().is_none() => Some(only),
        _ => None,
    })
}

/// Whether another source may still tell: the files neither have a value nor one that makes no sense.
fn is_open<T>(reading: &Reading<T>) -> bool {
    let reason = reading.value.as_ref().err().map(|absent| absent.reason);
    reason.is_some_and(|reason| !matches!(reason, Reason::Damaged | Reason::Permission))
}

impl AcceleratorSample {
    /// Takes what NVML says where the files say nothing.
    fn add_nvml(&mut self, tree: &Tree, gpu: &NvmlGpu) {
        fn take<T: Clone>(mine: &mut Reading<T>, told: &Reading<T>) {
            if is_open(mine) {
                *mine = told.clone();
            }
        }
        take(&mut self.utilisation, &gpu.utilisation);
        take(&mut self.memory_used, &gpu.memory_used);
        take(&mut self.memory_total, &gpu.memory_total);
        take(&mut self.frequency, &gpu.frequency);
        take(&mut self.frequency_max, &gpu.frequency_max);
        take(&mut self.temperature, &gpu.temperature);
        take(&mut self.power, &gpu.power);
        take(&mut self.energy, &gpu.energy);
        for process in gpu.processes.get().into_iter().flatten() {
            if self.processes.iter().any(|known| known.pid == process.pid) {
                continue;
            }
            let utilisation = Reading::absent(
                Reason::Unsupported,
                "NVML tells it for the whole GPU only",
                Unit::Percent,
                &gpu.processes.source,
            );
            let (pid, memory) = (process.pid, process.memory.clone());
            self.processes.push(ProcessUse { pid, name: name_of(tree, pid), utilisation, memory });
        }
    }

    /// Says why NVML says nothing, where the files say nothing.
    fn add_absence(&mut self, absent: &Absent) {
        fn put<T>(mine: &mut Reading<T>, absent: &Absent) {
            if is_open(mine) {
                mine.value = Err(absent.clone());
                mine.source = "NVML".to_owned();
            }
        }
        put(&mut self.utilisation, absent);
        put(&mut self.memory_used, absent);
        put(&mut self.memory_total, absent);
        put(&mut self.frequency, absent);
        put(&mut self.frequency_max, absent);
        put(&mut self.temperature, absent);
        put(&mut self.power, absent);
        put(&mut self.energy, absent);
    }
}
