//! What pieces of an answer say and call: calls are told whole.

use rushlight_text::tools::ToolEvent;
use serde_json::{Value, json};

use crate::calls::Caller;

/// A part of an answer.
#[derive(Debug, PartialEq)]
pub(super) enum Part {
    Text(String),
    Call(Value),
}

/// Finds the parts of an answer.
pub(super) struct Spoken {
    /// Finds calls; `None` where there are no tools.
    caller: Option<Caller>,
    /// Calls that were told.
    told: usize,
}

impl Spoken {
    pub(super) fn new(caller: Option<Caller>) -> Self {
        Self { caller, told: 0 }
    }

    /// The parts that a piece completes.
    pub(super) fn push(&mut self, text: &str) -> Vec<Part> {
        match &mut self.caller {
            None if text.is_empty() => Vec::new(),
            None => vec![Part::Text(text.to_owned())],
            Some(caller) => {
                let (begun, events) = (caller.calls().len(), caller.push(text));
                self.parts(begun, events)
            }
        }
    }

    /// The parts that wait when the answer is over.
    pub(super) fn finish(&mut self) -> Vec<Part> {
        let Some(caller) = &mut self.caller else { return Vec::new() };
        let (begun, events) = (caller.calls().len(), caller.finish());
        let mut parts = self.parts(begun, events);
        self.tell(usize::MAX, &mut parts);
        parts
    }

    /// The parts of events, before which so many calls had begun.
    fn parts(&mut self, mut begun: usize, events: Vec<ToolEvent>) -> Vec<Part> {
        let mut parts = Vec::new();
        for event in events {
            if !matches!(event, ToolEvent::Arguments(_)) {
                // Whatever follows a call, it is over.
                self.tell(begun, &mut parts);
            }
            match event {
                ToolEvent::Content(text) => parts.push(Part::Text(text)),
                ToolEvent::Begin { .. } => begun += 1,
                _ => {}
            }
        }
        parts
    }

    /// Tells the calls before this number that were not told yet.
    fn tell(&mut self, end: usize, parts: &mut Vec<Part>) {
        let calls = self.caller.as_ref().map_or(&[][..], Caller::calls);
        for call in calls.iter().take(end).skip(self.told) {
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
                let mut spoken = Spoken::new(Some(Caller::new(parser)));
                let mut parts = Vec::new();
                for piece in text.as_bytes().chunks(size) {
                    parts.extend(spoken.push(std::str::from_utf8(piece).unwrap()));
                }
                parts.extend(spoken.finish());
                let text_of = |part: &Part| match part {
                    Part::Text(text) => text.clone(),
                    Part::Call(call) => format!("[{}]", call["function"]["arguments"]),
                };
                assert_eq!(parts.iter().map(text_of).collect::<String>(), want, "{text} {size}");
            }
        }
    }
}
