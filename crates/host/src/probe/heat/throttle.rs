//! What slows the machine down: cooling devices, and the counters of x86 processors.

use serde::Serialize;

use crate::probe::{Reading, Tree, Unit};

const CLASS: &str = "sys/class/thermal";
const PROCESSORS: &str = "sys/devices/system/cpu";
/// Devices and processors, at most.
const MOST: usize = 4096;

/// Something that the kernel cools with
/// (the kernel's Documentation/driver-api/thermal/sysfs-api.rst).
#[derive(Clone, Debug, Serialize)]
pub struct CoolingDevice {
    /// Its directory.
    pub path: String,
    /// What it is, such as `pwm-fan`, `Processor` or `thermal-cpufreq-0`.
    pub kind: Reading<String>,
    /// How much it cools, of `most`.
    pub now: Reading<i64>,
    /// How much it can.
    pub most: Reading<i64>,
}

impl CoolingDevice {
    pub(super) fn all(tree: &Tree) -> Vec<Self> {
        let names = tree.names(CLASS).into_iter().filter(|name| name.starts_with("cooling_device"));
        let read = |name| {
            let path = format!("{CLASS}/{name}");
            Self {
                kind: tree.text(format!("{path}/type")),
                now: tree.number(format!("{path}/cur_state"), Unit::None),
                most: tree.number(format!("{path}/max_state"), Unit::None),
                path,
            }
        };
        names.take(MOST).map(read).collect()
    }

    /// Whether it cools by making something slower, rather than by a fan. Names: drivers/thermal
    /// (`thermal-cpufreq-N`, `thermal-devfreq-N`, `thermal-idle-N`, before Linux 5.16 without
    /// `thermal-`), ACPI's `Processor`, and NVIDIA's `…-throttle-alert`.
    pub fn slows(&self) -> bool {
        let Some(kind) = self.kind.get() else { return false };
        let kind = kind.strip_prefix("thermal-").unwrap_or(kind);
        let starts = ["cpufreq", "devfreq", "idle", "cpuidle", "Processor"];
        starts.iter().any(|start| kind.starts_with(start)) || kind.contains("throttle")
    }
}

/// How often an x86 processor has slowed itself down since the machine started, the most of any core
/// (`thermal_throttle`, drivers of Intel processors; AMD's have no such counters).
#[derive(Clone, Debug, Serialize)]
pub struct ThrottleCounts {
    /// Because a core was too hot.
    pub core: Reading<u64>,
    /// Because the package was too hot.
    pub package: Reading<u64>,
}

impl ThrottleCounts {
    pub(super) fn read(tree: &Tree) -> Self {
        let cores: Vec<String> = tree
            .names(PROCESSORS)
            .into_iter()
            .filter(|name| name.strip_prefix("cpu").is_some_and(|n| n.parse::<u32>().is_ok()))
            .take(MOST)
            .collect();
        Self {
            core: most(tree, &cores, "core_throttle_count"),
            package: most(tree, &cores, "package_throttle_count"),
        }
    }
}

fn most(tree: &Tree, cores: &[String], file: &str) -> Reading<u64> {
    let path = |core: &str| format!("{PROCESSORS}/{core}/thermal_throttle/{file}");
    let first = || tree.number(path(cores.first().map_or("cpu0", String::as_str)), Unit::None);
    let all = cores.iter().map(|core| tree.number(path(core), Unit::None));
    let present = all.filter(|reading: &Reading<u64>| reading.get().is_some());
    present.max_by_key(|reading| reading.get().copied()).unwrap_or_else(first)
}
