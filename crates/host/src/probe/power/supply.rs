//! Batteries, mains and USB supplies (the kernel's Documentation/ABI/testing/sysfs-class-power and
//! Documentation/power/power_supply_class.rst: microvolts, microamperes, microwatts, microwatt hours).

use serde::Serialize;

use crate::probe::hwmon::Chip;
use crate::probe::{Absent, Reading, Reason, Tree, Unit};

const CLASS: &str = "sys/class/power_supply";
/// Supplies, at most.
const MOST: usize = 64;
/// What no battery and no supply of a machine has, in watts.
const MOST_WATTS: f64 = 1e5;

/// A battery, or something that charges one.
#[derive(Clone, Debug, Serialize)]
pub struct Supply {
    /// Its directory.
    pub path: String,
    /// `Battery`, `Mains`, `USB`, `UPS` or `Wireless`.
    pub kind: Reading<String>,
    /// Whether it feeds something that is plugged in, such as a mouse, and not this machine.
    pub of_something_else: bool,
    /// Whether something is plugged in, of what is not a battery.
    pub online: Reading<bool>,
    /// Of a battery: `Charging`, `Discharging`, `Not charging`, `Full`.
    pub status: Reading<String>,
    /// How full a battery is.
    pub capacity: Reading<f64>,
    /// What flows out of a battery, or into it.
    pub power: Reading<f64>,
    /// What is in a battery.
    pub energy: Reading<f64>,
    /// What a supply may give.
    pub limit: Option<SupplyLimit>,
}

/// What a supply may give.
#[derive(Clone, Debug, Serialize)]
pub struct SupplyLimit {
    /// At most.
    pub watts: Reading<f64>,
    /// What was agreed upon with a USB supply, such as `C PD`.
    pub usb: Option<String>,
}

impl Supply {
    pub(super) fn all(tree: &Tree) -> Vec<Self> {
        let names = tree.names(CLASS).into_iter().take(MOST);
        names.map(|name| Self::read(tree, format!("{CLASS}/{name}"))).collect()
    }

    fn read(tree: &Tree, path: String) -> Self {
        let kind = tree.text(format!("{path}/type"));
        let is_battery = kind.get().is_some_and(|kind| kind == "Battery");
        let capacity = tree.number::<i64>(format!("{path}/capacity"), Unit::Percent);
        let capacity = capacity.check(Unit::Percent, |n| match (0..=100).contains(&n) {
            true => Ok(n as f64),
            false => Err(format!("`{n}` % cannot be")),
        });
        let scope = tree.text(format!("{path}/scope"));
        Self {
            of_something_else: scope.get().is_some_and(|scope| scope == "Device"),
            online: tree.number::<u8>(format!("{path}/online"), Unit::None).map(|n| n != 0),
            status: tree.text(format!("{path}/status")),
            capacity,
            power: watts(tree, &path),
            energy: energy(tree, &path),
            limit: (!is_battery).then(|| limit(tree, &path)),
            kind,
            path,
        }
    }

    /// Whether a chip is its own, which has its name; where a chip's may have no hyphen, an underscore
    /// stands for it.
    pub(super) fn has(&self, chip: &Chip) -> bool {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        chip.is(name) || chip.is(&name.replace('-', "_"))
    }

    /// Whether it is a battery that feeds this machine.
    pub fn is_battery(&self) -> bool {
        self.kind.get().is_some_and(|kind| kind == "Battery") && !self.of_something_else
    }
}

/// What flows out of a battery, or into it: some drivers write what flows out as negative.
pub(crate) fn watts(tree: &Tree, battery: &str) -> Reading<f64> {
    let power = tree.number::<i64>(format!("{battery}/power_now"), Unit::Watts);
    let power = power.map(|microwatts| microwatts as f64 / 1e6);
    let power = power.or_else(|| product(tree, battery, "current_now", "voltage_now"));
    power.map(f64::abs).check(Unit::Watts, plausible)
}

fn energy(tree: &Tree, battery: &str) -> Reading<f64> {
    let hours = tree.number::<i64>(format!("{battery}/energy_now"), Unit::Joules);
    let hours = hours.map(|microwatt_hours| microwatt_hours as f64 / 1e6);
    let hours = hours.or_else(|| {
        // As if the voltage stayed as it was designed, or is.
        let volts = "voltage_min_design";
        let volts = if tree.exists(format!("{battery}/{volts}")) { volts } else { "voltage_now" };
        let mut charge = product(tree, battery, "charge_now", volts);
        charge.unit = Unit::Joules;
        charge
    });
    hours.check(Unit::Joules, |hours| match (0.0..=1e6).contains(&hours) {
        true => Ok(hours * 3600.0),
        false => Err(format!("`{hours}` watt hours cannot be")),
    })
}

fn limit(tree: &Tree, supply: &str) -> SupplyLimit {
    let watts = tree.number::<i64>(format!("{supply}/input_power_limit"), Unit::Watts);
    let watts = watts.map(|microwatts| microwatts as f64 / 1e6);
    let watts = watts.or_else(|| product(tree, supply, "current_max", "voltage_max"));
    let usb = tree.text(format!("{supply}/usb_type")).value.ok();
    // The one in brackets is the one in use.
    let chosen = |all: &str| Some(all.split_once('[')?.1.split_once(']')?.0.to_owned());
    SupplyLimit {
        watts: watts.check(Unit::Watts, plausible),
        usb: usb.and_then(|all| chosen(&all).or_else(|| (!all.contains(' ')).then_some(all))),
    }
}

/// Microvolts times microamperes, or microampere hours.
fn product(tree: &Tree, supply: &str, of: &str, volts: &str) -> Reading<f64> {
    let of = tree.number::<i64>(format!("{supply}/{of}"), Unit::Watts);
    let volts = tree.number::<i64>(format!("{supply}/{volts}"), Unit::Volts);
    let value = of.value.and_then(|of| Ok(of as f64 / 1e6 * (volts.value? as f64 / 1e6)));
    Reading { value, unit: Unit::Watts, source: format!("{} x {}", of.source, volts.source) }
}

fn plausible(watts: f64) -> Result<f64, String> {
    match (0.0..=MOST_WATTS).contains(&watts) {
        true => Ok(watts),
        false => Err(format!("`{watts}` W cannot be")),
    }
}

/// Why a battery tells nothing of what the machine takes while it does not feed it.
pub(crate) fn not_discharging(status: &str) -> Absent {
    let shown: String = status.chars().take(32).collect();
    Absent {
        reason: Reason::Unsupported,
        detail: format!(
            "the battery is `{}`: what the machine takes from the mains is not measured",
            shown.escape_debug()
        ),
    }
}
