//! What a machine and the models on it did in one interval.
//!
//! A [`Sampler`] keeps what it read last, so that counters become rates. What cannot be read is
//! absent, and [`Sample::absent`] says why in words.

mod cpu;
mod data;
mod devices;
mod disk;
mod files;
mod memory;
mod mounts;
mod network;
mod process;
mod rate;
mod watched;

use std::time::{Duration, Instant, SystemTime};

use rushlight_host::probe::{Absent, Reason, Tree};

pub use data::{
    Accelerator, Battery, Core, Cpu, Disk, Filesystem, Heat, Host, Lack, Limit, Load, Memory,
    Model, Network, Own, Power, Pressure, Process, Rail, Sample, Served, Stall, Stalls, Tasks,
    Temperature, Zram,
};
use files::Files;
pub(crate) use process::start_ticks;
pub(crate) use rate::shown;

/// Samples after which what seldom changes is read again.
const SELDOM: u64 = 10;

/// What is told of a server, by whoever asks it.
pub type ServedNow = Result<Served, Absent>;

/// Reads a machine, once for each sample.
#[derive(Debug)]
pub struct Sampler {
    files: Files,
    cpu: cpu::CpuState,
    memory: memory::MemoryState,
    disks: disk::DiskState,
    networks: network::NetworkState,
    processes: process::ProcessState,
    devices: devices::DeviceState,
    last: Option<Instant>,
    count: u64,
    sample: Sample,
}

impl Sampler {
    /// One of the machine that `tree` describes. The rates of its first sample are zero.
    pub fn new(tree: Tree) -> Self {
        let mut files = Files::new(tree);
        let sample = Sample { host: host(&mut files), ..Sample::default() };
        Self {
            cpu: cpu::CpuState::new(&files),
            memory: memory::MemoryState::default(),
            disks: disk::DiskState::default(),
            networks: network::NetworkState::default(),
            processes: process::ProcessState::default(),
            devices: devices::DeviceState::new(files.tree()),
            last: None,
            count: 0,
            files,
            sample,
        }
    }

    /// Reads everything. `now` and `wall` are the time by both clocks; `served` is what a server last
    /// said of itself, if one is watched.
    pub fn sample(&mut self, now: Instant, wall: SystemTime, served: Option<ServedNow>) -> &Sample {
        let seconds = self.last.map_or(0.0, |last| now.duration_since(last).as_secs_f64());
        self.last = Some(now);
        let seldom = self.count.is_multiple_of(SELDOM);
        self.count += 1;
        let (files, sample) = (&mut self.files, &mut self.sample);
        let since = wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        sample.time_unix_ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        sample.interval_seconds = rate::rounded(seconds, 1e6);
        sample.absent.clear();
        uptime(files, &mut sample.host);
        self.cpu.read(files, sample, seldom);
        self.memory.read(files, sample, seconds, seldom);
        self.disks.read(files, sample, seconds, seldom);
        self.networks.read(files, sample, seconds);
        if seldom {
            mounts::read(files, sample);
        }
        self.processes.read(files, sample, seconds);
        self.devices.read(sample, now, seconds);
        sample.served = match served {
            Some(Ok(served)) => Some(served),
            Some(Err(absent)) => {
                sample.lacks("served", &absent);
                None
            }
            None => None,
        };
        &self.sample
    }

    /// Waits for devices that are slow to answer, but not longer than `patience`; the next sample has
    /// what they say.
    pub fn settle(&mut self, patience: Duration) {
        self.devices.settle(patience);
    }

    /// The last sample.
    pub fn last(&self) -> &Sample {
        &self.sample
    }
}

impl Sample {
    /// Notes why `what` is absent.
    pub(crate) fn lacks(&mut self, what: &str, why: &Absent) {
        let lack =
            Lack { what: what.to_owned(), reason: reason(why.reason), detail: why.detail.clone() };
        self.absent.push(lack);
    }

    /// Why what is said of `what` is old, if it is: the device that says it does not answer.
    pub fn stale(&self, what: &str) -> Option<&Lack> {
        self.lack(what).filter(|lack| lack.reason == Self::STALE)
    }

    /// Why `what` is absent, if it is.
    pub fn lack(&self, what: &str) -> Option<&Lack> {
        self.absent.iter().find(|lack| lack.what == what)
    }
}

/// The word of JSON for a reason.
fn reason(reason: Reason) -> String {
    let word = match reason {
        Reason::Permission => "permission",
        Reason::Driver => "driver",
        Reason::Unsupported => "unsupported",
        Reason::Damaged => "damaged",
        // Reasons that are added later need a word here.
        _ => "not_found",
    };
    word.to_owned()
}

fn host(files: &mut Files) -> Host {
    let mut line =
        |path: &str| files.text(path).map(|text| shown(text.trim(), 64)).unwrap_or_default();
    let (name, kernel) = (line("proc/sys/kernel/hostname"), line("proc/sys/kernel/osrelease"));
    // The kernel of some processors of Arm says only numbers; then the board's name says more.
    let processor = files.text("proc/cpuinfo").ok().and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("model name"))?;
        Some(shown(line.split_once(':')?.1.trim(), 64))
    });
    let board = |files: &mut Files| {
        let text = files.text("proc/device-tree/model").ok()?;
        Some(shown(text.trim_end_matches('\0').trim(), 64))
    };
    let processor = processor.or_else(|| board(files)).unwrap_or_default();
    Host { name, kernel, processor, uptime_seconds: 0 }
}

fn uptime(files: &mut Files, host: &mut Host) {
    let text = files.text("proc/uptime").ok();
    let word = text.as_deref().and_then(|text| text.split(' ').next()?.parse::<f64>().ok());
    // A float becomes the nearest integer that there is.
    host.uptime_seconds = word.unwrap_or(0.0) as u64;
}

#[cfg(test)]
mod tests;
