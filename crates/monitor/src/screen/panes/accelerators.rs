//! GPUs, NPUs and TPUs.

use ratatui_core::text::Line;

use super::super::look::{bytes, hertz, percent, plain, short, span};
use super::{View, joined, lack};
use crate::sample::Accelerator;

/// That what is shown is old, if it is.
pub(super) fn title(view: &View<'_>) -> String {
    view.sample.stale("accelerators").map(|stale| view.look.text(&stale.detail)).unwrap_or_default()
}

pub(super) fn lines(view: &View<'_>, width: usize) -> Vec<Line<'static>> {
    let all = &view.sample.accelerators;
    if all.is_empty() {
        return vec![lack(view, "accelerators", "no GPU, NPU or TPU")];
    }
    // Each in one line first, so that all are seen where there is little room.
    let mut lines: Vec<_> =
        all.iter().enumerate().map(|(at, one)| row(view, at, one, width)).collect();
    for (at, one) in all.iter().enumerate() {
        lines.push(detail(view, at, one));
    }
    lines
}

fn row(view: &View<'_>, at: usize, one: &Accelerator, width: usize) -> Line<'static> {
    let look = view.look;
    let mut line = vec![plain(format!("{at:>2} {:<3.3} ", look.text(&one.kind)))];
    let room = if width >= 50 { 10 } else { 5 };
    match one.busy_percent {
        Some(busy) => {
            line.push(span(look.bar(busy, room), look.level(busy)));
            line.push(plain(format!("{:>4} %", percent(busy))));
        }
        None => line.push(span(format!("{:<1$}", why(one, "busy"), room + 6), look.faint())),
    }
    if let Some(used) = one.memory_used_bytes {
        let total = one.memory_total_bytes.map(|total| format!("/{}", bytes(total)));
        line.push(plain(format!(" {:>5}{}", bytes(used), total.unwrap_or_default())));
    }
    let watts = one.watts.map(|watts| format!(" {watts:>4.0} W"));
    line.extend(watts.map(plain));
    if let Some(celsius) = one.celsius {
        let style = look.level(celsius);
        line.push(span(format!(" {celsius:>3.0} {}", look.degrees()), style));
    }
    if one.throttled_by.as_ref().is_some_and(|by| !by.is_empty()) {
        line.push(span(" slowed", look.bad()));
    }
    Line::from(line)
}

/// Its name, its clock, and why something is absent.
fn detail(view: &View<'_>, at: usize, one: &Accelerator) -> Line<'static> {
    let look = view.look;
    let mut parts = vec![span(format!("{at:>2} {}", look.text(&one.name)), look.faint())];
    if let Some(hz) = one.frequency_hz {
        parts.push(span(format!("{}Hz", hertz(hz as f64)), look.faint()));
    }
    for by in one.throttled_by.iter().flatten() {
        parts.push(span(format!("slowed by {}", look.text(by)), look.bad()));
    }
    for lack in &one.absent {
        let text = format!("{}: {}", lack.what, short(&lack.reason, &lack.detail));
        parts.push(span(look.text(&text), look.faint()));
    }
    joined(view, parts)
}

/// Why a value is absent, in one or two words.
fn why(one: &Accelerator, what: &str) -> &'static str {
    let lack = one.absent.iter().find(|lack| lack.what == what);
    match lack.map(|lack| lack.reason.as_str()) {
        Some("permission") => "needs root",
        Some("driver") => "no driver",
        _ => "not told",
    }
}
