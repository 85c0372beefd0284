//! The models, as OpenAI and Anthropic list models: each finds its own fields.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::Variable;
use crate::app::App;
use crate::body;
use crate::failure::Failure;
use crate::models::Entry;
use crate::time::rfc3339_of_seconds;

/// All models.
pub(super) async fn list(State(app): State<Arc<App>>) -> Response {
    let all = app.models.entries().iter();
    let all = all.flat_map(|model| model.model.names().map(move |name| (model, name)));
    let data: Vec<Value> = all.map(|(model, name)| entry(&app, model, name)).collect();
    body::json(StatusCode::OK, &json!({ "object": "list", "data": data, "has_more": false }))
}

/// One model.
pub(super) async fn one(
    State(app): State<Arc<App>>,
    Variable(name): Variable,
) -> Result<Response, Failure> {
    let (model, known) = app.models.find(Some(&name))?;
    Ok(body::json(StatusCode::OK, &entry(&app, model, known)))
}

/// A model; how much it can read, which is known once it was loaded, is vLLM's addition.
fn entry(app: &App, model: &Entry, name: &str) -> Value {
    // vLLM's way to say what an adapter is for.
    let parent = model.model.adapters.iter().any(|adapter| adapter == name);
    json!({
        "id": name,
        "parent": parent.then_some(&model.model.name),
        "object": "model",
        "created": app.created,
        "owned_by": "rushlight",
        "type": "model",
        "display_name": name,
        "created_at": rfc3339_of_seconds(app.created),
        "max_model_len": model.served().map(|served| served.context),
    })
}
