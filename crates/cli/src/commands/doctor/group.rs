//! A group of what was found, with a verdict.

use std::fmt::Display;

use rushlight_host::probe::Reading;
use serde::Serialize;
use serde_json::{Value, json};

/// What a group says of the machine, in order of how much it weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// Nothing is missing.
    Good,
    /// The machine does not tell.
    Unknown,
    /// It works, and could work better.
    Degraded,
    /// The machine cannot serve so.
    Bad,
}

impl Verdict {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Unknown => "unknown",
            Self::Degraded => "degraded",
            Self::Bad => "bad",
        }
    }
}

/// What was found of one kind.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    name: &'static str,
    title: &'static str,
    verdict: Verdict,
    sentence: String,
    lines: Vec<Line>,
    hints: Vec<String>,
    found: Value,
}

/// `1 core`, `2 cores`.
pub(crate) fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// A label and what is said of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) label: String,
    pub(crate) value: String,
    /// Whether the value is the reason why there is none.
    pub(crate) absent: bool,
}

impl Group {
    /// A group that is good because of what `sentence` says. `name` is its key in JSON; `found` are the
    /// readings, for JSON.
    pub(crate) fn new(
        name: &'static str,
        title: &'static str,
        sentence: impl Into<String>,
        found: &impl Serialize,
    ) -> Self {
        // Only maps with keys that are no texts fail, which no struct of readings has.
        let found = serde_json::to_value(found).unwrap_or(Value::Null);
        let (verdict, sentence) = (Verdict::Good, sentence.into());
        Self { name, title, verdict, sentence, lines: Vec::new(), hints: Vec::new(), found }
    }

    /// Adds a line.
    pub(crate) fn line(&mut self, label: impl Into<String>, value: impl Display) {
        let (label, value) = (label.into(), value.to_string());
        self.lines.push(Line { label, value, absent: false });
    }

    /// Adds a line with what `show` makes of the value, or the reason why there is none.
    pub(crate) fn reading<T>(
        &mut self,
        label: impl Into<String>,
        reading: &Reading<T>,
        show: impl FnOnce(&T) -> String,
    ) {
        match &reading.value {
            Ok(value) => self.line(label, show(value)),
            Err(absent) => {
                let (label, value) = (label.into(), absent.to_string());
                self.lines.push(Line { label, value, absent: true });
            }
        }
    }

    /// Makes the verdict worse, for the reason in `sentence`; of two as bad, the first counts.
    pub(crate) fn judge(&mut self, verdict: Verdict, sentence: impl Into<String>) {
        if verdict > self.verdict {
            (self.verdict, self.sentence) = (verdict, sentence.into());
        }
    }

    /// Adds what a person can do.
    pub(crate) fn hint(&mut self, hint: impl Into<String>) {
        self.hints.push(hint.into());
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) fn title(&self) -> &'static str {
        self.title
    }

    pub(crate) fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// Why the verdict is so.
    pub(crate) fn sentence(&self) -> &str {
        &self.sentence
    }

    pub(crate) fn lines(&self) -> &[Line] {
        &self.lines
    }

    pub(crate) fn hints(&self) -> &[String] {
        &self.hints
    }

    /// What `--json` prints of it.
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "verdict": self.verdict,
            "sentence": self.sentence,
            "hints": self.hints,
            "found": self.found,
        })
    }
}
