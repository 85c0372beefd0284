//! The messages of a chat request.

use rushlight_text::{FunctionCall, Message, ToolCall};
use serde_json::{Map, Value};

use super::chat::schema::{
    ASSISTANT_MESSAGE, CALLED_FUNCTION, PART, PLAIN_MESSAGE, TOOL_CALL, TOOL_MESSAGE,
};
use crate::failure::Failure;
use crate::fields::{Fields, wrong};

/// Reads `messages`.
pub(super) fn read(fields: &mut Fields) -> Result<Vec<Message>, Failure> {
    let list = fields.list("messages")?;
    let list = fields.need("messages", list)?;
    if list.is_empty() {
        return Err(Failure::value("messages", "`messages` is empty"));
    }
    let message = |(at, value)| message(Fields::new(value, format!("messages[{at}]"))?);
    list.into_iter().enumerate().map(message).collect()
}

fn message(mut fields: Fields) -> Result<Message, Failure> {
    let role = fields.take("role");
    let role = fields.need("role", role)?;
    let role = match role.as_str() {
        // The same by its newer name.
        Some("developer") => "system",
        Some(role @ ("system" | "user" | "assistant" | "tool")) => role,
        _ => {
            let want = "`system`, `developer`, `user`, `assistant` or `tool`";
            return Err(wrong(&fields.name("role"), &role, want));
        }
    };
    let mut message = Message {
        role: role.to_owned(),
        content: content(&mut fields)?,
        name: fields.text("name")?,
        ..Message::default()
    };
    let table = match role {
        "assistant" => {
            message.reasoning_content = fields.text("reasoning_content")?;
            message.tool_calls = tool_calls(&mut fields)?;
            // What an answer has beside its text and comes back with it.
            fields.text("refusal")?;
            fields.list("annotations")?;
            &ASSISTANT_MESSAGE
        }
        "tool" => {
            message.tool_call_id = fields.text("tool_call_id")?;
            &TOOL_MESSAGE
        }
        _ => &PLAIN_MESSAGE,
    };
    if message.tool_calls.is_empty() && (role != "assistant" || message.content.is_none()) {
        fields.need("content", message.content.as_ref())?;
    }
    fields.end(table)?;
    Ok(message)
}

/// A text, or parts of one, which become its lines.
fn content(fields: &mut Fields) -> Result<Option<String>, Failure> {
    let name = fields.name("content");
    let parts = match fields.take("content") {
        None => return Ok(None),
        Some(Value::String(text)) => return Ok(Some(text)),
        Some(Value::Array(parts)) => parts,
        Some(other) => return Err(wrong(&name, &other, "a string or a list of parts")),
    };
    let part = |(at, part)| {
        let mut part = Fields::new(part, format!("{name}[{at}]"))?;
        let kind = part.text("type")?;
        if part.need("type", kind)? != "text" {
            let message = "the model reads text only, expected parts of the type `text`";
            return Err(Failure::unsupported(part.name("type"), message));
        }
        let text = part.text("text")?;
        let text = part.need("text", text)?;
        part.end(&PART)?;
        Ok(text)
    };
    let texts: Result<Vec<String>, Failure> = parts.into_iter().enumerate().map(part).collect();
    Ok(Some(texts?.join("\n")))
}

/// The calls of tools that an assistant asked for. Only templates see them.
fn tool_calls(fields: &mut Fields) -> Result<Vec<ToolCall>, Failure> {
    let name = fields.name("tool_calls");
    let Some(list) = fields.list("tool_calls")? else { return Ok(Vec::new()) };
    let call = |(at, value)| {
        let mut call = Fields::new(value, format!("{name}[{at}]"))?;
        let id = call.text("id")?;
        let kind = call.text("type")?;
        if kind.as_deref().is_some_and(|kind| kind != "function") {
            let message = format!("`{}` is no `function`", call.name("type"));
            return Err(Failure::value(call.name("type"), message));
        }
        let function = call.object("function")?;
        let mut function = call.need("function", function)?;
        call.end(&TOOL_CALL)?;
        let called = function.text("name")?;
        let called = function.need("name", called)?;
        let arguments = function.text("arguments")?;
        let arguments = function.need("arguments", arguments)?;
        // What this server told of a call that was cut comes back as it is.
        let arguments = match arguments.trim() {
            "" => Value::Object(Map::new()),
            text => serde_json::from_str(text).unwrap_or_else(|_| Value::from(text)),
        };
        function.end(&CALLED_FUNCTION)?;
        let function = FunctionCall { name: called, arguments };
        Ok(ToolCall { id, kind: "function".to_owned(), function })
    };
    list.into_iter().enumerate().map(call).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(messages: Value) -> Result<Vec<Message>, Failure> {
        read(&mut Fields::new(json!({ "messages": messages }), "").unwrap())
    }

    #[test]
    fn texts_parts_roles_and_calls() {
        let parts = json!([{ "type": "text", "text": "a" }, { "type": "text", "text": "b" }]);
        let call = json!({
            "id": "1", "type": "function",
            "function": { "name": "f", "arguments": "{\"x\": 1}" },
        });
        let found = of(json!([
            { "role": "developer", "content": "s" },
            { "role": "user", "content": parts, "name": "me" },
            { "role": "assistant", "content": null, "refusal": null, "tool_calls": [call] },
            { "role": "tool", "content": "2", "tool_call_id": "1" },
        ]));
        let found = found.unwrap();
        assert_eq!(found[0], Message::system("s"));
        assert_eq!(found[1].content.as_deref(), Some("a\nb"));
        assert_eq!(found[1].name.as_deref(), Some("me"));
        assert_eq!(found[2].tool_calls[0].function.arguments, json!({ "x": 1 }));
        assert_eq!(found[3].tool_call_id.as_deref(), Some("1"));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let image = json!([{ "type": "image_url", "image_url": { "url": "x" } }]);
        let cases = [
            (json!([]), "messages"),
            (json!("hi"), "messages"),
            (json!(["hi"]), "messages[0]"),
            (json!([{ "content": "x" }]), "messages[0].role"),
            (json!([{ "role": "king", "content": "x" }]), "messages[0].role"),
            (json!([{ "role": "user" }]), "messages[0].content"),
            (json!([{ "role": "user", "content": 1 }]), "messages[0].content"),
            (json!([{ "role": "user", "content": image }]), "messages[0].content[0].type"),
            (
                json!([{ "role": "user", "content": [{ "type": "text" }] }]),
                "messages[0].content[0].text",
            ),
            (
                json!([{ "role": "user", "content": "x", "tool_calls": [] }]),
                "messages[0].tool_calls",
            ),
        ];
        for (messages, name) in cases {
            let error = of(messages.clone()).unwrap_err().to_json();
            assert_eq!(error["error"]["param"], name, "{messages}: {error}");
        }
    }
}
