//! What may be drawn with: letters, bars, curves and colours that this terminal has.

use ratatui_core::style::{Color, Modifier, Style};
use ratatui_core::text::Span;

/// What a terminal can show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// Only letters of ASCII.
    pub is_ascii: bool,
    /// No colours, only bold and reversed.
    pub is_plain: bool,
}

/// From empty to full.
const EIGHTHS: [char; 9] = [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'];
const HEIGHTS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const ASCII_HEIGHTS: [char; 9] = [' ', '.', '.', ':', '-', '=', '+', '*', '#'];

impl Look {
    /// Of the environment: ASCII without a UTF-8 locale or on the Linux console, whose font lacks
    /// most blocks; no colours with `NO_COLOR` (<https://no-color.org>) or a terminal without any.
    pub fn of_environment(variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| set(name));
        let locale = locale.unwrap_or_default().to_lowercase();
        let terminal = set("TERM").unwrap_or_default();
        Self {
            is_ascii: !(locale.contains("utf-8") || locale.contains("utf8")) || terminal == "linux",
            is_plain: set("NO_COLOR").is_some()
                || terminal == "dumb"
                || terminal.starts_with("vt1"),
        }
    }

    fn color(self, color: Color) -> Style {
        if self.is_plain { Style::new() } else { Style::new().fg(color) }
    }

    pub(super) fn title(self) -> Style {
        self.color(Color::Cyan).add_modifier(Modifier::BOLD)
    }

    pub(super) fn strong(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// What matters less. Bright black is invisible on some terminals of 16 colours, so it is dimmed.
    pub(super) fn faint(self) -> Style {
        if self.is_plain { Style::new() } else { Style::new().add_modifier(Modifier::DIM) }
    }

    pub(super) fn good(self) -> Style {
        self.color(Color::Green)
    }

    pub(super) fn warning(self) -> Style {
        self.color(Color::Yellow)
    }

    pub(super) fn bad(self) -> Style {
        self.color(Color::Red).add_modifier(Modifier::BOLD)
    }

    pub(super) fn second(self) -> Style {
        self.color(Color::Cyan)
    }

    pub(super) fn chosen(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    /// By how much of something is in use.
    pub(super) fn level(self, percent: f32) -> Style {
        match percent {
            p if p >= 90.0 => self.bad(),
            p if p >= 70.0 => self.warning(),
            _ => self.good(),
        }
    }

    /// The line that a title is in.
    pub(super) fn rule(self) -> &'static str {
        if self.is_ascii { "-" } else { "─" }
    }

    /// What stands between parts of a line.
    pub(super) fn dot(self) -> &'static str {
        if self.is_ascii { " | " } else { " · " }
    }

    pub(super) fn degrees(self) -> &'static str {
        if self.is_ascii { "C" } else { "°C" }
    }

    /// A bar of `width` letters that is full to `percent`.
    pub(super) fn bar(self, percent: f32, width: usize) -> String {
        let share = if percent.is_finite() { percent.clamp(0.0, 100.0) / 100.0 } else { 0.0 };
        let eighths = (share * 8.0 * width as f32).round() as usize;
        let letter = |at: usize| {
            let filled = eighths.saturating_sub(at * 8).min(8);
            match self.is_ascii {
                true if filled >= 4 => '|',
                true => '.',
                false => EIGHTHS.get(filled).copied().unwrap_or(' '),
            }
        };
        (0..width).map(letter).collect()
    }

    /// One letter as high as `percent`.
    pub(super) fn height(self, percent: f32) -> char {
        let letters = if self.is_ascii { ASCII_HEIGHTS } else { HEIGHTS };
        if !percent.is_finite() {
            return ' ';
        }
        // What is more than nothing is seen.
        let eighths = (percent.clamp(0.0, 100.0) * 0.08).ceil() as usize;
        letters.get(eighths).copied().unwrap_or(' ')
    }

    /// A curve of the last `width` of `values`, of which `top` is as high as it goes.
    pub(super) fn curve(self, values: impl Iterator<Item = f32>, top: f32, width: usize) -> String {
        let scale = if top > 0.0 { 100.0 / top } else { 0.0 };
        let drawn: String = values.map(|value| self.height(value * scale)).collect();
        format!("{drawn:>width$}")
    }

    /// Text in which only letters remain that the terminal has.
    pub(super) fn text(self, text: &str) -> String {
        let letter = |c: char| match c {
            c if c.is_ascii() || !self.is_ascii => c,
            '°' => ' ',
            _ => '?',
        };
        text.chars().map(letter).collect()
    }
}

/// A part of a line.
pub(super) fn span(text: impl Into<String>, style: Style) -> Span<'static> {
    Span::styled(text.into(), style)
}

/// A part of a line as it is.
pub(super) fn plain(text: impl Into<String>) -> Span<'static> {
    Span::raw(text.into())
}

/// Bytes in at most five letters, by powers of 1024: `999`, `1.2K`, `45M`, `1023G`.
pub(super) fn bytes(count: u64) -> String {
    const UNITS: [&str; 6] = ["K", "M", "G", "T", "P", "E"];
    if count < 1000 {
        return count.to_string();
    }
    let mut value = count as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1023.5 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    let name = UNITS.get(unit).copied().unwrap_or_default();
    if value < 9.95 { format!("{value:.1}{name}") } else { format!("{value:.0}{name}") }
}

/// A number of per cent in at most four letters: `0.4`, `12`, `1200`.
pub(super) fn percent(value: f32) -> String {
    if value < 9.95 { format!("{value:.1}") } else { format!("{value:.0}") }
}

/// A clock in at most four letters: `2.4G`, `800M`.
pub(super) fn hertz(value: f64) -> String {
    if value >= 999.5e6 { format!("{:.1}G", value / 1e9) } else { format!("{:.0}M", value / 1e6) }
}

/// A length of time: `42 s`, `3 min`, `5 h 10 min`, `12 d 3 h`.
pub(super) fn duration(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{minutes} min"),
        3600..86400 => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

/// A reason in few words; that there is no such thing needs none before it.
pub(super) fn short(reason: &str, detail: &str) -> String {
    let word = match reason {
        "permission" => "needs root",
        "driver" => "no driver",
        "unsupported" => "not told",
        "damaged" => "damaged",
        _ if detail.is_empty() => "none",
        _ => return detail.to_owned(),
    };
    if detail.is_empty() { word.to_owned() } else { format!("{word}: {detail}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let cases = [
            (0, "0"),
            (999, "999"),
            (1000, "1.0K"),
            (1 << 20, "1.0M"),
            ((1 << 20) - 1, "1.0M"),
            (45 << 20, "45M"),
            (1023 << 30, "1023G"),
            (u64::MAX, "16E"),
        ];
        for (count, want) in cases {
            assert_eq!(bytes(count), want, "{count}");
        }
        assert_eq!(
            (percent(0.04), percent(9.96), percent(1200.4)),
            ("0.0".into(), "10".into(), "1200".into())
        );
        assert_eq!((hertz(2.4e9), hertz(8e8)), ("2.4G".into(), "800M".into()));
        assert_eq!((duration(59), duration(90_000)), ("59 s".into(), "1 d 1 h".into()));
    }

    #[test]
    fn bars_and_curves_have_their_width() {
        let blocks = Look::default();
        let ascii = Look { is_ascii: true, is_plain: true };
        assert_eq!(blocks.bar(50.0, 4), "██  ");
        assert_eq!(blocks.bar(f32::NAN, 3), "   ");
        assert_eq!(ascii.bar(50.0, 4), "||..");
        assert_eq!(blocks.curve([0.0, 5.0, f32::NAN, 10.0].into_iter(), 10.0, 6), "   ▄ █");
        assert_eq!(ascii.curve([0.0, 5.0, 10.0].into_iter(), 10.0, 3), " -#");
        assert_eq!(ascii.text("a°C ü"), "a C ?");
    }

    #[test]
    fn the_environment_says_what_a_terminal_has() {
        let look = |variables: &'static [(&str, &str)]| {
            Look::of_environment(|name| {
                variables.iter().find(|one| one.0 == name).map(|one| one.1.to_owned())
            })
        };
        assert_eq!(look(&[("LANG", "en_US.UTF-8"), ("TERM", "xterm")]), Look::default());
        assert!(look(&[("LANG", "C"), ("TERM", "xterm")]).is_ascii);
        assert!(look(&[("LC_ALL", "C"), ("LANG", "C.UTF-8")]).is_ascii);
        assert!(!look(&[("LC_ALL", ""), ("LANG", "C.utf8")]).is_ascii);
        assert!(look(&[("LANG", "C.UTF-8"), ("TERM", "linux")]).is_ascii);
        assert!(look(&[("LANG", "C.UTF-8"), ("NO_COLOR", "1")]).is_plain);
        assert!(!look(&[("LANG", "C.UTF-8"), ("NO_COLOR", "")]).is_plain);
    }
}
