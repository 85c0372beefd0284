//! Rails of a board whose power a chip measures: TI's INA3221 on NVIDIA Jetson boards
//! (the kernel's Documentation/hwmon/ina3221.rst), its other INA chips, and whatever has a power of
//! its own in hwmon.

use serde::Serialize;

use crate::probe::hwmon::{self, Chip, SensorKind};
use crate::probe::{Reading, Tree, Unit};

/// Names of rails through which all of a module or a board is fed, as NVIDIA's Jetson Linux Developer
/// Guide ("Power Monitor" of each board) has them.
pub(crate) const BOARD: [&str; 4] = ["VDD_IN", "VIN", "POM_5V_IN", "5V_IN"];

/// Rails of boards that have none for all: together they feed the module. From the same place: AGX
/// Orin, AGX Thor, AGX Xavier. Others than these sets are not added up, as one rail may feed another.
pub(crate) const SUMS: [&[&str]; 3] = [
    &["VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0"],
    &["VDD_GPU", "VDD_CPU_SOC_MSS", "VIN_SYS_5V0"],
    &["GPU", "CPU", "SOC", "CV", "VDDRQ", "SYS5V"],
];

/// A rail whose power is measured.
#[derive(Clone, Debug, Serialize)]
pub struct Rail {
    /// What the board's maker calls it.
    pub label: Option<String>,
    /// The chip that measures it.
    pub chip: String,
    /// Its power.
    pub power: Reading<f64>,
    /// Where the power comes from.
    #[serde(skip)]
    pub(crate) watts: Watts,
}

/// Where the power of a rail comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Watts {
    /// A file with the power, or where that is not there, the other.
    Power(String, String),
    /// Files with a voltage and a current.
    Product(String, String),
}

impl Watts {
    pub(crate) fn read(&self, tree: &Tree) -> Reading<f64> {
        match self {
            Self::Power(average, now) => hwmon::value(tree, average, SensorKind::Power)
                .or_else(|| hwmon::value(tree, now, SensorKind::Power)),
            Self::Product(volts, amperes) => {
                let volts = hwmon::value(tree, volts, SensorKind::Voltage);
                let amperes = hwmon::value(tree, amperes, SensorKind::Current);
                let value = volts.value.and_then(|volts| Ok(volts * amperes.value?));
                let source = format!("{} x {}", volts.source, amperes.source);
                Reading { value, unit: Unit::Watts, source }
            }
        }
    }
}

/// Whether the powers of a chip of this name are products of its voltages and currents.
pub(super) fn is_by_product(chip: &str) -> bool {
    chip.starts_with("ina3221")
}

impl Rail {
    /// The rails that a chip measures.
    pub(super) fn all(tree: &Tree, chip: &Chip) -> Vec<Self> {
        let name = chip.name.get().cloned().unwrap_or_default();
        let mut all = Vec::new();
        for sensor in chip.of(SensorKind::Power) {
            let base = format!("{}/power{}", chip.path, sensor.number);
            let watts = Watts::Power(format!("{base}_average"), format!("{base}_input"));
            let label = sensor.label.clone().or_else(|| chip.label.clone());
            all.push(Self { label, chip: name.clone(), power: sensor.reading.clone(), watts });
        }
        // Bus voltages have the numbers of the currents; those behind them are of shunts or sums.
        if is_by_product(&name) {
            for current in chip.of(SensorKind::Current).filter(|c| (1..=3).contains(&c.number)) {
                let Some(volts) = chip.sensor(SensorKind::Voltage, current.number) else {
                    continue;
                };
                let watts = Watts::Product(
                    format!("{}/in{}_input", chip.path, current.number),
                    format!("{}/curr{}_input", chip.path, current.number),
                );
                let label = volts.label.clone().or_else(|| current.label.clone());
                let power = watts.read(tree);
                all.push(Self { label, chip: name.clone(), power, watts });
            }
        }
        all
    }

    /// Whether it is called so.
    pub(crate) fn is(&self, label: &str) -> bool {
        self.label.as_deref() == Some(label)
    }
}
