//! `POST /v1/messages/count_tokens`: how many tokens a conversation is.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;

use super::conversation::Conversation;
use super::schema::COUNT_TOKENS;
use crate::app::{App, Unnamed};
use crate::body;
use crate::failure::Failure;

/// Counts the tokens of a prompt.
pub(super) async fn count(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, Failure> {
    let text = body::read(request, &app).await?;
    let read = app.read(text, Unnamed::Refused, |_, lease, mut fields| {
        let conversation = Conversation::take(lease.served(), &mut fields)?;
        fields.end(&COUNT_TOKENS)?;
        conversation.prompt(lease.served())
    });
    let (_, prompt) = read.await?;
    Ok(body::json(StatusCode::OK, &json!({ "input_tokens": prompt.len() })))
}
