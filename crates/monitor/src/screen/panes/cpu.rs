//! Load and clocks.

use ratatui_core::text::Line;

use super::super::look::{hertz, percent, plain, span};
use super::{View, curve};
use crate::sample::Core;

/// Letters of a core with a bar.
const WIDE: usize = 19;
/// Letters of a core with numbers only.
const NARROW: usize = 9;

pub(super) fn title(view: &View<'_>) -> String {
    let load = percent(view.sample.cpu.total.busy_percent);
    match view.sample.frequency_hz() {
        Some(hz) => format!("{load} % {}Hz", hertz(hz)),
        None => format!("{load} %"),
    }
}

pub(super) fn lines(view: &View<'_>, width: usize, most: usize) -> Vec<Line<'static>> {
    let load = &view.sample.cpu.total;
    let mut text = format!(
        "user {} system {} disk {}",
        percent(load.user_percent),
        percent(load.system_percent),
        percent(load.iowait_percent)
    );
    // Only in a virtual machine.
    if load.steal_percent > 0.0 {
        text.push_str(&format!(" stolen {}", percent(load.steal_percent)));
    }
    if let Some(lack) = view.sample.lack("cpu.frequency") {
        let why = lack.detail.split(',').next().unwrap_or_default();
        text.push_str(&format!(", {why}"));
    }
    let all = curve(view, "all", "", &view.history.cpu, Some(100.0), width);
    let mut lines = vec![all, Line::from(span(view.look.text(&text), view.look.faint()))];
    let cores = &view.sample.cpu.cores;
    let room = most.saturating_sub(lines.len());
    lines.extend(match room {
        0 => Vec::new(),
        room if rows(cores.len(), width, WIDE) <= room => grid(view, cores, width, WIDE),
        room if rows(cores.len(), width, NARROW) <= room => grid(view, cores, width, NARROW),
        _ => heights(view, cores, width),
    });
    lines
}

fn rows(cores: usize, width: usize, each: usize) -> usize {
    cores.div_ceil((width / each).max(1))
}

/// Each core with its number, its load and its clock.
fn grid(view: &View<'_>, cores: &[Core], width: usize, each: usize) -> Vec<Line<'static>> {
    let columns = (width / each).max(1);
    let rows = cores.len().div_ceil(columns).max(1);
    let row = |row: usize| {
        let mut line = Vec::new();
        // The numbers go down, as they do in other programs.
        for core in cores.iter().skip(row).step_by(rows).take(columns) {
            let busy = core.load.busy_percent;
            line.push(span(format!("{:>3} ", core.cpu), view.look.faint()));
            if each == WIDE {
                line.push(span(view.look.bar(busy, 5), view.look.level(busy)));
                line.push(plain(format!("{busy:>4.0}")));
                let clock = core.frequency_hz.map(|hz| hertz(hz as f64)).unwrap_or_default();
                line.push(span(format!("{clock:>5} "), view.look.faint()));
            } else {
                line.push(span(format!("{busy:>3.0}% "), view.look.level(busy)));
            }
        }
        Line::from(line)
    };
    (0..rows).map(row).collect()
}

/// One letter for each core.
fn heights(view: &View<'_>, cores: &[Core], width: usize) -> Vec<Line<'static>> {
    let row = |cores: &[Core]| {
        let letter = |core: &Core| {
            let busy = core.load.busy_percent;
            span(view.look.height(busy).to_string(), view.look.level(busy))
        };
        Line::from(cores.iter().map(letter).collect::<Vec<_>>())
    };
    cores.chunks(width.max(1)).map(row).collect()
}
