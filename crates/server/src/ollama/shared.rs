//! What `/api/generate` and `/api/chat` share.

use std::sync::Arc;
use std::time::Instant;

use axum::http::StatusCode;
use axum::response::Response;
use rushlight_engine::GenerateOptions;
use rushlight_text::constrain::Constraint;
use serde_json::Value;

use super::keep_alive::KeepAlive;
use super::reply::{Kind, Reply};
use super::spoken::Spoken;
use super::{format, options};
use crate::app::App;
use crate::calls::Caller;
use crate::failure::Failure;
use crate::fields::{Fields, wrong};
use crate::models::Lease;
use crate::reasoning::{self, Reasoning};
use crate::speech::Speech;
use crate::worker::{Ask, Served};
use crate::{body, stream};

/// What this server has not, of both.
pub(super) const REFUSED: [&str; 4] = ["logprobs", "top_logprobs", "truncate", "shift"];

/// The fields that both requests have.
pub(super) struct Shared {
    /// How long the model is to stay, if that is said.
    pub(super) keep_alive: Option<KeepAlive>,
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
    /// How the model is to think.
    pub(super) reasoning: Reasoning,
}

impl Shared {
    pub(super) fn take(served: &Served, fields: &mut Fields) -> Result<Self, Failure> {
        let keep_alive = KeepAlive::take(fields)?;
        let stream = fields.flag("stream")?.unwrap_or(true);
        let constraint = format::take(served, fields)?;
        for name in REFUSED {
            refuse(fields, name)?;
        }
        let reasoning = think(served, fields)?;
        let extra = reasoning.variable().into_iter().collect();
        let options = fields.object("options")?;
        let options = options::read(served, options)?;
        let (shown, caller) = (reasoning::marks(served)?, None);
        Ok(Self { keep_alive, options, stream, extra, constraint, shown, caller, reasoning })
    }
}

/// Takes how the model is to think: whether, or how hard.
fn think(served: &Served, fields: &mut Fields) -> Result<Reasoning, Failure> {
    let (enabled, most_tokens) = match fields.take("think") {
        None => return Ok(Reasoning::default()),
        Some(Value::Bool(enabled)) => (enabled, (!enabled).then_some(0)),
        Some(Value::String(effort)) => match effort.as_str() {
            "low" => (true, Some(LOW)),
            "medium" => (true, Some(MEDIUM)),
            "high" | "max" => (true, None),
            _ => return Err(wrong("think", &Value::from(effort), EFFORTS)),
        },
        Some(other) => return Err(wrong("think", &other, EFFORTS)),
    };
    Reasoning { enabled: Some(enabled), most_tokens }.check(served, "think")
}

/// What `think` may be.
const EFFORTS: &str = "`true`, `false`, `low`, `medium` or `high`";
/// Tokens of reasoning that efforts allow: rushlight's own, as for OpenAI's.
const LOW: usize = 1024;
const MEDIUM: usize = 4096;

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

/// Answers a prompt; without one the model is to be loaded, which it is, or to be let go.
pub(super) async fn answer(
    app: &Arc<App>,
    lease: Lease,
    kind: Kind,
    asked: Instant,
    shared: Shared,
    prompt: Option<Vec<u32>>,
) -> Result<Response, Failure> {
    let Shared { keep_alive, options, stream, constraint, shown, caller, reasoning, .. } = shared;
    if let Some(keep_alive) = keep_alive {
        lease.keep(keep_alive.idle());
    }
    let Some(prompt) = prompt else {
        let leaves = keep_alive.is_some_and(KeepAlive::ends);
        return Ok(body::json(StatusCode::OK, &kind.loaded(lease.asked(), leaves)));
    };
    let (thinking, filter) = reasoning.found(lease.served(), &prompt)?.unzip();
    let ask = Ask {
        prompt,
        options,
        priority: 0,
        deadline: app.deadline(),
        likeliest: 0,
        constraint,
        thinking,
        shown,
    };
    let mut answers = lease.ask(vec![ask])?;
    answers.begun().await?;
    let tells_thoughts = reasoning.enabled != Some(false);
    let spoken = Spoken::new(Speech::new(filter, caller), tells_thoughts);
    let reply = Reply::new(kind, lease.asked().to_owned(), asked, spoken);
    if stream {
        return Ok(stream::respond(answers, reply));
    }
    Ok(body::json(StatusCode::OK, &reply.whole(answers).await?))
}
