//! Answers as they are written: server-sent events, or lines of JSON.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use futures_util::stream::unfold;
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use crate::answers::{Answers, Ended, Piece, Token};
use crate::failure::Failure;

/// How long a client hears nothing, at most: proxies end what is silent for longer.
const SILENCE: Duration = Duration::from_secs(15);

/// How the parts of a stream are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    /// Events without a name; `[DONE]` is the last.
    Events,
    /// Events with the name that their `type` is.
    NamedEvents,
    /// One line each.
    Lines,
}

impl Wire {
    fn write(self, parts: &[Value]) -> String {
        let write = |part: &Value| match self {
            Wire::Events => format!("data: {part}\n\n"),
            Wire::NamedEvents => {
                let name = part["type"].as_str().unwrap_or_default();
                format!("event: {name}\ndata: {part}\n\n")
            }
            Wire::Lines => format!("{part}\n"),
        };
        parts.iter().map(write).collect()
    }

    fn end(self) -> &'static str {
        if self == Wire::Events { "data: [DONE]\n\n" } else { "" }
    }

    fn content_type(self) -> &'static str {
        match self {
            Wire::Events | Wire::NamedEvents => "text/event-stream; charset=utf-8",
            Wire::Lines => "application/x-ndjson",
        }
    }
}

/// Puts answers into the parts of an API's stream.
pub(crate) trait Shape: Send + 'static {
    /// How they are written.
    const WIRE: Wire = Wire::Events;
    /// What comes first.
    fn open(&mut self) -> Vec<Value>;
    /// A token of an answer, and the text that may be shown now.
    fn token(&mut self, answer: usize, token: &Token, text: &str) -> Vec<Value>;
    /// The end of an answer.
    fn finished(&mut self, answer: usize, ended: &Ended) -> Vec<Value>;
    /// What comes after the end of all.
    fn close(&mut self) -> Vec<Value>;
    /// What comes last when an answer fails.
    fn failed(&mut self, failure: &Failure) -> Value {
        failure.to_json()
    }
    /// What says that the server is still working; `None` is a comment, which only events have.
    fn still_working(&self) -> Option<Value> {
        None
    }
}

/// How far a stream is.
enum Place {
    Begin,
    Middle,
    End,
}

/// A response that tells each piece when it comes. Dropping it, as happens when the client leaves,
/// ends the answers.
pub(crate) fn respond<S: Shape>(answers: Answers, shape: S) -> Response {
    let parts =
        unfold((Place::Begin, answers, shape), |(mut place, mut answers, mut shape)| async {
            let mut text = String::new();
            // Since what came before was sent.
            let silent = Instant::now() + SILENCE;
            while text.is_empty() {
                (text, place) = match place {
                    Place::Begin => (S::WIRE.write(&shape.open()), Place::Middle),
                    Place::Middle => match timeout_at(silent, answers.next()).await {
                        Err(_) => (still_working(&shape), Place::Middle),
                        Ok(piece) => step(&mut shape, piece),
                    },
                    Place::End => return None,
                };
            }
            Some((Ok::<_, Infallible>(Bytes::from(text)), (place, answers, shape)))
        });
    let mut response = Response::new(Body::from_stream(parts));
    let headers =
        [(header::CONTENT_TYPE, S::WIRE.content_type()), (header::CACHE_CONTROL, "no-cache")];
    for (name, value) in headers {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    // nginx would keep parts back.
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

/// The parts of a piece, and where that leaves the stream.
fn step<S: Shape>(shape: &mut S, piece: Option<(usize, Piece)>) -> (String, Place) {
    let (parts, place) = match piece {
        Some((_, Piece::Begun(_))) => (Vec::new(), Place::Middle),
        Some((at, Piece::Token(token, text))) => (shape.token(at, &token, &text), Place::Middle),
        Some((at, Piece::Finished(ended))) => (shape.finished(at, &ended), Place::Middle),
        Some((_, Piece::Failed(failure))) => (vec![shape.failed(&failure)], Place::End),
        None => return (S::WIRE.write(&shape.close()) + S::WIRE.end(), Place::End),
    };
    (S::WIRE.write(&parts), place)
}

fn still_working<S: Shape>(shape: &S) -> String {
    match shape.still_working() {
        Some(part) => S::WIRE.write(&[part]),
        None => ": still working\n\n".to_owned(),
    }
}
