//! Heat in short: the hottest place that matters here, the limit it is nearest to, and whether the
//! machine is slowed down.

use serde::Serialize;

use super::{CoolingDevice, Raspberry, ThrottleCounts, TripKind, Zone};
use crate::probe::hwmon::{Chip, SensorKind};
use crate::probe::{Reading, Reason, Unit};

/// Heat in short.
#[derive(Clone, Debug, Serialize)]
pub struct HeatSummary {
    /// The temperature of the hottest place that computes; of any place where none is known to.
    pub hottest: Reading<f64>,
    /// What that is.
    pub hottest_name: Option<String>,
    /// The limit that is nearest to its temperature; `None` where no limit is told.
    pub nearest: Option<Nearest>,
    /// Whether heat, or a weak supply, slows the machine down now.
    pub throttling: Reading<bool>,
    /// Whether it did since the machine started.
    pub throttled_since_boot: Reading<bool>,
    /// What says that it is slowed down, or was.
    pub because: Vec<String>,
}

/// A limit and how far it is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Nearest {
    /// Of what.
    pub name: String,
    /// What happens there.
    pub kind: TripKind,
    /// The limit.
    pub celsius: f64,
    /// How many degrees are left; negative beyond it.
    pub left: f64,
}

/// Parts of the names of places that compute: of zones (`cpu-thermal`, `x86_pkg_temp`, `soc-thermal`,
/// `bigcore0-thermal`, `tj-thermal`, `npu-thermal`) and of chips (`coretemp`, `k10temp`).
const COMPUTES: [&str; 12] = [
    "cpu", "soc", "gpu", "npu", "pkg", "core", "tj-", "k10temp", "zenpower", "cluster", "package",
    "ddr",
];
/// Chips whose temperatures are a processor's.
const CHIPS: [&str; 5] = ["coretemp", "k10temp", "zenpower", "amdgpu", "xe"];

/// A temperature and its limits.
struct Place<'a> {
    name: String,
    computes: bool,
    temperature: &'a Reading<f64>,
    celsius: f64,
    limits: Vec<(TripKind, f64)>,
}

/// What says whether the machine is slowed down.
struct Sign {
    name: String,
    now: Option<bool>,
    since: Option<bool>,
}

impl HeatSummary {
    pub(super) fn of(
        zones: &[Zone],
        cooling: &[CoolingDevice],
        chips: &[Chip],
        counts: &ThrottleCounts,
        raspberry: Option<&Raspberry>,
    ) -> Self {
        let mut places: Vec<Place<'_>> = zones.iter().filter_map(of_zone).collect();
        places.extend(chips.iter().flat_map(of_chip));
        if places.iter().any(|place| place.computes) {
            places.retain(|place| place.computes);
        }
        let hottest = places.iter().max_by(|a, b| a.celsius.total_cmp(&b.celsius));
        let signs = signs(zones, cooling, counts, raspberry);
        let said = |of: fn(&Sign) -> Option<bool>, what: &str| {
            let told: Vec<bool> = signs.iter().filter_map(of).collect();
            match told.is_empty() {
                false => Reading::new(told.contains(&true), Unit::None, "heat"),
                true => Reading::absent(Reason::NotFound, what, Unit::None, "heat"),
            }
        };
        let because =
            signs.iter().filter(|sign| sign.now == Some(true) || sign.since == Some(true));
        Self {
            hottest: hottest.map_or_else(none, |place| place.temperature.clone()),
            hottest_name: hottest.map(|place| place.name.clone()),
            nearest: places.iter().filter_map(nearest).min_by(|a, b| a.left.total_cmp(&b.left)),
            throttling: said(|sign| sign.now, "nothing here tells whether heat slows it down"),
            throttled_since_boot: said(
                |sign| sign.since,
                "nothing here counts whether heat slowed it down",
            ),
            because: because.map(|sign| sign.name.clone()).collect(),
        }
    }
}

fn none() -> Reading<f64> {
    let what = "the kernel shows no thermal zone and no chip that measures temperatures";
    Reading::absent(Reason::NotFound, what, Unit::Celsius, "sys/class/thermal")
}

fn computes(name: &str) -> bool {
    let name = name.to_lowercase();
    // The wireless card of some laptops has a name that begins so.
    COMPUTES.iter().any(|part| name.contains(part)) && !name.contains("iwlwifi")
}

fn of_zone(zone: &Zone) -> Option<Place<'_>> {
    let limit = |trip: &super::Trip| Some((trip.kind, *trip.temperature.get()?));
    Some(Place {
        name: zone.name().to_owned(),
        computes: computes(zone.name()),
        temperature: &zone.temperature,
        celsius: *zone.temperature.get()?,
        limits: zone.trips.iter().filter_map(limit).collect(),
    })
}

fn of_chip(chip: &Chip) -> impl Iterator<Item = Place<'_>> {
    let name = chip.name.get().map_or("", String::as_str);
    let place = move |sensor: &'_ crate::probe::hwmon::Sensor| {
        let label = sensor.label.as_deref();
        label.map_or_else(|| name.to_owned(), |label| format!("{name} {label}"))
    };
    chip.of(SensorKind::Temperature).filter_map(move |sensor| {
        Some(Place {
            name: place(sensor),
            computes: CHIPS.contains(&name),
            temperature: &sensor.reading,
            celsius: *sensor.reading.get()?,
            limits: sensor.critical.map(|limit| (TripKind::Critical, limit)).into_iter().collect(),
        })
    })
}

/// The nearest limit of a place where something else happens than that a fan turns faster.
fn nearest(place: &Place<'_>) -> Option<Nearest> {
    let limits = place.limits.iter().filter(|(kind, _)| *kind != TripKind::Active);
    let (kind, celsius) = limits.min_by(|a, b| a.1.total_cmp(&b.1))?;
    Some(Nearest {
        name: place.name.clone(),
        kind: *kind,
        celsius: *celsius,
        left: celsius - place.celsius,
    })
}

fn signs(
    zones: &[Zone],
    cooling: &[CoolingDevice],
    counts: &ThrottleCounts,
    raspberry: Option<&Raspberry>,
) -> Vec<Sign> {
    let mut all = Vec::new();
    for device in cooling.iter().filter(|device| device.slows()) {
        let name = device.kind.get().map_or(&device.path, |kind| kind).clone();
        all.push(Sign { name, now: device.now.get().map(|now| *now > 0), since: None });
    }
    // That of a battery or a radio slows no processor.
    for zone in zones.iter().filter(|zone| computes(zone.name())) {
        let passive = zone.trips.iter().filter(|trip| trip.kind == TripKind::Passive);
        let least = passive.filter_map(|trip| trip.temperature.get()).min_by(|a, b| a.total_cmp(b));
        if let (Some(least), Some(now)) = (least, zone.temperature.get()) {
            let name = format!("{} at its passive trip point", zone.name());
            all.push(Sign { name, now: Some(now >= least), since: None });
        }
    }
    for (what, count) in [("core", &counts.core), ("package", &counts.package)] {
        if let Some(count) = count.get() {
            let name = format!("{what} throttled {count} times since boot");
            all.push(Sign { name, now: None, since: Some(*count > 0) });
        }
    }
    if let Some(raspberry) = raspberry {
        if let Some(flags) = raspberry.flags.get() {
            let names: Vec<&str> = flags.names().collect();
            let name = format!("firmware: {}", names.join(", "));
            all.push(Sign { name, now: Some(flags.slows()), since: Some(flags.slowed()) });
        }
        if let Some(low) = raspberry.under_voltage.get() {
            let name = "the supply's voltage is too low".to_owned();
            all.push(Sign { name, now: Some(*low), since: None });
        }
    }
    all
}
