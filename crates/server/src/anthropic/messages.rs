//! The messages of a request: texts, calls of tools, and what these gave.

use std::collections::HashMap;

use rushlight_text::{FunctionCall, Message, ToolCall};
use serde_json::{Value, json};

use super::schema::{ASSISTANT_TURN, CALL, CALLER, RESULT, SYSTEM_TURN, TEXT, THOUGHT, USER_TURN};
use super::unsupported;
use crate::failure::Failure;
use crate::fields::{Fields, wrong};

/// Takes `messages`. Several turns of one side are one, as the API has it, and what a tool gave is a
/// turn of its own, as templates have it.
pub(super) fn take(fields: &mut Fields) -> Result<Vec<Message>, Failure> {
    let list = fields.list("messages")?;
    let list = fields.need("messages", list)?;
    if list.is_empty() {
        return Err(Failure::value("messages", "`messages` is empty"));
    }
    let mut turns = Turns { messages: Vec::with_capacity(list.len()), called: HashMap::new() };
    for (at, value) in list.into_iter().enumerate() {
        turns.read(Fields::new(value, format!("messages[{at}]"))?)?;
    }
    Ok(turns.messages)
}

/// Takes a last message of the assistant, which the answer goes on from.
pub(super) fn take_begun(messages: &mut Vec<Message>) -> Result<String, Failure> {
    let Some(last) = messages.pop_if(|last| last.role == "assistant") else {
        return Ok(String::new());
    };
    let wrong = |what: &str| {
        let message = format!("the last of `messages` is the assistant's and {what}");
        Err(Failure::value("messages", message))
    };
    let text = last.content.unwrap_or_default();
    match text.ends_with(char::is_whitespace) {
        _ if !last.tool_calls.is_empty() => wrong("calls tools, expected what they gave after it"),
        true => wrong("ends with whitespace"),
        false => Ok(text),
    }
}

/// Takes a text, or blocks of text, which become its lines.
pub(super) fn take_text(fields: &mut Fields, field: &str) -> Result<Option<String>, Failure> {
    let mut texts = Vec::new();
    let Some(blocks) = blocks(fields, field)? else { return Ok(None) };
    for (block, kind) in blocks {
        texts.push(match kind.as_str() {
            "text" => text(block)?,
            _ => return Err(unread(&block, kind)),
        });
    }
    Ok(Some(texts.join("\n")))
}

/// What was said before.
struct Turns {
    messages: Vec<Message>,
    /// The tools that were called, by the names of the calls.
    called: HashMap<String, String>,
}

impl Turns {
    fn read(&mut self, mut fields: Fields) -> Result<(), Failure> {
        let role = fields.take("role");
        let role = fields.need("role", role)?;
        let Some(role @ ("user" | "assistant" | "system")) = role.as_str() else {
            return Err(wrong(&fields.name("role"), &role, "`user`, `assistant` or `system`"));
        };
        let blocks = blocks(&mut fields, "content")?;
        let blocks = fields.need("content", blocks)?;
        fields.end(match role {
            "user" => &USER_TURN,
            "assistant" => &ASSISTANT_TURN,
            _ => &SYSTEM_TURN,
        })?;
        if blocks.is_empty() {
            self.add(Message::new(role, ""));
        }
        for (block, kind) in blocks {
            let message = match (kind.as_str(), role) {
                ("text", _) => Message::new(role, text(block)?),
                ("thinking", "assistant") => thought(block)?,
                // Only who wrote it can read it.
                ("redacted_thinking", "assistant") => continue,
                ("tool_use", "assistant") => self.call(block)?,
                ("tool_result", "user") => self.result(block)?,
                _ => return Err(unread(&block, kind)),
            };
            self.add(message);
        }
        Ok(())
    }

    fn add(&mut self, message: Message) {
        let last = self.messages.last_mut();
        match last.filter(|last| last.role == message.role && last.role != "tool") {
            None => self.messages.push(message),
            Some(last) => {
                let texts = [last.content.take(), message.content].into_iter().flatten();
                last.content = texts.reduce(|text, next| format!("{text}\n{next}"));
                last.tool_calls.extend(message.tool_calls);
                last.reasoning_content =
                    last.reasoning_content.take().or(message.reasoning_content);
            }
        }
    }

    fn call(&mut self, mut block: Fields) -> Result<Message, Failure> {
        let id = block.text("id")?;
        let id = block.need("id", id)?;
        let name = block.text("name")?;
        let name = block.need("name", name)?;
        let input = block.map("input")?;
        let input = block.need("input", input)?;
        block.map("cache_control")?;
        if let Some(mut caller) = block.object("caller")? {
            let kind = caller.text("type")?;
            if caller.need("type", kind)? != "direct" {
                return Err(unsupported(&block.name("caller")));
            }
            caller.end(&CALLER)?;
        }
        block.end(&CALL)?;
        self.called.insert(id.clone(), name.clone());
        let function = FunctionCall { name, arguments: input.into() };
        let call = ToolCall { id: Some(id), kind: "function".to_owned(), function };
        let role = "assistant".to_owned();
        Ok(Message { role, tool_calls: vec![call], ..Message::default() })
    }

    fn result(&self, mut block: Fields) -> Result<Message, Failure> {
        let id = block.text("tool_use_id")?;
        let id = block.need("tool_use_id", id)?;
        let Some(name) = self.called.get(&id) else {
            let want = "the `id` of a `tool_use` before it";
            return Err(wrong(&block.name("tool_use_id"), &Value::from(id), want));
        };
        let mut text = take_text(&mut block, "content")?.unwrap_or_default();
        if block.flag("is_error")? == Some(true) {
            // Templates have no other way to say so.
            text = format!("Error: {text}");
        }
        block.map("cache_control")?;
        block.end(&RESULT)?;
        Ok(Message {
            tool_call_id: Some(id),
            name: Some(name.clone()),
            ..Message::new("tool", text)
        })
    }
}

/// Takes blocks with their types; a text is a block of it.
fn blocks(fields: &mut Fields, field: &str) -> Result<Option<Vec<(Fields, String)>>, Failure> {
    let name = fields.name(field);
    let blocks = match fields.take(field) {
        None => return Ok(None),
        Some(text @ Value::String(_)) => {
            return Ok(Some(vec![block(json!({ "type": "text", "text": text }), name)?]));
        }
        Some(Value::Array(blocks)) => blocks,
        Some(other) => return Err(wrong(&name, &other, "a string or a list of blocks")),
    };
    let block = |(at, value)| block(value, format!("{name}[{at}]"));
    blocks.into_iter().enumerate().map(block).collect::<Result<_, _>>().map(Some)
}

/// A block at a place, with its type.
fn block(value: Value, place: String) -> Result<(Fields, String), Failure> {
    let mut block = Fields::new(value, place)?;
    let kind = block.text("type")?;
    let kind = block.need("type", kind)?;
    Ok((block, kind))
}

/// What the assistant thought, which the template may leave out.
fn thought(mut block: Fields) -> Result<Message, Failure> {
    let text = block.text("thinking")?;
    let text = block.need("thinking", text)?;
    block.text("signature")?;
    block.map("cache_control")?;
    block.end(&THOUGHT)?;
    let role = "assistant".to_owned();
    Ok(Message { role, reasoning_content: Some(text), ..Message::default() })
}

fn text(mut block: Fields) -> Result<String, Failure> {
    let text = block.text("text")?;
    let text = block.need("text", text)?;
    block.map("cache_control")?;
    if block.list("citations")?.is_some_and(|citations| !citations.is_empty()) {
        return Err(unsupported(&block.name("citations")));
    }
    block.end(&TEXT)?;
    Ok(text)
}

/// A block that is not for this place.
fn unread(block: &Fields, kind: String) -> Failure {
    let want = "`text`, `thinking` and `tool_use` of the assistant or `tool_result` of the user, \
                which is all that this server reads";
    let name = block.name("type");
    let found = wrong(&name, &Value::from(kind), want);
    Failure::unsupported(name, found.message())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(list: Value) -> Result<(Vec<Message>, String), Failure> {
        let mut messages = take(&mut Fields::new(json!({ "messages": list }), "").unwrap())?;
        let begun = take_begun(&mut messages)?;
        Ok((messages, begun))
    }

    fn block(text: &str) -> Value {
        json!({ "type": "text", "text": text, "citations": null })
    }

    fn call(id: &str) -> Value {
        json!({ "type": "tool_use", "id": id, "name": "f", "input": { "x": 1 }, "caller": null })
    }

    #[test]
    fn texts_blocks_and_turns() {
        let (messages, begun) = of(json!([
            { "role": "user", "content": "a" },
            { "role": "user", "content": [block("b"), block("c")] },
            { "role": "assistant", "content": [block("d")] },
            { "role": "user", "content": "e" },
            { "role": "assistant", "content": "f" },
        ]))
        .unwrap();
        let found: Vec<_> =
            messages.iter().map(|m| (m.role.as_str(), m.content.as_deref().unwrap())).collect();
        assert_eq!(found, [("user", "a\nb\nc"), ("assistant", "d"), ("user", "e")]);
        assert_eq!(begun, "f");
    }

    #[test]
    fn calls_and_what_they_gave() {
        let result = |id: &str, more: Value| {
            let mut block = json!({ "type": "tool_result", "tool_use_id": id });
            block.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            block
        };
        let (messages, _) = of(json!([
            { "role": "user", "content": "a" },
            { "role": "assistant", "content": [block("b"), call("1"), call("2"), call("3")] },
            { "role": "user", "content": [
                result("1", json!({ "content": "c" })),
                result("2", json!({ "content": [block("d"), block("e")], "is_error": true })),
                result("3", json!({})),
                block("g"),
            ] },
        ]))
        .unwrap();
        let found: Vec<_> = messages
            .iter()
            .map(|m| (m.role.as_str(), m.content.as_deref().unwrap(), m.tool_call_id.as_deref()))
            .collect();
        assert_eq!(
            found,
            [
                ("user", "a", None),
                ("assistant", "b", None),
                ("tool", "c", Some("1")),
                ("tool", "Error: d\ne", Some("2")),
                ("tool", "", Some("3")),
                ("user", "g", None),
            ]
        );
        let calls: Vec<_> =
            messages[1].tool_calls.iter().map(|call| call.id.as_deref().unwrap()).collect();
        assert_eq!(calls, ["1", "2", "3"]);
        assert_eq!(messages[1].tool_calls[0].function.arguments, json!({ "x": 1 }));
        assert_eq!(messages[2].name.as_deref(), Some("f"));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let image = json!([{ "type": "image", "source": {} }]);
        let cited = json!([{ "type": "text", "text": "x", "citations": [{}] }]);
        let result = json!([{ "type": "tool_result", "tool_use_id": "1" }]);
        let turns = |result: Value| {
            json!([
                { "role": "assistant", "content": [call("1")] },
                { "role": "user", "content": [result] },
            ])
        };
        let result_of = |content: Value| json!({ "type": "tool_result", "tool_use_id": "1", "content": content });
        let cases = [
            (json!([]), "messages"),
            (json!([{ "role": "king", "content": "x" }]), "messages[0].role"),
            (json!([{ "role": "user" }]), "messages[0].content"),
            (json!([{ "role": "user", "content": 1 }]), "messages[0].content"),
            (json!([{ "role": "user", "content": image }]), "messages[0].content[0].type"),
            (json!([{ "role": "user", "content": cited }]), "messages[0].content[0].citations"),
            (json!([{ "role": "user", "content": "x", "name": "y" }]), "messages[0].name"),
            (json!([{ "role": "assistant", "content": "x " }]), "messages"),
            (json!([{ "role": "assistant", "content": [call("1")] }]), "messages"),
            (json!([{ "role": "user", "content": [call("1")] }]), "messages[0].content[0].type"),
            (json!([{ "role": "assistant", "content": result }]), "messages[0].content[0].type"),
            (json!([{ "role": "user", "content": result }]), "messages[0].content[0].tool_use_id"),
            (turns(result_of(image.clone())), "messages[1].content[0].content[0].type"),
            (turns(result_of(json!(1))), "messages[1].content[0].content"),
            (
                json!([{ "role": "assistant", "content": [
                    { "type": "tool_use", "id": "1", "name": "f", "input": "{}" },
                ] }]),
                "messages[0].content[0].input",
            ),
        ];
        for (list, name) in cases {
            let error = of(list.clone()).unwrap_err().to_json();
            assert_eq!(error["error"]["param"], name, "{list}: {error}");
        }
    }
}
