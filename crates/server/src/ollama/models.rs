//! `GET /api/tags`, `GET /api/ps` and `GET /api/version`: the models and this server.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::show::details;
use super::tagged;
use crate::app::App;
use crate::body;
use crate::models::Entry;
use crate::time::{rfc3339, rfc3339_of_seconds};

/// When a model that stays is let go: never, which the API has no word for.
const NEVER: &str = "2999-12-31T23:59:59Z";

/// The models by all their names.
pub(super) async fn tags(State(app): State<Arc<App>>) -> Response {
    let all = app.models.entries().iter();
    let all = all.flat_map(|model| model.model.names().map(move |name| (model, name)));
    let models: Vec<Value> = all.map(|(model, name)| entry(&app, model, name)).collect();
    body::json(StatusCode::OK, &json!({ "models": models }))
}

/// What is loaded: nothing until the model has written a token.
pub(super) async fn ps(State(app): State<Arc<App>>) -> Response {
    let loaded = app.models.entries().iter().filter_map(|model| {
        let served = model.served()?;
        let mut entry = entry(&app, model, &model.model.name);
        entry["expires_at"] = json!(model.goes().map_or(NEVER.to_owned(), later));
        entry["size_vram"] = json!(0);
        entry["context_length"] = json!(served.context);
        Some(entry)
    });
    let models: Vec<Value> = loaded.collect();
    body::json(StatusCode::OK, &json!({ "models": models }))
}

/// This server's own version.
pub(super) async fn version() -> Response {
    body::json(StatusCode::OK, &json!({ "version": env!("CARGO_PKG_VERSION") }))
}

/// The time of day of a moment.
fn later(moment: Instant) -> String {
    rfc3339(SystemTime::now() + moment.saturating_duration_since(Instant::now()))
}

/// What is known of a model: its size and details once it was loaded.
fn entry(app: &App, entry: &Entry, name: &str) -> Value {
    let model = entry.served().map(|served| served.model.clone());
    let size = model.as_ref().map_or(0, |model| model.file_bytes());
    json!({
        "name": tagged(name),
        "model": tagged(name),
        "modified_at": rfc3339_of_seconds(app.created),
        "size": size,
        "digest": digest(entry, size),
        "details": model.map_or_else(|| json!({}), |model| details(&model)),
    })
}

/// What clients shorten and compare: not the digest of the file, which the server does not know, but
/// one of the model's name and size.
fn digest(entry: &Entry, size: u64) -> String {
    let digest = Sha256::digest(format!("{} {size}", entry.model.name));
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
