//! The panes above the processes: each a title and lines, the more telling ones first.

mod accelerators;
mod cpu;
mod io;
mod memory;
mod models;
mod power;

use ratatui_core::text::{Line, Span};

use super::look::{Look, plain, span};
use crate::history::History;
use crate::sample::Sample;

/// What panes are drawn from.
#[derive(Clone, Copy, Debug)]
pub(super) struct View<'a> {
    pub(super) look: Look,
    pub(super) sample: &'a Sample,
    pub(super) history: &'a History,
}

/// The panes, in the order of their keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pane {
    Cpu,
    Memory,
    Io,
    Models,
    Power,
    Accelerators,
}

impl Pane {
    pub(super) const ALL: [Self; 6] =
        [Self::Cpu, Self::Memory, Self::Io, Self::Models, Self::Power, Self::Accelerators];

    /// What the title says, left and right of the line in it.
    pub(super) fn title(self, view: &View<'_>) -> (&'static str, String) {
        match self {
            Self::Cpu => ("CPU", cpu::title(view)),
            Self::Memory => ("Memory", memory::title(view)),
            Self::Io => ("Disk and network", String::new()),
            Self::Models => ("Models", models::title(view)),
            Self::Power => ("Power and heat", power::title(view)),
            Self::Accelerators => ("Accelerators", accelerators::title(view)),
        }
    }

    /// At most `most` lines of at most `width` letters, without the title.
    pub(super) fn lines(self, view: &View<'_>, width: usize, most: usize) -> Vec<Line<'static>> {
        let mut lines = match self {
            Self::Cpu => cpu::lines(view, width, most),
            Self::Memory => memory::lines(view, width),
            Self::Io => io::lines(view, width),
            Self::Models => models::lines(view, width),
            Self::Power => power::lines(view, width),
            Self::Accelerators => accelerators::lines(view, width),
        };
        lines.truncate(most);
        lines
    }
}

/// A name, a bar, and text after it: `name  ████     12 %`.
fn gauge(view: &View<'_>, name: &str, percent: f32, text: &str, width: usize) -> Line<'static> {
    let look = view.look;
    let room = width.saturating_sub(6 + text.chars().count() + 1);
    let bar = look.bar(percent, room.min(40));
    let style = look.level(percent);
    let name = look.text(name);
    Line::from(vec![plain(format!("{name:<6}")), span(bar, style), plain(format!(" {text}"))])
}

/// A name, text, and a curve up to the end of the line.
fn curve(
    view: &View<'_>,
    name: &str,
    text: &str,
    values: &crate::history::Ring,
    top: Option<f32>,
    width: usize,
) -> Line<'static> {
    let used = 6 + text.chars().count() + 1;
    let room = width.saturating_sub(used).min(60);
    let top = top
        .unwrap_or_else(|| values.last(room).filter(|value| value.is_finite()).fold(0.0, f32::max));
    let drawn = view.look.curve(values.last(room), top, room);
    Line::from(vec![plain(format!("{name:<6}{text} ")), span(drawn, view.look.second())])
}

/// Why there is nothing, faintly: `none` where there is no such thing, in fewer words than in JSON.
fn lack(view: &View<'_>, what: &str, none: &str) -> Line<'static> {
    let text = match view.sample.lack(what) {
        Some(lack) if lack.reason != "not_found" => super::look::short(&lack.reason, &lack.detail),
        _ => none.to_owned(),
    };
    Line::from(span(view.look.text(&text), view.look.faint()))
}

/// Parts with a mark between them.
fn joined(view: &View<'_>, parts: Vec<Span<'static>>) -> Line<'static> {
    let mut line = Vec::new();
    for part in parts {
        if !line.is_empty() {
            line.push(span(view.look.dot(), view.look.faint()));
        }
        line.push(part);
    }
    Line::from(line)
}
