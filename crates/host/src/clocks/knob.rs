//! A number of the kernel's that bounds what processors do, and may be lowered.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use crate::probe::power::{POWERCAP, RaplZone};
use crate::probe::{Absent, Reason, Tree, Unit};

const CPUFREQ: &str = "sys/devices/system/cpu/cpufreq";
/// Policies, at most.
const MOST: usize = 4096;
/// Microwatts by which a limit that is read may differ from what was written: processors count in
/// fractions of a watt, mostly eighths.
const FRACTION: u64 = 250_000;
/// Limits of a zone are lowered to this share of the lowest of them, at most.
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
    /// What we have set it to, if it is lower.
    lowered: Option<Lowered>,
    /// Whether a journal has it.
    pub(super) is_noted: bool,
}

/// What a knob was set to.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Lowered {
    asked: u64,
    /// What the kernel made of it: the next one that there is.
    made: u64,
}

impl Knob {
    fn new(kind: Kind, name: String, lowest: u64, before: u64) -> Self {
        Self { kind, name, lowest: lowest.min(before), before, lowered: None, is_noted: false }
    }

    /// The clocks of all policies; those of processors that are off are left out.
    ///
    /// # Errors
    /// If the kernel shows none, which is [`Reason::NotFound`], or does not let this user set one.
    pub(super) fn clocks(tree: &Tree) -> Result<Vec<Self>, Absent> {
        let names = tree.names(CPUFREQ).into_iter().filter(|n| n.starts_with("policy"));
        let names: Vec<String> = names.take(MOST).collect();
        if names.is_empty() {
            let detail = format!("the kernel shows no clocks in `{CPUFREQ}`");
            return Err(Absent { reason: Reason::NotFound, detail });
        }
        // What the kernel cools shows a lower clock than anybody has set.
        let is_cooled = is_cooled(tree);
        let mut knobs = Vec::new();
        for name in names {
            let khz =
                |file| tree.number::<u64>(format!("{CPUFREQ}/{name}/{file}"), Unit::Hertz).value;
            if let (Ok(lowest), Ok(before)) = (khz("cpuinfo_min_freq"), khz("scaling_max_freq")) {
                let top = khz("cpuinfo_max_freq").ok().filter(|_| is_cooled);
                let before = top.map_or(before, |top| top.max(before));
                let knob = Self::new(Kind::Clock, name, lowest, before);
                knob.open(tree)?;
                knobs.push(knob);
            }
        }
        if knobs.is_empty() {
            let detail = format!("no policy in `{CPUFREQ}` shows its highest clock");
            return Err(Absent { reason: Reason::Unsupported, detail });
        }
        Ok(knobs)
    }

    /// The limits of power of all processors that hold one and let this user set it, over seconds and over
    /// moments (Documentation/power/powercap/powercap.rst); empty where there are none.
    ///
    /// # Errors
    /// If this user may set none of those that there are.
    pub(super) fn powers(tree: &Tree) -> Result<Vec<Self>, Absent> {
        let (mut knobs, mut refused) = (Vec::new(), None);
        let zones = RaplZone::all(tree);
        for zone in zones.iter().filter(|zone| zone.parent.is_none() && zone.is("package")) {
            // One that is switched off holds nothing.
            if tree.number::<u8>(format!("{}/enabled", zone.path), Unit::None).get() == Some(&0) {
                continue;
            }
            let limits = zone.limits.iter().enumerate().filter_map(|(at, limit)| {
                let bounds = matches!(limit.name.get()?.as_str(), "long_term" | "short_term");
                let microwatts = (limit.limit.get()? * 1e6).round() as u64;
                (bounds && microwatts > 0).then_some((at, microwatts))
            });
            let limits: Vec<_> = limits.collect();
            // Both are lowered to the same.
            let least = limits.iter().map(|(_, before)| *before).min().unwrap_or(0) / LEAST_SHARE;
            for (at, before) in limits {
                let zone = zone.path.rsplit('/').next().unwrap_or_default();
                let knob = Self::new(Kind::Power, format!("{zone}/{at}"), least, before);
                // Firmware may have locked one.
                match knob.tried(tree) {
                    Ok(knob) => knobs.push(knob),
                    Err(absent) => refused = Some(absent),
                }
            }
        }
        match refused {
            Some(absent) if knobs.is_empty() => Err(absent),
            _ => Ok(knobs),
        }
    }

    /// The knob of a name in a journal, and what it was.
    pub(super) fn named(name: &str, before: u64) -> Option<Self> {
        let is_number = |n: &str| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit());
        let kind = match name.strip_prefix("policy") {
            Some(number) => is_number(number).then_some(Kind::Clock),
            None => {
                let (zone, limit) = name.split_once('/')?;
                let number = zone.strip_prefix("intel-rapl");
                let number = number.map(|n| n.strip_prefix("-mmio").unwrap_or(n));
                let number = number?.strip_prefix(':')?;
                (is_number(number) && is_number(limit)).then_some(Kind::Power)
            }
        }?;
        Some(Self::new(kind, name.to_owned(), before, before))
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

    /// Whether firmware has locked a limit is known only by writing what is there.
    fn tried(self, tree: &Tree) -> Result<Self, Absent> {
        self.write(tree, self.before)?;
        Ok(self)
    }

    /// Who has raised it since we came has it back so.
    pub(super) fn refresh(&mut self, tree: &Tree) {
        if self.lowered.is_none() {
            self.before = self.before.max(self.read(tree).unwrap_or(0));
        }
    }

    /// Whether setting it to a value lowers it.
    pub(super) fn lowers(&self, value: u64) -> bool {
        value < self.before
    }

    /// Sets it to a value, no lower than may be, and no higher than it was. What is as it should be is not
    /// written.
    ///
    /// A clock that is read is the lowest of what all ask for, the kernel's cooling too, and of those that
    /// there are (Documentation/admin-guide/pm/cpufreq.rst): one that is lower than ours says nothing of
    /// ours. A limit of power is what was written last: one that others have set lower stays.
    pub(super) fn set(&mut self, tree: &Tree, value: u64) -> Result<(), Absent> {
        if !self.lowers(value) {
            return self.restore(tree);
        }
        let (value, near) = (value.max(self.lowest), self.near());
        let is = self.read(tree);
        let is_low = is.is_some_and(|is| is <= value + near);
        let stays = match (&self.lowered, self.kind) {
            (None, _) => is_low,
            (Some(ours), Kind::Clock) => {
                ours.asked == value && is.is_some_and(|is| is <= ours.made)
            }
            (Some(ours), Kind::Power) => {
                let is_ours = is.is_some_and(|is| is.abs_diff(ours.made) <= near);
                (is_ours && ours.asked == value) || (!is_ours && is_low)
            }
        };
        if stays {
            return Ok(());
        }
        self.lowered = Some(Lowered { asked: value, made: value });
        self.write(tree, value)?;
        let made = self.read(tree).unwrap_or(value);
        self.lowered = Some(Lowered { asked: value, made });
        Ok(())
    }

    /// Puts it back to what it was, if it was lowered; a limit of power only if nobody has lowered it
    /// further.
    pub(super) fn restore(&mut self, tree: &Tree) -> Result<(), Absent> {
        let Some(ours) = &self.lowered else { return Ok(()) };
        let is = self.read(tree).filter(|_| self.kind == Kind::Power);
        if is.is_none_or(|is| is + self.near() >= ours.made) {
            self.put_back(tree)?;
        }
        self.lowered = None;
        Ok(())
    }

    fn read(&self, tree: &Tree) -> Option<u64> {
        tree.number::<u64>(self.path(), Unit::None).value.ok()
    }

    /// By how much what is read may differ from what was written.
    fn near(&self) -> u64 {
        match self.kind {
            Kind::Clock => 0,
            Kind::Power => FRACTION,
        }
    }

    /// Puts it back to what it was, whoever lowered it. A processor that is off has nothing to put back.
    pub(super) fn put_back(&self, tree: &Tree) -> Result<(), Absent> {
        match self.write(tree, self.before) {
            Err(absent) if absent.reason == Reason::NotFound => Ok(()),
            outcome => outcome,
        }
    }

    fn write(&self, tree: &Tree, value: u64) -> Result<(), Absent> {
        let mut file = self.open(tree)?;
        // A file of a made-up tree may be longer; of the kernel's nothing is left.
        let written = file.set_len(0).and_then(|()| file.write_all(value.to_string().as_bytes()));
        written.map_err(|e| cannot(Path::new(&self.path()), &e))
    }

    /// Opens its file to write: nothing is made that is not there.
    fn open(&self, tree: &Tree) -> Result<fs::File, Absent> {
        let path = self.path();
        let file = fs::OpenOptions::new().write(true).open(tree.path(&path));
        file.map_err(|e| cannot(Path::new(&path), &e))
    }
}

/// Whether the kernel lowers clocks for heat just now (Documentation/driver-api/thermal/sysfs-api.rst).
fn is_cooled(tree: &Tree) -> bool {
    const THERMAL: &str = "sys/class/thermal";
    let names = tree.names(THERMAL).into_iter().filter(|n| n.starts_with("cooling_device"));
    names.take(MOST).any(|name| {
        let kind = tree.text(format!("{THERMAL}/{name}/type"));
        let kind = kind.get().map_or("", String::as_str);
        let is_of_clocks =
            ["cpufreq", "thermal-cpufreq", "Processor"].iter().any(|k| kind.starts_with(k));
        let state = tree.number::<u64>(format!("{THERMAL}/{name}/cur_state"), Unit::None);
        is_of_clocks && state.get().is_some_and(|state| *state > 0)
    })
}

/// That a file cannot be written, and why.
pub(super) fn cannot(path: &Path, error: &std::io::Error) -> Absent {
    let mut absent = Absent::from_io(error);
    // The policy of processors that are off stays, and answers that it is busy.
    if error.kind() == std::io::ErrorKind::ResourceBusy {
        absent.reason = Reason::NotFound;
    }
    absent.detail = format!("`{}` cannot be written: {}", path.display(), absent.detail);
    absent
}
