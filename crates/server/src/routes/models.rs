//! The one model, as OpenAI and Anthropic list models: each finds its own fields.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use crate::app::App;
use crate::body;
use crate::failure::Failure;
use crate::time::rfc3339_of_seconds;

/// All models.
pub(super) async fn list(State(app): State<Arc<App>>) -> Response {
    let names = std::iter::once(&app.options.model).chain(&app.options.aliases);
    let data: Vec<Value> = names.map(|name| entry(&app, name)).collect();
    body::json(StatusCode::OK, &json!({ "object": "list", "data": data, "has_more": false }))
}

/// One model.
pub(super) async fn one(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> Result<Response, Failure> {
    app.check_model(Some(&name))?;
    Ok(body::json(StatusCode::OK, &entry(&app, &name)))
}

/// A model; how much it can read is vLLM's addition.
fn entry(app: &App, name: &str) -> Value {
    json!({
        "id": name,
        "object": "model",
        "created": app.created,
        "owned_by": "rushlight",
        "type": "model",
        "display_name": name,
        "created_at": rfc3339_of_seconds(app.created),
        "max_model_len": app.engine.served().ok().map(|served| served.context),
    })
}
