//! Answers as server-sent events.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use futures_util::stream::unfold;
use serde_json::Value;

use crate::answers::{Answers, Ended, Piece, Token};

/// How long a client hears nothing, at most: proxies end what is silent for longer.
const SILENCE: Duration = Duration::from_secs(15);

/// Puts answers into the events of an API.
pub(crate) trait Shape: Send + 'static {
    /// What comes first.
    fn open(&mut self) -> Vec<Value>;
    /// A token of an answer, and the text that may be shown now.
    fn token(&mut self, answer: usize, token: &Token, text: &str) -> Vec<Value>;
    /// The end of an answer.
    fn finished(&mut self, answer: usize, ended: &Ended) -> Vec<Value>;
    /// What comes after the end of all.
    fn close(&mut self) -> Vec<Value>;
}

/// How far a stream is.
enum Place {
    Begin,
    Middle,
    End,
}

/// A response that tells each piece when it comes. Dropping it, as happens when the client leaves,
/// ends the answers.
pub(crate) fn respond(answers: Answers, shape: impl Shape) -> Response {
    let events =
        unfold((Place::Begin, answers, shape), |(mut place, mut answers, mut shape)| async {
            let mut text = String::new();
            while text.is_empty() {
                (text, place) = match place {
                    Place::Begin => (data(&shape.open()), Place::Middle),
                    Place::Middle => match tokio::time::timeout(SILENCE, answers.next()).await {
                        Err(_) => (": still working\n\n".to_owned(), Place::Middle),
                        Ok(piece) => step(&mut shape, piece),
                    },
                    Place::End => return None,
                };
            }
            Some((Ok::<_, Infallible>(Bytes::from(text)), (place, answers, shape)))
        });
    let mut response = Response::new(Body::from_stream(events));
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream; charset=utf-8"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    for (name, value) in headers {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    // nginx would keep events back.
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

/// The events of a piece, and where that leaves the stream.
fn step(shape: &mut impl Shape, piece: Option<(usize, Piece)>) -> (String, Place) {
    match piece {
        Some((_, Piece::Begun)) => (String::new(), Place::Middle),
        Some((at, Piece::Token(token, text))) => {
            (data(&shape.token(at, &token, &text)), Place::Middle)
        }
        Some((at, Piece::Finished(ended))) => (data(&shape.finished(at, &ended)), Place::Middle),
        Some((_, Piece::Failed(failure))) => (data(&[failure.to_json()]), Place::End),
        None => (data(&shape.close()) + "data: [DONE]\n\n", Place::End),
    }
}

fn data(events: &[Value]) -> String {
    events.iter().map(|event| format!("data: {event}\n\n")).collect()
}
