//! `GET /api/tags`, `GET /api/ps` and `GET /api/version`: the one model and this server.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::show::details;
use super::tagged;
use crate::app::App;
use crate::body;
use crate::time::rfc3339_of_seconds;

/// When a model that stays is let go: never, which the API has no word for.
const NEVER: &str = "2999-12-31T23:59:59Z";

/// The model by all its names.
pub(super) async fn tags(State(app): State<Arc<App>>) -> Response {
    let models: Vec<Value> = names(&app).map(|name| entry(&app, name)).collect();
    body::json(StatusCode::OK, &json!({ "models": models }))
}

/// What is loaded: nothing until the model has written a token.
pub(super) async fn ps(State(app): State<Arc<App>>) -> Response {
    let served = app.engine.served().ok();
    let models: Vec<Value> = served.map_or(Vec::new(), |served| {
        let mut entry = entry(&app, &app.options.model);
        entry["expires_at"] = json!(NEVER);
        entry["size_vram"] = json!(0);
        entry["context_length"] = json!(served.context);
        vec![entry]
    });
    body::json(StatusCode::OK, &json!({ "models": models }))
}

/// This server's own version.
pub(super) async fn version() -> Response {
    body::json(StatusCode::OK, &json!({ "version": env!("CARGO_PKG_VERSION") }))
}

fn names(app: &App) -> impl Iterator<Item = &String> {
    std::iter::once(&app.options.model).chain(&app.options.aliases)
}

fn entry(app: &App, name: &str) -> Value {
    let model = app.engine.served().ok().map(|served| &served.model);
    let size = model.map_or(0, |model| model.file_bytes());
    json!({
        "name": tagged(name),
        "model": tagged(name),
        "modified_at": rfc3339_of_seconds(app.created),
        "size": size,
        "digest": digest(app, size),
        "details": model.map_or_else(|| json!({}), |model| details(model)),
    })
}

/// What clients shorten and compare: not the digest of the file, which the server does not know, but
/// one of the model's name and size.
fn digest(app: &App, size: u64) -> String {
    let digest = Sha256::digest(format!("{} {size}", app.options.model));
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
