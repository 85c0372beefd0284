//! Anthropic's Messages API, as its reference has it (<https://docs.anthropic.com/en/api/messages>):
//! texts and what tools gave in, text and calls of tools out.
//!
//! Tools of the server's own, images, documents, thinking and structured output are refused by name.
//! The header `anthropic-version` may have any value, and none: there is one version of these responses.

mod blocks;
mod conversation;
mod count;
mod message;
mod messages;
mod reply;
pub(crate) mod schema;
mod stopped;
mod tools;

use axum::http::StatusCode;
use axum::routing::on;
use serde_json::{Value, json};

use crate::dialect::RequestId;
use crate::energy::Used;
use crate::failure::Failure;
use crate::routes::{ANSWERED, Body, Method, Reply, Route, TAKEN};

/// The API's routes.
pub(crate) static ROUTES: [Route; 2] = [
    Route {
        method: Method::Post,
        path: "/v1/messages",
        name: "createMessage",
        of: "Anthropic",
        doc: "Answers a conversation.",
        request: Some(&schema::MESSAGES),
        replies: &[
            Reply::object(&schema::replies::MESSAGE),
            Reply { status: 200, body: Body::Events(schema::replies::EVENT) },
        ],
        failures: ANSWERED,
        serve: |method| on(method, message::create),
    },
    Route {
        method: Method::Post,
        path: "/v1/messages/count_tokens",
        name: "countTokens",
        of: "Anthropic",
        doc: "How many tokens a conversation is.",
        request: Some(&schema::COUNT_TOKENS),
        replies: &[Reply::object(&schema::replies::TOKENS)],
        failures: TAKEN,
        serve: |method| on(method, count::count),
    },
];

/// A failure, as it stands in a response or a stream.
pub(crate) fn error(failure: &Failure, id: &RequestId) -> Value {
    let kind = match failure.status() {
        StatusCode::UNAUTHORIZED => "authentication_error",
        StatusCode::FORBIDDEN => "permission_error",
        StatusCode::NOT_FOUND => "not_found_error",
        StatusCode::PAYLOAD_TOO_LARGE => "request_too_large",
        StatusCode::TOO_MANY_REQUESTS => "rate_limit_error",
        StatusCode::REQUEST_TIMEOUT => "timeout_error",
        StatusCode::SERVICE_UNAVAILABLE => "overloaded_error",
        status if status.is_server_error() => "api_error",
        _ => "invalid_request_error",
    };
    json!({
        "type": "error",
        "error": { "type": kind, "message": failure.message() },
        "request_id": id.0,
    })
}

/// A parameter that the API has and this server has not.
fn unsupported(name: &str) -> Failure {
    Failure::unsupported(name, format!("`{name}` is not supported by this server"))
}

/// Tokens that were read and written. What was in the cache is not counted as input.
fn usage(prompt: usize, reused: usize, written: usize, energy: Option<&Used>) -> Value {
    let mut usage = json!({
        "input_tokens": prompt.saturating_sub(reused),
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": reused,
        "output_tokens": written,
    });
    if let Some(energy) = energy {
        usage["energy"] = energy.to_json(written);
    }
    usage
}
