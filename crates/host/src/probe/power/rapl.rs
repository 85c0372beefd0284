//! Energy counters of x86 processors: RAPL, of Intel's and AMD's, by the kernel's powercap class
//! (Documentation/power/powercap/powercap.rst, Documentation/ABI/testing/sysfs-class-powercap).
//!
//! Since Linux 5.10 only root may read the counters, as what they tell of other programs can give
//! secrets away (CVE-2020-8694).

use serde::Serialize;

use crate::probe::{Absent, Reading, Reason, Tree, Unit};

pub(crate) const CLASS: &str = "sys/class/powercap";
/// Zones, and limits of one, at most.
const MOST: usize = 256;
/// A counter of more joules than this is none.
const MOST_MICROJOULES: u64 = 1 << 60;

/// A processor or a part of it, and its counter.
#[derive(Clone, Debug, Serialize)]
pub struct RaplZone {
    /// Its directory.
    pub path: String,
    /// `package-0`, `dram`, `core`, `uncore` or `psys`.
    pub name: Reading<String>,
    /// The directory of the zone that it is a part of.
    pub parent: Option<String>,
    /// The counter.
    pub energy: Reading<f64>,
    /// What the counter counts to before it begins at zero again.
    pub range: Reading<f64>,
    /// What the processor holds itself to.
    pub limits: Vec<RaplLimit>,
}

/// A limit that a processor holds itself to.
#[derive(Clone, Debug, Serialize)]
pub struct RaplLimit {
    /// `long_term`, `short_term` or `peak_power`.
    pub name: Reading<String>,
    /// The limit.
    pub limit: Reading<f64>,
}

impl RaplZone {
    /// All zones.
    pub fn all(tree: &Tree) -> Vec<Self> {
        let names = tree.names(CLASS);
        // The same processor by another way, through its memory.
        let msr = names.iter().any(|name| name.starts_with("intel-rapl:"));
        let start = if msr { "intel-rapl:" } else { "intel-rapl-mmio:" };
        let zones = names.iter().filter(|name| name.starts_with(start));
        zones.take(MOST).map(|name| Self::read(tree, name)).collect()
    }

    fn read(tree: &Tree, name: &str) -> Self {
        let path = format!("{CLASS}/{name}");
        // `intel-rapl:0:1` is a part of `intel-rapl:0`.
        let parent = name.rsplit_once(':').filter(|(parent, _)| parent.contains(':'));
        let limit = |number: u32| {
            let base = format!("{path}/constraint_{number}");
            RaplLimit {
                name: tree.text(format!("{base}_name")),
                limit: joules(tree, &format!("{base}_power_limit_uw"), Unit::Watts),
            }
        };
        let there = |number: &u32| tree.exists(format!("{path}/constraint_{number}_name"));
        Self {
            name: tree.text(format!("{path}/name")),
            parent: parent.map(|(parent, _)| format!("{CLASS}/{parent}")),
            energy: energy(tree, &path),
            range: joules(tree, &format!("{path}/max_energy_range_uj"), Unit::Joules).check(
                Unit::Joules,
                |range| match range > 0.0 {
                    true => Ok(range),
                    false => Err("a range of 0 J cannot be".to_owned()),
                },
            ),
            limits: (0..8).filter(there).map(limit).collect(),
            path,
        }
    }

    /// Whether it is called so, with or without a number behind.
    pub fn is(&self, name: &str) -> bool {
        let own = self.name.get().map_or("", String::as_str);
        own == name || own.strip_prefix(name).is_some_and(|rest| rest.starts_with('-'))
    }
}

/// The counter of a zone.
pub(crate) fn energy(tree: &Tree, zone: &str) -> Reading<f64> {
    let mut reading = joules(tree, &format!("{zone}/energy_uj"), Unit::Joules);
    if let Err(absent) = &mut reading.value {
        match absent.reason {
            Reason::Permission => {
                "since Linux 5.10 only root may read it".clone_into(&mut absent.detail);
            }
            Reason::NotFound => {
                *absent = Absent {
                    reason: Reason::Unsupported,
                    detail: "it is listed but not shown, as container engines have it".to_owned(),
                };
            }
            _ => {}
        }
    }
    reading
}

/// Microjoules or microwatts in a file.
fn joules(tree: &Tree, path: &str, unit: Unit) -> Reading<f64> {
    tree.number::<u64>(path, unit).check(unit, |number| match number <= MOST_MICROJOULES {
        true => Ok(number as f64 / 1e6),
        false => Err(format!("`{number}` millionths of {} cannot be", unit.symbol())),
    })
}
