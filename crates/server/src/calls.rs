//! Calls of tools in an answer, as it arrives.

use rushlight_text::tools::{ToolCallParser, ToolEvent};
use serde_json::{Map, Value};

use crate::random::random;

/// A call that has begun.
#[derive(Debug)]
pub(crate) struct Call {
    /// A name for it, which no other has.
    pub(crate) id: String,
    /// The tool.
    pub(crate) name: String,
    /// So far, as JSON.
    pub(crate) arguments: String,
    /// Whether it is complete.
    is_whole: bool,
}

impl Call {
    /// The arguments as an object; `None` where the call was cut or they are none.
    pub(crate) fn object(&self) -> Option<Map<String, Value>> {
        match self.arguments.is_empty() {
            _ if !self.is_whole => None,
            true => Some(Map::new()),
            false => serde_json::from_str(&self.arguments).ok(),
        }
    }
}

/// Finds the calls of one answer.
///
/// White space is told with the text that comes after it, and beside calls not at all if it is alone.
pub(crate) struct Caller {
    parser: ToolCallParser,
    prefix: &'static str,
    calls: Vec<Call>,
    /// White space that no text came after yet.
    blank: String,
    has_text: bool,
}

impl Caller {
    pub(crate) fn new(parser: ToolCallParser) -> Self {
        let (calls, blank) = (Vec::new(), String::new());
        Self { parser, prefix: "call_", calls, blank, has_text: false }
    }

    /// Has the names of calls begin with something else than `call_`.
    pub(crate) fn with_prefix(self, prefix: &'static str) -> Self {
        Self { prefix, ..self }
    }

    /// What a piece of text tells.
    pub(crate) fn push(&mut self, text: &str) -> Vec<ToolEvent> {
        let events = self.parser.push(text);
        self.all_told(events)
    }

    /// What waits when the answer is over.
    pub(crate) fn finish(&mut self) -> Vec<ToolEvent> {
        let events = self.parser.finish();
        let mut events = self.all_told(events);
        if self.calls.is_empty() && !self.blank.is_empty() {
            events.push(ToolEvent::Content(std::mem::take(&mut self.blank)));
        }
        events
    }

    /// All that have begun.
    pub(crate) fn calls(&self) -> &[Call] {
        &self.calls
    }

    /// What is told of events. A call that is complete without arguments has none: an empty object.
    fn all_told(&mut self, events: Vec<ToolEvent>) -> Vec<ToolEvent> {
        let mut told = Vec::with_capacity(events.len());
        for event in events {
            let is_bare = self.calls.last().is_some_and(|call| call.arguments.is_empty());
            if event == ToolEvent::End && is_bare {
                told.extend(self.told(ToolEvent::Arguments("{}".to_owned())));
            }
            told.extend(self.told(event));
        }
        told
    }

    fn told(&mut self, event: ToolEvent) -> Option<ToolEvent> {
        match &event {
            ToolEvent::Content(text) => {
                self.blank += text;
                self.has_text |= !text.trim().is_empty();
                let told = self.has_text.then(|| std::mem::take(&mut self.blank));
                return told.map(ToolEvent::Content);
            }
            ToolEvent::Begin { name } => self.calls.push(Call {
                id: format!("{}{:016x}", self.prefix, random()),
                name: name.clone(),
                arguments: String::new(),
                is_whole: false,
            }),
            ToolEvent::Arguments(text) => {
                if let Some(call) = self.calls.last_mut() {
                    call.arguments += text;
                }
            }
            ToolEvent::End => {
                if let Some(call) = self.calls.last_mut() {
                    call.is_whole = true;
                }
            }
        }
        Some(event)
    }
}

#[cfg(test)]
mod tests {
    use rushlight_text::tools::Convention;
    use serde_json::json;

    use super::*;

    fn of(pieces: &[&str]) -> (String, Caller) {
        let mut caller = Caller::new(ToolCallParser::new(Convention::Hermes, ["f"]));
        let mut events: Vec<_> = pieces.iter().flat_map(|piece| caller.push(piece)).collect();
        events.extend(caller.finish());
        let text = events.iter().filter_map(|event| match event {
            ToolEvent::Content(text) => Some(text.as_str()),
            _ => None,
        });
        (text.collect(), caller)
    }

    #[test]
    fn white_space_alone_is_no_text_beside_calls() {
        let call = "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": 1}}\n</tool_call>";
        let cases: [(&[&str], &str, usize); 5] = [
            (&[" ", "\n"], " \n", 0),
            (&[" ", "a", " "], " a ", 0),
            (&["\n", call], "", 1),
            (&["a ", call], "a ", 1),
            (&["\n", call, "\n", "a"], "\n\na", 1),
        ];
        for (pieces, text, calls) in cases {
            let (told, caller) = of(pieces);
            assert_eq!((told.as_str(), caller.calls().len()), (text, calls), "{pieces:?}");
        }
    }

    #[test]
    fn only_whole_calls_have_arguments() {
        let cases = [
            ("{\"name\": \"f\", \"arguments\": {\"a\": 1}}", Some(json!({ "a": 1 }))),
            ("{\"name\": \"f\"}", Some(json!({}))),
            ("{\"name\": \"f\", \"arguments\": {\"a\": 1}", None),
            ("{\"name\": \"f\", \"arguments\": {a}}", None),
        ];
        for (call, want) in cases {
            let (_, caller) = of(&["<tool_call>", call]);
            let found = caller.calls()[0].object().map(Value::Object);
            assert_eq!(found, want, "{call}");
        }
    }
}
