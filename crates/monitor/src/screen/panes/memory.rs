//! Memory, swap, and what waits for them.

use ratatui_core::text::Line;

use super::super::look::{bytes, percent, plain, span};
use super::{View, curve, gauge, joined, lack};
use crate::sample::Stalls;

pub(super) fn title(view: &View<'_>) -> String {
    format!("{} %", percent(view.sample.memory_used_percent()))
}

pub(super) fn lines(view: &View<'_>, width: usize) -> Vec<Line<'static>> {
    let memory = &view.sample.memory;
    if memory.total_bytes == 0 {
        return vec![lack(view, "memory", "no memory is told")];
    }
    let used = memory.total_bytes.saturating_sub(memory.available_bytes);
    let of = |used: u64, all: u64| format!("{:>5} of {}", bytes(used), bytes(all));
    let share = |used: u64, all: u64| used as f32 / (all.max(1)) as f32 * 100.0;
    let text = of(used, memory.total_bytes);
    let mut lines = vec![gauge(view, "used", share(used, memory.total_bytes), &text, width)];
    if let Some(limit) = &memory.limit {
        let text = of(limit.used_bytes, limit.limit_bytes);
        let percent = share(limit.used_bytes, limit.limit_bytes);
        lines.push(gauge(view, "group", percent, &text, width));
    }
    lines.push(pressure(view));
    if memory.swap_total_bytes > 0 {
        let text = of(memory.swap_used_bytes, memory.swap_total_bytes);
        let percent = share(memory.swap_used_bytes, memory.swap_total_bytes);
        lines.push(gauge(view, "swap", percent, &text, width));
        let (inward, outward) = (memory.swap_in_bytes_per_second, memory.swap_out_bytes_per_second);
        if inward > 0 || outward > 0 {
            let text = format!("swaps {}/s in, {}/s out", bytes(inward), bytes(outward));
            lines.push(Line::from(span(text, view.look.warning())));
        }
    }
    let mut parts = vec![
        plain(format!("cache {}", bytes(memory.cached_bytes))),
        plain(format!("to write {}", bytes(memory.dirty_bytes))),
    ];
    match &memory.zram {
        Some(zram) if zram.data_bytes > 0 => {
            let text = format!("zram {} in {}", bytes(zram.data_bytes), bytes(zram.used_bytes));
            parts.push(plain(text));
        }
        _ if memory.swap_total_bytes == 0 => parts.push(plain("no swap")),
        _ => {}
    }
    lines.push(joined(view, parts));
    lines.push(curve(view, "used", "", &view.history.memory, Some(100.0), width));
    lines
}

/// How much waited in the last ten seconds.
fn pressure(view: &View<'_>) -> Line<'static> {
    let pressure = &view.sample.pressure;
    let all = [("cpu", &pressure.cpu), ("memory", &pressure.memory), ("disk", &pressure.io)];
    let mut line = vec![plain("waits ")];
    for (name, stalls) in all {
        let Some(Stalls { some, .. }) = stalls else { continue };
        let percent = some.average_10_s_percent;
        let style = match (name, percent) {
            // That programs wait for a processor is what a busy machine does.
            ("cpu", _) => view.look.faint(),
            (_, p) if p >= 20.0 => view.look.bad(),
            (_, p) if p >= 5.0 => view.look.warning(),
            _ => view.look.faint(),
        };
        line.push(span(format!("{name} {percent:.1}% "), style));
    }
    if line.len() == 1 {
        return lack(view, "pressure", "no pressure is told");
    }
    Line::from(line)
}
