//! Which path does what.

mod health;
mod models;
mod rerank;
mod tokens;

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, post};

use crate::Seen;
use crate::app::App;
use crate::caller::Caller;
use crate::failure::Failure;
use crate::guard::guard;
use crate::openai::{chat, completions, embeddings, responses};
use crate::trace::{self, Span};
use crate::{anthropic, dialect, ollama, page};
pub(crate) use health::{answers, lives};

/// All routes, behind the guard.
pub(crate) fn router(app: &Arc<App>) -> Router {
    Router::new()
        .route("/livez", get(health::live))
        .route("/readyz", get(health::ready))
        .route("/health", get(health::health))
        .route("/metrics", get(health::metrics))
        .route("/v1/models", get(models::list))
        .route("/v1/models/{*id}", get(models::one))
        .route("/v1/chat/completions", post(chat::create))
        .route("/v1/completions", post(completions::create))
        .route("/v1/responses", post(responses::create))
        .route("/v1/responses/{id}", get(responses::one).delete(responses::remove))
        .route("/v1/responses/{id}/input_items", get(responses::input_items))
        .route("/v1/embeddings", post(embeddings::create))
        .route("/v1/rerank", post(rerank::create))
        .route("/rerank", post(rerank::create))
        .route("/tokenize", post(tokens::tokenize))
        .route("/detokenize", post(tokens::detokenize))
        .merge(anthropic::routes())
        .merge(ollama::routes())
        .merge(page::routes())
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .layer(middleware::from_fn_with_state(app.clone(), guard))
        .layer(middleware::from_fn(dialect::speak))
        .layer(middleware::from_fn_with_state(app.clone(), count))
        .with_state(app.clone())
}

/// Counts a request by its route, so that unknown paths are one, and tells of it.
async fn count(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let begin = Instant::now();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let headers = request.headers().clone();
    let named = route.as_ref().map_or("other", MatchedPath::as_str).to_owned();
    let about = |response: &Response, span: &mut Span| {
        span.name = format!("{method} {named}");
        span.text("http.request.method", method.as_str());
        span.text("http.route", named.clone());
        span.integer("http.response.status_code", response.status().as_u16().into());
        if response.status().is_server_error() {
            span.fail();
        }
    };
    let answer = next.run(request);
    let response = trace::within(app.tracer.as_ref(), &headers, answer, about).await;
    let route = route.as_ref().map_or("other", MatchedPath::as_str);
    let status = response.status().as_u16();
    app.metrics.http(route, status);
    if let Some(observer) = &app.options.observer {
        let caller = response.extensions().get::<Caller>().and_then(Caller::key);
        let caller = caller.and_then(|key| key.settings().name.as_deref());
        let time = begin.elapsed();
        observer.tell(Seen { method: method.as_str(), route, caller, status, time });
    }
    response
}

async fn no_route() -> Failure {
    let message = "there is no such route";
    Failure::new(StatusCode::NOT_FOUND, "unknown_route", message)
}

async fn no_method() -> Failure {
    let message = "the route does not have this method";
    Failure::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message)
}
