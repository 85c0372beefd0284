//! Ollama's API, as its reference has it (<https://github.com/ollama/ollama/blob/main/docs/api.md>):
//! answers, vectors of texts, and what there is. Models are neither fetched nor made.
//!
//! Parameters that nobody gives have Ollama's defaults, not those of a model's own distribution.
//! Bodies need no `content-type`, as Ollama's users send them with curl, unless they come from a
//! browser: `body::read_untyped` says how that is known.

mod census;
mod chat;
mod embed;
mod format;
mod generate;
mod keep_alive;
mod messages;
mod models;
mod options;
mod reply;
mod shared;
mod show;
mod spoken;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use serde_json::{Value, json};

use crate::app::App;
use crate::failure::Failure;
use crate::models::LATEST;

/// The API's routes.
pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/api/generate", post(generate::create))
        .route("/api/chat", post(chat::create))
        .route("/api/embed", post(embed::create))
        .route("/api/embeddings", post(embed::create_old))
        .route("/api/tags", get(models::tags))
        .route("/api/ps", get(models::ps))
        .route("/api/show", post(show::show))
        .route("/api/version", get(models::version))
}

/// A failure, as it stands in a response or a stream.
pub(crate) fn error(failure: &Failure) -> Value {
    json!({ "error": failure.message() })
}

/// A name as Ollama lists it: with a tag.
fn tagged(name: &str) -> String {
    let last = name.rsplit('/').next().unwrap_or(name);
    if last.contains(':') { name.to_owned() } else { format!("{name}{LATEST}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_tags() {
        let cases = [
            ("it", "it:latest"),
            ("it:1b", "it:1b"),
            ("host:80/it", "host:80/it:latest"),
            ("host:80/it:1b", "host:80/it:1b"),
        ];
        for (name, want) in cases {
            assert_eq!(tagged(name), want);
        }
    }
}
