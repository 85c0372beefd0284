//! A number of the kernel's that bounds what processors do, and may be lowered.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use crate::probe::{Absent, Reason, Tree, Unit};

const CPUFREQ: &str = "sys/devices/system/cpu/cpufreq";
const POWERCAP: &str = "sys/class/powercap";
/// Knobs of a kind, at most.
const MOST: usize = 4096;
/// Limits of a zone, at most.
const CONSTRAINTS: u32 = 8;
/// Microwatts by which a limit that is read may differ from what was written: processors count in
/// fractions of a watt, mostly eighths.
const FRACTION: u64 = 250_000;
/// Limits of a zone that tells no least are lowered to this share of the lowest of them, at most.
const LEAST_SHARE: u64 = 10;

/// What a knob bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The clock of the processors of a policy, in kHz.
    Clock,
    /// The power of a processor, in microwatts.
    Power,
}

/// A knob, and what it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Knob {
    pub(super) kind: Kind,
    /// `policy0`, or `intel-rapl:0/0`: the zone and the number of its limit.
    pub(super) name: String,
    /// The lowest that may be set.
    pub(super) lowest: u64,
    /// What was set when we came.
    pub(super) before: u64,
}

impl Knob {
    /// The clocks of all policies.
    ///
    /// # Errors
    /// If the kernel shows none, or does not let this user set one.
    pub(super) fn clocks(tree: &Tree) -> Result<Vec<Self>, Absent> {
        let mut knobs = Vec::new();
        for name in tree.names(CPUFREQ).into_iter().filter(|n| n.starts_with("policy")).take(MOST) {
            let khz = |file| {
                let reading = tree.number::<u64>(format!("{CPUFREQ}/{name}/{file}"), Unit::Hertz);
                reading.value
            };
            let (lowest, before) = (khz("cpuinfo_min_freq")?, khz("scaling_max_freq")?);
            knobs.push(Self { kind: Kind::Clock, name, lowest, before }.tried(tree)?);
        }
        match knobs.is_empty() {
            true => Err(Absent {
                reason: Reason::NotFound,
                detail: format!("the kernel shows no clocks in `{CPUFREQ}`"),
            }),
            false => Ok(knobs),
        }
    }

    /// The limits of power of all processors that hold one, over seconds and over moments
    /// (Documentation/power/powercap/powercap.rst); empty where there are none.
    ///
    /// # Errors
    /// If the kernel does not let this user set one.
    pub(super) fn powers(tree: &Tree) -> Result<Vec<Self>, Absent> {
        let mut knobs = Vec::new();
        for zone in tree.names(POWERCAP).into_iter().filter(|zone| is_package(zone)).take(MOST) {
            let text = |file: String| tree.text(format!("{POWERCAP}/{zone}/{file}")).value.ok();
            let number = |file: String| text(file)?.trim().parse::<u64>().ok();
            let is_package = text("name".into()).is_some_and(|n| n.starts_with("package"));
            // One that is switched off holds nothing.
            if !is_package || number("enabled".into()) == Some(0) {
                continue;
            }
            let limit = |at: u32| {
                let name = text(format!("constraint_{at}_name"))?;
                let before =
                    number(format!("constraint_{at}_power_limit_uw")).filter(|n| *n > 0)?;
                let least = number(format!("constraint_{at}_min_power_uw")).filter(|n| *n > 0);
                let bounds = matches!(name.as_str(), "long_term" | "short_term");
                bounds.then_some((at, before, least))
            };
            let limits: Vec<_> = (0..CONSTRAINTS).filter_map(limit).collect();
            // Both are lowered to the same.
            let longest = limits.iter().map(|(_, before, _)| *before).min().unwrap_or(0);
            for (at, before, least) in limits {
                let lowest = least.unwrap_or(longest / LEAST_SHARE).min(before);
                let name = format!("{zone}/{at}");
                knobs.push(Self { kind: Kind::Power, name, lowest, before }.tried(tree)?);
            }
        }
        Ok(knobs)
    }

    /// The knob of a name in a journal, and what it was.
    pub(super) fn named(name: &str, before: u64) -> Option<Self> {
        let is_number = |n: &str| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit());
        let kind = match name.strip_prefix("policy") {
            Some(number) => is_number(number).then_some(Kind::Clock),
            None => {
                let (zone, number) = name.split_once('/')?;
                (is_package(zone) && is_number(number)).then_some(Kind::Power)
            }
        }?;
        Some(Self { kind, name: name.to_owned(), lowest: before, before })
    }

    /// The zone of a limit of power.
    pub(super) fn zone(&self) -> &str {
        self.name.split('/').next().unwrap_or_default()
    }

    /// Its file.
    fn path(&self) -> String {
        match self.kind {
            Kind::Clock => format!("{CPUFREQ}/{}/scaling_max_freq", self.name),
            Kind::Power => {
                let number = self.name.rsplit('/').next().unwrap_or_default();
                format!("{POWERCAP}/{}/constraint_{number}_power_limit_uw", self.zone())
            }
        }
    }

    /// That it may be written is known only by writing: what is there.
    fn tried(self, tree: &Tree) -> Result<Self, Absent> {
        self.write(tree, self.before)?;
        Ok(self)
    }

    /// Sets it to a value, no lower and no higher than may be. Who else sets it is not followed; what
    /// is as it should be is not written again.
    pub(super) fn set(&self, tree: &Tree, value: u64) -> Result<(), Absent> {
        let value = value.max(self.lowest).min(self.before);
        let most = match self.kind {
            Kind::Clock => 0,
            Kind::Power => FRACTION,
        };
        match tree.number::<u64>(self.path(), Unit::None).value {
            Ok(is) if is.abs_diff(value) <= most => Ok(()),
            _ => self.write(tree, value),
        }
    }

    /// Puts it back to what it was.
    pub(super) fn restore(&self, tree: &Tree) -> Result<(), Absent> {
        self.write(tree, self.before)
    }

    fn write(&self, tree: &Tree, value: u64) -> Result<(), Absent> {
        let path = self.path();
        // Nothing is made that is not there.
        let file = fs::OpenOptions::new().write(true).truncate(true).open(tree.path(&path));
        let written = file.and_then(|mut file| file.write_all(value.to_string().as_bytes()));
        written.map_err(|e| cannot(Path::new(&path), &e))
    }
}

/// Whether a zone is that of a whole processor: `intel-rapl:0`, which AMD's have too, and no part of it.
/// The same processor by another way, `intel-rapl-mmio`, is left as it is: the lower one counts.
fn is_package(zone: &str) -> bool {
    let number = zone.strip_prefix("intel-rapl:");
    number.is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

/// That a file cannot be written, and why.
pub(super) fn cannot(path: &Path, error: &std::io::Error) -> Absent {
    let mut absent = Absent::from_io(error);
    absent.detail = format!("`{}` cannot be written: {}", path.display(), absent.detail);
    absent
}
