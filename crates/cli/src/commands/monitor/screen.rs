//! What an [`App`] draws, as text or as what a terminal must be sent to show it.

use std::io::Write as _;

use ratatui_core::buffer::{Buffer, Cell};
use ratatui_core::layout::Rect;
use ratatui_core::style::{Color, Modifier};
use rushlight_monitor::screen::App;

/// Lines of plain text, without the last one, which says what keys do.
pub(super) fn text(app: &mut App, columns: u16, lines: u16) -> Vec<String> {
    let area = Rect::new(0, 0, columns, lines);
    let mut buffer = Buffer::empty(area);
    app.draw(&mut buffer, area);
    let line = |y| {
        let cell = |x| buffer.cell((x, y)).map_or(" ", Cell::symbol);
        (0..columns).map(cell).collect::<String>().trim_end().to_owned()
    };
    let mut all: Vec<String> = (0..lines.saturating_sub(1)).map(line).collect();
    while all.last().is_some_and(String::is_empty) {
        all.pop();
    }
    all
}

/// What a terminal shows, and what it must be sent to show something else.
#[derive(Debug, Default)]
pub(super) struct Painter {
    shown: Buffer,
    /// Whether nothing is known of what it shows.
    is_stale: bool,
}

impl Painter {
    /// Of a terminal of which nothing is known.
    pub(super) fn new() -> Self {
        Self { shown: Buffer::default(), is_stale: true }
    }

    /// That something else may have written on the terminal.
    pub(super) fn forget(&mut self) {
        self.is_stale = true;
    }

    /// The bytes that change what is shown to what `app` draws.
    pub(super) fn paint(&mut self, app: &mut App, (columns, lines): (u16, u16)) -> Vec<u8> {
        let area = Rect::new(0, 0, columns, lines);
        let mut next = Buffer::empty(area);
        app.draw(&mut next, area);
        let mut out = Vec::new();
        if self.is_stale || self.shown.area != area {
            out.extend_from_slice(b"\x1b[0m\x1b[2J");
            self.shown = Buffer::empty(area);
            self.is_stale = false;
        }
        let mut at = None;
        let mut style = None;
        for (x, y, cell) in self.shown.diff(&next) {
            if at != Some((x, y)) {
                // Rows and columns count from 1. Writing to memory does not fail.
                let _ = write!(out, "\x1b[{};{}H", y + 1, x + 1);
            }
            let wanted = (cell.fg, cell.modifier);
            if style != Some(wanted) {
                set_style(&mut out, wanted);
                style = Some(wanted);
            }
            out.extend_from_slice(cell.symbol().as_bytes());
            // After a letter that may be wide the place is not known for sure.
            at = cell.symbol().is_ascii().then_some((x + 1, y));
        }
        if style.is_some() {
            out.extend_from_slice(b"\x1b[0m");
        }
        self.shown = next;
        out
    }
}

/// `SGR` (ECMA-48, 8.3.117) of the few styles that there are.
fn set_style(out: &mut Vec<u8>, (color, modifier): (Color, Modifier)) {
    out.extend_from_slice(b"\x1b[0");
    for (flag, code) in [(Modifier::BOLD, 1), (Modifier::DIM, 2), (Modifier::REVERSED, 7)] {
        if modifier.contains(flag) {
            let _ = write!(out, ";{code}");
        }
    }
    let code = match color {
        Color::Red => Some(31),
        Color::Green => Some(32),
        Color::Yellow => Some(33),
        Color::Blue => Some(34),
        Color::Cyan => Some(36),
        _ => None,
    };
    if let Some(code) = code {
        let _ = write!(out, ";{code}");
    }
    out.push(b'm');
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use rushlight_monitor::alarm::Alarms;
    use rushlight_monitor::sample::Sample;
    use rushlight_monitor::screen::Look;

    use super::*;

    #[test]
    fn only_what_changes_is_sent() {
        let look = Look { is_ascii: true, is_plain: true };
        let mut app = App::new(look, Alarms::new(false), HashMap::new(), 0);
        let mut sample = Sample::default();
        app.update(&sample);
        let mut painter = Painter::new();
        let first = painter.paint(&mut app, (80, 24));
        assert!(first.starts_with(b"\x1b[0m\x1b[2J"));
        assert!(painter.paint(&mut app, (80, 24)).is_empty());
        sample.time_unix_ms = 1000;
        app.update(&sample);
        let change = String::from_utf8(painter.paint(&mut app, (80, 24))).unwrap();
        assert_eq!(change, "\x1b[1;79H\x1b[0m1\x1b[0m");
        painter.forget();
        assert!(painter.paint(&mut app, (80, 24)).starts_with(b"\x1b[0m\x1b[2J"));
        assert!(painter.paint(&mut app, (79, 24)).starts_with(b"\x1b[0m\x1b[2J"));
    }
}
