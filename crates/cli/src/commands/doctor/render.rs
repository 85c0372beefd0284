//! Groups as a page of text: 80 columns, colour on terminals, ASCII where the locale has no more.

use std::env;
use std::io::IsTerminal as _;

use super::group::{Group, Line, Verdict};

/// Characters of a line at most.
const WIDTH: usize = 80;
/// Letters of a label, at most.
const LONGEST_LABEL: usize = 40;
/// Where values begin: after the longest label that is usual.
const VALUES: usize = 18;

/// What stays on the line of its number.
const UNITS: [&str; 12] = ["B", "KiB", "MiB", "GiB", "GHz", "MHz", "%", "°C", "C", "W", "J", "s"];

/// How a page looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Style {
    /// Escape sequences of a terminal.
    pub(crate) colour: bool,
    /// Characters beyond ASCII.
    pub(crate) unicode: bool,
}

impl Style {
    /// What standard output and the locale want. `NO_COLOR`: <https://no-color.org>.
    pub(crate) fn of_stdout() -> Self {
        let set = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
        let dumb = set("TERM").is_some_and(|term| term == "dumb");
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set);
        Self {
            colour: std::io::stdout().is_terminal() && set("NO_COLOR").is_none() && !dumb,
            unicode: locale.is_some_and(|locale| has_unicode(&locale)),
        }
    }

    fn paint(self, colour: &str, text: &str) -> String {
        if self.colour && !colour.is_empty() {
            format!("\x1b[{colour}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    /// `text` as this style can show it: nothing that a terminal would obey.
    fn clean(self, text: &str) -> String {
        let mut clean = String::with_capacity(text.len());
        for c in text.chars() {
            match c {
                _ if c.is_control() || turns(c) => clean.push('?'),
                _ if c.is_ascii() || self.unicode => clean.push(c),
                '°' => {}
                '–' | '—' => clean.push('-'),
                '…' => clean.push_str("..."),
                '×' => clean.push('x'),
                'µ' | 'μ' => clean.push('u'),
                '≥' => clean.push_str(">="),
                '≤' => clean.push_str("<="),
                _ => clean.push('?'),
            }
        }
        clean
    }
}

/// Whether it changes the direction of what follows, which can make a line say something else.
fn turns(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// `de_DE.UTF-8`, `C.utf8`.
fn has_unicode(locale: &str) -> bool {
    let locale = locale.to_ascii_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

/// All groups, then a sentence; an empty line between two.
pub(crate) fn page(groups: &[Group], conclusion: &str, style: Style) -> String {
    let mut parts: Vec<String> = groups.iter().map(|group| one(group, style)).collect();
    parts.push(wrap(&style.clean(conclusion), WIDTH, WIDTH).join("\n") + "\n");
    parts.join("\n")
}

fn one(group: &Group, style: Style) -> String {
    let colour = match group.verdict() {
        Verdict::Good => "32",
        Verdict::Unknown => "36",
        Verdict::Degraded => "33",
        Verdict::Bad => "1;31",
    };
    let word = group.verdict().word();
    let title = format!("{}: ", group.title());
    let indent = title.chars().count() + word.len() + 2;
    let head = wrap(&style.clean(group.sentence()), WIDTH.saturating_sub(indent), WIDTH - 2);
    let mut out = style.paint("1", &title) + &style.paint(colour, word) + "  ";
    out += &(head.join("\n  ") + "\n");
    for line in group.lines() {
        out += &labelled(line, style);
    }
    for hint in group.hints() {
        let parts = wrap(&style.clean(hint), WIDTH - 8, WIDTH - 8);
        out += &format!("  {}{}\n", style.paint("36", "hint: "), parts.join("\n        "));
    }
    out
}

fn labelled(line: &Line, style: Style) -> String {
    let mut label = style.clean(&line.label);
    // Names that files gave may be of any length.
    if label.chars().count() > LONGEST_LABEL {
        label = label.chars().take(LONGEST_LABEL - 3).collect::<String>() + "...";
    }
    let width = WIDTH - VALUES;
    let first = width.saturating_sub(label.chars().count().saturating_sub(VALUES - 4));
    let value = style.clean(&line.value);
    let value = if line.absent { format!("({value})") } else { value };
    let parts = wrap(&value, first, width);
    let colour = if line.absent { "2" } else { "" };
    let parts: Vec<_> = parts.iter().map(|part| style.paint(colour, part)).collect();
    let gap = " ".repeat(VALUES);
    format!("  {label:<width$}  {}\n", parts.join(&format!("\n{gap}")), width = VALUES - 4)
}

/// `text` in lines of at most `width` characters, the first of `first`, broken at spaces where there are
/// some. There is at least one line.
fn wrap(text: &str, first: usize, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut left = first;
    for word in words(text) {
        let mut word: Vec<char> = word.chars().collect();
        loop {
            let line = lines.last_mut().expect("there is always one line");
            let gap = usize::from(!line.is_empty());
            if word.len() + gap <= left {
                line.extend(std::iter::repeat_n(' ', gap));
                line.extend(&word);
                left -= word.len() + gap;
                break;
            }
            if line.is_empty() || word.len() > width {
                // No line holds the word: it is cut.
                let room = left.saturating_sub(gap).min(word.len());
                if room > 0 {
                    line.extend(std::iter::repeat_n(' ', gap));
                    line.extend(word.drain(..room));
                    if word.first() == Some(&' ') {
                        word.remove(0);
                    }
                }
            }
            lines.push(String::new());
            left = width.max(1);
        }
    }
    lines
}

/// The words of a text; a number and its unit are one.
fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let unit = word.trim_end_matches([',', '.', ')', ':', ';']);
        match words.last_mut() {
            Some(number)
                if UNITS.contains(&unit) && number.ends_with(|c: char| c.is_ascii_digit()) =>
            {
                number.push(' ');
                number.push_str(word);
            }
            _ => words.push(word.to_owned()),
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use rushlight_host::probe::{Reading, Reason, Unit};

    use super::*;

    fn group() -> Group {
        let mut group = Group::new("heat", "Heat", "All is cool.", &1);
        group.line("processor", "41.5 °C … of 90");
        let reading: Reading<u32> =
            Reading::absent(Reason::NotFound, "there is no sensor", Unit::Celsius, "sys/x");
        group.reading("a label that is long", &reading, u32::to_string);
        group.line("long", "word ".repeat(30) + &"x".repeat(90));
        group.line("evil", "a\x1b[31mb\nc\u{202e}");
        group.hint("buy a fan");
        group
    }

    #[test]
    fn lines_are_short_and_plain_where_asked() {
        let plain = page(&[group()], "Good bye.", Style { colour: false, unicode: false });
        assert!(plain.is_ascii(), "{plain}");
        for line in plain.lines() {
            assert!(line.len() <= WIDTH && line.trim_end() == line, "{line:?}");
        }
        assert!(
            plain.starts_with("Heat: good  All is cool.\n  processor       41.5 C ... of 90\n")
        );
        assert!(plain.contains("  a label that is long  (there is no sensor)\n"), "{plain}");
        assert!(plain.contains("  evil            a?[31mb?c?\n"), "{plain}");
        assert!(plain.ends_with("  hint: buy a fan\n\nGood bye.\n"));
        assert!(plain.matches('x').count() >= 90 && plain.matches("word").count() == 30);
        let style = Style { colour: false, unicode: true };
        assert!(page(&[group()], "", style).contains("41.5 °C … of 90"));
    }

    #[test]
    fn colour_says_the_verdict() {
        let style = Style { colour: true, unicode: true };
        let mut bad = group();
        bad.judge(Verdict::Bad, "It burns.");
        bad.judge(Verdict::Degraded, "It is warm.");
        let page = page(&[group(), bad], "", style);
        assert!(page.contains("\x1b[1mHeat: \x1b[0m\x1b[32mgood\x1b[0m  All is cool.\n"));
        assert!(page.contains("\n\n\x1b[1mHeat: \x1b[0m\x1b[1;31mbad\x1b[0m  It burns.\n"));
        assert!(page.contains("\x1b[2m(there is no sensor)\x1b[0m"));
    }

    #[test]
    fn a_number_stays_with_its_unit() {
        assert_eq!(wrap("there are 1.0 MiB, left", 13, 13), ["there are", "1.0 MiB, left"]);
        assert_eq!(wrap("x 12345678 W", 5, 5), ["x 123", "45678", "W"]);
    }

    #[test]
    fn locales() {
        for (locale, unicode) in [("C.UTF-8", true), ("de_DE.utf8", true), ("C", false)] {
            assert_eq!(has_unicode(locale), unicode, "{locale}");
        }
    }
}
