//! Which path does what.

mod health;
mod models;
mod own;
mod rerank;
mod route;
mod schema;
mod tokens;
mod variable;

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::Response;

use crate::Seen;
use crate::app::App;
use crate::caller::Caller;
use crate::failure::Failure;
use crate::guard::guard;
use crate::trace::{self, Span};
use crate::{anthropic, dialect, ollama, openai, page};
pub(crate) use health::{answers, lives};
pub(crate) use route::{ANSWERED, ASKED, Body, Method, NAMED, Reply, Route, TAKEN};
pub(crate) use variable::Variable;

/// All routes but those of the page's files, which are no API.
pub(crate) fn all() -> impl Iterator<Item = &'static Route> {
    let tables: [&[Route]; 4] =
        [&own::ROUTES, &openai::ROUTES, &anthropic::ROUTES, &ollama::ROUTES];
    tables.into_iter().flatten()
}

/// All routes, behind the guard.
pub(crate) fn router(app: &Arc<App>) -> Router {
    let add = |router: Router<Arc<App>>, route: &Route| {
        router.route(route.path, (route.serve)(route.method.filter()))
    };
    all()
        .fold(Router::new(), add)
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
