//! Fills a buffer: head, alarms, panes, processes, foot.

use ratatui_core::buffer::Buffer;
use ratatui_core::layout::Rect;
use ratatui_core::style::Style;
use ratatui_core::text::Line;

use super::layout::{Layout, layout};
use super::look::{bytes, duration, percent, plain, span};
use super::panes::{Pane, View};
use super::{App, Mode, help, table};

/// Which of name, processor, kernel, uptime and load are in the head: the most that there is room for.
const KEEP: [[bool; 5]; 6] = [
    [true; 5],
    [true, false, true, true, true],
    [true, false, false, true, true],
    [true, false, false, false, true],
    [true, false, false, false, false],
    [false; 5],
];

impl App {
    /// Draws everything into `area` of `buffer`, which is of any size.
    pub fn draw(&mut self, buffer: &mut Buffer, area: Rect) {
        let area = area.intersection(buffer.area);
        if area.is_empty() {
            return;
        }
        let mut lines = area.rows();
        if let Some(line) = lines.next() {
            self.head(buffer, line);
        }
        let mut body = Rect { y: area.y + 1, height: area.height - 1, ..area };
        if let Some(text) = self.alarm_line() {
            let line = Rect { height: body.height.min(1), ..body };
            put(buffer, line, &text);
            body.y += line.height;
            body.height -= line.height;
        }
        if body.height > 1 {
            body.height -= 1;
            let foot = Rect { y: body.bottom(), height: 1, ..body };
            self.help_row = self.help_row.min(help::last_first(body));
            self.foot(buffer, foot, help::last_first(body) > 0);
        }
        if self.mode == Mode::Help {
            help::draw(self.look, buffer, body, self.help_row);
            return;
        }
        let view = View { look: self.look, sample: &self.sample, history: &self.history };
        let Layout { panes, summary, table } = layout(&view, body, &self.folded);
        for (pane, place) in panes {
            draw_pane(&view, pane, buffer, place);
        }
        for (line, place) in
            summary_lines(&view, usize::from(area.width)).iter().zip(summary.rows())
        {
            put(buffer, place, line);
        }
        table::draw(self, buffer, table);
    }

    /// Which machine, since when, and what the time is.
    fn head(&self, buffer: &mut Buffer, place: Rect) {
        let (look, sample) = (self.look, &self.sample);
        let mut right = Vec::new();
        if let Some(playing) = &self.playing {
            let damaged = match playing.damaged {
                0 => String::new(),
                1 => ", 1 line damaged".to_owned(),
                count => format!(", {count} lines damaged"),
            };
            right.push(format!(
                "replay {}/{} x{}{damaged}",
                playing.at + 1,
                playing.of,
                playing.speed
            ));
        }
        if let Some(name) = &self.recording {
            let what = if self.is_unwritten { "CANNOT WRITE" } else { "records" };
            right.push(format!("{what} {}", look.text(name)));
        }
        if self.is_paused {
            right.push("paused".to_owned());
        }
        right.push(clock(sample.time_unix_ms));
        let right = right.join(look.dot());
        let load = sample.cpu.load_average.map(|load| format!("{load:.2}")).join(" ");
        let parts = [
            look.text(&sample.host.name),
            look.text(&sample.host.processor),
            match sample.host.kernel.as_str() {
                "" => String::new(),
                kernel => format!("Linux {}", look.text(kernel)),
            },
            format!("up {}", duration(sample.host.uptime_seconds)),
            format!("load {load}"),
        ];
        let width = usize::from(place.width);
        let room = width.saturating_sub(right.chars().count() + 2);
        let mut left = "rushlight".to_owned();
        // Load and uptime say more than names, which are left out first.
        for keep in KEEP {
            let kept = parts.iter().zip(keep).filter(|(part, keep)| *keep && !part.is_empty());
            let kept: Vec<&str> = kept.map(|(part, _)| part.as_str()).collect();
            left = [vec!["rushlight"], kept].concat().join(look.dot());
            if left.chars().count() <= room {
                break;
            }
        }
        buffer.set_stringn(place.x, place.y, left, room, look.strong());
        let length = right.chars().count();
        let shown = length.min(width);
        // A shown text is no wider than the place.
        let x = place.right() - shown as u16;
        let style = if self.is_unwritten { look.bad() } else { Style::new() };
        buffer.set_stringn(x, place.y, right, shown, style);
    }

    /// The alarms, if there are any.
    fn alarm_line(&self) -> Option<Line<'static>> {
        let mut line = Vec::new();
        for alarm in self.alarms.on() {
            let text = match alarm.seconds {
                seconds if seconds >= 10.0 => {
                    // Durations are positive.
                    format!("{} ({})", alarm.text, duration(seconds as u64))
                }
                _ => alarm.text,
            };
            line.push(span(" ! ", self.look.bad().patch(self.look.chosen())));
            line.push(span(format!(" {}  ", self.look.text(&text)), self.look.bad()));
        }
        (!line.is_empty()).then(|| Line::from(line))
    }

    /// What was said, what is asked, or what keys do; `is_long` says that help has more lines than
    /// there is room for.
    fn foot(&self, buffer: &mut Buffer, place: Rect, is_long: bool) {
        let look = self.look;
        let line = match (&self.mode, &self.message) {
            (Mode::Confirm(stop), _) => {
                let (how, signal) = match stop.is_kill {
                    true => ("end at once (SIGKILL)", "SIGKILL"),
                    false => ("ask to end (SIGTERM)", "SIGTERM"),
                };
                let name = look.text(&stop.name);
                let texts = [
                    format!(" {how} {} `{name}`? y yes, any other key no ", stop.pid),
                    format!(" {signal} {} `{name}`? y/n ", stop.pid),
                ];
                let short = format!(" {signal} {}? y/n ", stop.pid);
                let fits = |text: &String| plain(text.as_str()).width() <= place.width.into();
                let text = texts.into_iter().find(fits).unwrap_or(short);
                Line::from(span(text, look.bad().patch(look.chosen())))
            }
            (Mode::Filter, _) => {
                let mut filter = look.text(&self.filter);
                // The end of it is where letters are written.
                let room = usize::from(place.width).saturating_sub("filter: _".len());
                while plain(filter.as_str()).width() > room {
                    filter.remove(0);
                }
                Line::from(vec![
                    span(format!("filter: {filter}_"), look.strong()),
                    span("  Enter keeps it, Esc clears it", look.faint()),
                ])
            }
            (Mode::Help, _) if is_long => Line::from(plain("up down more  any other key closes")),
            (_, Some((message, _))) => Line::from(span(look.text(message), look.warning())),
            _ => {
                let sort = format!("sort ({})", self.sort.name());
                let mut keys = vec![
                    ("q", "quit"),
                    ("?", "help"),
                    ("s", sort.as_str()),
                    ("/", "filter"),
                    ("t", if self.is_tree { "list" } else { "tree" }),
                    ("k", "stop"),
                    ("space", if self.is_paused { "go on" } else { "pause" }),
                    ("1-6", "panes"),
                ];
                if self.playing.is_some() {
                    keys.insert(2, ("left right + -", "move, speed"));
                }
                let key = |(key, what): (&str, &str)| {
                    [span(key.to_owned(), look.title()), plain(format!(" {what}  "))]
                };
                Line::from(keys.into_iter().flat_map(key).collect::<Vec<_>>())
            }
        };
        put(buffer, place, &line);
    }
}

/// A pane: `── CPU ── 12 % ─────` and its lines.
fn draw_pane(view: &View<'_>, pane: Pane, buffer: &mut Buffer, place: Rect) {
    let look = view.look;
    let width = usize::from(place.width);
    let (title, text) = pane.title(view);
    let key = Pane::ALL.iter().position(|one| *one == pane).map_or(0, |at| at + 1);
    let mut line = vec![
        span(look.rule(), look.faint()),
        span(format!("{key}"), look.faint()),
        span(look.rule(), look.faint()),
        span(format!(" {title} "), look.title()),
    ];
    let mut used = 5 + title.len();
    if !text.is_empty() {
        let style = match (pane, text.as_str()) {
            (_, "slowed down" | "failed" | "stuck") => look.bad(),
            (_, text) if text.starts_with("no answer") => look.bad(),
            (_, "degraded" | "loading") => look.warning(),
            _ => look.strong(),
        };
        used += text.chars().count() + 1;
        line.push(span(format!("{text} "), style));
    }
    line.push(span(look.rule().repeat(width.saturating_sub(used)), look.faint()));
    let mut rows = place.rows();
    if let Some(row) = rows.next() {
        put(buffer, row, &Line::from(line));
    }
    let most = usize::from(place.height.saturating_sub(1));
    for (line, row) in pane.lines(view, width, most).iter().zip(rows) {
        put(buffer, row, line);
    }
}

/// What is said where there is no room for panes, the most telling first.
fn summary_lines(view: &View<'_>, width: usize) -> Vec<Line<'static>> {
    let (look, sample) = (view.look, view.sample);
    let bar = |name: &str, percent_used: f32| {
        let text = format!("{:>4} %", percent(percent_used));
        let room = width.saturating_sub(4 + text.len() + 1);
        Line::from(vec![
            plain(format!("{name} ")),
            span(look.bar(percent_used, room), look.level(percent_used)),
            plain(text),
        ])
    };
    let mut rest = Vec::new();
    if let Some(served) = &sample.served {
        let rate: f32 = served.models.iter().map(|model| model.tokens_per_second).sum();
        rest.push(format!("{rate:.1} tok/s"));
    }
    rest.extend(sample.power.watts.map(|watts| format!("{watts:.1} W")));
    let hottest = sample.heat.hottest.as_ref();
    rest.extend(hottest.map(|hottest| format!("{:.0} {}", hottest.celsius, look.degrees())));
    let [read, write] = sample.disk_bytes_per_second();
    let [receive, send] = sample.network_bytes_per_second();
    rest.push(format!("disk {}/s", bytes(read.saturating_add(write))));
    rest.push(format!("net {}/s", bytes(receive.saturating_add(send))));
    vec![
        bar("cpu", sample.cpu.total.busy_percent),
        bar("mem", sample.memory_used_percent()),
        Line::from(plain(rest.join(look.dot()))),
    ]
}

fn put(buffer: &mut Buffer, place: Rect, line: &Line<'_>) {
    if !place.is_empty() {
        buffer.set_line(place.x, place.y, line, place.width);
    }
}

/// The time of day in UTC, which is the same on all machines: `12:34:56Z`.
fn clock(unix_ms: u64) -> String {
    let seconds = unix_ms / 1000 % 86400;
    format!("{:02}:{:02}:{:02}Z", seconds / 3600, seconds / 60 % 60, seconds % 60)
}
