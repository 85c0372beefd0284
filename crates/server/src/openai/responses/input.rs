//! `input`: a text, or items of a conversation.

use rushlight_text::{FunctionCall, Message, ToolCall};
use serde_json::{Map, Value, json};

use super::schema::{
    CALL, MESSAGE, MESSAGE_PART, MESSAGE_PARTS, RESULT, RESULT_PART, RESULT_PARTS, THOUGHT,
    THOUGHT_PART, THOUGHT_PARTS,
};
use crate::failure::Failure;
use crate::fields::{Fields, wrong};
use crate::random;
use crate::schema::Object;

/// Takes `input` as messages that follow those before it, and gives its items as they are told again.
pub(super) fn take(
    fields: &mut Fields,
    messages: &mut Vec<Message>,
) -> Result<Vec<Value>, Failure> {
    let input = fields.take("input");
    let list = match fields.need("input", input)? {
        Value::String(text) => {
            vec![json!({ "type": "message", "role": "user", "content": text })]
        }
        Value::Array(list) if !list.is_empty() => list,
        other => return Err(wrong("input", &other, "a string or a list of items")),
    };
    let mut items = Vec::with_capacity(list.len());
    for (at, item) in list.into_iter().enumerate() {
        items.push(told(&item));
        add(messages, read(Fields::new(item, format!("input[{at}]"))?)?);
    }
    Ok(items)
}

/// An item as it is told again: with a name, and texts as parts.
fn told(item: &Value) -> Value {
    let mut item = item.clone();
    if let Some(object) = item.as_object_mut() {
        object.entry("type").or_insert_with(|| json!("message"));
        object.entry("id").or_insert_with(|| json!(random::id("item_")));
        if let Some(Value::String(text)) = object.get("content") {
            let assistant = object.get("role").is_some_and(|role| role == "assistant");
            let kind = if assistant { "output_text" } else { "input_text" };
            let parts = json!([{ "type": kind, "text": text }]);
            object.insert("content".to_owned(), parts);
        }
    }
    item
}

/// Adds a message; calls and thoughts of the assistant belong to one message.
pub(super) fn add(messages: &mut Vec<Message>, message: Message) {
    let open = messages.last_mut().filter(|last| {
        let assistant = last.role == "assistant" && message.role == "assistant";
        // A text after a text is another message.
        assistant && !(last.content.is_some() && message.content.is_some())
    });
    match open {
        None => messages.push(message),
        Some(last) => {
            last.content = last.content.take().or(message.content);
            last.reasoning_content = last.reasoning_content.take().or(message.reasoning_content);
            last.tool_calls.extend(message.tool_calls);
        }
    }
}

fn read(mut item: Fields) -> Result<Message, Failure> {
    // What responses tell of their own items, which come back with them.
    item.text("id")?;
    item.text("status")?;
    // Only messages may leave it out.
    let kind = match item.text("type")? {
        Some(kind) if kind != "message" => item.need("type", Some(kind))?,
        _ => "message".to_owned(),
    };
    match kind.as_str() {
        "message" => message(item),
        "function_call" => call(item),
        "function_call_output" => result(item),
        "reasoning" => thought(item),
        other => {
            let want = "`message`, `function_call`, `function_call_output` or `reasoning`, which is \
                        all that this server reads";
            let name = item.name("type");
            let found = wrong(&name, &Value::from(other), want);
            Err(Failure::unsupported(name, found.message()))
        }
    }
}

fn message(mut item: Fields) -> Result<Message, Failure> {
    let role = item.take("role");
    let role = item.need("role", role)?;
    let role = match role.as_str() {
        Some("developer") => "system",
        Some(role @ ("system" | "user" | "assistant")) => role,
        _ => {
            let want = "`user`, `assistant`, `system` or `developer`";
            return Err(wrong(&item.name("role"), &role, want));
        }
    };
    let content = parts(&mut item, "content", &MESSAGE_PARTS, &MESSAGE_PART)?;
    let content = item.need("content", content)?;
    item.end(&MESSAGE)?;
    Ok(Message::new(role, content))
}

fn call(mut item: Fields) -> Result<Message, Failure> {
    let id = item.text("call_id")?;
    let id = item.need("call_id", id)?;
    let name = item.text("name")?;
    let name = item.need("name", name)?;
    let arguments = item.text("arguments")?;
    let arguments = item.need("arguments", arguments)?;
    item.end(&CALL)?;
    let arguments = match arguments.trim() {
        "" => Value::Object(Map::new()),
        text => serde_json::from_str(text).unwrap_or_else(|_| Value::from(text)),
    };
    let function = FunctionCall { name, arguments };
    let call = ToolCall { id: Some(id), kind: "function".to_owned(), function };
    let role = "assistant".to_owned();
    Ok(Message { role, tool_calls: vec![call], ..Message::default() })
}

fn result(mut item: Fields) -> Result<Message, Failure> {
    let id = item.text("call_id")?;
    let id = item.need("call_id", id)?;
    let output = parts(&mut item, "output", &RESULT_PARTS, &RESULT_PART)?;
    let output = item.need("output", output)?;
    item.end(&RESULT)?;
    Ok(Message { tool_call_id: Some(id), ..Message::new("tool", output) })
}

fn thought(mut item: Fields) -> Result<Message, Failure> {
    item.list("summary")?;
    item.text("encrypted_content")?;
    let text = parts(&mut item, "content", &THOUGHT_PARTS, &THOUGHT_PART)?;
    item.end(&THOUGHT)?;
    let role = "assistant".to_owned();
    Ok(Message { role, reasoning_content: text, ..Message::default() })
}

/// Takes a text, or parts of one, which become its lines.
fn parts(
    item: &mut Fields,
    field: &str,
    kinds: &[&str],
    table: &Object,
) -> Result<Option<String>, Failure> {
    let name = item.name(field);
    let list = match item.take(field) {
        None => return Ok(None),
        Some(Value::String(text)) => return Ok(Some(text)),
        Some(Value::Array(list)) => list,
        Some(other) => return Err(wrong(&name, &other, "a string or a list of parts")),
    };
    let part = |(at, part)| {
        let mut part = Fields::new(part, format!("{name}[{at}]"))?;
        let kind = part.text("type")?;
        let kind = part.need("type", kind)?;
        if !kinds.contains(&kind.as_str()) {
            let message = format!("the model reads text only, expected parts of {kinds:?}");
            return Err(Failure::unsupported(part.name("type"), message));
        }
        let text = part.text("text")?;
        let text = part.need("text", text)?;
        part.list("annotations")?;
        part.list("logprobs")?;
        part.end(table)?;
        Ok(text)
    };
    let texts: Result<Vec<String>, Failure> = list.into_iter().enumerate().map(part).collect();
    Ok(Some(texts?.join("\n")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(input: &Value) -> Result<(Vec<Message>, Vec<Value>), Failure> {
        let mut messages = Vec::new();
        let mut fields = Fields::new(json!({ "input": input }), "").unwrap();
        let items = take(&mut fields, &mut messages)?;
        Ok((messages, items))
    }

    #[test]
    fn items_become_messages() {
        let (messages, items) = of(&json!("hi")).unwrap();
        assert_eq!(messages, [Message::user("hi")]);
        assert_eq!(items[0]["content"], json!([{ "type": "input_text", "text": "hi" }]));
        let (messages, items) = of(&json!([
            { "role": "developer", "content": "s" },
            { "role": "user", "content": [{ "type": "input_text", "text": "a" }] },
            { "type": "reasoning", "id": "rs_1", "summary": [],
              "content": [{ "type": "reasoning_text", "text": "hm" }] },
            { "type": "function_call", "id": "fc_1", "call_id": "c1", "name": "f",
              "arguments": "{\"x\":1}", "status": "completed" },
            { "type": "function_call_output", "call_id": "c1", "output": "2" },
            { "type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
              "content": [{ "type": "output_text", "text": "b", "annotations": [], "logprobs": [] }] },
        ]))
        .unwrap();
        let roles: Vec<&str> = messages.iter().map(|message| message.role.as_str()).collect();
        assert_eq!(roles, ["system", "user", "assistant", "tool", "assistant"]);
        assert_eq!(messages[2].reasoning_content.as_deref(), Some("hm"));
        assert_eq!(messages[2].tool_calls[0].function.arguments, json!({ "x": 1 }));
        assert_eq!(messages[3].tool_call_id.as_deref(), Some("c1"));
        assert_eq!(messages[4].content.as_deref(), Some("b"));
        assert!(items.iter().all(|item| item["id"].is_string() && item["type"].is_string()));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let cases = [
            (json!([]), "input"),
            (json!(1), "input"),
            (json!(["a"]), "input[0]"),
            (json!([{ "role": "tool", "content": "a" }]), "input[0].role"),
            (json!([{ "role": "user" }]), "input[0].content"),
            (
                json!([{ "role": "user", "content": [{ "type": "input_image" }] }]),
                "input[0].content[0].type",
            ),
            (json!([{ "type": "web_search_call" }]), "input[0].type"),
            (json!([{ "type": "function_call", "name": "f" }]), "input[0].call_id"),
            (json!([{ "role": "user", "content": "a", "more": 1 }]), "input[0].more"),
        ];
        for (input, name) in cases {
            let error = of(&input).unwrap_err().to_json();
            assert_eq!(error["error"]["param"], name, "{input}: {error}");
        }
    }
}
