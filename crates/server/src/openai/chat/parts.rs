//! Parts of an answer in the shape of messages and of pieces of them.

use rushlight_engine::Finish;
use serde_json::{Value, json};

use crate::answers::Answer;
use crate::calls::Call;
use crate::openai::finish_reason;
use crate::speech::{Said, Speech};

/// What a token adds to a streamed message.
pub(super) fn deltas(speech: &mut Speech, text: &str) -> Vec<Value> {
    let begun = speech.calls().len();
    let said = speech.token(text);
    of(speech, begun, said)
}

/// What waits when the answer is over, after a last text.
pub(super) fn last_deltas(speech: &mut Speech, text: &str) -> Vec<Value> {
    let begun = speech.calls().len();
    let mut said = speech.push(text);
    said.extend(speech.finish());
    of(speech, begun, said)
}

/// Parts, before which so many calls had begun.
fn of(speech: &Speech, mut begun: usize, said: Vec<Said>) -> Vec<Value> {
    let delta = |said| {
        let call = match said {
            Said::Reasoning(text) => return Some(json!({ "reasoning_content": text })),
            Said::Content(text) => return Some(json!({ "content": text })),
            Said::Call => {
                let (index, call) = (begun, speech.calls().get(begun)?);
                begun += 1;
                let function = json!({ "name": call.name, "arguments": "" });
                json!({ "index": index, "id": call.id, "type": "function", "function": function })
            }
            Said::Arguments(text) => {
                json!({ "index": begun.checked_sub(1)?, "function": { "arguments": text } })
            }
            Said::End => return None,
        };
        Some(json!({ "tool_calls": [call] }))
    };
    said.into_iter().filter_map(delta).collect()
}

/// The message of a whole answer.
pub(super) fn message(speech: &mut Speech, answer: &Answer) -> Value {
    let said = speech.whole(answer);
    let (mut reasoning, mut content) = (String::new(), String::new());
    for said in said {
        match said {
            Said::Reasoning(text) => reasoning += &text,
            Said::Content(text) => content += &text,
            _ => {}
        }
    }
    let call = |call: &Call| {
        let function = json!({ "name": call.name, "arguments": call.arguments });
        json!({ "id": call.id, "type": "function", "function": function })
    };
    let calls: Vec<Value> = speech.calls().iter().map(call).collect();
    let content = match content.is_empty() && !calls.is_empty() {
        true => Value::Null,
        false => content.into(),
    };
    let mut message = json!({ "role": "assistant", "content": content, "refusal": null });
    if !reasoning.is_empty() {
        message["reasoning_content"] = reasoning.into();
    }
    if !calls.is_empty() {
        message["tool_calls"] = calls.into();
    }
    message
}

/// Why an answer ended: for its calls, if it has any and was not cut.
pub(super) fn reason(speech: &Speech, finish: Finish) -> &'static str {
    match finish_reason(finish) {
        "stop" if !speech.calls().is_empty() => "tool_calls",
        reason => reason,
    }
}
