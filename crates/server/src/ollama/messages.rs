//! The messages of a chat request.

use rushlight_text::{FunctionCall, Message, ToolCall};
use serde_json::Value;

use super::schema::{ASSISTANT_MESSAGE, CALLED_FUNCTION, PLAIN_MESSAGE, TOOL_CALL, TOOL_MESSAGE};
use super::shared::refuse;
use crate::failure::Failure;
use crate::fields::{Fields, wrong};

/// Takes `messages`, of which there may be none.
pub(super) fn take(fields: &mut Fields) -> Result<Vec<Message>, Failure> {
    let list = fields.list("messages")?.unwrap_or_default();
    let message = |(at, value)| message(Fields::new(value, format!("messages[{at}]"))?);
    list.into_iter().enumerate().map(message).collect()
}

/// Takes a last message of the assistant, which is the beginning of the answer.
pub(super) fn take_begun(messages: &mut Vec<Message>) -> Result<String, Failure> {
    match messages.pop_if(|last| last.role == "assistant") {
        Some(last) if !last.tool_calls.is_empty() => {
            let message = "the last of `messages` calls tools, expected what they gave after it";
            Err(Failure::value("messages", message))
        }
        last => Ok(last.and_then(|last| last.content).unwrap_or_default()),
    }
}

fn message(mut fields: Fields) -> Result<Message, Failure> {
    let role = fields.take("role");
    let role = fields.need("role", role)?;
    let Some(name @ ("system" | "user" | "assistant" | "tool")) = role.as_str() else {
        return Err(wrong(&fields.name("role"), &role, "`system`, `user`, `assistant` or `tool`"));
    };
    // Clients leave an empty one out.
    let mut message = Message::new(name, fields.text("content")?.unwrap_or_default());
    message.reasoning_content = fields.text("thinking")?;
    refuse(&mut fields, "images")?;
    let table = match name {
        "tool" => {
            message.name = fields.text("tool_name")?;
            message.tool_call_id = fields.text("tool_call_id")?;
            &TOOL_MESSAGE
        }
        "assistant" => {
            message.tool_calls = tool_calls(&mut fields)?;
            if !message.tool_calls.is_empty() {
                message.content = message.content.filter(|text| !text.is_empty());
            }
            &ASSISTANT_MESSAGE
        }
        _ => &PLAIN_MESSAGE,
    };
    for name in ["tool_calls", "tool_name", "tool_call_id"] {
        refuse(&mut fields, name)?;
    }
    fields.end(table)?;
    Ok(message)
}

/// The calls of tools that an assistant asked for.
fn tool_calls(fields: &mut Fields) -> Result<Vec<ToolCall>, Failure> {
    let name = fields.name("tool_calls");
    let list = fields.list("tool_calls")?.unwrap_or_default();
    let call = |(at, value)| {
        let mut call = Fields::new(value, format!("{name}[{at}]"))?;
        let id = call.text("id")?;
        let kind = call.text("type")?;
        if let Some(kind) = kind.filter(|kind| kind != "function") {
            return Err(wrong(&call.name("type"), &Value::from(kind), "`function`"));
        }
        let function = call.object("function")?;
        let mut function = call.need("function", function)?;
        call.end(&TOOL_CALL)?;
        let called = function.text("name")?;
        let called = function.need("name", called)?;
        let arguments = function.map("arguments")?.unwrap_or_default();
        // The order is that of the list.
        function.integer("index", 0..=i64::MAX)?;
        function.end(&CALLED_FUNCTION)?;
        let function = FunctionCall { name: called, arguments: arguments.into() };
        Ok(ToolCall { id, kind: "function".to_owned(), function })
    };
    list.into_iter().enumerate().map(call).collect()
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

    fn calling(arguments: Value) -> Value {
        let call = json!({ "function": { "name": "f", "arguments": arguments, "index": 0 } });
        json!({ "role": "assistant", "content": "", "tool_calls": [call] })
    }

    #[test]
    fn calls_and_what_they_gave() {
        let (messages, begun) = of(json!([
            { "role": "user", "content": "a" },
            calling(json!({ "x": 1 })),
            { "role": "tool", "tool_name": "f", "content": "b" },
            { "role": "assistant", "content": "c", "tool_calls": [] },
        ]))
        .unwrap();
        assert_eq!(messages[1].content, None);
        assert_eq!(messages[1].tool_calls[0].function.arguments, json!({ "x": 1 }));
        assert_eq!(messages[2].role, "tool");
        assert_eq!(messages[2].name.as_deref(), Some("f"));
        assert_eq!((messages.len(), begun.as_str()), (3, "c"));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let user = |field: &str, value: Value| json!([{ "role": "user", field: value }]);
        let arguments = "messages[0].tool_calls[0].function.arguments";
        let cases = [
            (json!([{ "role": "king" }]), "messages[0].role"),
            (json!([calling(json!("{}"))]), arguments),
            (json!([calling(json!({}))]), "messages"),
            (user("tool_calls", json!([{}])), "messages[0].tool_calls"),
            (user("tool_name", json!("f")), "messages[0].tool_name"),
            (
                json!([{ "role": "assistant", "tool_calls": [{}] }]),
                "messages[0].tool_calls[0].function",
            ),
        ];
        for (list, name) in cases {
            let error = of(list.clone()).unwrap_err().to_json();
            assert_eq!(error["error"]["param"], name, "{list}: {error}");
        }
    }
}
