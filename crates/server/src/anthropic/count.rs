//! `POST /v1/messages/count_tokens`: how many tokens a conversation is.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;

use super::conversation::Conversation;
use crate::app::App;
use crate::body;
use crate::failure::Failure;

/// Counts the tokens of a prompt.
pub(super) async fn count(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, Failure> {
    app.engine.served()?;
    let text = body::read(request, &app).await?;
    let read = app.aside(move |app| {
        let mut fields = body::parse(text)?;
        let conversation = Conversation::take(app, &mut fields)?;
        fields.end()?;
        conversation.prompt(app.engine.served()?)
    });
    Ok(body::json(StatusCode::OK, &json!({ "input_tokens": read.await?.len() })))
}
