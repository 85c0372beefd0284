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
pub(crate) mod schema;
mod shared;
mod show;
mod spoken;

use axum::routing::on;
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::models::LATEST;
use crate::routes::{ANSWERED, ASKED, Body, Method, Reply, Route, TAKEN};
use crate::schema::Kind;
use schema::replies;

/// The API's routes.
pub(crate) static ROUTES: [Route; 8] = [
    Route {
        method: Method::Post,
        path: "/api/generate",
        name: "generate",
        of: "Ollama",
        doc: "Goes on from a text, streamed without a word.",
        request: Some(&schema::GENERATE),
        replies: &[
            Reply::object(&replies::GENERATED),
            Reply { status: 200, body: Body::Lines(GENERATED_LINE) },
        ],
        failures: ANSWERED,
        serve: |method| on(method, generate::create),
    },
    Route {
        method: Method::Post,
        path: "/api/chat",
        name: "chat",
        of: "Ollama",
        doc: "Answers a chat, streamed without a word.",
        request: Some(&schema::CHAT),
        replies: &[
            Reply::object(&replies::SAID),
            Reply { status: 200, body: Body::Lines(SAID_LINE) },
        ],
        failures: ANSWERED,
        serve: |method| on(method, chat::create),
    },
    Route {
        method: Method::Post,
        path: "/api/embed",
        name: "embed",
        of: "Ollama",
        doc: "Texts as vectors.",
        request: Some(&schema::EMBED),
        replies: &[Reply::object(&replies::EMBEDDED)],
        failures: TAKEN,
        serve: |method| on(method, embed::create),
    },
    Route {
        method: Method::Post,
        path: "/api/embeddings",
        name: "embedOne",
        of: "Ollama",
        doc: "One text as a vector, as the API had it before.",
        request: Some(&schema::EMBED_ONE),
        replies: &[Reply::object(&replies::EMBEDDED_ONE)],
        failures: TAKEN,
        serve: |method| on(method, embed::create_old),
    },
    Route {
        method: Method::Get,
        path: "/api/tags",
        name: "tags",
        of: "Ollama",
        doc: "The models by all their names.",
        request: None,
        replies: &[Reply::object(&replies::TAGS)],
        failures: ASKED,
        serve: |method| on(method, models::tags),
    },
    Route {
        method: Method::Get,
        path: "/api/ps",
        name: "ps",
        of: "Ollama",
        doc: "The models that are loaded.",
        request: None,
        replies: &[Reply::object(&replies::RUNNING)],
        failures: ASKED,
        serve: |method| on(method, models::ps),
    },
    Route {
        method: Method::Post,
        path: "/api/show",
        name: "show",
        of: "Ollama",
        doc: "What a model is.",
        request: Some(&schema::SHOW),
        replies: &[Reply::object(&replies::SHOWN)],
        failures: TAKEN,
        serve: |method| on(method, show::show),
    },
    Route {
        method: Method::Get,
        path: "/api/version",
        name: "version",
        of: "Ollama",
        doc: "The server's version.",
        request: None,
        replies: &[Reply::object(&replies::VERSION)],
        failures: ASKED,
        serve: |method| on(method, models::version),
    },
];

/// What streams tell: lines, and a failure at the end.
const GENERATED_LINE: Kind =
    Kind::AnyOf(&[Kind::Object(&replies::GENERATED), Kind::Object(&replies::ERROR)]);
const SAID_LINE: Kind = Kind::AnyOf(&[Kind::Object(&replies::SAID), Kind::Object(&replies::ERROR)]);

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
