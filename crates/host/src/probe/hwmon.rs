//! Chips that measure: temperatures, fans, voltages, currents, power, energy and their alarms.
//!
//! Files, units and names: the kernel's Documentation/hwmon/sysfs-interface.rst and
//! Documentation/ABI/testing/sysfs-class-hwmon.

use std::collections::BTreeSet;

use serde::Serialize;

use super::{Reading, Tree, Unit};

/// Where the chips are.
const CLASS: &str = "sys/class/hwmon";
/// Chips and sensors of one, at most: more than any machine has.
const MOST: usize = 512;

/// A chip that measures.
#[derive(Clone, Debug, Serialize)]
pub struct Chip {
    /// The driver's name for it, such as `coretemp` or `ina3221`.
    pub name: Reading<String>,
    /// What the firmware calls it, where it does.
    pub label: Option<String>,
    /// Its directory.
    pub path: String,
    /// What it measures, in the order of kinds and numbers.
    pub sensors: Vec<Sensor>,
    /// What it warns of.
    pub alarms: Vec<Alarm>,
}

/// One thing that a chip measures.
#[derive(Clone, Debug, Serialize)]
pub struct Sensor {
    /// Of what.
    pub kind: SensorKind,
    /// Its number among those of its kind.
    pub number: u32,
    /// What the board's maker calls it.
    pub label: Option<String>,
    /// The value, in the unit of the kind.
    pub reading: Reading<f64>,
    /// The value that is too much for the hardware, in the same unit, where the chip knows.
    pub critical: Option<f64>,
}

/// A warning of a chip.
#[derive(Clone, Debug, Serialize)]
pub struct Alarm {
    /// The file's name, such as `in0_lcrit_alarm`.
    pub name: String,
    /// Whether it warns now.
    pub active: Reading<bool>,
}

/// What a sensor measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SensorKind {
    /// Degrees Celsius.
    Temperature,
    /// Turns per minute.
    Fan,
    /// Volts.
    Voltage,
    /// Amperes.
    Current,
    /// Watts.
    Power,
    /// Joules since some beginning.
    Energy,
}

/// How the kernel writes a kind.
struct Form {
    kind: SensorKind,
    prefix: &'static str,
    unit: Unit,
    /// What a number in the file is divided by.
    scale: f64,
    /// What is no value of a machine that runs: what drivers show for a sensor that is not connected
    /// (-273 °C, 255 °C, all ones) is outside.
    least: f64,
    most: f64,
}

const FORMS: [Form; 6] = [
    Form::new(SensorKind::Temperature, "temp", Unit::Celsius, 1e3, -60.0, 250.0),
    Form::new(SensorKind::Fan, "fan", Unit::Rpm, 1.0, 0.0, 2e5),
    Form::new(SensorKind::Voltage, "in", Unit::Volts, 1e3, -1e3, 1e3),
    Form::new(SensorKind::Current, "curr", Unit::Amperes, 1e3, -1e4, 1e4),
    Form::new(SensorKind::Power, "power", Unit::Watts, 1e6, -1e5, 1e5),
    Form::new(SensorKind::Energy, "energy", Unit::Joules, 1e6, 0.0, 1e13),
];

impl Form {
    const fn new(
        kind: SensorKind,
        prefix: &'static str,
        unit: Unit,
        scale: f64,
        least: f64,
        most: f64,
    ) -> Self {
        Self { kind, prefix, unit, scale, least, most }
    }

    fn of(kind: SensorKind) -> &'static Self {
        FORMS.iter().find(|form| form.kind == kind).unwrap_or(&FORMS[0])
    }

    /// The number of a sensor of this kind whose value is in the file `name`.
    fn number(&self, name: &str) -> Option<u32> {
        let (number, rest) = name.strip_prefix(self.prefix)?.split_once('_')?;
        let value = rest == "input" || (rest == "average" && self.kind == SensorKind::Power);
        number.parse().ok().filter(|_| value)
    }
}

/// What a value of `kind` counts.
pub(crate) fn unit(kind: SensorKind) -> Unit {
    Form::of(kind).unit
}

/// A value of `kind` in a file of the kernel's form, or `Damaged` where it is none of a machine that
/// runs.
pub(crate) fn value(tree: &Tree, path: &str, kind: SensorKind) -> Reading<f64> {
    let form = Form::of(kind);
    tree.number::<i64>(path, form.unit).check(form.unit, |number| {
        let value = number as f64 / form.scale;
        match (form.least..=form.most).contains(&value) {
            true => Ok(value),
            false => Err(format!("`{value}` {} cannot be", form.unit.symbol())),
        }
    })
}

impl Chip {
    /// All chips.
    pub fn all(tree: &Tree) -> Vec<Self> {
        Self::all_of(tree, |_, _| true)
    }

    /// All chips, with those sensors that are wanted of a chip of that name. No other is read: some
    /// chips are slow, and some disks wake up when they are asked how warm they are.
    pub(crate) fn all_of(tree: &Tree, wants: impl Fn(&str, SensorKind) -> bool) -> Vec<Self> {
        let names = tree.names(CLASS).into_iter().take(MOST);
        names.map(|name| Self::read(tree, format!("{CLASS}/{name}"), &wants)).collect()
    }

    fn read(tree: &Tree, path: String, wants: impl Fn(&str, SensorKind) -> bool) -> Self {
        let name = tree.text(format!("{path}/name"));
        let driver = name.get().map_or("", String::as_str);
        let files = tree.names(&path);
        let forms: Vec<&Form> = FORMS.iter().filter(|form| wants(driver, form.kind)).collect();
        let numbers =
            |file: &String| forms.iter().find_map(|form| Some((form.kind, form.number(file)?)));
        let found: BTreeSet<_> = files.iter().filter_map(numbers).take(MOST).collect();
        let sensors = found.into_iter().map(|(kind, number)| sensor(tree, &path, kind, number));
        let sensors = sensors.collect();
        let alarms = files.iter().filter(|file| file.ends_with("_alarm")).take(MOST);
        let alarm = |name: &String| {
            let active = tree.number::<u8>(format!("{path}/{name}"), Unit::None);
            Alarm { name: name.clone(), active: active.map(|n| n != 0) }
        };
        let alarms = alarms.map(alarm).collect();
        Self { name, label: tree.text(format!("{path}/label")).value.ok(), sensors, alarms, path }
    }

    /// Whether the driver calls it `name`.
    pub fn is(&self, name: &str) -> bool {
        self.name.get().is_some_and(|own| own == name)
    }

    /// What it measures of a kind.
    pub fn of(&self, kind: SensorKind) -> impl Iterator<Item = &Sensor> {
        self.sensors.iter().filter(move |sensor| sensor.kind == kind)
    }

    /// The sensor of a kind and a number.
    pub fn sensor(&self, kind: SensorKind, number: u32) -> Option<&Sensor> {
        self.of(kind).find(|sensor| sensor.number == number)
    }
}

fn sensor(tree: &Tree, chip: &str, kind: SensorKind, number: u32) -> Sensor {
    let base = format!("{chip}/{}{number}", Form::of(kind).prefix);
    let input = || value(tree, &format!("{base}_input"), kind);
    let reading = match kind {
        // The average of a while says more than a moment, where there is one.
        SensorKind::Power => value(tree, &format!("{base}_average"), kind).or_else(input),
        _ => input(),
    };
    let critical = value(tree, &format!("{base}_crit"), kind).value.ok().filter(|v| *v > 0.0);
    Sensor { kind, number, label: tree.text(format!("{base}_label")).value.ok(), reading, critical }
}

#[cfg(test)]
mod tests {
    use rushlight_testkit::made_up::write_entries;

    use super::*;
    use crate::probe::Reason;

    #[test]
    fn chips_have_values_in_units_and_absurd_ones_are_damaged() {
        let dir = tempfile::tempdir().unwrap();
        write_entries(
            "sys/class/hwmon/hwmon0/name = k10temp\n\
             sys/class/hwmon/hwmon0/temp1_input = 51250\n\
             sys/class/hwmon/hwmon0/temp1_label = Tctl\n\
             sys/class/hwmon/hwmon0/temp1_crit = 95000\n\
             sys/class/hwmon/hwmon0/temp2_input = -273150\n\
             sys/class/hwmon/hwmon0/temp3_input = 1000000000\n\
             sys/class/hwmon/hwmon0/temp10_input = 40000\n\
             sys/class/hwmon/hwmon0/temp1_max_alarm = 1\n\
             sys/class/hwmon/hwmon1/power1_average = 15200000\n\
             sys/class/hwmon/hwmon1/power1_input = 16000000\n\
             sys/class/hwmon/hwmon1/power2_input = 3000000\n\
             sys/class/hwmon/hwmon1/energy1_input = 5000000\n\
             sys/class/hwmon/hwmon1/fan1_input = 2400\n\
             sys/class/hwmon/hwmon1/in0_input = 12000\n\
             sys/class/hwmon/hwmon1/curr1_input = -1500\n\
             sys/class/hwmon/hwmon1/pwm1 = 3\n",
            dir.path(),
        );
        let chips = Chip::all(&Tree::new(dir.path()));
        let values = |chip: &Chip| -> Vec<(SensorKind, u32, Option<f64>)> {
            chip.sensors.iter().map(|s| (s.kind, s.number, s.reading.get().copied())).collect()
        };
        use SensorKind::{Current, Energy, Fan, Power, Temperature, Voltage};
        assert_eq!(
            values(&chips[0]),
            [
                (Temperature, 1, Some(51.25)),
                (Temperature, 2, None),
                (Temperature, 3, None),
                (Temperature, 10, Some(40.0))
            ]
        );
        let absurd = chips[0].sensors[1].reading.value.clone().unwrap_err();
        assert_eq!(
            (absurd.reason, absurd.detail.as_str()),
            (Reason::Damaged, "`-273.15` °C cannot be")
        );
        let first = &chips[0].sensors[0];
        assert_eq!((first.label.as_deref(), first.critical), (Some("Tctl"), Some(95.0)));
        assert_eq!(chips[0].alarms[0].active.get(), Some(&true));
        assert_eq!(chips[1].name.value.clone().unwrap_err().reason, Reason::NotFound);
        assert_eq!(
            values(&chips[1]),
            [
                (Fan, 1, Some(2400.0)),
                (Voltage, 0, Some(12.0)),
                (Current, 1, Some(-1.5)),
                (Power, 1, Some(15.2)),
                (Power, 2, Some(3.0)),
                (Energy, 1, Some(5.0))
            ]
        );
    }
}
