//! The table of processes.

use ratatui_core::buffer::Buffer;
use ratatui_core::layout::Rect;
use ratatui_core::style::Style;

use super::App;
use super::look::{bytes, percent, plain};
use super::rows::{Row, Sort};
use crate::sample::Process;

/// A column: its title, its width, and what it is ordered by.
#[derive(Clone, Copy)]
struct Column {
    title: &'static str,
    width: usize,
    sort: Option<Sort>,
    text: fn(&App, &Process) -> String,
}

const PID: Column =
    Column { title: "PID", width: 7, sort: Some(Sort::Pid), text: |_, p| p.pid.to_string() };
const USER: Column = Column { title: "USER", width: 8, sort: None, text: user };
const STATE: Column = Column { title: "S", width: 1, sort: None, text: |_, p| p.state.clone() };
const CPU: Column =
    Column { title: "CPU%", width: 5, sort: Some(Sort::Cpu), text: |_, p| percent(p.cpu_percent) };
const MEMORY: Column =
    Column { title: "MEM", width: 5, sort: Some(Sort::Memory), text: |_, p| bytes(p.memory_bytes) };
const THREADS: Column =
    Column { title: "THR", width: 4, sort: None, text: |_, p| p.threads.to_string() };
const READ: Column = Column {
    title: "READ/s",
    width: 6,
    sort: Some(Sort::Io),
    text: |_, p| rate(p.read_bytes_per_second),
};
const WRITE: Column = Column {
    title: "WRITE/s",
    width: 7,
    sort: Some(Sort::Io),
    text: |_, p| rate(p.write_bytes_per_second),
};
const GPU: Column = Column {
    title: "GPU%",
    width: 5,
    sort: Some(Sort::Gpu),
    text: |_, p| p.gpu_percent.map(percent).unwrap_or_default(),
};
const GPU_MEMORY: Column = Column {
    title: "GPUMEM",
    width: 6,
    sort: Some(Sort::Gpu),
    text: |_, p| p.gpu_memory_bytes.map(bytes).unwrap_or_default(),
};

/// What this user may not know is a mark; nothing is a blank, so that what is more than nothing is
/// seen.
fn rate(rate: Option<u64>) -> String {
    match rate {
        None => "?".to_owned(),
        Some(0) => String::new(),
        Some(rate) => bytes(rate),
    }
}

fn user(app: &App, process: &Process) -> String {
    let name = app.users.get(&process.user);
    name.map_or_else(|| process.user.to_string(), |name| app.look.text(name))
}

/// The columns that there is room for.
fn columns(app: &App, width: usize) -> Vec<Column> {
    let has_gpu = app
        .sample
        .processes
        .iter()
        .any(|process| process.gpu_percent.is_some() || process.gpu_memory_bytes.is_some());
    let gpu = |all: Vec<Column>| {
        let kept = |column: &Column| has_gpu || column.sort != Some(Sort::Gpu);
        all.into_iter().filter(kept).collect()
    };
    match width {
        0..30 => vec![PID, CPU],
        30..64 => vec![PID, STATE, CPU, MEMORY],
        64..100 => gpu(vec![PID, STATE, CPU, MEMORY, THREADS, READ, WRITE, GPU]),
        _ => gpu(vec![PID, USER, STATE, CPU, MEMORY, THREADS, READ, WRITE, GPU, GPU_MEMORY]),
    }
}

/// Draws the title and the rows that there is room for.
pub(super) fn draw(app: &mut App, buffer: &mut Buffer, area: Rect) {
    let (width, height) = (usize::from(area.width), usize::from(area.height));
    app.page = height.saturating_sub(1);
    if height == 0 {
        return;
    }
    if app.chosen.is_some() {
        let last = app.chosen_row.saturating_sub(app.page.saturating_sub(1));
        app.first_row = app.first_row.clamp(last, app.chosen_row.max(last));
    } else {
        app.first_row = app.first_row.min(app.rows.len().saturating_sub(1));
    }
    let columns = columns(app, width);
    title(app, buffer, area, &columns);
    let rows: Vec<Row> = app.rows.iter().skip(app.first_row).take(app.page).copied().collect();
    for (at, row) in rows.into_iter().enumerate() {
        let Some(process) = app.sample.processes.get(row.process) else { continue };
        // A row of an area fits in its height.
        let y = area.y + 1 + at as u16;
        let (mut x, end) = (area.x, area.right());
        for column in &columns {
            let text = (column.text)(app, process);
            let style = style(app, column, process);
            x = cell(buffer, (x, y), end, &text, column, style);
        }
        let text = app.look.text(&command(app, process, row.depth));
        let style = match process {
            process if process.is_rushlight => app.look.title(),
            process if process.is_kernel => app.look.faint(),
            _ => Style::new(),
        };
        if x < end {
            buffer.set_stringn(x, y, text, usize::from(end - x), style);
        }
        if app.chosen == Some((process.pid, process.start_ticks)) {
            buffer.set_style(Rect { y, height: 1, ..area }, app.look.chosen());
        }
    }
    if app.rows.is_empty() && area.height > 1 {
        let text = match app.sample.lack("processes") {
            Some(lack) => super::look::short(&lack.reason, &lack.detail),
            None if app.filter.is_empty() => "no processes".to_owned(),
            None => format!("no process has `{}` in its command", app.filter),
        };
        buffer.set_stringn(area.x, area.y + 1, app.look.text(&text), width, app.look.faint());
    }
}

fn title(app: &App, buffer: &mut Buffer, area: Rect, columns: &[Column]) {
    let style = app.look.strong();
    let (mut x, end) = (area.x, area.right());
    for column in columns {
        let is_sort = column.sort == Some(app.sort);
        let style = if is_sort { app.look.title().patch(app.look.chosen()) } else { style };
        x = cell(buffer, (x, area.y), end, column.title, column, style);
    }
    let tasks = &app.sample.tasks;
    let mut text = "COMMAND".to_owned();
    let about = match app.filter.as_str() {
        "" => format!("{} processes, {} threads", tasks.processes, tasks.threads),
        filter => format!("`{filter}`: {} of {}", app.rows.len(), tasks.processes),
    };
    let room = usize::from(end.saturating_sub(x));
    let about = app.look.text(&about);
    let about_width = plain(about.as_str()).width();
    if room > text.len() + about_width + 2 {
        let fill = room - text.len() - about_width;
        text = format!("{text}{}{about}", " ".repeat(fill));
    }
    if room > 0 {
        buffer.set_stringn(x, area.y, text, room, style);
    }
}

/// Writes a cell, to the right except for names, and says where the next one begins.
fn cell(
    buffer: &mut Buffer,
    (x, y): (u16, u16),
    end: u16,
    text: &str,
    column: &Column,
    style: Style,
) -> u16 {
    let width = column.width;
    let text = match column.title {
        "USER" | "S" => format!("{text:<width$.width$}"),
        _ => format!("{text:>width$.width$}"),
    };
    let room = usize::from(end.saturating_sub(x));
    if room > 0 {
        buffer.set_stringn(x, y, text, room, style);
    }
    // Columns are narrower than a screen.
    x.saturating_add(width as u16 + 1)
}

fn style(app: &App, column: &Column, process: &Process) -> Style {
    let look = app.look;
    match column.title {
        "S" if process.state == "R" => look.good(),
        "S" if process.state == "D" => look.bad(),
        "CPU%" if process.cpu_percent >= 0.05 => look.strong(),
        "PID" | "USER" | "THR" => look.faint(),
        _ => Style::new(),
    }
}

fn command(app: &App, process: &Process, depth: usize) -> String {
    let branch = if app.look.is_ascii { "`- " } else { "└ " };
    let indent = match depth {
        0 => String::new(),
        depth => format!("{}{branch}", "  ".repeat(depth - 1)),
    };
    match process.command.as_str() {
        "" => format!("{indent}[{}]", process.name),
        command => format!("{indent}{command}"),
    }
}
