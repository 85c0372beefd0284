//! What a model thinks, apart from what it says.

mod template;

pub use template::ReasoningMarks;

use crate::marks;

/// A piece of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Thought {
    /// Thought before the answer, without the marks.
    Reasoning(String),
    /// The answer.
    Content(String),
}

/// Splits an answer, as it arrives, at the marks around its reasoning: `<think>` and `</think>` unless
/// others are given.
///
/// Only an answer that begins with the first mark has reasoning; elsewhere the mark is text. White
/// space next to the marks goes.
///
/// ```
/// use rushlight_text::{ReasoningFilter, Thought};
///
/// let mut filter = ReasoningFilter::new();
/// assert_eq!(filter.push("<thi"), []);
/// assert_eq!(filter.push("nk>\nTwo."), [Thought::Reasoning("Two.".to_owned())]);
/// assert_eq!(filter.push("\n</think>\n\n2"), [Thought::Content("2".to_owned())]);
/// assert_eq!(filter.finish(), []);
/// ```
#[derive(Debug, Clone)]
pub struct ReasoningFilter {
    marks: ReasoningMarks,
    place: Place,
    /// What may be a mark, or white space that may go.
    waiting: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Nothing but white space so far.
    Start,
    /// After the first mark; `said` once something but white space was there.
    Inside {
        said: bool,
    },
    /// White space after the second mark.
    After,
    Content,
}

impl Default for ReasoningFilter {
    fn default() -> Self {
        Self::new()
    }
}

impl ReasoningFilter {
    /// A filter at the start of an answer that may think first.
    pub fn new() -> Self {
        Self::after_prompt("", ReasoningMarks::default())
    }

    /// A filter for the answer to `prompt`, which may have begun the reasoning.
    pub fn after_prompt(prompt: &str, marks: ReasoningMarks) -> Self {
        let inside = prompt.trim_end().ends_with(marks.open());
        let place = if inside { Place::Inside { said: false } } else { Place::Start };
        Self { marks, place, waiting: String::new() }
    }

    /// Whether it is within the reasoning.
    pub fn thinks(&self) -> bool {
        matches!(self.place, Place::Inside { .. })
    }

    /// What the next piece of text completes.
    pub fn push(&mut self, text: &str) -> Vec<Thought> {
        self.waiting.push_str(text);
        let mut out = Vec::new();
        while self.step(&mut out) {}
        out
    }

    /// What still waits when the answer is over.
    pub fn finish(&mut self) -> Vec<Thought> {
        let rest = std::mem::take(&mut self.waiting);
        match self.place {
            Place::Inside { .. } if !rest.trim().is_empty() => vec![Thought::Reasoning(rest)],
            Place::Start | Place::Content if !rest.is_empty() => vec![Thought::Content(rest)],
            _ => Vec::new(),
        }
    }

    /// Takes what is certain from the front. Whether another look may find more.
    fn step(&mut self, out: &mut Vec<Thought>) -> bool {
        let (open, close) = (self.marks.open(), self.marks.close());
        match self.place {
            Place::Start => {
                let begun = self.waiting.trim_start();
                if let Some(rest) = begun.strip_prefix(open) {
                    self.waiting = rest.to_owned();
                    self.place = Place::Inside { said: false };
                } else if open.starts_with(begun) {
                    return false;
                } else {
                    self.place = Place::Content;
                }
                true
            }
            Place::Inside { said } => {
                let found = marks::find(&self.waiting, &[close]);
                let end = found.map_or_else(
                    // White space waits too: it goes if the mark comes.
                    || {
                        let certain = marks::certain(&self.waiting, &[close]);
                        self.waiting.get(..certain).unwrap_or_default().trim_end().len()
                    },
                    |(at, _)| at,
                );
                let text = self.waiting.get(..end).unwrap_or_default();
                let text = if found.is_some() { text.trim_end() } else { text };
                let text = if said { text } else { text.trim_start() };
                let said = said || !text.is_empty();
                if !text.is_empty() {
                    out.push(Thought::Reasoning(text.to_owned()));
                }
                let end = if found.is_some() { end + close.len() } else { end };
                self.waiting.drain(..end);
                self.place = if found.is_some() { Place::After } else { Place::Inside { said } };
                found.is_some()
            }
            Place::After => {
                self.waiting = self.waiting.trim_start().to_owned();
                if self.waiting.is_empty() {
                    return false;
                }
                self.place = Place::Content;
                true
            }
            Place::Content => {
                if !self.waiting.is_empty() {
                    out.push(Thought::Content(std::mem::take(&mut self.waiting)));
                }
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reasoning and content of `text`, cut at each of `cuts`.
    fn split(mut filter: ReasoningFilter, pieces: &[&str]) -> (String, String) {
        let mut thoughts: Vec<Thought> =
            pieces.iter().flat_map(|piece| filter.push(piece)).collect();
        thoughts.extend(filter.finish());
        let (mut reasoning, mut content) = (String::new(), String::new());
        for thought in thoughts {
            match thought {
                Thought::Reasoning(text) => reasoning.push_str(&text),
                Thought::Content(text) => content.push_str(&text),
            }
        }
        (reasoning, content)
    }

    #[test]
    fn cuts_change_nothing() {
        let usual = ReasoningMarks::default();
        let other = ReasoningMarks::of_template("[THINK][/THINK]").unwrap();
        for (prompt, text, reasoning, content) in [
            ("", "plain <think>x</think>", "", "plain <think>x</think>"),
            ("", "<think>\na b\n\nc\n</think>\n\nd\n e", "a b\n\nc", "d\n e"),
            ("", " \n<think></think>x", "", "x"),
            ("", "<think>cut off", "cut off", ""),
            ("", "<think>a < b</thin", "a < b</thin", ""),
            ("", "<thing>", "", "<thing>"),
            ("", "<thi", "", "<thi"),
            ("", "\n", "", "\n"),
            ("x<think>\n", "ä\n</think>ö<think>", "ä", "ö<think>"),
            ("x<think>\n\n</think>\n\n", "y", "", "y"),
            ("", "[THINK]a <think> b[/TH [/THINK] c", "a <think> b[/TH", "c"),
            ("x[THINK]", "</think>a[/THINK][THINK]", "</think>a", "[THINK]"),
        ] {
            for (at, _) in text.char_indices().chain([(text.len(), ' ')]) {
                for (end, _) in
                    text.char_indices().chain([(text.len(), ' ')]).skip_while(|c| c.0 < at)
                {
                    let pieces = [&text[..at], &text[at..end], &text[end..]];
                    let marks = if text.contains("TH") { &other } else { &usual };
                    let filter = ReasoningFilter::after_prompt(prompt, marks.clone());
                    let got = split(filter, &pieces);
                    assert_eq!(got, (reasoning.to_owned(), content.to_owned()), "{pieces:?}");
                }
            }
        }
    }
}
