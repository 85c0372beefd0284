//! What is asked, as tokens.

use std::sync::Arc;

use rushlight_text::{EncodeOptions, Message, RenderOptions, Tokenizer};
use serde_json::Value;

use crate::failure::Failure;
use crate::fields::wrong;
use crate::tools::{self, Tools};
use crate::worker::Served;

/// The tokenizer. A model without one is not served.
pub(crate) fn tokenizer(served: &Served) -> Result<&Arc<Tokenizer>, Failure> {
    served.model.tokenizer().map_err(|error| Failure::request(error.to_string()))
}

/// The tokens of a conversation that an answer is to follow. `extra` are further variables of the
/// template.
pub(crate) fn of_messages(
    served: &Served,
    messages: Vec<Message>,
    extra: &[(String, Value)],
) -> Result<Vec<u32>, Failure> {
    render(served, messages, extra, &[], "")
}

/// As [`of_messages`], with tools that may be called, and with the beginning of the answer, which
/// goes on after it.
pub(crate) fn of_chat(
    served: &Served,
    mut messages: Vec<Message>,
    extra: &[(String, Value)],
    tools: Option<&Tools>,
    begun: &str,
) -> Result<Vec<u32>, Failure> {
    if !served.takes_tools() {
        tools::spell_calls(&mut messages);
        tools.iter().for_each(|tools| tools.describe(&mut messages));
    }
    render(served, messages, extra, tools.map_or(&[], Tools::list), begun)
}

fn render(
    served: &Served,
    messages: Vec<Message>,
    extra: &[(String, Value)],
    tools: &[Value],
    begun: &str,
) -> Result<Vec<u32>, Failure> {
    let template = served.template()?;
    let tokenizer = tokenizer(served)?;
    let text = |id: Option<u32>| id.and_then(|id| tokenizer.token_text(id)).unwrap_or_default();
    let (bos, eos) = (text(tokenizer.bos()), text(tokenizer.eos()));
    // What a client says must not spell control tokens, wherever the template puts it.
    let messages: Vec<Message> =
        messages.into_iter().map(|message| shielded(tokenizer, message)).collect();
    let extra: Vec<(&str, Value)> = extra
        .iter()
        .map(|(name, value)| (name.as_str(), shielded_value(tokenizer, value.clone())))
        .collect();
    let tools: Vec<Value> =
        tools.iter().map(|tool| shielded_value(tokenizer, tool.clone())).collect();
    let options = RenderOptions {
        tools: &tools,
        add_generation_prompt: true,
        bos: &bos,
        eos: &eos,
        extra: &extra,
        ..RenderOptions::default()
    };
    let mut rendered = template.render(&messages, options).map_err(|error| {
        Failure::request(error.to_string()).with_code("invalid_value").of("messages")
    })?;
    rendered += &tokenizer.shield(begun);
    // A template that writes the beginning itself must not get a second one.
    let special = bos.is_empty() || !rendered.starts_with(&bos);
    let options = EncodeOptions { special, parse_special: true };
    tokenizer.encode(&rendered, options).map_err(|error| unreadable(&error))
}

/// The tokens of a text as it is, control tokens included.
pub(crate) fn of_text(served: &Served, text: &str) -> Result<Vec<u32>, Failure> {
    let options = EncodeOptions { special: true, parse_special: true };
    tokenizer(served)?.encode(text, options).map_err(|error| unreadable(&error))
}

/// Tokens as they are, checked.
pub(crate) fn of_ids(served: &Served, name: &str, ids: &[Value]) -> Result<Vec<u32>, Failure> {
    let v = served.model.dims().v as u64;
    let id = |(at, value): (usize, &Value)| match value.as_u64().filter(|id| *id < v) {
        Some(id) => Ok(id as u32),
        None => Err(wrong(&format!("{name}[{at}]"), value, &format!("a token below `{v}`"))),
    };
    ids.iter().enumerate().map(id).collect()
}

/// A text that the tokenizer cannot cut.
pub(crate) fn unreadable(error: &rushlight_text::Error) -> Failure {
    Failure::request(format!("the text cannot be turned into tokens: {error}"))
}

fn shielded(tokenizer: &Tokenizer, mut message: Message) -> Message {
    let texts = [
        &mut message.content,
        &mut message.reasoning_content,
        &mut message.tool_call_id,
        &mut message.name,
    ];
    for text in texts.into_iter().flatten() {
        *text = tokenizer.shield(text).into_owned();
    }
    for call in &mut message.tool_calls {
        if let Some(id) = &mut call.id {
            *id = tokenizer.shield(id).into_owned();
        }
        call.function.name = tokenizer.shield(&call.function.name).into_owned();
        let arguments = std::mem::take(&mut call.function.arguments);
        call.function.arguments = shielded_value(tokenizer, arguments);
    }
    message
}

/// Shields every text in a value, names of fields included.
fn shielded_value(tokenizer: &Tokenizer, value: Value) -> Value {
    let shield = |text: &str| tokenizer.shield(text).into_owned();
    match value {
        Value::String(text) => Value::String(shield(&text)),
        Value::Array(list) => {
            list.into_iter().map(|value| shielded_value(tokenizer, value)).collect()
        }
        Value::Object(map) => {
            let fields = map.into_iter();
            fields.map(|(name, value)| (shield(&name), shielded_value(tokenizer, value))).collect()
        }
        other => other,
    }
}
