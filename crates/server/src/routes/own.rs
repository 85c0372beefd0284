//! The routes that are no dialect's.

use axum::routing::on;

use super::route::{ASKED, Body, Method, NAMED, OPEN, Reply, Route, TAKEN};
use super::schema::{
    CONTENT, DETOKENIZE, HEALTH, MODELS, ONE, RANKED, RERANK, SHORT, TOKENIZE, TOKENS,
};
use super::{health, models, rerank, tokens};
use crate::schema::Kind;
use crate::{metrics, openapi};

const SERVER: &str = "Server";
const LLAMA: &str = "llama.cpp";
const RANKERS: &str = "Jina and Cohere";

/// Good, and not.
const SHORT_REPLIES: &[Reply] =
    &[Reply::object(&SHORT), Reply { status: 503, body: Body::Json(Kind::Object(&SHORT)) }];

pub(super) static ROUTES: [Route; 11] = [
    Route {
        method: Method::Get,
        path: "/livez",
        name: "live",
        of: SERVER,
        doc: "Whether the process is worth keeping.",
        request: None,
        replies: SHORT_REPLIES,
        failures: OPEN,
        serve: |method| on(method, health::live),
    },
    Route {
        method: Method::Get,
        path: "/readyz",
        name: "ready",
        of: SERVER,
        doc: "Whether requests can be answered.",
        request: None,
        replies: SHORT_REPLIES,
        failures: OPEN,
        serve: |method| on(method, health::ready),
    },
    Route {
        method: Method::Get,
        path: "/health",
        name: "health",
        of: SERVER,
        doc: "What runs how, and what is not as it should be.",
        request: None,
        replies: &[
            Reply::object(&HEALTH),
            Reply { status: 503, body: Body::Json(Kind::Object(&HEALTH)) },
        ],
        failures: ASKED,
        serve: |method| on(method, health::health),
    },
    Route {
        method: Method::Get,
        path: "/metrics",
        name: "metrics",
        of: SERVER,
        doc: "What the server counted, for Prometheus.",
        request: None,
        replies: &[Reply { status: 200, body: Body::Text(metrics::CONTENT_TYPE) }],
        failures: ASKED,
        serve: |method| on(method, health::metrics),
    },
    Route {
        method: Method::Get,
        path: openapi::PATH,
        name: "openapi",
        of: SERVER,
        doc: "This document.",
        request: None,
        replies: &[
            Reply { status: 200, body: Body::Json(Kind::Map) },
            Reply { status: 304, body: Body::Empty },
        ],
        failures: OPEN,
        serve: |method| on(method, openapi::serve),
    },
    Route {
        method: Method::Get,
        path: "/v1/models",
        name: "listModels",
        of: "OpenAI and Anthropic",
        doc: "The models by all their names.",
        request: None,
        replies: &[Reply::object(&MODELS)],
        failures: ASKED,
        serve: |method| on(method, models::list),
    },
    Route {
        method: Method::Get,
        path: "/v1/models/{*id}",
        name: "getModel",
        of: "OpenAI and Anthropic",
        doc: "One model.",
        request: None,
        replies: &[Reply::object(&ONE)],
        failures: NAMED,
        serve: |method| on(method, models::one),
    },
    Route {
        method: Method::Post,
        path: "/v1/rerank",
        name: "rerank",
        of: RANKERS,
        doc: "How well documents fit a query.",
        request: Some(&RERANK),
        replies: &[Reply::object(&RANKED)],
        failures: TAKEN,
        serve: |method| on(method, rerank::create),
    },
    Route {
        method: Method::Post,
        path: "/rerank",
        name: "rerankUnversioned",
        of: RANKERS,
        doc: "The same as `/v1/rerank`.",
        request: Some(&RERANK),
        replies: &[Reply::object(&RANKED)],
        failures: TAKEN,
        serve: |method| on(method, rerank::create),
    },
    Route {
        method: Method::Post,
        path: "/tokenize",
        name: "tokenize",
        of: LLAMA,
        doc: "Text to tokens.",
        request: Some(&TOKENIZE),
        replies: &[Reply::object(&TOKENS)],
        failures: TAKEN,
        serve: |method| on(method, tokens::tokenize),
    },
    Route {
        method: Method::Post,
        path: "/detokenize",
        name: "detokenize",
        of: LLAMA,
        doc: "Tokens to text.",
        request: Some(&DETOKENIZE),
        replies: &[Reply::object(&CONTENT)],
        failures: TAKEN,
        serve: |method| on(method, tokens::detokenize),
    },
];
