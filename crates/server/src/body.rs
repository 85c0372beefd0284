//! Bodies of requests and responses: JSON, of bounded size, within bounded time.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use futures_util::StreamExt as _;
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::app::App;
use crate::failure::Failure;
use crate::fields::Fields;

/// How many of the largest bodies there is room for at once.
pub(crate) const LARGEST_AT_ONCE: usize = 8;

/// Headers that browsers put on what web pages send, and that pages cannot leave out.
const BROWSER: [&str; 3] = ["origin", "sec-fetch-site", "referer"];

/// The body of a request, and the room that it takes until it is dropped.
#[derive(Debug)]
pub(crate) struct Text {
    bytes: Vec<u8>,
    room: Vec<OwnedSemaphorePermit>,
}

/// Reads the body of a request, which must say that it is JSON.
pub(crate) async fn read(request: Request, app: &App) -> Result<Text, Failure> {
    check_type(&request, &[])?;
    read_any(request, app).await
}

/// Reads the body of a request that may say nothing of its type, or what curl says of its own, unless
/// a browser sent it: for APIs whose programs do so.
pub(crate) async fn read_untyped(request: Request, app: &App) -> Result<Text, Failure> {
    let browser = BROWSER.iter().any(|name| request.headers().contains_key(*name));
    check_type(&request, if browser { &[] } else { &["", "application/x-www-form-urlencoded"] })?;
    read_any(request, app).await
}

async fn read_any(request: Request, app: &App) -> Result<Text, Failure> {
    let most = app.options.most_body_bytes;
    let told = request.headers().get(header::CONTENT_LENGTH);
    let told = told.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if told.is_some_and(|bytes| bytes > most as u64) {
        return Err(too_large(most));
    }
    let text = collect(request.into_body(), most, &app.room);
    tokio::time::timeout(app.options.body_timeout, text).await.map_err(|_| {
        let message = "the request did not come to its end in time";
        Failure::new(StatusCode::REQUEST_TIMEOUT, "request_timeout", message)
    })?
}

/// Parses the JSON object of a request.
pub(crate) fn parse(text: Text) -> Result<Fields, Failure> {
    let Text { bytes, room } = text;
    let value = serde_json::from_slice(&bytes)
        .map_err(|error| Failure::request(format!("the request is no JSON: {error}")))?;
    drop(room);
    Fields::new(value, "")
}

/// Only JSON, which a web page cannot send elsewhere without asking first, and types that are good
/// `too`.
fn check_type(request: &Request, too: &[&str]) -> Result<(), Failure> {
    let found = request.headers().get(header::CONTENT_TYPE);
    let found = found.and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = found.split(';').next().unwrap_or_default().trim();
    if kind.eq_ignore_ascii_case("application/json") || too.contains(&kind) {
        return Ok(());
    }
    Err(Failure::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported_media_type",
        "expected a body with `content-type: application/json`",
    ))
}

async fn collect(body: Body, most: usize, room: &Arc<Semaphore>) -> Result<Text, Failure> {
    let mut text = Text { bytes: Vec::new(), room: Vec::new() };
    let mut parts = body.into_data_stream();
    while let Some(part) = parts.next().await {
        let part = part.map_err(|_| Failure::request("the request ended early"))?;
        if part.len() > most - text.bytes.len() {
            return Err(too_large(most));
        }
        let permits = u32::try_from(part.len()).unwrap_or(u32::MAX);
        let permit = room.clone().try_acquire_many_owned(permits).map_err(|_| {
            let message = "too many large requests are being read";
            Failure::unavailable("too_many_large_requests", message)
        })?;
        text.room.push(permit);
        text.bytes.extend_from_slice(&part);
    }
    Ok(text)
}

fn too_large(most: usize) -> Failure {
    Failure::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "request_too_large",
        format!("the request has more than `{most}` bytes"),
    )
}

/// A response of JSON.
pub(crate) fn json(status: StatusCode, value: &Value) -> Response {
    json_text(status, value.to_string())
}

/// A response of JSON that is written already.
pub(crate) fn json_text(status: StatusCode, text: String) -> Response {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}
