//! What measures power.

use std::fmt::Debug;
use std::time::Duration;

use serde::Serialize;

use crate::probe::Absent;

/// What of a machine a sensor covers, the most first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Covers {
    /// All of it: what a supply or a battery gives.
    Device,
    /// The rails that feed a module together.
    Rails,
    /// The processor and what the platform's maker counts to it (RAPL `psys`).
    Platform,
    /// Processors and their memory.
    ProcessorsAndMemory,
    /// Processors alone: no memory, no disks, no loss of the supply.
    Processors,
    /// A graphics processor alone.
    Gpu,
    /// The processor time of this process.
    Process,
}

impl Covers {
    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Device => "the whole device",
            Self::Rails => "the rails of the module",
            Self::Platform => "the platform",
            Self::ProcessorsAndMemory => "processors and memory",
            Self::Processors => "processors without memory",
            Self::Gpu => "the GPU alone",
            Self::Process => "processor time of this process",
        }
    }
}

/// What a sensor says.
#[derive(Clone, Debug, PartialEq)]
pub enum Sample {
    /// Watts, now or as the average of the last moment.
    Watts(f64),
    /// Joules that were counted since some beginning, of each counter.
    Joules(Vec<f64>),
}

/// Something that measures power or energy.
pub trait PowerSensor: Send + Sync + Debug {
    /// Its name, for people.
    fn name(&self) -> String;

    /// What it covers.
    fn covers(&self) -> Covers;

    /// Reads it.
    ///
    /// # Errors
    /// Why it tells nothing.
    fn read(&self) -> Result<Sample, Absent>;

    /// The joules after which each of its counters begins at zero again, in the order of
    /// [`Sample::Joules`]; without a word they never do.
    fn ranges(&self) -> &[Option<f64>] {
        &[]
    }

    /// Watts of one of its counters that are more than there can be: what counted so fast made a jump.
    fn most_watts(&self) -> f64 {
        super::integral::MOST_WATTS
    }

    /// How long from one reading to the next while something is measured.
    fn period(&self) -> Duration;

    /// Whether it is an estimate and not a measurement.
    fn is_estimate(&self) -> bool {
        false
    }
}
