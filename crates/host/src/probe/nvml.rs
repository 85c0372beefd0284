//! What NVIDIA's management library (NVML) says of the GPUs of this machine.
//!
//! The library comes with the driver and is loaded at run time, by a thread of its own: it may hang
//! in the kernel, so every question has a deadline, after which the thread is left behind. It may
//! also crash, which no thread can contain; who wants to be safe from that asks in a process of its
//! own. A static binary cannot load libraries and says so.
//!
//! On a Jetson with an Orin the library is there but answers "not supported" to most questions; what
//! `/sys` says holds there.

mod code;
mod library;

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use self::code::Code;
use self::library::{Device, Library};
use super::{Absent, Reading, Reason, Tree, Unit};

/// The library's name, as the driver installs it.
pub const NVML_LIBRARY: &str = "libnvidia-ml.so.1";
/// How long an answer may take. A driver that wakes a sleeping GPU takes up to two seconds.
pub const NVML_DEADLINE: Duration = Duration::from_secs(5);

/// GPUs, at most: more than any machine holds.
const MOST_GPUS: u32 = 256;

/// NVML, loaded and started on a thread of its own.
#[derive(Debug)]
pub struct Nvml {
    questions: SyncSender<()>,
    answers: Receiver<Result<NvmlReport, Absent>>,
    deadline: Duration,
    /// Whether an answer is still due from an earlier question.
    is_late: bool,
}

/// Where answers of NVML come from.
#[derive(Debug)]
pub enum NvmlSource {
    /// It is asked each time.
    Asked(Nvml),
    /// Another process has asked it once.
    Told(NvmlReport),
    /// It is not asked, and why.
    Absent(Absent),
}

/// What NVML says at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NvmlReport {
    /// The version of the kernel driver.
    pub driver: Reading<String>,
    /// The GPUs, in NVML's order.
    pub gpus: Vec<NvmlGpu>,
}

/// What NVML says of a GPU at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NvmlGpu {
    /// Its place in NVML's order.
    pub index: u32,
    /// The product's name.
    pub name: Reading<String>,
    /// The number that this one GPU has in the world.
    pub uuid: Reading<String>,
    /// Its address on the bus, as in `/sys/bus/pci/devices`.
    pub address: Reading<String>,
    /// Bytes of its memory that are taken.
    pub memory_used: Reading<u64>,
    /// Bytes of its memory.
    pub memory_total: Reading<u64>,
    /// Per cent of the driver's last sampling period (a sixth of a second to a second) in which it
    /// computed.
    pub utilisation: Reading<f64>,
    /// Degrees Celsius of the die.
    pub temperature: Reading<f64>,
    /// Watts of the board.
    pub power: Reading<f64>,
    /// Joules since the driver was loaded: a counter, for differences.
    pub energy: Reading<f64>,
    /// Hertz of the multiprocessors, now.
    pub frequency: Reading<u64>,
    /// Hertz of the multiprocessors, at most.
    pub frequency_max: Reading<u64>,
    /// The processes that compute on it.
    pub processes: Reading<Vec<NvmlProcess>>,
}

/// A process that computes on a GPU.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NvmlProcess {
    /// Its number; in a container, that of the host.
    pub pid: u32,
    /// Bytes of the GPU's memory that it holds.
    pub memory: Reading<u64>,
}

impl Nvml {
    /// The library of the machine that `tree` is of.
    ///
    /// # Errors
    ///
    /// Why there is none: the tree is that of another machine, or as [`Nvml::load`] says.
    pub fn of(tree: &Tree) -> Result<Self, Absent> {
        if tree.is_this_machine() {
            return Self::load(Path::new(NVML_LIBRARY), NVML_DEADLINE);
        }
        Err(Absent {
            reason: Reason::NotFound,
            detail: "the files are not those of this machine, of which NVML would speak".to_owned(),
        })
    }

    /// Loads the library at `path` (or found by its name, if that is all there is) and starts it.
    ///
    /// # Errors
    ///
    /// Why that cannot be done: the library is missing or is none, the driver is not loaded, no
    /// answer within `deadline`.
    pub fn load(path: &Path, deadline: Duration) -> Result<Self, Absent> {
        let (questions, asked) = sync_channel(1);
        let (answer, answers) = sync_channel(1);
        let path = PathBuf::from(path);
        let work = move || {
            let library = match Library::start(&path) {
                Ok(library) => library,
                Err(absent) => {
                    let _ = answer.send(Err(absent));
                    return;
                }
            };
            // The first answer says that it has started; nobody reads what it says beyond that.
            let mut next = Ok(NvmlReport::of_none());
            while answer.send(next).is_ok() && asked.recv().is_ok() {
                next = NvmlReport::read(&library);
            }
        };
        std::thread::Builder::new().name("nvml".to_owned()).spawn(work).map_err(|error| {
            Absent { reason: Reason::Driver, detail: format!("no thread to ask NVML on: {error}") }
        })?;
        let mut nvml = Self { questions, answers, deadline, is_late: true };
        nvml.wait(deadline)??;
        Ok(nvml)
    }

    /// What NVML says now.
    ///
    /// # Errors
    ///
    /// Why it says nothing: it did not answer in time, this time or the last, or counts no GPUs that
    /// a machine could have.
    pub fn report(&mut self) -> Result<NvmlReport, Absent> {
        if self.is_late {
            // It hung at an earlier question, to which an answer would be too old by now. It is not
            // waited for again: who samples once a second would stand still.
            drop(self.wait(Duration::ZERO)?);
        }
        if self.questions.send(()).is_err() {
            return Err(gone());
        }
        self.is_late = true;
        self.wait(self.deadline)?
    }

    /// The answer that is due: the outer error is that there is none.
    fn wait(&mut self, limit: Duration) -> Result<Result<NvmlReport, Absent>, Absent> {
        match self.answers.recv_timeout(limit) {
            Ok(answer) => {
                self.is_late = false;
                Ok(answer)
            }
            Err(RecvTimeoutError::Timeout) => Err(Absent {
                reason: Reason::Driver,
                detail: format!("NVML did not answer within {} s", self.deadline.as_secs_f32()),
            }),
            Err(RecvTimeoutError::Disconnected) => Err(gone()),
        }
    }
}

impl NvmlSource {
    /// What NVML says now, or has said.
    ///
    /// # Errors
    ///
    /// Why it says nothing.
    pub fn report(&mut self) -> Result<NvmlReport, Absent> {
        match self {
            NvmlSource::Asked(nvml) => nvml.report(),
            NvmlSource::Told(report) => Ok(report.clone()),
            NvmlSource::Absent(absent) => Err(absent.clone()),
        }
    }
}

impl From<Result<Nvml, Absent>> for NvmlSource {
    fn from(nvml: Result<Nvml, Absent>) -> Self {
        nvml.map_or_else(NvmlSource::Absent, NvmlSource::Asked)
    }
}

fn gone() -> Absent {
    Absent { reason: Reason::Driver, detail: "the thread that asks NVML has ended".to_owned() }
}

impl NvmlReport {
    fn of_none() -> Self {
        let driver = Reading::absent(Reason::NotFound, "not asked yet", Unit::None, "NVML");
        Self { driver, gpus: Vec::new() }
    }

    fn read(library: &Library) -> Result<Self, Absent> {
        let count = library.count().map_err(Code::absent)?;
        if count > MOST_GPUS {
            let detail =
                format!("NVML counts {count} GPUs, more than the {MOST_GPUS} that could be");
            return Err(Absent { reason: Reason::Damaged, detail });
        }
        let driver =
            reading(library.driver_version(), Unit::None, "nvmlSystemGetDriverVersion", Ok);
        let gpus = (0..count).map(|index| NvmlGpu::read(library, index)).collect();
        Ok(Self { driver, gpus })
    }
}

impl NvmlGpu {
    fn read(library: &Library, index: u32) -> Self {
        /// Asks one question of a device, if there is one.
        fn ask<T, U>(
            device: Result<Device, Code>,
            question: impl FnOnce(Device) -> Result<T, Code>,
            unit: Unit,
            function: &str,
            change: impl FnOnce(T) -> Result<U, String>,
        ) -> Reading<U> {
            reading(device.and_then(question), unit, function, change)
        }
        let device = library.device(index);
        let memory = |part: fn(&library::Memory) -> u64| {
            let check = |memory: library::Memory| {
                if memory.used > memory.total {
                    return Err(format!("{} of {} bytes are taken", memory.used, memory.total));
                }
                Ok(part(&memory))
            };
            ask(device, |d| library.memory(d), Unit::Bytes, "nvmlDeviceGetMemoryInfo", check)
        };
        let hertz = |mhz: u32| Ok(u64::from(mhz) * 1_000_000);
        Self {
            index,
            name: ask(device, |d| library.name(d), Unit::None, "nvmlDeviceGetName", Ok),
            uuid: ask(device, |d| library.uuid(d), Unit::None, "nvmlDeviceGetUUID", Ok),
            address: ask(
                device,
                |d| library.pci(d),
                Unit::None,
                "nvmlDeviceGetPciInfo_v3",
                |pci| Ok(format!("{:04x}:{:02x}:{:02x}.0", pci.domain, pci.bus, pci.device)),
            ),
            memory_used: memory(|memory| memory.used),
            memory_total: memory(|memory| memory.total),
            utilisation: ask(
                device,
                |d| library.utilization(d),
                Unit::Percent,
                "nvmlDeviceGetUtilizationRates",
                |rates| match rates.gpu {
                    percent @ 0..=100 => Ok(f64::from(percent)),
                    other => Err(format!("{other} is no part of a hundred")),
                },
            ),
            temperature: ask(
                device,
                |d| library.temperature(d),
                Unit::Celsius,
                "nvmlDeviceGetTemperature",
                |degrees| match degrees {
                    0..=200 => Ok(f64::from(degrees)),
                    _ => Err(format!("{degrees} °C is no temperature of a GPU")),
                },
            ),
            power: ask(
                device,
                |d| library.power(d),
                Unit::Watts,
                "nvmlDeviceGetPowerUsage",
                |mw| Ok(f64::from(mw) / 1e3),
            ),
            energy: ask(
                device,
                |d| library.energy(d),
                Unit::Joules,
                "nvmlDeviceGetTotalEnergyConsumption",
                |mj| Ok(mj as f64 / 1e3),
            ),
            frequency: ask(
                device,
                |d| library.clock(d),
                Unit::Hertz,
                "nvmlDeviceGetClockInfo",
                hertz,
            ),
            frequency_max: ask(
                device,
                |d| library.clock_max(d),
                Unit::Hertz,
                "nvmlDeviceGetMaxClockInfo",
                hertz,
            ),
            processes: ask(
                device,
                |d| library.processes(d),
                Unit::None,
                PROCESSES,
                |found| Ok(found.iter().map(NvmlProcess::new).collect()),
            ),
        }
    }
}

const PROCESSES: &str = "nvmlDeviceGetComputeRunningProcesses_v3";

impl NvmlProcess {
    fn new(process: &library::Process) -> Self {
        let memory = match process.used_bytes {
            // NVML_VALUE_NOT_AVAILABLE
            u64::MAX => Err(Code(3)),
            bytes => Ok(bytes),
        };
        Self { pid: process.pid, memory: reading(memory, Unit::Bytes, PROCESSES, Ok) }
    }
}

/// An answer of `function` as a reading.
fn reading<T, U>(
    answer: Result<T, Code>,
    unit: Unit,
    function: &str,
    change: impl FnOnce(T) -> Result<U, String>,
) -> Reading<U> {
    let value = answer.map_err(Code::absent);
    Reading { value, unit, source: function.to_owned() }.check(unit, change)
}

#[cfg(test)]
mod tests;
