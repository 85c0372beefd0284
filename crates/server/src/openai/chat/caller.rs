//! Calls of tools in the shape of messages and of pieces of them.

use rushlight_engine::Finish;
use rushlight_text::tools::ToolEvent;
use serde_json::{Value, json};

use crate::calls::{Call, Caller};
use crate::openai::finish_reason;

/// What a piece of text adds to a streamed message.
pub(super) fn deltas(caller: &mut Caller, text: &str) -> Vec<Value> {
    let begun = caller.calls().len();
    let events = caller.push(text);
    of_events(caller, begun, events)
}

/// What waits when the answer is over.
pub(super) fn last_deltas(caller: &mut Caller) -> Vec<Value> {
    let begun = caller.calls().len();
    let events = caller.finish();
    of_events(caller, begun, events)
}

/// Events, before which so many calls had begun.
fn of_events(caller: &Caller, mut begun: usize, events: Vec<ToolEvent>) -> Vec<Value> {
    let delta = |event| {
        let call = match event {
            ToolEvent::Content(text) => return Some(json!({ "content": text })),
            ToolEvent::Begin { name } => {
                let (index, id) = (begun, &caller.calls().get(begun)?.id);
                begun += 1;
                let function = json!({ "name": name, "arguments": "" });
                json!({ "index": index, "id": id, "type": "function", "function": function })
            }
            ToolEvent::Arguments(text) => {
                json!({ "index": begun.checked_sub(1)?, "function": { "arguments": text } })
            }
            ToolEvent::End => return None,
        };
        Some(json!({ "tool_calls": [call] }))
    };
    events.into_iter().filter_map(delta).collect()
}

/// The message of a whole answer.
pub(super) fn message(caller: &mut Caller, text: &str) -> Value {
    let mut content = String::new();
    for event in [caller.push(text), caller.finish()].concat() {
        if let ToolEvent::Content(text) = event {
            content += &text;
        }
    }
    if caller.calls().is_empty() {
        return json!({ "role": "assistant", "content": content, "refusal": null });
    }
    let call = |call: &Call| {
        let function = json!({ "name": call.name, "arguments": call.arguments });
        json!({ "id": call.id, "type": "function", "function": function })
    };
    let calls: Vec<Value> = caller.calls().iter().map(call).collect();
    let content = if content.is_empty() { Value::Null } else { content.into() };
    json!({ "role": "assistant", "content": content, "refusal": null, "tool_calls": calls })
}

/// Why an answer ended: for its calls, if it has any and was not cut.
pub(super) fn reason(caller: &Caller, finish: Finish) -> &'static str {
    match finish_reason(finish) {
        "stop" if !caller.calls().is_empty() => "tool_calls",
        reason => reason,
    }
}
