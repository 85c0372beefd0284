//! What `/api/generate` and `/api/chat` share.

use std::sync::Arc;
use std::time::Instant;

use axum::http::StatusCode;
use axum::response::Response;
use rushlight_engine::GenerateOptions;
use rushlight_text::constrain::Constraint;
use serde_json::Value;

use super::reply::{Kind, Reply};
use super::spoken::Spoken;
use super::{format, options, take_model};
use crate::app::App;
use crate::calls::Caller;
use crate::failure::Failure;
use crate::fields::Fields;
use crate::worker::{Ask, Served};
use crate::{body, stream};

/// The fields that both requests have.
pub(super) struct Shared {
    /// As it came.
    pub(super) model: String,
    pub(super) options: GenerateOptions,
    pub(super) stream: bool,
    /// Variables of the template.
    pub(super) extra: Vec<(String, Value)>,
    /// What the answer must look like.
    pub(super) constraint: Option<Constraint>,
    /// Control tokens whose names are part of the text.
    pub(super) shown: Vec<u32>,
    /// Finds calls of tools.
    pub(super) caller: Option<Caller>,
}

impl Shared {
    pub(super) fn take(app: &App, served: &Served, fields: &mut Fields) -> Result<Self, Failure> {
        let model = take_model(app, fields)?;
        let stream = fields.flag("stream")?.unwrap_or(true);
        // The model is there as long as the server is.
        fields.take("keep_alive");
        let constraint = format::take(served, fields)?;
        for name in ["logprobs", "top_logprobs", "truncate", "shift"] {
            refuse(fields, name)?;
        }
        let extra = match fields.take("think") {
            None => Vec::new(),
            Some(Value::Bool(false)) => vec![("enable_thinking".to_owned(), Value::Bool(false))],
            Some(_) => return Err(unsupported("think")),
        };
        let options = fields.object("options")?;
        let options = options::read(served, options)?;
        let (shown, caller) = (Vec::new(), None);
        Ok(Self { model, options, stream, extra, constraint, shown, caller })
    }
}

/// Takes what this server has not, which may be there with a value that says nothing.
pub(super) fn refuse(fields: &mut Fields, name: &str) -> Result<(), Failure> {
    let says_nothing = match fields.take(name) {
        None | Some(Value::Null | Value::Bool(false)) => true,
        Some(Value::String(text)) => text.is_empty(),
        Some(Value::Array(list)) => list.is_empty(),
        Some(Value::Number(number)) => number.as_f64() == Some(0.0),
        Some(_) => false,
    };
    if says_nothing { Ok(()) } else { Err(unsupported(fields.name(name))) }
}

pub(super) fn unsupported(name: impl Into<String>) -> Failure {
    let name = name.into();
    let message = format!("`{name}` is not supported by this server");
    Failure::unsupported(name, message)
}

/// Answers a prompt; without one the model is to be loaded, which it is.
pub(super) async fn answer(
    app: &Arc<App>,
    kind: Kind,
    asked: Instant,
    shared: Shared,
    prompt: Option<Vec<u32>>,
) -> Result<Response, Failure> {
    let Shared { model, options, stream, constraint, shown, caller, .. } = shared;
    let Some(prompt) = prompt else {
        return Ok(body::json(StatusCode::OK, &kind.loaded(&model)));
    };
    let ask = Ask {
        prompt,
        options,
        priority: 0,
        deadline: app.deadline(),
        likeliest: 0,
        constraint,
        shown,
    };
    let mut answers = app.engine.ask(vec![ask])?;
    answers.begun().await?;
    let reply = Reply::new(kind, model, asked, Spoken::new(caller));
    if stream {
        return Ok(stream::respond(answers, reply));
    }
    Ok(body::json(StatusCode::OK, &reply.whole(answers).await?))
}
