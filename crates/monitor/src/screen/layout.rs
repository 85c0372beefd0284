//! Which pane is where, and how high.

use ratatui_core::layout::Rect;

use super::panes::{Pane, View};

/// Below this width and height there are lines instead of panes.
const LEAST_WIDTH: u16 = 50;
const LEAST_HEIGHT: u16 = 14;
/// Letters between two columns.
const GAP: u16 = 2;

/// What is where, below the head and above the foot.
#[derive(Debug, PartialEq)]
pub(super) struct Layout {
    /// Panes and their places, with the line of the title.
    pub(super) panes: Vec<(Pane, Rect)>,
    /// Where a few lines are instead of panes.
    pub(super) summary: Rect,
    pub(super) table: Rect,
}

/// Finds places in `area` for the panes that are not `folded`.
pub(super) fn layout(view: &View<'_>, area: Rect, folded: &[bool; 6]) -> Layout {
    let none = Rect { height: 0, ..area };
    if area.width < LEAST_WIDTH || area.height < LEAST_HEIGHT {
        let height = area.height.saturating_sub(2).min(area.height / 2).min(3);
        let summary = Rect { height, ..area };
        return Layout { panes: Vec::new(), summary, table: below(area, height) };
    }
    let shown = |pane: &Pane| !Pane::ALL.iter().zip(folded).any(|(one, is)| one == pane && *is);
    let columns: &[&[Pane]] = match area.width {
        0..70 => {
            &[&[Pane::Cpu, Pane::Memory, Pane::Models, Pane::Power, Pane::Io, Pane::Accelerators]]
        }
        70..150 => &[
            &[Pane::Cpu, Pane::Memory, Pane::Io],
            &[Pane::Models, Pane::Power, Pane::Accelerators],
        ],
        _ => &[
            &[Pane::Cpu, Pane::Memory],
            &[Pane::Io, Pane::Power],
            &[Pane::Models, Pane::Accelerators],
        ],
    };
    // The table has two fifths, and a few rows at least.
    let most = usize::from(area.height - (area.height * 2 / 5).max(7));
    let count = columns.len() as u16;
    let width = (area.width - GAP * (count - 1)) / count;
    let kept: Vec<Vec<Pane>> =
        columns.iter().map(|column| column.iter().copied().filter(shown).collect()).collect();
    let wants = |column: &Vec<Pane>| -> Vec<usize> {
        let want = |pane: &Pane| 1 + pane.lines(view, usize::from(width), most - 1).len();
        column.iter().map(want).collect()
    };
    let wants: Vec<Vec<usize>> = kept.iter().map(wants).collect();
    let highest = wants.iter().map(|wants| wants.iter().sum()).max().unwrap_or(0);
    let height = highest.min(most);
    let mut panes = Vec::new();
    let mut x = area.x;
    for (column, wants) in kept.iter().zip(&wants) {
        let mut y = area.y;
        for (pane, rows) in column.iter().zip(allot(wants, height)) {
            // All rows together are at most as high as the screen.
            let rows = rows as u16;
            if rows > 0 {
                panes.push((*pane, Rect { x, y, width, height: rows }));
            }
            y += rows;
        }
        x += width + GAP;
    }
    Layout { panes, summary: none, table: below(area, height as u16) }
}

fn below(area: Rect, height: u16) -> Rect {
    Rect { y: area.y + height, height: area.height - height, ..area }
}

/// Divides `room` lines: two to each, to the first ones if there is not enough for all; then one more
/// to each in turn, as long as it wants one.
fn allot(wants: &[usize], room: usize) -> Vec<usize> {
    let mut rows = vec![0; wants.len()];
    let mut left = room;
    for (rows, want) in rows.iter_mut().zip(wants) {
        let least = 2.min(*want);
        if least <= left {
            *rows = least;
            left -= least;
        }
    }
    loop {
        let before = left;
        for (rows, want) in rows.iter_mut().zip(wants) {
            if left > 0 && *rows > 0 && *rows < *want {
                *rows += 1;
                left -= 1;
            }
        }
        if left == before {
            return rows;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_divided() {
        let cases: [(&[usize], usize, &[usize]); 5] = [
            (&[5, 5, 5], 20, &[5, 5, 5]),
            (&[9, 3, 9], 12, &[5, 3, 4]),
            (&[9, 9, 9], 5, &[3, 2, 0]),
            (&[9, 9], 1, &[0, 0]),
            (&[], 5, &[]),
        ];
        for (wants, room, want) in cases {
            assert_eq!(allot(wants, room), want, "{wants:?} in {room}");
        }
    }
}
