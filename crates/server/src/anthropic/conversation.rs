//! What a request says and was said before: the fields that messages and their count share.

use rushlight_text::Message;
use serde_json::Value;

use crate::app::App;
use crate::failure::Failure;
use crate::fields::{Fields, wrong};
use crate::prompt;
use crate::worker::Served;

/// What the API has and this server has not.
const UNSUPPORTED: [&str; 7] = [
    "tool_choice",
    "output_config",
    "container",
    "context_management",
    "mcp_servers",
    "inference_geo",
    "diagnostics",
];

/// What a request says and was said before.
pub(super) struct Conversation {
    messages: Vec<Message>,
    /// The beginning of the answer.
    begun: String,
}

impl Conversation {
    /// Takes the fields of the conversation and checks the model's name.
    pub(super) fn take(app: &App, fields: &mut Fields) -> Result<Self, Failure> {
        let model = fields.text("model")?;
        app.check_model(Some(&fields.need("model", model)?))?;
        for name in UNSUPPORTED {
            if fields.take(name).is_some() {
                return Err(unsupported(name));
            }
        }
        if fields.list("tools")?.is_some_and(|tools| !tools.is_empty()) {
            return Err(unsupported("tools"));
        }
        thinking(fields)?;
        // Prompts are cached whether they are marked or not.
        fields.map("cache_control")?;
        if fields.text("speed")?.is_some_and(|speed| speed != "standard") {
            return Err(unsupported("speed"));
        }
        let mut messages = messages(fields)?;
        let begun = begun(&mut messages)?;
        if let Some(system) = content(fields, "system")? {
            messages.insert(0, Message::system(system));
        }
        Ok(Self { messages, begun })
    }

    /// The tokens that an answer is to follow. Templates that know thinking are told that there is
    /// none.
    pub(super) fn prompt(self, served: &Served) -> Result<Vec<u32>, Failure> {
        let extra = [("enable_thinking".to_owned(), Value::Bool(false))];
        prompt::of_begun_messages(served, self.messages, &extra, &self.begun)
    }
}

pub(super) fn unsupported(name: &str) -> Failure {
    Failure::unsupported(name, format!("`{name}` is not supported by this server"))
}

/// Takes how the model is to think: it is not.
fn thinking(fields: &mut Fields) -> Result<(), Failure> {
    let Some(mut thinking) = fields.object("thinking")? else { return Ok(()) };
    let kind = thinking.text("type")?;
    match thinking.need("type", kind)?.as_str() {
        "disabled" => thinking.end(),
        _ => Err(unsupported("thinking")),
    }
}

fn messages(fields: &mut Fields) -> Result<Vec<Message>, Failure> {
    let list = fields.list("messages")?;
    let list = fields.need("messages", list)?;
    if list.is_empty() {
        return Err(Failure::value("messages", "`messages` is empty"));
    }
    let mut messages: Vec<Message> = Vec::with_capacity(list.len());
    for (at, value) in list.into_iter().enumerate() {
        let message = message(Fields::new(value, format!("messages[{at}]"))?)?;
        match messages.last_mut().filter(|last| last.role == message.role) {
            // Several turns of one side are one, as the API has it.
            Some(last) => {
                let texts = [last.content.take(), message.content];
                last.content = Some(texts.into_iter().flatten().collect::<Vec<_>>().join("\n"));
            }
            None => messages.push(message),
        }
    }
    Ok(messages)
}

fn message(mut fields: Fields) -> Result<Message, Failure> {
    let role = fields.take("role");
    let role = fields.need("role", role)?;
    let Some(name @ ("user" | "assistant" | "system")) = role.as_str() else {
        return Err(wrong(&fields.name("role"), &role, "`user`, `assistant` or `system`"));
    };
    let text = content(&mut fields, "content")?;
    let text = fields.need("content", text)?;
    fields.end()?;
    Ok(Message { role: name.to_owned(), content: Some(text), ..Message::default() })
}

/// Takes a last message of the assistant, which the answer goes on from.
fn begun(messages: &mut Vec<Message>) -> Result<String, Failure> {
    let Some(last) = messages.pop_if(|last| last.role == "assistant") else {
        return Ok(String::new());
    };
    let text = last.content.unwrap_or_default();
    if text.ends_with(char::is_whitespace) {
        let message = "the last of `messages` is the assistant's and ends with whitespace";
        return Err(Failure::value("messages", message));
    }
    Ok(text)
}

/// Takes a text, or blocks of text, which become its lines.
fn content(fields: &mut Fields, field: &str) -> Result<Option<String>, Failure> {
    let name = fields.name(field);
    let blocks = match fields.take(field) {
        None => return Ok(None),
        Some(Value::String(text)) => return Ok(Some(text)),
        Some(Value::Array(blocks)) => blocks,
        Some(other) => return Err(wrong(&name, &other, "a string or a list of blocks")),
    };
    let block = |(at, value)| block(Fields::new(value, format!("{name}[{at}]"))?);
    let texts: Result<Vec<String>, Failure> = blocks.into_iter().enumerate().map(block).collect();
    Ok(Some(texts?.join("\n")))
}

fn block(mut block: Fields) -> Result<String, Failure> {
    let kind = block.text("type")?;
    let name = block.name("type");
    let kind = block.need("type", kind)?;
    if kind != "text" {
        let found = wrong(&name, &Value::from(kind), "`text`, which is all that this server reads");
        return Err(Failure::unsupported(name, found.message()));
    }
    let text = block.text("text")?;
    let text = block.need("text", text)?;
    block.map("cache_control")?;
    if block.list("citations")?.is_some_and(|citations| !citations.is_empty()) {
        return Err(unsupported(&block.name("citations")));
    }
    block.end()?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(list: Value) -> Result<(Vec<Message>, String), Failure> {
        let mut messages = messages(&mut Fields::new(json!({ "messages": list }), "").unwrap())?;
        let begun = begun(&mut messages)?;
        Ok((messages, begun))
    }

    #[test]
    fn texts_blocks_and_turns() {
        let block = |text: &str| json!({ "type": "text", "text": text, "citations": null });
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
    fn what_is_wrong_is_named() {
        let image = json!([{ "type": "image", "source": {} }]);
        let cited = json!([{ "type": "text", "text": "x", "citations": [{}] }]);
        let cases = [
            (json!([]), "messages"),
            (json!([{ "role": "king", "content": "x" }]), "messages[0].role"),
            (json!([{ "role": "user" }]), "messages[0].content"),
            (json!([{ "role": "user", "content": 1 }]), "messages[0].content"),
            (json!([{ "role": "user", "content": image }]), "messages[0].content[0].type"),
            (json!([{ "role": "user", "content": cited }]), "messages[0].content[0].citations"),
            (json!([{ "role": "user", "content": "x", "name": "y" }]), "messages[0].name"),
            (json!([{ "role": "assistant", "content": "x " }]), "messages"),
        ];
        for (list, name) in cases {
            let error = of(list.clone()).unwrap_err().to_json();
            assert_eq!(error["error"]["param"], name, "{list}: {error}");
        }
    }
}
