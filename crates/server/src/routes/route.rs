//! A route as a row: the router is made of it, and what `/openapi.json` says of it.
//!
//! To add one: a row in the `ROUTES` of its API, a table of its request that the parser ends with
//! (`fields.end(&TABLE)`), and tables of its replies. Tests compare both with what is sent and answered.

use std::sync::Arc;

use axum::routing::{MethodFilter, MethodRouter};

use crate::app::App;
use crate::schema::{Kind, Object};

/// A route.
pub(crate) struct Route {
    pub(crate) method: Method,
    /// As the router has it: `{*id}` is all that follows.
    pub(crate) path: &'static str,
    /// What clients that are made from the document call it.
    pub(crate) name: &'static str,
    /// Whose API it is of.
    pub(crate) of: &'static str,
    /// What it does, for people.
    pub(crate) doc: &'static str,
    /// What a request must have, in its body, or where there is none in its query; `None` where
    /// nothing is read.
    pub(crate) request: Option<&'static Object>,
    /// What it answers.
    pub(crate) replies: &'static [Reply],
    /// The statuses of its failures.
    pub(crate) failures: &'static [u16],
    /// Serves it.
    pub(crate) serve: fn(MethodFilter) -> MethodRouter<Arc<App>>,
}

/// How a route is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Post,
    Delete,
}

impl Method {
    /// As the document has it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Method::Get => "get",
            Method::Post => "post",
            Method::Delete => "delete",
        }
    }

    /// As the router has it.
    pub(crate) fn filter(self) -> MethodFilter {
        match self {
            Method::Get => MethodFilter::GET,
            Method::Post => MethodFilter::POST,
            Method::Delete => MethodFilter::DELETE,
        }
    }
}

/// An answer of a route.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Body,
}

/// What an answer holds.
pub(crate) enum Body {
    /// One JSON value.
    Json(Kind),
    /// Server-sent events, each with such a value.
    Events(Kind),
    /// Lines, each with such a value.
    Lines(Kind),
    /// Text of this content type.
    Text(&'static str),
    /// Nothing.
    Empty,
}

impl Reply {
    /// An answer that is good and has an object.
    pub(crate) const fn object(object: &'static Object) -> Self {
        Self { status: 200, body: Body::Json(Kind::Object(object)) }
    }
}

/// Failures of what needs no key: of a `Host` or an `Origin` that is not allowed.
pub(crate) const OPEN: &[u16] = &[403];
/// Failures of what only reads.
pub(crate) const ASKED: &[u16] = &[401, 403];
/// Failures of what names something in its path.
pub(crate) const NAMED: &[u16] = &[400, 401, 403, 404, 429];
/// Failures of what takes a body and needs a model.
pub(crate) const TAKEN: &[u16] = &[400, 401, 403, 404, 408, 413, 415, 429, 500, 503];
/// Failures of what writes an answer, which a grammar may leave nothing to say.
pub(crate) const ANSWERED: &[u16] = &[400, 401, 403, 404, 408, 413, 415, 422, 429, 500, 503];
