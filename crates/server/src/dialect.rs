//! Which API a path belongs to, so that what fails before its handler runs is said in its words too:
//! a key that is missing, a body that is too large, a route that is not there.

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;

use crate::failure::Failure;
use crate::random::id;
use crate::schema::Object;
use crate::{anthropic, ollama, openai};

/// The header that Anthropic's clients read a request's name from.
const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");

/// The header that Anthropic's clients name a version in. It tells them from OpenAI's where both have
/// the same path.
const VERSION: HeaderName = HeaderName::from_static("anthropic-version");

/// The name of a request, which Anthropic's responses tell.
#[derive(Clone, Debug)]
pub(crate) struct RequestId(pub(crate) String);

impl RequestId {
    fn new() -> Self {
        Self(id("req_"))
    }
}

/// An API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dialect {
    /// OpenAI's, and what is this server's own.
    OpenAi,
    Anthropic,
    Ollama,
}

impl Dialect {
    /// The API of a path; `versioned` is whether the request names a version of Anthropic's.
    fn of(path: &str, versioned: bool) -> Self {
        let within = |root: &str| {
            path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        if within("/v1/messages") || (versioned && within("/v1/models")) {
            Dialect::Anthropic
        } else if within("/api") {
            Dialect::Ollama
        } else {
            Dialect::OpenAi
        }
    }
}

/// What a failure of a path may be: which API is spoken may be up to the request.
pub(crate) fn errors(path: &str) -> Vec<&'static Object> {
    let mut dialects = [false, true].map(|versioned| Dialect::of(path, versioned)).to_vec();
    dialects.dedup();
    let error = |dialect| match dialect {
        Dialect::OpenAi => &openai::schema::ERROR,
        Dialect::Anthropic => &anthropic::schema::replies::ERROR,
        Dialect::Ollama => &ollama::schema::replies::ERROR,
    };
    dialects.into_iter().map(error).collect()
}

/// Puts failures into the words of the API that was asked.
pub(crate) async fn speak(mut request: Request, next: Next) -> Response {
    let versioned = request.headers().contains_key(VERSION);
    let dialect = Dialect::of(request.uri().path(), versioned);
    if dialect == Dialect::OpenAi {
        return next.run(request).await;
    }
    let id = RequestId::new();
    request.extensions_mut().insert(id.clone());
    let mut response = next.run(request).await;
    if let Some(failure) = response.extensions_mut().remove::<Failure>() {
        let value = match dialect {
            Dialect::Anthropic => anthropic::error(&failure, &id),
            _ => ollama::error(&failure),
        };
        *response.body_mut() = Body::from(value.to_string());
        // It was that of the other words.
        response.headers_mut().remove(header::CONTENT_LENGTH);
    }
    if dialect == Dialect::Anthropic
        && let Ok(id) = HeaderValue::try_from(id.0)
    {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let cases = [
            ("/v1/messages", false, Dialect::Anthropic),
            ("/v1/messages/count_tokens", true, Dialect::Anthropic),
            ("/v1/messages_of_others", true, Dialect::OpenAi),
            ("/v1/models", false, Dialect::OpenAi),
            ("/v1/models/it", true, Dialect::Anthropic),
            ("/v1/chat/completions", true, Dialect::OpenAi),
            ("/api/chat", false, Dialect::Ollama),
            ("/api", false, Dialect::Ollama),
            ("/apis", false, Dialect::OpenAi),
            ("/", false, Dialect::OpenAi),
        ];
        for (path, versioned, want) in cases {
            assert_eq!(Dialect::of(path, versioned), want, "{path} {versioned}");
        }
    }
}
