//! What keys do.

use ratatui_core::buffer::Buffer;
use ratatui_core::layout::Rect;
use ratatui_core::style::Style;

use super::look::Look;

const KEYS: [(&str, &str); 19] = [
    ("up down PgUp PgDn Home End", "choose a process"),
    ("Esc", "choose none; leave what is open"),
    ("s, or c m i g n", "order by CPU, memory, disk, GPU, number"),
    ("r", "the other way round"),
    ("/", "only processes with a text in their command"),
    ("t", "as a tree"),
    ("k", "ask the chosen process to end; again: end it at once"),
    ("1 2 3 4 5 6", "fold and unfold a pane; 0 unfolds all"),
    ("space", "pause"),
    ("left right", "in a recording: back and on"),
    ("+ -", "in a recording: faster and slower"),
    ("Ctrl-L", "draw everything again"),
    ("q Ctrl-C", "quit"),
    ("", ""),
    ("CPU%", "of one processor; with several threads more than 100"),
    ("READ/s WRITE/s", "from and to disks; ? is what only root may know"),
    ("waits", "share of time in which something waited (PSI)"),
    ("KV", "room for texts that is in use"),
    ("J/token", "energy of a token, by the server's sensor"),
];

/// Columns of keys, left of what they do.
const KEY_COLUMNS: usize = 28;
/// Below this width, what keys do is below them.
const LEAST_WIDTH: usize = 64;

/// A line: keys, and what they do.
fn lines(width: usize) -> Vec<(&'static str, String)> {
    if width >= LEAST_WIDTH {
        return KEYS.iter().map(|(key, what)| (*key, (*what).to_owned())).collect();
    }
    let mut lines = Vec::new();
    for (key, what) in KEYS {
        lines.push((key, String::new()));
        let mut line = String::new();
        for word in what.split(' ') {
            if !line.is_empty() && line.len() + word.len() + 3 > width {
                lines.push(("", std::mem::take(&mut line)));
            }
            line.push_str(if line.is_empty() { "" } else { " " });
            line.push_str(word);
        }
        lines.push(("", line));
    }
    lines.dedup_by(|a, b| a == b && a.0.is_empty() && a.1.is_empty());
    lines
}

/// The last line that may be the first one in an area of this size; 0 if there is room for all.
pub(super) fn last_first(area: Rect) -> usize {
    lines(area.width.into()).len().saturating_sub(area.height.into())
}

/// Draws it over `area`, from the line `first` on.
pub(super) fn draw(look: Look, buffer: &mut Buffer, area: Rect, first: usize) {
    let width = usize::from(area.width);
    let lines = lines(width);
    let column = if width >= LEAST_WIDTH { KEY_COLUMNS } else { 2.min(width) };
    for ((key, what), row) in lines.iter().skip(first).zip(area.rows()) {
        buffer.set_stringn(row.x, row.y, key, width, look.title());
        if !what.is_empty() {
            // Narrower than the screen.
            let x = row.x + column as u16;
            buffer.set_stringn(x, row.y, what, width - column, Style::new());
        }
    }
}
