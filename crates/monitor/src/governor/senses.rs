//! Reads what a governor is to see from the machine.

use std::time::{Duration, Instant};

use rushlight_host::probe::heat::{Heat, TripKind};
use rushlight_host::probe::power::Power;
use rushlight_host::probe::{Absent, Tree};
use rushlight_host::{Measurement, PowerMeter, local_minute};

use super::{Battery, Limits, Observed};
use crate::{Error, ErrorKind};

/// The sensors of the limits that were asked for.
#[derive(Debug)]
pub struct Senses {
    tree: Tree,
    /// What measures, and its name; while watts are limited.
    watts: Option<(Measurement, String)>,
    /// Joules and seconds of the measurement when it was last asked.
    last: (f64, f64),
    /// The place whose temperature counts; while heat is limited.
    place: Option<String>,
    has_battery: bool,
    /// When the battery was last looked at, and what it said: it changes slowly, and its driver may
    /// take long.
    battery: Option<(Instant, Option<Battery>)>,
}

/// How often a battery is looked at.
const BATTERY: Duration = Duration::from_secs(10);

impl Senses {
    /// The sensors of `limits` on the machine that `tree` describes and `meter` measures.
    ///
    /// # Errors
    /// If there is none for one of the limits. What was looked for is said.
    pub fn open(tree: &Tree, meter: &PowerMeter, limits: &Limits) -> Result<Self, Error> {
        let watts = match limits.needs_watts() {
            true => Some(measure(meter)?),
            false => None,
        };
        let place = match limits.max_celsius {
            Some(_) => Some(hottest(tree)?),
            None => None,
        };
        let has_battery = limits.battery.is_some();
        if has_battery && battery(tree).is_none() {
            let message = "a limit on the battery is asked for, and there is no battery";
            let hint = "`sys/class/power_supply` has no `Battery` that feeds this machine";
            return Err(Error::new(ErrorKind::Sensor, message).with_hint(hint));
        }
        let tree = tree.clone();
        Ok(Self { tree, watts, last: (0.0, 0.0), place, has_battery, battery: None })
    }

    /// What measures watts, if something does.
    pub fn watts_source(&self) -> Option<&str> {
        self.watts.as_ref().map(|(_, name)| name.as_str())
    }

    /// Whose temperature counts at the start: the hottest place that computes.
    pub fn celsius_source(&self) -> Option<&str> {
        self.place.as_deref()
    }

    /// What the sensors say now; what the server does is not known here.
    pub fn look(&mut self) -> Observed {
        let mut observed = Observed { local_minute: local_minute(), ..Observed::default() };
        observed.watts = self.look_at_watts();
        if let Some(place) = &mut self.place {
            let heat = Heat::read(&self.tree);
            observed.celsius = heat.summary.hottest.get().copied();
            observed.trip_celsius = trip(&heat);
            if let Some(name) = heat.summary.hottest_name {
                *place = name;
            }
        }
        if self.has_battery {
            let fresh = self.battery.filter(|(at, _)| at.elapsed() < BATTERY);
            let (_, said) = *self
                .battery
                .insert(fresh.unwrap_or_else(|| (Instant::now(), battery(&self.tree))));
            // One that was there and is gone does not tell.
            observed.battery = said.or(Some(Battery { feeds: true, percent: None }));
        }
        observed
    }

    fn look_at_watts(&mut self) -> Option<f64> {
        let (measurement, _) = self.watts.as_ref()?;
        let energy = measurement.energy().ok()?;
        let (joules, seconds) = std::mem::replace(&mut self.last, (energy.joules, energy.seconds));
        let passed = energy.seconds - seconds;
        (passed > 0.0).then(|| (energy.joules - joules) / passed)
    }
}

fn measure(meter: &PowerMeter) -> Result<(Measurement, String), Error> {
    let none = |absent: &Absent| {
        let looked: Vec<String> = meter
            .candidates()
            .iter()
            .filter_map(|c| Some(format!("{}: {}", c.source.name, c.absent.as_ref()?.detail)))
            .collect();
        let looked = if looked.is_empty() { absent.to_string() } else { looked.join("; ") };
        let message = format!("a limit on watts is asked for, and nothing measures them: {looked}");
        let hint = meter.hint().unwrap_or("`--max-celsius` needs no meter of watts");
        Error::new(ErrorKind::Sensor, message).with_hint(hint)
    };
    let source = meter.source().map_err(none)?;
    if source.estimated {
        let message = "a limit on watts is asked for, and they are only estimated";
        let hint = "an estimate does not see what the machine draws: leave it out, or the limit";
        return Err(Error::new(ErrorKind::Sensor, message).with_hint(hint));
    }
    let name = format!("{} ({})", source.name, source.covers.name());
    let measurement = meter.start().ok_or_else(|| {
        Error::new(ErrorKind::Sensor, format!("`{name}` cannot be read any more"))
    })?;
    Ok((measurement, name))
}

/// The hottest place that computes.
fn hottest(tree: &Tree) -> Result<String, Error> {
    let summary = Heat::read(tree).summary;
    match &summary.hottest.value {
        Ok(_) => Ok(summary.hottest_name.unwrap_or_else(|| summary.hottest.source.clone())),
        Err(absent) => {
            let message =
                format!("a limit on heat is asked for, and nothing measures it: {absent}");
            let hint = "looked in `sys/class/thermal/thermal_zone*` and `sys/class/hwmon/*/temp*`";
            Err(Error::new(ErrorKind::Sensor, message).with_hint(hint))
        }
    }
}

/// Where the kernel slows the hottest place, if it says so.
fn trip(heat: &Heat) -> Option<f64> {
    let name = heat.summary.hottest_name.as_deref()?;
    let zones = heat.zones.iter().filter(|zone| zone.name() == name);
    let trips = zones.flat_map(|zone| &zone.trips).filter(|trip| trip.kind == TripKind::Passive);
    trips.filter_map(|trip| trip.temperature.get().copied()).min_by(f64::total_cmp)
}

/// The battery that feeds this machine, the lowest one of several.
fn battery(tree: &Tree) -> Option<Battery> {
    let supplies = Power::read(tree).supplies;
    let batteries: Vec<_> = supplies.iter().filter(|supply| supply.is_battery()).collect();
    let feeds = batteries.iter().any(|b| b.status.get().is_some_and(|s| s == "Discharging"));
    let percents = batteries.iter().map(|b| b.capacity.get().copied());
    let percent = percents.reduce(|a, b| a.zip(b).map(|(a, b)| a.min(b)));
    percent.map(|percent| Battery { feeds, percent })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use rushlight_testkit::made_up::{write_entries, write_tree};

    use super::*;

    fn open(root: &Path, limits: &Limits) -> Result<Senses, Error> {
        let tree = Tree::new(root);
        Senses::open(&tree, &PowerMeter::open(&tree), limits)
    }

    fn limits(watts: Option<f64>, max_celsius: Option<f64>, battery: Option<&str>) -> Limits {
        let battery = battery.map(|text| text.parse().unwrap());
        Limits { watts, max_celsius, battery, ..Limits::default() }
    }

    #[test]
    fn a_limit_without_a_sensor_is_an_error_that_says_what_was_looked_for() {
        let dir = tempfile::tempdir().unwrap();
        let cases = [
            (limits(Some(5.0), None, None), "watts", "energy counter"),
            (limits(None, Some(70.0), None), "heat", "thermal zone"),
            (limits(None, None, Some("30")), "battery", "no battery"),
            (limits(None, None, Some("30=4")), "watts", "energy counter"),
        ];
        for (limits, of, what) in cases {
            let error = open(dir.path(), &limits).unwrap_err();
            let text = error.to_string();
            assert!(text.contains(of) && text.contains(what), "{text}");
            assert!(error.hint().is_some() && error.kind() == ErrorKind::Sensor);
        }
        // Nothing is asked for, nothing is missed.
        assert!(open(dir.path(), &Limits::default()).is_ok());
        write_entries(
            "sys/class/powercap/intel-rapl:0/name = package-0\n\
             sys/class/powercap/intel-rapl:0/energy_uj !EACCES\n",
            dir.path(),
        );
        let error = open(dir.path(), &limits(Some(5.0), None, None)).unwrap_err();
        assert!(error.to_string().contains("package-0: since Linux 5.10"), "{error}");
        let meter = PowerMeter::open(&Tree::new(dir.path())).or_estimate(3.0).unwrap();
        let limits = limits(Some(5.0), None, None);
        let error = Senses::open(&Tree::new(dir.path()), &meter, &limits).unwrap_err();
        assert!(error.to_string().contains("estimated"), "{error}");
    }

    #[test]
    fn machines_are_seen_as_they_are() {
        let dir = tempfile::tempdir().unwrap();
        write_tree("jetson-orin-nano", dir.path());
        let mut senses = open(dir.path(), &limits(Some(10.0), Some(70.0), None)).unwrap();
        assert!(senses.watts_source().unwrap().contains("VDD_IN"), "{senses:?}");
        assert_eq!(senses.celsius_source(), Some("tj-thermal"));
        std::thread::sleep(Duration::from_millis(50));
        let seen = senses.look();
        assert_eq!(seen.celsius, Some(58.25));
        assert!((seen.watts.unwrap() - 14.2).abs() < 1e-6, "{seen:?}");
        assert_eq!(seen.battery, None);

        let dir = tempfile::tempdir().unwrap();
        write_tree("battery-device", dir.path());
        let mut senses = open(dir.path(), &limits(None, Some(70.0), Some("30"))).unwrap();
        let seen = senses.look();
        assert_eq!((seen.watts, seen.celsius, seen.trip_celsius), (None, Some(54.05), Some(99.05)));
        assert!(seen.battery.is_some_and(|battery| battery.feeds), "{seen:?}");
    }

    #[test]
    fn what_goes_while_it_is_watched_is_absent() {
        let dir = tempfile::tempdir().unwrap();
        write_entries(
            "sys/class/thermal/thermal_zone0/type = cpu-thermal\n\
             sys/class/thermal/thermal_zone0/temp = 61000\n",
            dir.path(),
        );
        let mut senses = open(dir.path(), &limits(None, Some(70.0), None)).unwrap();
        assert_eq!(senses.look().celsius, Some(61.0));
        fs::remove_dir_all(dir.path().join("sys")).unwrap();
        assert_eq!(senses.look().celsius, None);
    }
}
