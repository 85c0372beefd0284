//! `POST /api/chat`: a conversation to go on from.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Request, State};
use axum::response::Response;

use super::reply::Kind;
use super::shared::{Shared, answer};
use super::{messages, schema};
use crate::app::{App, Unnamed};
use crate::failure::Failure;
use crate::fields::Fields;
use crate::openai::tools::read as read_tool;
use crate::tools::{self, Choice, Tools};
use crate::worker::Served;
use crate::{body, prompt};

/// Reads a request; without messages it is to load the model.
fn read(served: &Served, mut fields: Fields) -> Result<(Shared, Option<Vec<u32>>), Failure> {
    let mut shared = Shared::take(served, &mut fields)?;
    // The API has no word for how they are to be called.
    let tools = tools::take(&mut fields, read_tool)?;
    let tools = Tools::new(tools, Some(Choice::Auto), true)?;
    let mut messages = messages::take(&mut fields)?;
    fields.end(&schema::CHAT)?;
    if messages.is_empty() {
        return Ok((shared, None));
    }
    if let Some(tools) = &tools {
        if shared.constraint.is_some() {
            let message = "`format` is not for requests with `tools`";
            return Err(Failure::value("format", message));
        }
        shared.constraint = tools.constraint(served)?;
        shared.shown.extend(tools::marks(served)?);
        shared.caller = Some(tools.caller(served));
    }
    let begun = messages::take_begun(&mut messages)?;
    let prompt = prompt::of_chat(served, messages, &shared.extra, tools.as_ref(), &begun)?;
    Ok((shared, Some(prompt)))
}

/// Answers a conversation.
pub(super) async fn create(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, Failure> {
    let asked = Instant::now();
    let text = body::read_untyped(request, &app).await?;
    let read =
        app.read_to_answer(text, Unnamed::Refused, |_, lease, fields| read(lease.served(), fields));
    let (lease, (shared, prompt)) = read.await?;
    answer(&app, lease, Kind::Chat, asked, shared, prompt).await
}
