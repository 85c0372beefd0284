//! An estimate where nothing measures: processor time, times the watts that somebody says a busy
//! core takes.

use std::time::Duration;

use super::{Covers, PowerSensor, Sample};
use crate::Error;
use crate::clock::Clock;
use crate::probe::Absent;

/// Watts of a core, at most: none takes more.
const MOST_WATTS: f64 = 100.0;

/// Processor time as energy.
#[derive(Debug)]
pub(super) struct CpuTime {
    watts_per_core: f64,
}

impl CpuTime {
    pub(super) fn new(watts_per_core: f64) -> Result<Self, Error> {
        if watts_per_core > 0.0 && watts_per_core <= MOST_WATTS {
            return Ok(Self { watts_per_core });
        }
        Err(Error::sensor(format!(
            "`{watts_per_core}` watts for each busy core are not between `0` and `{MOST_WATTS}`"
        )))
    }
}

impl PowerSensor for CpuTime {
    fn name(&self) -> String {
        format!("estimated at {} W for each busy core", self.watts_per_core)
    }

    fn covers(&self) -> Covers {
        Covers::Process
    }

    fn read(&self) -> Result<Sample, Absent> {
        Ok(Sample::Joules(vec![Clock::Process.now().as_secs_f64() * self.watts_per_core]))
    }

    /// All processors at once.
    fn most_watts(&self) -> f64 {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        2.0 * self.watts_per_core * processors as f64
    }

    /// It is exact whenever it is read.
    fn period(&self) -> Duration {
        Duration::from_secs(3600)
    }

    fn is_estimate(&self) -> bool {
        true
    }
}
