//! Calls of tools in an answer, as it arrives.

use rushlight_engine::Finish;
use rushlight_text::tools::{ToolCallParser, ToolEvent};
use serde_json::{Value, json};

use crate::openai::{finish_reason, random};

/// Finds the calls of one answer.
pub(super) struct Caller {
    parser: ToolCallParser,
    /// Calls that have begun.
    calls: usize,
}

impl Caller {
    pub(super) fn new(parser: ToolCallParser) -> Self {
        Self { parser, calls: 0 }
    }

    /// What a piece of text adds to a streamed message.
    pub(super) fn deltas(&mut self, text: &str) -> Vec<Value> {
        let events = self.parser.push(text);
        events.into_iter().filter_map(|event| self.delta(event)).collect()
    }

    /// What waits when the answer is over.
    pub(super) fn last_deltas(&mut self) -> Vec<Value> {
        let events = self.parser.finish();
        events.into_iter().filter_map(|event| self.delta(event)).collect()
    }

    fn delta(&mut self, event: ToolEvent) -> Option<Value> {
        let call = match event {
            ToolEvent::Content(text) => return Some(json!({ "content": text })),
            ToolEvent::Begin { name } => {
                self.calls += 1;
                let function = json!({ "name": name, "arguments": "" });
                let (index, id) = (self.calls - 1, id());
                json!({ "index": index, "id": id, "type": "function", "function": function })
            }
            ToolEvent::Arguments(text) => {
                json!({ "index": self.calls - 1, "function": { "arguments": text } })
            }
            _ => return None,
        };
        Some(json!({ "tool_calls": [call] }))
    }

    /// The message of a whole answer.
    pub(super) fn message(&mut self, text: &str) -> Value {
        let mut events = self.parser.push(text);
        events.extend(self.parser.finish());
        let (mut content, mut calls) = (String::new(), Vec::<(String, String)>::new());
        for event in events {
            match event {
                ToolEvent::Content(text) => content += &text,
                ToolEvent::Begin { name } => calls.push((name, String::new())),
                ToolEvent::Arguments(text) => {
                    if let Some((_, arguments)) = calls.last_mut() {
                        *arguments += &text;
                    }
                }
                _ => {}
            }
        }
        self.calls = calls.len();
        if calls.is_empty() {
            return json!({ "role": "assistant", "content": content, "refusal": null });
        }
        let call = |(name, arguments): (String, String)| {
            let function = json!({ "name": name, "arguments": arguments });
            json!({ "id": id(), "type": "function", "function": function })
        };
        let calls: Vec<Value> = calls.into_iter().map(call).collect();
        let content = if content.trim().is_empty() { Value::Null } else { content.into() };
        json!({ "role": "assistant", "content": content, "refusal": null, "tool_calls": calls })
    }

    /// Why the answer ended: for its calls, if it has any and was not cut.
    pub(super) fn finish_reason(&self, finish: Finish) -> &'static str {
        match finish_reason(finish) {
            "stop" if self.calls > 0 => "tool_calls",
            reason => reason,
        }
    }
}

/// The name of a call, which no other has.
fn id() -> String {
    format!("call_{:016x}", random())
}
