//! Text to tokens and back, as llama.cpp's server has it.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use rushlight_text::{DecodeOptions, EncodeOptions};
use serde_json::{Value, json};

use super::schema::{DETOKENIZE, TOKENIZE};
use crate::app::{App, Unnamed};
use crate::failure::Failure;
use crate::{body, prompt};

/// `content` to `tokens`, `with_pieces` with the text of each.
pub(super) async fn tokenize(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, Failure> {
    let text = body::read(request, &app).await?;
    let read = app.read(text, Unnamed::First, |_, lease, mut fields| {
        let content = fields.text("content")?;
        let content = fields.need("content", content)?;
        let special = fields.flag("add_special")?.unwrap_or(false);
        let parse_special = fields.flag("parse_special")?.unwrap_or(true);
        let with_pieces = fields.flag("with_pieces")?.unwrap_or(false);
        fields.end(&TOKENIZE)?;
        let tokenizer = prompt::tokenizer(lease.served())?;
        let options = EncodeOptions { special, parse_special };
        let tokens = tokenizer.encode(&content, options).map_err(|e| prompt::unreadable(&e))?;
        let tokens: Vec<Value> = match with_pieces {
            false => tokens.into_iter().map(Value::from).collect(),
            true => {
                let piece = |id| json!({ "id": id, "piece": piece(&tokenizer.token_bytes(id)) });
                tokens.into_iter().map(piece).collect()
            }
        };
        Ok(json!({ "tokens": tokens }))
    });
    Ok(body::json(StatusCode::OK, &read.await?.1))
}

/// The text of a token, or its bytes where it is a part of a character.
fn piece(bytes: &[u8]) -> Value {
    std::str::from_utf8(bytes).map_or_else(|_| json!(bytes), |text| json!(text))
}

/// `tokens` to `content`.
pub(super) async fn detokenize(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, Failure> {
    let text = body::read(request, &app).await?;
    let read = app.read(text, Unnamed::First, |_, lease, mut fields| {
        let tokens = fields.list("tokens")?;
        let tokens = fields.need("tokens", tokens)?;
        fields.end(&DETOKENIZE)?;
        let served = lease.served();
        let tokens = prompt::of_ids(served, "tokens", &tokens)?;
        let content = prompt::tokenizer(served)?.decode(&tokens, DecodeOptions::default());
        Ok(json!({ "content": content }))
    });
    Ok(body::json(StatusCode::OK, &read.await?.1))
}
