//! The sensors of a machine that is described by files.

use std::time::Duration;

use super::integral::MOST_WATTS;
use super::{Candidate, Covers, PowerSensor, Sample, Source};
use crate::probe::power::{self, Power, RaplZone, Watts, pmic};
use crate::probe::{Absent, Reason, Tree};

/// How often watts are read: chips on a slow bus take a millisecond for each.
const OFTEN: Duration = Duration::from_millis(100);
/// How often a counter is read, so that a program that sleeps is woken up seldom.
const SELDOM: Duration = Duration::from_secs(60);

/// All sensors, and those that say at once why they cannot be used.
pub(super) fn all(tree: &Tree) -> (Vec<Box<dyn PowerSensor>>, Vec<Candidate>) {
    let power = Power::read(tree);
    let mut all: Vec<Box<dyn PowerSensor>> = Vec::new();
    let mut notes = Vec::new();
    all.extend(rails(tree, &power));
    if pmic::is_there(tree) {
        all.push(Box::new(Pmic(tree.clone())));
    }
    let batteries = power.supplies.iter().filter(|supply| supply.is_battery());
    let paths: Vec<String> = batteries.map(|battery| battery.path.clone()).collect();
    if !paths.is_empty() {
        all.push(Box::new(Batteries { tree: tree.clone(), paths }));
    }
    all.extend(rapl(tree, &power.rapl, &mut notes));
    all.extend(gpus(tree, &power));
    (all, notes)
}

/// Watts of rails, added up.
#[derive(Debug)]
struct Rails {
    tree: Tree,
    name: String,
    covers: Covers,
    watts: Vec<Watts>,
}

fn rails(tree: &Tree, power: &Power) -> Vec<Box<dyn PowerSensor>> {
    let mut all: Vec<Box<dyn PowerSensor>> = Vec::new();
    let mut add = |name: String, covers, watts| {
        all.push(Box::new(Rails { tree: tree.clone(), name, covers, watts }));
    };
    for label in power::BOARD {
        if let Some(rail) = power.rails.iter().find(|rail| rail.is(label)) {
            let name = format!("{} {label}", rail.chip.to_uppercase());
            add(name, Covers::Device, vec![rail.watts.clone()]);
        }
    }
    // A server's own meter, by ACPI (the kernel's Documentation/hwmon/acpi_power_meter.rst).
    if let Some(rail) = power.rails.iter().find(|rail| rail.chip == "power_meter") {
        add("ACPI power meter".to_owned(), Covers::Device, vec![rail.watts.clone()]);
    }
    for labels in power::SUMS {
        let find = |label: &&str| power.rails.iter().find(|rail| rail.is(label));
        let found: Option<Vec<_>> = labels.iter().map(find).collect();
        if let Some(found) = found {
            let watts = found.iter().map(|rail| rail.watts.clone()).collect();
            let name = format!("{} {}", found[0].chip.to_uppercase(), labels.join(" + "));
            add(name, Covers::Rails, watts);
        }
    }
    all
}

impl PowerSensor for Rails {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn covers(&self) -> Covers {
        self.covers
    }

    fn read(&self) -> Result<Sample, Absent> {
        let mut sum = 0.0;
        for watts in &self.watts {
            sum += watts.read(&self.tree).value?;
        }
        Ok(Sample::Watts(sum.max(0.0)))
    }

    fn period(&self) -> Duration {
        OFTEN
    }
}

/// The rails of the power chip of a Raspberry Pi 5.
#[derive(Debug)]
struct Pmic(Tree);

impl PowerSensor for Pmic {
    fn name(&self) -> String {
        "rails of the power chip (PMIC)".to_owned()
    }

    fn covers(&self) -> Covers {
        Covers::Rails
    }

    fn read(&self) -> Result<Sample, Absent> {
        pmic::watts(&self.0).map(Sample::Watts)
    }

    /// The firmware asks the chip for each of some twenty values.
    fn period(&self) -> Duration {
        Duration::from_millis(500)
    }
}

/// All batteries together, while one of them feeds the machine.
#[derive(Debug)]
struct Batteries {
    tree: Tree,
    paths: Vec<String>,
}

impl PowerSensor for Batteries {
    fn name(&self) -> String {
        let names = self.paths.iter().map(|path| path.rsplit('/').next().unwrap_or_default());
        format!("battery {}", names.collect::<Vec<_>>().join(" + "))
    }

    fn covers(&self) -> Covers {
        Covers::Device
    }

    /// Of several some may rest while others are emptied.
    fn read(&self) -> Result<Sample, Absent> {
        let (mut sum, mut why) = (None, None);
        for path in &self.paths {
            let status = self.tree.text(format!("{path}/status")).value?;
            if status == "Discharging" {
                sum = Some(sum.unwrap_or(0.0) + power::battery_watts(&self.tree, path).value?);
            } else {
                why.get_or_insert_with(|| power::not_discharging(&status));
            }
        }
        match (sum, why) {
            (Some(watts), _) => Ok(Sample::Watts(watts)),
            (None, Some(why)) => Err(why),
            (None, None) => Err(power::not_discharging("absent")),
        }
    }

    /// Their gauges measure seldom; reading them asks a controller that may be slow.
    fn period(&self) -> Duration {
        Duration::from_secs(1)
    }
}

/// Counters of joules.
#[derive(Debug)]
struct Counters {
    tree: Tree,
    name: String,
    covers: Covers,
    /// Directories of zones, or files of chips.
    counters: Vec<Counter>,
    ranges: Vec<Option<f64>>,
}

#[derive(Debug)]
enum Counter {
    Rapl(String),
    Chip(String),
}

impl PowerSensor for Counters {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn covers(&self) -> Covers {
        self.covers
    }

    fn read(&self) -> Result<Sample, Absent> {
        let read = |counter: &Counter| match counter {
            Counter::Rapl(zone) => power::rapl_energy(&self.tree, zone).value,
            Counter::Chip(file) => power::chip_energy(&self.tree, file).value,
        };
        self.counters.iter().map(read).collect::<Result<_, _>>().map(Sample::Joules)
    }

    fn ranges(&self) -> &[Option<f64>] {
        &self.ranges
    }

    /// Four times before a counter can have gone through its range.
    fn period(&self) -> Duration {
        let least = self.ranges.iter().flatten().fold(f64::INFINITY, |a, b| a.min(*b));
        let quarter = (least / MOST_WATTS / 4.0).clamp(0.01, SELDOM.as_secs_f64());
        Duration::from_secs_f64(quarter)
    }
}

fn rapl(tree: &Tree, zones: &[RaplZone], notes: &mut Vec<Candidate>) -> Vec<Box<dyn PowerSensor>> {
    let sensor = |covers, zones: &[&RaplZone]| {
        let names = zones.iter().map(|zone| zone.name.get().map_or("?", String::as_str));
        let name = format!("RAPL {}", names.collect::<Vec<_>>().join(" + "));
        let counters = zones.iter().map(|zone| Counter::Rapl(zone.path.clone())).collect();
        let ranges = zones.iter().map(|zone| zone.range.get().copied()).collect();
        Counters { tree: tree.clone(), name, covers, counters, ranges }
    };
    let top: Vec<&RaplZone> = zones.iter().filter(|zone| zone.parent.is_none()).collect();
    let packages: Vec<&RaplZone> = top.iter().copied().filter(|zone| zone.is("package")).collect();
    let drams: Vec<&RaplZone> = zones.iter().filter(|zone| zone.is("dram")).collect();
    let mut all: Vec<Box<dyn PowerSensor>> = Vec::new();
    if let Some(zone) = top.iter().find(|zone| zone.is("psys")) {
        let found = sensor(Covers::Platform, &[zone]);
        // Where the board's maker has not wired it, it stays at zero.
        match zone.energy.get() {
            Some(0.0) => {
                let absent = Absent {
                    reason: Reason::Unsupported,
                    detail: "it counts nothing on this board".to_owned(),
                };
                let source = Source { name: found.name(), covers: found.covers, estimated: false };
                notes.push(Candidate { source, absent: Some(absent) });
            }
            _ => all.push(Box::new(found)),
        }
    }
    if !packages.is_empty() && !drams.is_empty() {
        let both: Vec<&RaplZone> = packages.iter().chain(&drams).copied().collect();
        all.push(Box::new(sensor(Covers::ProcessorsAndMemory, &both)));
    }
    if !packages.is_empty() {
        all.push(Box::new(sensor(Covers::Processors, &packages)));
    }
    all
}

/// Chips of graphics drivers: `amdgpu` tells watts, `i915` and `xe` count joules.
fn gpus(tree: &Tree, power: &Power) -> Vec<Box<dyn PowerSensor>> {
    let mut all: Vec<Box<dyn PowerSensor>> = Vec::new();
    for rail in power.rails.iter().filter(|rail| rail.chip == "amdgpu") {
        let (name, covers) = ("amdgpu".to_owned(), Covers::Gpu);
        let watts = vec![rail.watts.clone()];
        all.push(Box::new(Rails { tree: tree.clone(), name, covers, watts }));
    }
    for chip in &power.counters {
        let Some(name) = chip.name.get().filter(|name| ["i915", "xe"].contains(&name.as_str()))
        else {
            continue;
        };
        all.push(Box::new(Counters {
            tree: tree.clone(),
            name: name.clone(),
            covers: Covers::Gpu,
            counters: vec![Counter::Chip(format!("{}/energy1_input", chip.path))],
            ranges: Vec::new(),
        }));
    }
    all
}
