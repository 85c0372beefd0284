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

/// Draws it over `area`.
pub(super) fn draw(look: Look, buffer: &mut Buffer, area: Rect) {
    let width = usize::from(area.width);
    for ((key, what), row) in KEYS.iter().zip(area.rows()) {
        let key_width = 28.min(width / 2);
        buffer.set_stringn(row.x, row.y, key, key_width, look.title());
        // Narrower than the screen.
        let x = row.x + key_width as u16;
        buffer.set_stringn(x, row.y, what, width - key_width, Style::new());
    }
}
