//! What the firmware of a Raspberry Pi says of its supply and its heat.

use serde::Serialize;

use super::flag;
use crate::probe::hwmon::Chip;
use crate::probe::{Reading, Reason, Tree, Unit, board};

/// Where a kernel with the file has it, for firmware drivers under any address.
const DRIVER: &str = "sys/bus/platform/drivers/raspberrypi-firmware";
const FILE: &str = "get_throttled";

/// What the firmware says.
#[derive(Clone, Debug, Serialize)]
pub struct Raspberry {
    /// Whether the supply's voltage is too low now, or was since the kernel last looked
    /// (the kernel's Documentation/hwmon/raspberrypi-hwmon.rst).
    pub under_voltage: Reading<bool>,
    /// Why the firmware slows the processor down.
    pub flags: Reading<Flags>,
}

/// The bits of `get_throttled` (Raspberry Pi documentation, "vcgencmd"). The upper ones stay until the
/// machine starts again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flags(pub u32);

const NAMES: [(u32, &str); 8] = [
    (0, "under_voltage"),
    (1, "frequency_capped"),
    (2, "throttled"),
    (3, "soft_temperature_limit"),
    (16, "under_voltage_since_boot"),
    (17, "frequency_capped_since_boot"),
    (18, "throttled_since_boot"),
    (19, "soft_temperature_limit_since_boot"),
];

impl Flags {
    /// The names of those that are set.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        NAMES.into_iter().filter(move |(bit, _)| self.0 >> bit & 1 == 1).map(|(_, name)| name)
    }

    /// Whether the processor is slower now than it could be.
    pub fn slows(self) -> bool {
        self.0 & 0b1110 != 0
    }

    /// Whether it was since the machine started.
    pub fn slowed(self) -> bool {
        self.0 & 0b1110 << 16 != 0
    }

    /// Whether the supply is too weak now.
    pub fn under_voltage(self) -> bool {
        self.0 & 1 != 0
    }
}

impl Serialize for Flags {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.names())
    }
}

impl Raspberry {
    /// `None` where this is no Raspberry Pi.
    pub(super) fn read(tree: &Tree, chips: &[Chip]) -> Option<Self> {
        let device = tree.names(DRIVER).into_iter().map(|name| format!("{DRIVER}/{name}/{FILE}"));
        let old = "sys/devices/platform/soc/soc:firmware/get_throttled";
        let path = device.chain([old.to_owned()]).find(|path| tree.exists(path));
        let chip = chips.iter().find(|chip| chip.is("rpi_volt"));
        let is_one = board::is_compatible(tree, "raspberrypi,");
        if path.is_none() && chip.is_none() && !is_one {
            return None;
        }
        let under_voltage = match chip {
            Some(chip) => flag(tree, &format!("{}/in0_lcrit_alarm", chip.path)),
            None => absent("the kernel's driver raspberrypi-hwmon is not loaded", "rpi_volt"),
        };
        let flags = match path {
            Some(path) => tree.text(path).check(Unit::None, |text| parse(&text)),
            None => absent("this kernel does not show the firmware's flags", FILE),
        };
        Some(Self { under_voltage, flags })
    }
}

/// The kernel writes the number to the base of sixteen, without a prefix.
fn parse(text: &str) -> Result<Flags, String> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let shown: String = text.chars().take(32).collect();
    u32::from_str_radix(digits, 16)
        .map(Flags)
        .map_err(|_| format!("`{}` is no such number", shown.escape_debug()))
}

fn absent<T>(what: &str, source: &str) -> Reading<T> {
    Reading::absent(Reason::Driver, what, Unit::None, source)
}
