//! Power and heat, as `rushlight_host` reads them.

use rushlight_host::probe::heat::Heat as Hot;
use rushlight_host::probe::hwmon::SensorKind;
use rushlight_host::probe::power::Power as Powers;
use rushlight_host::probe::{Absent, Reading, Tree};
use rushlight_host::{Measurement, PowerMeter};

use super::super::rate::{rounded, shown};
use super::super::{Battery, Heat, Power, Rail, Temperature};
use super::SEARCH;

/// Temperatures and rails, at most.
const MOST: usize = 64;

/// What sensors say.
#[derive(Clone, Debug, Default)]
pub(super) struct Sensed {
    pub(super) power: Power,
    pub(super) heat: Heat,
    /// Why there are no watts.
    pub(super) no_power: Option<Absent>,
    /// Why there is no temperature.
    pub(super) no_heat: Option<Absent>,
}

/// Finds sensors, and reads them again and again.
#[derive(Debug)]
pub(super) struct SensorReader {
    tree: Tree,
    meter: Option<PowerMeter>,
    measurement: Option<Measurement>,
    /// Joules and seconds when they were read last.
    last: Option<(f64, f64)>,
    sensed: Sensed,
    count: u64,
}

impl SensorReader {
    pub(super) fn new(tree: &Tree) -> Self {
        Self {
            tree: tree.clone(),
            meter: None,
            measurement: None,
            last: None,
            sensed: Sensed::default(),
            count: 0,
        }
    }

    pub(super) fn read(&mut self) -> Sensed {
        if self.count.is_multiple_of(SEARCH) && self.measurement.is_none() {
            let meter = PowerMeter::open(&self.tree);
            self.measurement = meter.start();
            self.meter = Some(meter);
            self.last = None;
        }
        self.power();
        let Sensed { power, heat: hot, no_heat, .. } = &mut self.sensed;
        // Each sensor answers by itself, some slowly, and warmth is slow too: they take turns.
        match self.count % 2 {
            0 => *no_heat = heat(&self.tree, hot),
            _ => supplies(&self.tree, power),
        }
        if self.count == 0 {
            supplies(&self.tree, power);
        }
        self.count += 1;
        self.sensed.clone()
    }

    fn power(&mut self) {
        let power = &mut self.sensed.power;
        (power.watts, power.source, power.is_estimated, power.joules) = (None, None, false, None);
        self.sensed.no_power = None;
        let Some(meter) = &self.meter else { return };
        let absent = match (meter.source(), &self.measurement) {
            (Ok(source), Some(measurement)) => {
                power.source = Some(format!("{}, {}", source.name, source.covers.name()));
                power.is_estimated = source.estimated;
                match measurement.energy() {
                    Ok(energy) => {
                        let now = (energy.joules, energy.seconds);
                        let (joules, seconds) = self.last.replace(now).unwrap_or((0.0, 0.0));
                        let seconds = energy.seconds - seconds;
                        // What was measured for a moment only is no mean.
                        power.watts = (seconds > 0.05)
                            .then(|| rounded((energy.joules - joules) / seconds, 1e3) as f32);
                        power.joules = Some(energy.joules);
                        return;
                    }
                    Err(absent) => absent,
                }
            }
            (Err(absent), _) => absent.clone(),
            (Ok(_), None) => return,
        };
        self.sensed.no_power = Some(absent);
    }
}

/// Reads it, and says why there is no temperature, if there is none.
fn heat(tree: &Tree, heat: &mut Heat) -> Option<Absent> {
    let read = Hot::read(tree);
    let summary = &read.summary;
    let temperature = |name: &str, reading: &Reading<f64>| {
        let celsius = rounded(*reading.get()?, 1e3) as f32;
        Some(Temperature { name: shown(name, 64), celsius })
    };
    let name = summary.hottest_name.as_deref().unwrap_or_default();
    let nearest = summary.nearest.as_ref();
    let zones = read.zones.iter().filter_map(|zone| temperature(zone.name(), &zone.temperature));
    let chips = read.chips.iter().flat_map(|chip| {
        let of = chip.name.get().cloned().unwrap_or_default();
        chip.of(SensorKind::Temperature).filter_map(move |sensor| {
            let name = match &sensor.label {
                Some(label) => format!("{of} {label}"),
                None => of.clone(),
            };
            temperature(&name, &sensor.reading)
        })
    });
    let fans = read.chips.iter().flat_map(|chip| chip.of(SensorKind::Fan));
    // Turns per minute are no more than a fan can do.
    let fans = fans.filter_map(|fan| Some(fan.reading.get()?.clamp(0.0, 1e6) as u32));
    *heat = Heat {
        hottest: temperature(name, &summary.hottest),
        left_celsius: nearest.map(|nearest| rounded(nearest.left, 1e3) as f32),
        limit: nearest.map(|nearest| nearest.kind.name().to_owned()),
        is_throttled: summary.throttling.get().copied(),
        because: summary.because.iter().map(|why| shown(why, 100)).collect(),
        temperatures: zones.chain(chips).take(MOST).collect(),
        fans_rpm: fans.take(MOST).collect(),
    };
    summary.hottest.value.as_ref().err().cloned()
}

fn supplies(tree: &Tree, power: &mut Power) {
    let read = Powers::read(tree);
    let rails = read.rails.iter().filter_map(|rail| {
        let name = rail.label.as_deref().unwrap_or(&rail.chip);
        Some(Rail { name: shown(name, 64), watts: rounded(*rail.power.get()?, 1e3) as f32 })
    });
    power.rails = rails.take(MOST).collect();
    let is_battery = |kind: &str| kind == "Battery";
    let battery = read.supplies.iter().find(|supply| {
        !supply.of_something_else && supply.kind.get().is_some_and(|kind| is_battery(kind))
    });
    power.battery = battery.map(|battery| Battery {
        charge_percent: battery.capacity.get().map(|percent| *percent as f32),
        status: battery
            .status
            .get()
            .map(|status| shown(&status.to_lowercase(), 32))
            .unwrap_or_default(),
    });
}
