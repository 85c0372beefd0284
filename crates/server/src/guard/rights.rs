//! What a key may do, and how much of it.

use std::time::Duration;

use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
use axum::response::Response;

use super::Refusal;
use crate::failure::Failure;
use crate::keys::{Key, Limit, Scope};

/// Whether a key is for the route of a request, and has requests and tokens left. What only reads is
/// not counted.
pub(super) fn check(key: &Key, request: &Request) -> Result<(), Refusal> {
    let route = request.extensions().get::<MatchedPath>();
    if let Some(route) = route {
        let scope = Scope::of(route.as_str());
        if !key.is_for(scope) {
            let message =
                format!("the API key is not for this route, which needs `{}`", scope.name());
            let failure = Failure::new(StatusCode::FORBIDDEN, "insufficient_scope", message);
            return Err(Refusal { reason: "scope", failure });
        }
    }
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        return Ok(());
    }
    key.take_request().map_err(|(limit, wait)| {
        let (reason, what) = match limit {
            Limit::Requests => ("request_rate", "requests"),
            Limit::Tokens => ("token_rate", "tokens"),
        };
        let message = format!(
            "the API key has had its {what} of this minute; try again in {}",
            go_duration(wait)
        );
        let code = "rate_limit_exceeded";
        let failure = Failure::new(StatusCode::TOO_MANY_REQUESTS, code, message).retry_in(wait);
        Refusal { reason, failure }
    })
}

/// The headers of each limit: how much in a minute, how much of it is left, when all of it is there
/// again.
const HEADERS: [[HeaderName; 3]; 2] = [
    [
        HeaderName::from_static("x-ratelimit-limit-requests"),
        HeaderName::from_static("x-ratelimit-remaining-requests"),
        HeaderName::from_static("x-ratelimit-reset-requests"),
    ],
    [
        HeaderName::from_static("x-ratelimit-limit-tokens"),
        HeaderName::from_static("x-ratelimit-remaining-tokens"),
        HeaderName::from_static("x-ratelimit-reset-tokens"),
    ],
];

/// Tells what is left to a key, as OpenAI does
/// (<https://platform.openai.com/docs/guides/rate-limits>).
pub(super) fn tell(key: &Key, response: &mut Response) {
    for ((_, bucket), [limit, remaining, reset]) in key.buckets().into_iter().zip(HEADERS) {
        let Some(bucket) = bucket else { continue };
        let headers = response.headers_mut();
        headers.insert(limit, HeaderValue::from(bucket.per_minute()));
        headers.insert(remaining, HeaderValue::from(bucket.remaining()));
        if let Ok(time) = HeaderValue::try_from(go_duration(bucket.full_in())) {
            headers.insert(reset, time);
        }
    }
}

/// A time in whole seconds, rounded up, as Go writes it and OpenAI's headers have it: `6m0s`.
fn go_duration(time: Duration) -> String {
    let seconds = time.as_secs_f64().ceil() as u64;
    match seconds / 60 {
        0 => format!("{seconds}s"),
        minutes => format!("{minutes}m{}s", seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        let cases =
            [(0, "0s"), (1, "1s"), (1000, "1s"), (1001, "2s"), (59_500, "1m0s"), (361_000, "6m1s")];
        for (milliseconds, want) in cases {
            assert_eq!(go_duration(Duration::from_millis(milliseconds)), want);
        }
    }
}
