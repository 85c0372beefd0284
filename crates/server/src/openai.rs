//! OpenAI's API, as its reference has it (<https://platform.openai.com/docs/api-reference>), with the
//! parameters that local servers add.
//!
//! A parameter that changes an answer and that this server has not is an error that names it; those
//! that change nothing here are taken and left.

mod chat;
mod completions;
mod effort;
pub(crate) mod embeddings;
mod format;
mod likelihoods;
mod messages;
pub(crate) mod parameters;
pub(crate) mod responses;
pub(crate) mod schema;
pub(crate) mod tools;

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};

use axum::routing::on;
use rushlight_engine::Finish;
use serde_json::{Value, json};

use crate::answers::Ended;
use crate::app::unix_seconds;
use crate::energy::Used;
use crate::models::Lease;
use crate::routes::{ANSWERED, Body, Method, NAMED, Reply, Route, TAKEN};
use crate::schema::Kind;

/// The API's routes.
pub(crate) static ROUTES: [Route; 7] = [
    Route {
        method: Method::Post,
        path: "/v1/chat/completions",
        name: "createChatCompletion",
        of: "OpenAI",
        doc: "Answers a chat.",
        request: Some(&chat::schema::REQUEST),
        replies: &[
            Reply::object(&chat::schema::REPLY),
            Reply { status: 200, body: Body::Events(CHAT_EVENT) },
        ],
        failures: ANSWERED,
        serve: |method| on(method, chat::create),
    },
    Route {
        method: Method::Post,
        path: "/v1/completions",
        name: "createCompletion",
        of: "OpenAI",
        doc: "Goes on from a text.",
        request: Some(&completions::schema::REQUEST),
        replies: &[
            Reply::object(&completions::schema::REPLY),
            Reply { status: 200, body: Body::Events(TEXT_EVENT) },
        ],
        failures: ANSWERED,
        serve: |method| on(method, completions::create),
    },
    Route {
        method: Method::Post,
        path: "/v1/embeddings",
        name: "createEmbedding",
        of: "OpenAI",
        doc: "Texts as vectors.",
        request: Some(&embeddings::schema::REQUEST),
        replies: &[Reply::object(&embeddings::schema::REPLY)],
        failures: TAKEN,
        serve: |method| on(method, embeddings::create),
    },
    Route {
        method: Method::Post,
        path: "/v1/responses",
        name: "createResponse",
        of: "OpenAI",
        doc: "Answers what can be gone on from.",
        request: Some(&responses::schema::REQUEST),
        replies: &[
            Reply::object(&responses::schema::replies::RESPONSE),
            Reply { status: 200, body: Body::Events(responses::schema::replies::EVENT) },
        ],
        failures: ANSWERED,
        serve: |method| on(method, responses::create),
    },
    Route {
        method: Method::Get,
        path: "/v1/responses/{id}",
        name: "getResponse",
        of: "OpenAI",
        doc: "A stored response.",
        request: None,
        replies: &[Reply::object(&responses::schema::replies::RESPONSE)],
        failures: NAMED,
        serve: |method| on(method, responses::one),
    },
    Route {
        method: Method::Delete,
        path: "/v1/responses/{id}",
        name: "deleteResponse",
        of: "OpenAI",
        doc: "Removes a stored response.",
        request: None,
        replies: &[Reply::object(&responses::schema::replies::REMOVED)],
        failures: NAMED,
        serve: |method| on(method, responses::remove),
    },
    Route {
        method: Method::Get,
        path: "/v1/responses/{id}/input_items",
        name: "listInputItems",
        of: "OpenAI",
        doc: "What came with the request of a response.",
        request: None,
        replies: &[Reply::object(&responses::schema::replies::ITEMS)],
        failures: NAMED,
        serve: |method| on(method, responses::input_items),
    },
];

/// What streams tell: pieces, and a failure at the end.
const CHAT_EVENT: Kind =
    Kind::AnyOf(&[Kind::Object(&chat::schema::CHUNK), Kind::Object(&schema::ERROR)]);
const TEXT_EVENT: Kind =
    Kind::AnyOf(&[Kind::Object(&completions::schema::CHUNK), Kind::Object(&schema::ERROR)]);

/// A number that no other request has, good enough for seeds and names.
pub(crate) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// Why an answer ended, in the words of the API.
fn finish_reason(finish: Finish) -> &'static str {
    match finish {
        Finish::Length | Finish::Context => "length",
        _ => "stop",
    }
}

/// The fields that every response has.
#[derive(Clone, Debug)]
struct Envelope {
    id: String,
    object: &'static str,
    created: u64,
    model: String,
    fingerprint: String,
}

impl Envelope {
    fn new(lease: &Lease, prefix: &str, object: &'static str) -> Self {
        Self {
            id: format!("{prefix}-{:016x}{:016x}", random(), random()),
            object,
            created: unix_seconds(),
            model: lease.name().to_owned(),
            fingerprint: format!(
                "rushlight-{}-{}",
                env!("CARGO_PKG_VERSION"),
                lease.served().kernels
            ),
        }
    }

    /// A response with these choices.
    fn with(&self, choices: Vec<Value>) -> Value {
        json!({
            "id": self.id,
            "object": self.object,
            "created": self.created,
            "model": self.model,
            "system_fingerprint": self.fingerprint,
            "choices": choices,
        })
    }
}

/// Tokens that were read and written.
#[derive(Clone, Debug, Default)]
struct Usage {
    prompt: usize,
    cached: usize,
    answers: usize,
    /// Of these, those of reasoning.
    reasoning: usize,
    /// Of all answers, if it is known of all.
    energy: Option<Used>,
    /// Answers.
    count: usize,
}

impl Usage {
    /// Adds an answer; the first one to a prompt counts its prompt.
    fn add(&mut self, ended: &Ended, first: bool) {
        if first {
            self.prompt += ended.prompt_tokens;
            self.cached += ended.reused_tokens;
        }
        self.answers += ended.answer_tokens;
        self.energy = match (self.count, &self.energy, &ended.energy) {
            (0, _, energy) => energy.clone(),
            (_, Some(all), Some(one)) => Some(all.plus(one)),
            _ => None,
        };
        self.count += 1;
    }

    fn to_json(&self) -> Value {
        let mut usage = json!({
            "prompt_tokens": self.prompt,
            "completion_tokens": self.answers,
            "total_tokens": self.prompt + self.answers,
            "prompt_tokens_details": { "cached_tokens": self.cached },
            "completion_tokens_details": { "reasoning_tokens": self.reasoning },
        });
        if let Some(energy) = &self.energy {
            usage["energy"] = energy.to_json(self.answers);
        }
        usage
    }
}

/// Puts a field at the end of an object.
fn put(mut value: Value, name: &str, field: Value) -> Value {
    if let Some(object) = value.as_object_mut() {
        object.insert(name.to_owned(), field);
    }
    value
}
