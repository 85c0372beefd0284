//! How hot the machine is, how far from its limits, and whether it is slowed down for that.

mod raspberry;
mod summary;
mod throttle;
mod zone;

use serde::Serialize;

use super::hwmon::Chip;
use super::{Tree, Unit, hwmon::SensorKind};

pub use raspberry::{Flags, Raspberry};
pub use summary::{HeatSummary, Nearest};
pub use throttle::{CoolingDevice, ThrottleCounts};
pub use zone::{Trip, TripKind, Zone};

/// All that the machine says of its heat.
#[derive(Clone, Debug, Serialize)]
pub struct Heat {
    /// In short.
    pub summary: HeatSummary,
    /// Where the kernel looks after a temperature.
    pub zones: Vec<Zone>,
    /// What the kernel cools with: fans, and slower clocks.
    pub cooling: Vec<CoolingDevice>,
    /// Chips that measure temperatures or fans.
    pub chips: Vec<Chip>,
    /// How often an x86 processor slowed itself down.
    pub throttled: ThrottleCounts,
    /// What a Raspberry Pi's firmware says; `None` elsewhere.
    pub raspberry: Option<Raspberry>,
}

impl Heat {
    /// Reads all of it. Takes some milliseconds: each sensor answers by itself.
    pub fn read(tree: &Tree) -> Self {
        let chips = Chip::all(tree);
        let zones = Zone::all(tree);
        let cooling = CoolingDevice::all(tree);
        let throttled = ThrottleCounts::read(tree);
        let raspberry = Raspberry::read(tree, &chips);
        let summary = HeatSummary::of(&zones, &cooling, &chips, &throttled, raspberry.as_ref());
        let is_hot = |chip: &Chip| {
            let kinds = [SensorKind::Temperature, SensorKind::Fan];
            chip.sensors.iter().any(|sensor| kinds.contains(&sensor.kind))
        };
        let chips = chips.into_iter().filter(is_hot).collect();
        Self { summary, zones, cooling, chips, throttled, raspberry }
    }
}

/// A yes or no in a file.
fn flag(tree: &Tree, path: &str) -> super::Reading<bool> {
    tree.number::<u8>(path, Unit::None).map(|n| n != 0)
}

#[cfg(test)]
mod tests {
    use rushlight_testkit::made_up::{write_entries, write_tree};

    use super::*;
    use crate::probe::Reason;

    fn heat(name: &str) -> Heat {
        let dir = tempfile::tempdir().unwrap();
        write_tree(name, dir.path());
        Heat::read(&Tree::new(dir.path()))
    }

    fn of(entries: &str) -> Heat {
        let dir = tempfile::tempdir().unwrap();
        write_entries(entries, dir.path());
        Heat::read(&Tree::new(dir.path()))
    }

    #[test]
    fn machines_say_how_hot_they_are_and_what_slows_them() {
        // Hottest, its name; what is nearest, its limit, degrees left; throttling now, since boot.
        type Case<'a> =
            (&'a str, f64, &'a str, (&'a str, TripKind, f64), Option<bool>, Option<bool>);
        let cases: [Case<'_>; 4] = [
            (
                "raspberry-pi-5",
                81.05,
                "cpu-thermal",
                ("cpu-thermal", TripKind::Critical, 28.95),
                Some(true),
                Some(true),
            ),
            (
                "jetson-orin-nano",
                58.25,
                "tj-thermal",
                ("gpu-thermal", TripKind::Passive, 40.75),
                Some(false),
                None,
            ),
            (
                "jetson-agx-thor",
                37.093,
                "tj-thermal",
                ("soc012-thermal", TripKind::Passive, 61.907),
                Some(false),
                None,
            ),
            // Neither the wireless card at 71 degrees nor the battery's chip.
            (
                "battery-device",
                54.05,
                "TCPU",
                ("TCPU", TripKind::Passive, 45.0),
                Some(false),
                Some(true),
            ),
        ];
        for (name, hottest, hottest_name, (nearest, kind, left), now, since) in cases {
            let summary = heat(name).summary;
            assert_eq!(summary.hottest.get(), Some(&hottest), "{name}");
            assert_eq!(summary.hottest_name.as_deref(), Some(hottest_name), "{name}");
            let near = summary.nearest.unwrap();
            assert_eq!((near.name.as_str(), near.kind), (nearest, kind), "{name}");
            assert!((near.left - left).abs() < 1e-9, "{name}: {near:?}");
            assert_eq!(summary.throttling.get().copied(), now, "{name}: {:?}", summary.because);
            assert_eq!(summary.throttled_since_boot.get().copied(), since, "{name}");
        }
    }

    #[test]
    fn a_raspberry_pi_tells_its_flags() {
        let heat = heat("raspberry-pi-5");
        let raspberry = heat.raspberry.unwrap();
        assert_eq!(raspberry.under_voltage.get(), Some(&false));
        let flags = *raspberry.flags.get().unwrap();
        let names: Vec<&str> = flags.names().collect();
        assert_eq!(
            names,
            [
                "soft_temperature_limit",
                "under_voltage_since_boot",
                "throttled_since_boot",
                "soft_temperature_limit_since_boot"
            ]
        );
        assert!(!flags.under_voltage() && flags.slows() && flags.slowed());
        let firmware = "sys/bus/platform/drivers/raspberrypi-firmware/f/get_throttled";
        let one = |value: &str| of(&format!("{firmware} = {value}\n")).raspberry.unwrap();
        assert_eq!(one("0").flags.get(), Some(&Flags(0)));
        assert_eq!(one("0x50005").flags.get(), Some(&Flags(0x50005)));
        assert_eq!(one("hot").flags.value.unwrap_err().reason, Reason::Damaged);
        assert_eq!(one("0").under_voltage.value.unwrap_err().reason, Reason::Driver);
        assert!(of("proc/version = Linux\n").raspberry.is_none());
    }

    #[test]
    fn what_is_absurd_or_absent_is_said() {
        let heat = of("sys/class/thermal/thermal_zone0/type = cpu-thermal\n\
             sys/class/thermal/thermal_zone0/temp = -273150\n\
             sys/class/thermal/thermal_zone1/type = soc-thermal\n\
             sys/class/thermal/thermal_zone1/temp = 1000000000000\n\
             sys/class/thermal/thermal_zone2/temp = none\n\
             sys/class/thermal/thermal_zone3/type = acpitz\n\
             sys/class/thermal/thermal_zone3/temp = 40000\n\
             sys/class/thermal/thermal_zone3/trip_point_0_temp = 0\n\
             sys/class/thermal/thermal_zone3/trip_point_0_type = passive\n\
             sys/class/thermal/thermal_zone3/trip_point_1_temp = 99999999\n");
        for zone in &heat.zones[..3] {
            let absent = zone.temperature.value.clone().unwrap_err();
            assert_eq!(absent.reason, Reason::Damaged, "{}", zone.path);
        }
        assert_eq!(heat.summary.hottest.get(), Some(&40.0));
        let reason = |trip: &Trip| trip.temperature.value.clone().unwrap_err().reason;
        let reasons: Vec<Reason> = heat.zones[3].trips.iter().map(reason).collect();
        assert_eq!(reasons, [Reason::Unsupported, Reason::Damaged]);
        assert_eq!(heat.summary.nearest, None);
        let none = of("proc/version = Linux\n").summary;
        assert_eq!(none.hottest.value.unwrap_err().reason, Reason::NotFound);
        assert_eq!(none.throttling.value.unwrap_err().reason, Reason::NotFound);
    }
}
