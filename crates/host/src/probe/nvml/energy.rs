//! The energy of NVIDIA's GPUs as a sensor of a [`crate::PowerMeter`].

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::{Nvml, NvmlReport};
use crate::meter::{Covers, PowerSensor, Sample};
use crate::probe::{Absent, Reason};

/// Joules that all GPUs of NVML have taken, or their watts where they do not count.
///
/// GPUs count since Volta (`nvmlDeviceGetTotalEnergyConsumption`).
#[derive(Debug)]
pub struct NvmlEnergy {
    nvml: Mutex<Nvml>,
}

impl NvmlEnergy {
    /// A sensor that asks `nvml`.
    pub fn new(nvml: Nvml) -> Self {
        Self { nvml: Mutex::new(nvml) }
    }
}

impl PowerSensor for NvmlEnergy {
    fn name(&self) -> String {
        "NVML".to_owned()
    }

    fn covers(&self) -> Covers {
        Covers::Gpu
    }

    fn read(&self) -> Result<Sample, Absent> {
        let report = self.nvml.lock().unwrap_or_else(PoisonError::into_inner).report()?;
        if report.gpus.is_empty() {
            let detail = "NVML finds no GPU".to_owned();
            return Err(Absent { reason: Reason::NotFound, detail });
        }
        sample(&report)
    }

    /// Power is an average of up to a second.
    fn period(&self) -> Duration {
        Duration::from_millis(500)
    }
}

/// The counters of all GPUs, or if one does not count, the watts of all together.
fn sample(report: &NvmlReport) -> Result<Sample, Absent> {
    let counters = report.gpus.iter().map(|gpu| gpu.energy.value.clone());
    if let Ok(joules) = counters.collect::<Result<Vec<f64>, Absent>>() {
        return Ok(Sample::Joules(joules));
    }
    let watts = report.gpus.iter().map(|gpu| gpu.power.value.clone());
    let watts: Vec<f64> = watts.collect::<Result<_, Absent>>()?;
    Ok(Sample::Watts(watts.iter().sum()))
}

#[cfg(test)]
mod tests {
    use rushlight_testkit::{FakeNvml, fake_nvml};

    use super::*;
    use crate::probe::{Reading, Unit};

    fn sensor(mode: FakeNvml) -> NvmlEnergy {
        let dir = tempfile::tempdir().unwrap();
        let path = fake_nvml(mode, dir.path());
        NvmlEnergy::new(Nvml::load(&path, Duration::from_secs(20)).unwrap())
    }

    #[test]
    fn joules_where_they_are_counted_and_else_watts() {
        let healthy = sensor(FakeNvml::Healthy);
        assert_eq!(healthy.read().unwrap(), Sample::Joules(vec![5000.0, 5000.0]));
        assert_eq!(healthy.read().unwrap(), Sample::Joules(vec![5001.0, 5001.0]));
        assert_eq!(healthy.covers(), Covers::Gpu);
        assert_eq!(sensor(FakeNvml::Jetson).read().unwrap_err().reason, Reason::Unsupported);
        let mut report = healthy.nvml.lock().unwrap().report().unwrap();
        report.gpus[1].energy = Reading::absent(Reason::Unsupported, "", Unit::Joules, "");
        assert_eq!(sample(&report).unwrap(), Sample::Watts(57.0));
    }
}
