//! The group of power and heat.

use rushlight_host::probe::Tree;
use rushlight_host::probe::heat::{Heat, HeatSummary, TripKind};
use rushlight_host::probe::hwmon::SensorKind;
use rushlight_host::probe::power::{Power, Supply};
use rushlight_host::{Candidate, PowerMeter};
use serde::Serialize;

use super::group::{Group, Verdict};

/// Lines of rails and zones, at most; JSON has all.
const MOST_LINES: usize = 8;
/// Degrees from a limit at which that is said.
const NEAR: f64 = 5.0;

#[derive(Serialize)]
struct Found<'a> {
    heat: Heat,
    power: Power,
    meter: Meter<'a>,
}

/// What measures the energy of answers.
#[derive(Serialize)]
struct Meter<'a> {
    source: Option<&'a str>,
    covers: Option<&'a str>,
    /// Why there is none.
    reason: Option<String>,
    candidates: &'a [Candidate],
}

/// Looks at power and heat.
pub(crate) fn look(tree: &Tree) -> Group {
    let meter = PowerMeter::open(tree);
    let source = meter.source();
    let told = Meter {
        source: source.ok().map(|source| source.name.as_str()),
        covers: source.ok().map(|source| source.covers.name()),
        reason: source.err().map(ToString::to_string),
        candidates: meter.candidates(),
    };
    let found = Found { heat: Heat::read(tree), power: Power::read(tree), meter: told };
    let measured = match source {
        Ok(source) => format!("Energy by {} ({}).", source.name, source.covers.name()),
        Err(_) => "Energy cannot be measured.".to_owned(),
    };
    let sentence = format!("{}{measured}", warmth(&found.heat.summary));
    let mut group = Group::new("power", "Power and heat", sentence, &found);
    heat_lines(&mut group, &found.heat);
    power_lines(&mut group, &found);
    judge(&mut group, &found.heat, found.meter.reason.as_deref());
    if let Some(hint) = meter.hint() {
        group.hint(format!("to measure energy, {hint}"));
    }
    group
}

fn warmth(summary: &HeatSummary) -> String {
    match (summary.hottest.get(), &summary.hottest_name) {
        (Some(celsius), Some(name)) => format!("{celsius:.0} °C at {name}. "),
        _ => String::new(),
    }
}

fn heat_lines(group: &mut Group, heat: &Heat) {
    let summary = &heat.summary;
    let name = summary.hottest_name.as_deref().unwrap_or_default();
    group.reading("hottest", &summary.hottest, |celsius| format!("{celsius:.1} °C, {name}"));
    if let Some(nearest) = &summary.nearest {
        let at = format!("{} {:.0} °C of {}", limit(nearest.kind), nearest.celsius, nearest.name);
        group.line("nearest limit", format!("{:.1} degrees to {at}", nearest.left));
    }
    let yes = |slow: &bool| if *slow { "yes" } else { "no" }.to_owned();
    group.reading("slowed down now", &summary.throttling, yes);
    group.reading("since boot", &summary.throttled_since_boot, yes);
    if !summary.because.is_empty() {
        group.line("as told by", summary.because.join("; "));
    }
    for chip in &heat.chips {
        for fan in chip.of(SensorKind::Fan) {
            group.reading("fan", &fan.reading, |rpm| format!("{rpm:.0} rpm"));
        }
    }
    if let Some(raspberry) = &heat.raspberry {
        let low = |low: &bool| if *low { "too low" } else { "good" }.to_owned();
        group.reading("supply voltage", &raspberry.under_voltage, low);
    }
}

fn limit(kind: TripKind) -> &'static str {
    match kind {
        TripKind::Passive => "being slowed down at",
        TripKind::Critical => "being turned off at",
        _ => "the limit",
    }
}

fn power_lines(group: &mut Group, found: &Found<'_>) {
    match (&found.meter.source, &found.meter.reason) {
        (Some(source), _) => group.line("energy by", source),
        (None, reason) => {
            group.line("energy by", format!("no sensor: {}", reason.as_deref().unwrap_or_default()))
        }
    }
    for rail in found.power.rails.iter().take(MOST_LINES) {
        let name = rail.label.as_ref().unwrap_or(&rail.chip);
        group.reading(name, &rail.power, |watts| format!("{watts:.2} W"));
    }
    let tops = found.power.rapl.iter().filter(|zone| zone.parent.is_none());
    for zone in tops.take(MOST_LINES) {
        let name = zone.name.get().map_or(zone.path.as_str(), String::as_str);
        let limits: Vec<String> = zone
            .limits
            .iter()
            .filter_map(|limit| Some(format!("{} {} W", limit.name.get()?, limit.limit.get()?)))
            .collect();
        let limits = if limits.is_empty() {
            String::new()
        } else {
            format!(", limits {}", limits.join(", "))
        };
        group.reading(format!("RAPL {name}"), &zone.energy, |_| format!("counts{limits}"));
    }
    for supply in found.power.supplies.iter().filter(|s| !s.of_something_else).take(MOST_LINES) {
        let name = supply.path.rsplit('/').next().unwrap_or_default();
        group.line(name, told(supply));
    }
}

fn told(supply: &Supply) -> String {
    let mut parts = Vec::new();
    if let Some(status) = supply.status.get() {
        parts.push(status.to_lowercase());
    }
    if let Some(online) = supply.online.get().filter(|_| !supply.is_battery()) {
        parts.push(if *online { "plugged in" } else { "not plugged in" }.to_owned());
    }
    parts.extend(supply.capacity.get().map(|percent| format!("{percent:.0} % full")));
    parts.extend(supply.energy.get().map(|joules| format!("{:.1} Wh", joules / 3600.0)));
    parts.extend(supply.power.get().map(|watts| format!("{watts:.1} W")));
    if let Some(limit) = &supply.limit {
        parts.extend(limit.watts.get().map(|watts| format!("at most {watts:.0} W")));
        parts.extend(limit.usb.as_ref().map(|usb| format!("USB {usb}")));
    }
    if parts.is_empty() { "tells nothing".to_owned() } else { parts.join(", ") }
}

fn judge(group: &mut Group, heat: &Heat, reason: Option<&str>) {
    let summary = &heat.summary;
    let low = heat.raspberry.as_ref().and_then(|raspberry| raspberry.under_voltage.get());
    if low == Some(&true) {
        group.judge(
            Verdict::Degraded,
            "The supply's voltage is too low: the machine is slowed down.",
        );
        group.hint("use a supply and a cable of the maker, 5 V and 5 A for a Raspberry Pi 5");
    }
    if summary.throttling.get() == Some(&true) {
        let sentence = format!("{}It is slowed down now.", warmth(summary));
        group.judge(Verdict::Degraded, sentence);
        group.hint("better cooling, or fewer threads, gives more tokens per second than the heat now allows");
    }
    if let Some(nearest) = summary.nearest.as_ref().filter(|nearest| nearest.left < NEAR) {
        let sentence = format!("{} is {:.1} degrees from its limit.", nearest.name, nearest.left);
        group.judge(Verdict::Degraded, sentence);
    }
    if summary.hottest.get().is_none() && reason.is_some() {
        group.judge(Verdict::Unknown, "The machine shows neither temperatures nor its power.");
    }
}

#[cfg(test)]
mod tests {
    use rushlight_testkit::made_up::write_tree;

    use super::*;

    fn group(name: &str) -> Group {
        let dir = tempfile::tempdir().unwrap();
        write_tree(name, dir.path());
        look(&Tree::new(dir.path()))
    }

    #[test]
    fn machines_say_what_they_take_and_how_warm_they_are() {
        let cases = [
            ("raspberry-pi-5", Verdict::Degraded, "81 °C at cpu-thermal. It is slowed down now."),
            (
                "jetson-orin-nano",
                Verdict::Good,
                "58 °C at tj-thermal. Energy by INA3221 VDD_IN (the whole device).",
            ),
            (
                "jetson-agx-thor",
                Verdict::Good,
                "37 °C at tj-thermal. Energy by INA238 VIN (the whole device).",
            ),
            (
                "battery-device",
                Verdict::Good,
                "54 °C at TCPU. Energy by battery BAT0 (the whole device).",
            ),
        ];
        for (name, verdict, sentence) in cases {
            let group = group(name);
            assert_eq!((group.verdict(), group.sentence()), (verdict, sentence), "{name}");
        }
        let laptop = group("battery-device");
        let line = |label: &str| {
            let line = laptop.lines().iter().find(|line| line.label == label).unwrap();
            (line.value.clone(), line.absent)
        };
        assert_eq!(line("BAT0").0, "discharging, 64 % full, 32.8 Wh, 7.4 W");
        let rapl = ("since Linux 5.10 only root may read it".to_owned(), true);
        assert_eq!(line("RAPL package-0"), rapl);
        assert_eq!(line("since boot").0, "yes");
    }
}
