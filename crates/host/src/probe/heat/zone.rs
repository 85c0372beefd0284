//! Thermal zones and their trip points (the kernel's Documentation/driver-api/thermal/sysfs-api.rst).

use serde::Serialize;

use crate::probe::hwmon::{self, SensorKind};
use crate::probe::{Reading, Reason, Tree, Unit};

const CLASS: &str = "sys/class/thermal";
/// Zones, and trip points of one, at most.
const MOST: usize = 256;

/// A temperature that the kernel looks after.
#[derive(Clone, Debug, Serialize)]
pub struct Zone {
    /// Its directory.
    pub path: String,
    /// What it is the temperature of, such as `cpu-thermal` or `x86_pkg_temp`.
    pub kind: Reading<String>,
    /// The temperature.
    pub temperature: Reading<f64>,
    /// Where the kernel does something.
    pub trips: Vec<Trip>,
}

/// A temperature at which the kernel does something.
#[derive(Clone, Debug, Serialize)]
pub struct Trip {
    /// What it does.
    pub kind: TripKind,
    /// From which temperature on.
    pub temperature: Reading<f64>,
    /// By how many degrees it must be cooler before that ends.
    pub hysteresis: Option<f64>,
}

/// What the kernel does at a trip point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TripKind {
    /// Turns fans faster.
    Active,
    /// Slows down what makes the heat.
    Passive,
    /// Tells a driver, whose matter it is.
    Hot,
    /// Turns the machine off.
    Critical,
    /// Something that this program does not know.
    Other,
}

impl TripKind {
    /// The kernel's word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Passive => "passive",
            Self::Hot => "hot",
            Self::Critical => "critical",
            Self::Other => "other",
        }
    }

    fn of(text: &str) -> Self {
        let all = [Self::Active, Self::Passive, Self::Hot, Self::Critical];
        all.into_iter().find(|kind| text.starts_with(kind.name())).unwrap_or(Self::Other)
    }
}

impl Zone {
    pub(super) fn all(tree: &Tree) -> Vec<Self> {
        let names = tree.names(CLASS).into_iter().filter(|name| name.starts_with("thermal_zone"));
        names.take(MOST).map(|name| Self::read(tree, format!("{CLASS}/{name}"))).collect()
    }

    fn read(tree: &Tree, path: String) -> Self {
        let number = |name: &String| {
            let number = name.strip_prefix("trip_point_")?.strip_suffix("_temp")?;
            number.parse::<u32>().ok()
        };
        let numbers: Vec<u32> = tree.names(&path).iter().filter_map(number).take(MOST).collect();
        Self {
            kind: tree.text(format!("{path}/type")),
            temperature: celsius(tree, &format!("{path}/temp")),
            trips: numbers.into_iter().map(|number| trip(tree, &path, number)).collect(),
            path,
        }
    }

    /// What it is the temperature of, or where it is.
    pub fn name(&self) -> &str {
        self.kind.get().map_or(&self.path, String::as_str)
    }
}

fn trip(tree: &Tree, zone: &str, number: u32) -> Trip {
    let base = format!("{zone}/trip_point_{number}");
    let mut temperature = celsius(tree, &format!("{base}_temp"));
    let number = tree.number::<i64>(format!("{base}_temp"), Unit::Celsius);
    // The kernel writes -274000 (THERMAL_TEMP_INVALID), firmware writes 0.
    if number.get().is_some_and(|number| *number <= 0) {
        let source = temperature.source;
        let what = "the trip point is switched off";
        temperature = Reading::absent(Reason::Unsupported, what, Unit::Celsius, source);
    }
    let hysteresis = tree.number::<i64>(format!("{base}_hyst"), Unit::Celsius).value.ok();
    Trip {
        kind: TripKind::of(tree.text(format!("{base}_type")).get().map_or("", String::as_str)),
        temperature,
        hysteresis: hysteresis.filter(|n| (0..100_000).contains(n)).map(|n| n as f64 / 1e3),
    }
}

fn celsius(tree: &Tree, path: &str) -> Reading<f64> {
    hwmon::value(tree, path, SensorKind::Temperature)
}
