//! What a client is told when a request fails: OpenAI's error object. Where another API is spoken,
//! `dialect` says it in that one's words.

use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use rushlight_engine::{Error, ErrorKind};
use serde_json::{Value, json};

use crate::body;
use crate::worker::chain;

/// Seconds after which a client may ask again.
const RETRY_SECONDS: u64 = 1;

/// A request that failed.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    status: StatusCode,
    code: Option<&'static str>,
    parameter: Option<String>,
    message: String,
    /// After which a client may ask again, where that is known.
    retry_seconds: Option<u64>,
}

impl Failure {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code: Some(code),
            parameter: None,
            message: message.into(),
            retry_seconds: None,
        }
    }

    /// A request that is no good.
    pub(crate) fn request(message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            code: None,
            parameter: None,
            message: message.into(),
            retry_seconds: None,
        }
    }

    /// A parameter that is no good.
    pub(crate) fn value(parameter: impl Into<String>, message: impl Into<String>) -> Self {
        Self::request(message).with_code("invalid_value").of(parameter)
    }

    /// A parameter that the API has and this server has not.
    pub(crate) fn unsupported(parameter: impl Into<String>, message: impl Into<String>) -> Self {
        Self::request(message).with_code("unsupported_parameter").of(parameter)
    }

    /// The engine is not there.
    pub(crate) fn unavailable(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, message)
    }

    /// The status of the response.
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// What is wrong, for people.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// Says more exactly what is wrong.
    pub(crate) fn with_code(mut self, code: &'static str) -> Self {
        self.code = Some(code);
        self
    }

    /// Says when to ask again.
    pub(crate) fn retry_in(mut self, time: Duration) -> Self {
        self.retry_seconds = Some(time.as_secs_f64().ceil().max(1.0) as u64);
        self
    }

    /// Names the parameter that it is about.
    pub(crate) fn of(mut self, parameter: impl Into<String>) -> Self {
        self.parameter = Some(parameter.into());
        self
    }

    /// The error object, as it stands in a response or a stream.
    pub(crate) fn to_json(&self) -> Value {
        let kind = match self.status {
            StatusCode::TOO_MANY_REQUESTS => "rate_limit_error",
            StatusCode::REQUEST_TIMEOUT => "timeout_error",
            StatusCode::UNAUTHORIZED => "authentication_error",
            StatusCode::FORBIDDEN => "permission_error",
            status if status.is_server_error() => "server_error",
            _ => "invalid_request_error",
        };
        json!({ "error": {
            "message": self.message,
            "type": kind,
            "param": self.parameter,
            "code": self.code,
        }})
    }
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        let message = match error.hint() {
            Some(hint) => format!("{error}; {hint}"),
            None => error.to_string(),
        };
        match error.kind() {
            ErrorKind::Option => Self::request(message).with_code("invalid_value"),
            ErrorKind::Context => Self::request(message).with_code("context_length_exceeded"),
            ErrorKind::Busy => Self::new(StatusCode::TOO_MANY_REQUESTS, "queue_full", message),
            ErrorKind::Deadline => {
                Self::new(StatusCode::REQUEST_TIMEOUT, "deadline_exceeded", message)
            }
            ErrorKind::Model => Self::request(message).with_code("unsupported_model"),
            ErrorKind::Constraint => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "grammar_failed", chain(error))
            }
            ErrorKind::Memory => Self::unavailable("out_of_memory", message),
            _ => Self::new(StatusCode::INTERNAL_SERVER_ERROR, "engine_failed", message),
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = body::json(self.status, &self.to_json());
        let headers = response.headers_mut();
        match self.status {
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                let seconds = self.retry_seconds.unwrap_or(RETRY_SECONDS);
                headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            }
            StatusCode::UNAUTHORIZED => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            // The rest of the request is not read, so the connection cannot go on.
            StatusCode::PAYLOAD_TOO_LARGE | StatusCode::REQUEST_TIMEOUT => {
                headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            _ => {}
        }
        response.extensions_mut().insert(self);
        response
    }
}
