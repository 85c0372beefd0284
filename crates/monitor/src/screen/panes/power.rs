//! What the machine takes, and how warm it is.

use ratatui_core::text::Line;

use super::super::look::{percent, plain, span};
use super::{View, curve, joined, lack};

pub(super) fn title(view: &View<'_>) -> String {
    if let Some(stale) = view.sample.stale("heat") {
        return view.look.text(&stale.detail);
    }
    match view.sample.heat.is_throttled {
        Some(true) => "slowed down".to_owned(),
        Some(false) => "not slowed down".to_owned(),
        None => String::new(),
    }
}

pub(super) fn lines(view: &View<'_>, width: usize) -> Vec<Line<'static>> {
    let (look, power, heat) = (view.look, &view.sample.power, &view.sample.heat);
    let mut lines = Vec::new();
    match power.watts {
        Some(watts) => {
            let mark = if power.is_estimated { "~" } else { "" };
            let text = format!("{mark}{watts:.1} W");
            lines.push(curve(view, "power", &text, &view.history.watts, None, width));
        }
        None => lines.push(lack(view, "power", "no power sensor")),
    }
    match &heat.hottest {
        Some(hottest) => {
            let text = format!("{:.0} {}", hottest.celsius, look.degrees());
            lines.push(curve(view, "heat", &text, &view.history.celsius, Some(110.0), width));
        }
        None => lines.push(lack(view, "heat", "no temperature sensor")),
    }
    if let (Some(left), Some(limit)) = (heat.left_celsius, &heat.limit) {
        let style = match left {
            left if left < 5.0 => look.bad(),
            left if left < 15.0 => look.warning(),
            _ => look.good(),
        };
        let name = heat.hottest.as_ref().map_or("", |hottest| &hottest.name);
        let text = format!("{left:.0} {} below {}", look.degrees(), look.text(limit));
        lines.push(joined(view, vec![span(text, style), plain(look.text(name))]));
    }
    if heat.is_throttled == Some(true) {
        let text = format!("slowed down: {}", heat.because.join(", "));
        lines.push(Line::from(span(look.text(&text), look.bad())));
    }
    if let Some(battery) = &power.battery {
        let charge = battery.charge_percent.map(|charge| format!("battery {} %", percent(charge)));
        let charge = charge.unwrap_or_else(|| "battery".to_owned());
        lines.push(joined(view, vec![plain(charge), plain(look.text(&battery.status))]));
    }
    if let Some(source) = &power.source {
        lines.push(Line::from(span(look.text(source), look.faint())));
    }
    for rail in &power.rails {
        let name = look.text(&rail.name);
        lines.push(Line::from(plain(format!("{name:<16.16} {:>6.2} W", rail.watts))));
    }
    if !heat.fans_rpm.is_empty() {
        let fans: Vec<String> = heat.fans_rpm.iter().map(u32::to_string).collect();
        lines.push(Line::from(plain(format!("fans {} rpm", fans.join(" ")))));
    }
    for temperature in &heat.temperatures {
        let name = look.text(&temperature.name);
        let text = format!("{name:<16.16} {:>4.0} {}", temperature.celsius, look.degrees());
        lines.push(Line::from(plain(text)));
    }
    lines
}
