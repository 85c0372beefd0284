//! What pieces of an answer say and call: calls are told whole.

use serde_json::{Value, json};

use crate::speech::{Said, Speech};

/// A part of an answer.
#[derive(Debug, PartialEq)]
pub(super) enum Part {
    Thought(String),
    Text(String),
    Call(Value),
}

/// Finds the parts of an answer.
pub(super) struct Spoken {
    speech: Speech,
    /// Whether what the model thinks is told.
    tells_thoughts: bool,
    /// Calls that were told.
    told: usize,
}

impl Spoken {
    pub(super) fn new(speech: Speech, tells_thoughts: bool) -> Self {
        Self { speech, tells_thoughts, told: 0 }
    }

    /// The parts that a piece completes.
    pub(super) fn push(&mut self, text: &str) -> Vec<Part> {
        let begun = self.speech.calls().len();
        let said = self.speech.push(text);
        self.parts(begun, said)
    }

    /// The parts that wait when the answer is over.
    pub(super) fn finish(&mut self) -> Vec<Part> {
        let begun = self.speech.calls().len();
        let said = self.speech.finish();
        let mut parts = self.parts(begun, said);
        self.tell(usize::MAX, &mut parts);
        parts
    }

    /// Parts of what was said, before which so many calls had begun.
    fn parts(&mut self, mut begun: usize, said: Vec<Said>) -> Vec<Part> {
        let mut parts = Vec::new();
        for said in said {
            if !matches!(said, Said::Arguments(_)) {
                // Whatever follows a call, it is over.
                self.tell(begun, &mut parts);
            }
            match said {
                Said::Reasoning(text) if self.tells_thoughts => parts.push(Part::Thought(text)),
                Said::Content(text) => parts.push(Part::Text(text)),
                Said::Call => begun += 1,
                _ => {}
            }
        }
        parts
    }

    /// Tells the calls before this number that were not told yet.
    fn tell(&mut self, end: usize, parts: &mut Vec<Part>) {
        for call in self.speech.calls().iter().take(end).skip(self.told) {
            let name = Value::from(call.name.as_str());
            parts.push(match call.object() {
                Some(object) => {
                    let function = json!({ "name": name, "arguments": object });
                    Part::Call(json!({ "function": function }))
                }
                // What is no call is text, as far as it came.
                None => {
                    Part::Text(format!("{{\"name\": {name}, \"arguments\": {}", call.arguments))
                }
            });
            self.told += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use rushlight_text::tools::{Convention, ToolCallParser};

    use super::*;
    use crate::calls::Caller;

    #[test]
    fn calls_are_whole_and_what_is_none_is_text() {
        let call = |arguments: &str| {
            format!("<tool_call>{{\"name\": \"f\", \"arguments\": {arguments}}}</tool_call>")
        };
        let cut = "<tool_call>{\"name\": \"f\", \"arguments\": {\"a";
        let cases = [
            (format!("Well.{}\n{}", call("{\"a\": 1}"), call("{}")), "Well.[{\"a\":1}][{}]"),
            (format!("\n{}", call("{}")), "[{}]"),
            (format!("{}so", call("{a}")), "{\"name\": \"f\", \"arguments\": {a}so"),
            (format!("{}{}", call("{a}"), call("{}")), "{\"name\": \"f\", \"arguments\": {a}[{}]"),
            (cut.to_owned(), "{\"name\": \"f\", \"arguments\": {\"a"),
        ];
        for (text, want) in cases {
            for size in [1, 7, 1000] {
                let parser = ToolCallParser::new(Convention::Hermes, ["f"]);
                let mut spoken = Spoken::new(Speech::new(None, Some(Caller::new(parser))), true);
                let mut parts = Vec::new();
                for piece in text.as_bytes().chunks(size) {
                    parts.extend(spoken.push(std::str::from_utf8(piece).unwrap()));
                }
                parts.extend(spoken.finish());
                let text_of = |part: &Part| match part {
                    Part::Thought(text) | Part::Text(text) => text.clone(),
                    Part::Call(call) => format!("[{}]", call["function"]["arguments"]),
                };
                assert_eq!(parts.iter().map(text_of).collect::<String>(), want, "{text} {size}");
            }
        }
    }
}
