//! `POST /api/chat`: a conversation to go on from.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Request, State};
use axum::response::Response;
use rushlight_text::Message;
use serde_json::Value;

use super::reply::Kind;
use super::shared::{Shared, answer, refuse};
use crate::app::App;
use crate::failure::Failure;
use crate::fields::{Fields, wrong};
use crate::worker::Served;
use crate::{body, prompt};

/// Reads a request; without messages it is to load the model.
fn read(
    app: &App,
    served: &Served,
    mut fields: Fields,
) -> Result<(Shared, Option<Vec<u32>>), Failure> {
    let shared = Shared::take(app, served, &mut fields)?;
    refuse(&mut fields, "tools")?;
    let list = fields.list("messages")?.unwrap_or_default();
    fields.end()?;
    let messages: Result<Vec<Message>, Failure> =
        list.into_iter().enumerate().map(|(at, value)| message(at, value)).collect();
    let mut messages = messages?;
    if messages.is_empty() {
        return Ok((shared, None));
    }
    // A last message of the assistant is the beginning of the answer.
    let begun = messages.pop_if(|last| last.role == "assistant").and_then(|last| last.content);
    let begun = begun.unwrap_or_default();
    let prompt = prompt::of_begun_messages(served, messages, &shared.extra, &begun)?;
    Ok((shared, Some(prompt)))
}

fn message(at: usize, value: Value) -> Result<Message, Failure> {
    let mut fields = Fields::new(value, format!("messages[{at}]"))?;
    let role = fields.take("role");
    let role = fields.need("role", role)?;
    let Some(name @ ("system" | "user" | "assistant")) = role.as_str() else {
        return Err(wrong(&fields.name("role"), &role, "`system`, `user` or `assistant`"));
    };
    // Clients leave an empty one out.
    let content = fields.text("content")?.unwrap_or_default();
    let reasoning_content = fields.text("thinking")?;
    for name in ["images", "tool_calls", "tool_name", "tool_call_id"] {
        refuse(&mut fields, name)?;
    }
    fields.end()?;
    Ok(Message {
        role: name.to_owned(),
        content: Some(content),
        reasoning_content,
        ..Message::default()
    })
}

/// Answers a conversation.
pub(super) async fn create(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, Failure> {
    let asked = Instant::now();
    app.engine.served()?;
    let text = body::read_untyped(request, &app).await?;
    let read = app.aside(move |app| read(app, app.engine.served()?, body::parse(text)?));
    let (shared, prompt) = read.await?;
    answer(&app, Kind::Chat, asked, shared, prompt).await
}
