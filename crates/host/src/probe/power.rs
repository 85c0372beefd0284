//! What the machine says of its power: counters of processors, rails, batteries and supplies.

pub(crate) mod pmic;
mod rail;
mod rapl;
mod supply;

use serde::Serialize;

use super::hwmon::{self, Chip, SensorKind};
use super::{Reading, Tree};

pub use rail::Rail;
pub(crate) use rail::{BOARD, SUMS, Watts};
pub(crate) use rapl::{CLASS as POWERCAP, energy as rapl_energy};
pub use rapl::{RaplLimit, RaplZone};
pub use supply::{Supply, SupplyLimit};
pub(crate) use supply::{not_discharging, watts as battery_watts};

/// All that the machine says of its power.
#[derive(Clone, Debug, Serialize)]
pub struct Power {
    /// Energy counters of processors and their parts.
    pub rapl: Vec<RaplZone>,
    /// Rails whose power is measured.
    pub rails: Vec<Rail>,
    /// Chips that count energy.
    pub counters: Vec<Chip>,
    /// Batteries and what charges them.
    pub supplies: Vec<Supply>,
}

impl Power {
    /// Reads all of it, and nothing else of the chips. Takes some milliseconds: each sensor answers by
    /// itself.
    pub fn read(tree: &Tree) -> Self {
        let mut chips = Chip::all_of(tree, |chip, kind| match kind {
            SensorKind::Power | SensorKind::Energy => true,
            SensorKind::Voltage | SensorKind::Current => rail::is_by_product(chip),
            _ => false,
        });
        let supplies = Supply::all(tree);
        // A battery has a chip too, which says the same once more.
        chips.retain(|chip| !supplies.iter().any(|supply| supply.has(chip)));
        let rails = chips.iter().flat_map(|chip| Rail::all(tree, chip)).collect();
        let counts = |chip: &Chip| chip.of(SensorKind::Energy).next().is_some();
        Self {
            rapl: RaplZone::all(tree),
            rails,
            counters: chips.into_iter().filter(counts).collect(),
            supplies,
        }
    }
}

/// Joules that a chip has counted, in a file.
pub(crate) fn chip_energy(tree: &Tree, file: &str) -> Reading<f64> {
    hwmon::value(tree, file, SensorKind::Energy)
}

#[cfg(test)]
mod tests {
    use rushlight_testkit::made_up::{write_entries, write_tree};

    use super::*;
    use crate::probe::Reason;

    fn power(name: &str) -> Power {
        let dir = tempfile::tempdir().unwrap();
        write_tree(name, dir.path());
        Power::read(&Tree::new(dir.path()))
    }

    #[test]
    fn rails_have_labels_and_watts() {
        let rails = |name| -> Vec<(Option<String>, Option<f64>)> {
            let of = |rail: Rail| (rail.label, rail.power.get().copied());
            power(name).rails.into_iter().map(of).collect()
        };
        let rail = |label: &str, watts: f64| (Some(label.to_owned()), Some(watts));
        assert_eq!(
            rails("jetson-orin-nano"),
            [
                rail("VDD_IN", 5.0 * 2.84),
                rail("VDD_CPU_GPU_CV", 4.992 * 1.304),
                rail("VDD_SOC", 5.0 * 0.592)
            ]
        );
        assert_eq!(
            rails("jetson-agx-thor"),
            [
                rail("VIN", 33.52),
                rail("VDD_GPU", 12.0 * 0.168),
                rail("VDD_CPU_SOC_MSS", 12.0 * 0.64),
                rail("VIN_SYS_5V0", 5.032 * 1.48)
            ]
        );
        assert_eq!(rails("raspberry-pi-5"), []);
        // A battery's chip is no rail.
        assert_eq!(rails("battery-device"), []);
    }

    #[test]
    fn batteries_and_supplies() {
        let power = power("battery-device");
        let find = |end: &str| power.supplies.iter().find(|s| s.path.ends_with(end)).unwrap();
        let battery = find("BAT0");
        assert!(battery.is_battery());
        assert_eq!(battery.status.get().unwrap(), "Discharging");
        assert_eq!(battery.capacity.get(), Some(&64.0));
        assert_eq!(battery.power.get(), Some(&7.43));
        assert_eq!(battery.energy.get(), Some(&(32.77 * 3600.0)));
        assert!(!find("hidpp_battery_0").is_battery());
        assert_eq!(find("AC").online.get(), Some(&false));
        let usb = find("USBC000:001").limit.as_ref().unwrap();
        assert_eq!((usb.watts.get(), usb.usb.as_deref()), (Some(&65.0), Some("C")));
    }

    #[test]
    fn counters_have_ranges_and_reasons() {
        let power = power("battery-device");
        // The same package by another way is not another one.
        assert_eq!(power.rapl.len(), 4);
        let package = &power.rapl[0];
        assert!(package.is("package") && !package.is("pack"));
        let absent = package.energy.value.clone().unwrap_err();
        assert_eq!(absent.reason, Reason::Permission);
        assert!(absent.detail.contains("since Linux 5.10"), "{absent}");
        assert_eq!(package.range.get(), Some(&262_143.328_85));
        assert_eq!(package.limits[0].limit.get(), Some(&15.0));
        assert_eq!(power.rapl[1].parent.as_deref(), Some("sys/class/powercap/intel-rapl:0"));
        assert_eq!(package.parent, None);
    }

    #[test]
    fn of_a_chip_only_what_is_of_power_is_read() {
        let dir = tempfile::tempdir().unwrap();
        write_entries(
            "sys/class/hwmon/hwmon0/name = drivetemp\nsys/class/hwmon/hwmon0/temp1_input = 40000\n\
             sys/class/hwmon/hwmon1/name = xe\nsys/class/hwmon/hwmon1/energy1_input = 5000000\n\
             sys/class/hwmon/hwmon1/temp2_input = 40000\nsys/class/hwmon/hwmon1/in0_input = 900\n",
            dir.path(),
        );
        let power = Power::read(&Tree::new(dir.path()));
        assert_eq!(power.counters.len(), 1);
        let kinds: Vec<_> = power.counters[0].sensors.iter().map(|sensor| sensor.kind).collect();
        assert_eq!(kinds, [SensorKind::Energy]);
    }

    #[test]
    fn absurd_powers_are_damaged() {
        let dir = tempfile::tempdir().unwrap();
        write_entries(
            "sys/class/power_supply/BAT0/type = Battery\n\
             sys/class/power_supply/BAT0/capacity = 300\n\
             sys/class/power_supply/BAT0/current_now = -1500000\n\
             sys/class/power_supply/BAT0/voltage_now = 4000000\n\
             sys/class/power_supply/BAT1/type = Battery\n\
             sys/class/power_supply/BAT1/power_now = 9000000000000000\n\
             sys/class/powercap/intel-rapl:0/name = package-0\n\
             sys/class/powercap/intel-rapl:0/energy_uj = 18446744073709551615\n\
             sys/class/powercap/intel-rapl:0/max_energy_range_uj = 0\n\
             sys/class/hwmon/hwmon0/name = ina3221\n\
             sys/class/hwmon/hwmon0/in1_input = 99999999\n\
             sys/class/hwmon/hwmon0/curr1_input = 5\n",
            dir.path(),
        );
        let power = Power::read(&Tree::new(dir.path()));
        assert_eq!(power.supplies[0].power.get(), Some(&6.0));
        let reasons = [
            power.supplies[0].capacity.value.clone().unwrap_err().reason,
            power.supplies[1].power.value.clone().unwrap_err().reason,
            power.rapl[0].energy.value.clone().unwrap_err().reason,
            power.rapl[0].range.value.clone().unwrap_err().reason,
            power.rails[0].power.value.clone().unwrap_err().reason,
        ];
        assert_eq!(reasons, [Reason::Damaged; 5]);
    }
}
