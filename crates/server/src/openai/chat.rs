//! `POST /v1/chat/completions`.
//!
//! Messages become a prompt by the model's chat template; for a model that brings none, a built-in
//! one that fits its vocabulary is used, which `/health` tells.

mod parts;
mod reply;
pub(crate) mod schema;

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use rushlight_text::Message;
use serde_json::Value;

use super::parameters::Parameters;
use super::{Envelope, effort, format, messages};
use crate::app::{App, Unnamed};
use crate::failure::Failure;
use crate::fields::Fields;
use crate::reasoning::{self, Reasoning};
use crate::speech::Speech;
use crate::tools::{self, Tools};
use crate::worker::Served;
use crate::{body, prompt, stream};
use reply::Reply;

/// Likeliest tokens that are told at each place, at most.
pub(super) const MOST_LIKELIEST: i64 = 20;

/// What the API has and this server has not.
const UNSUPPORTED: [&str; 7] = [
    "functions",
    "function_call",
    "modalities",
    "audio",
    "prediction",
    "verbosity",
    "web_search_options",
];

/// A request.
struct Chat {
    parameters: Parameters,
    messages: Vec<Message>,
    /// Further variables of the template.
    extra: Vec<(String, Value)>,
    tools: Option<Tools>,
    reasoning: Reasoning,
}

impl Chat {
    fn read(app: &App, served: &Served, mut fields: Fields) -> Result<Self, Failure> {
        for name in UNSUPPORTED {
            if fields.take(name).is_some() {
                let message = format!("`{name}` is not supported by this server");
                return Err(Failure::unsupported(name, message));
            }
        }
        let format = format::take(&mut fields)?;
        let tools = super::tools::take_all(&mut fields)?;
        let messages = messages::read(&mut fields)?;
        let mut parameters = Parameters::take(app, served, &mut fields)?;
        parameters.set_most_tokens(most_tokens(&mut fields)?);
        parameters.likeliest = likeliest(&mut fields)?;
        let (reasoning, effort) = effort::take(served, &mut fields)?;
        let given = fields.map("chat_template_kwargs")?.unwrap_or_default();
        // What is given by its own name comes last, and holds.
        let extra = reasoning.variable().into_iter().chain(effort).chain(given).collect();
        fields.end(&schema::REQUEST)?;
        if let Some((name, grammar)) = &format {
            parameters.constrain(served, name, grammar)?;
        }
        if let Some(tools) = &tools {
            if let Some((name, _)) = format {
                let message = format!("`{name}` is not for requests with `tools`");
                return Err(Failure::value(name, message));
            }
            if let Some(grammar) = tools.grammar(served)? {
                parameters.constrain(served, "tools", &grammar)?;
            }
            parameters.shown = tools::marks(served)?;
        }
        parameters.shown.extend(reasoning::marks(served)?);
        Ok(Self { parameters, messages, extra, tools, reasoning })
    }
}

/// Takes the bound of an answer, by its newer or its older name.
fn most_tokens(fields: &mut Fields) -> Result<Option<i64>, Failure> {
    let range = 1..=i64::from(u32::MAX);
    let new = fields.integer("max_completion_tokens", range.clone())?;
    let old = fields.integer("max_tokens", range)?;
    match (new, old) {
        (Some(new), Some(old)) if new != old => {
            let message = format!("`max_tokens` is `{old}` and `max_completion_tokens` is `{new}`");
            Err(Failure::value("max_tokens", message))
        }
        _ => Ok(new.or(old)),
    }
}

fn likeliest(fields: &mut Fields) -> Result<Option<usize>, Failure> {
    let told = fields.flag("logprobs")?.unwrap_or(false);
    let count = fields.integer("top_logprobs", 0..=MOST_LIKELIEST)?;
    match (told, count) {
        (false, Some(_)) => {
            let message = "`top_logprobs` is only for `logprobs: true`";
            Err(Failure::value("top_logprobs", message))
        }
        (false, None) => Ok(None),
        (true, count) => Ok(Some(count.unwrap_or(0) as usize)),
    }
}

/// Answers a chat.
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, Failure> {
    let text = body::read(request, &app).await?;
    let read = app.read_to_answer(text, Unnamed::First, |app, lease, fields| {
        let served = lease.served();
        let chat = Chat::read(app, served, fields)?;
        let Chat { mut parameters, messages, extra, tools, reasoning } = chat;
        let prompt = prompt::of_chat(served, messages, &extra, tools.as_ref(), "")?;
        let (thinking, filter) = reasoning.found(served, &prompt)?.unzip();
        parameters.thinking = thinking;
        let caller = || tools.as_ref().map(|tools| tools.caller(served));
        let speech = |_| Speech::new(filter.clone(), caller());
        let speeches: Vec<Speech> = (0..parameters.n).map(speech).collect();
        Ok((parameters, prompt, speeches))
    });
    let (lease, (parameters, prompt, speeches)) = read.await?;
    let mut answers = lease.ask(parameters.asks(&prompt))?;
    answers.begun().await?;
    let object = if parameters.stream { "chat.completion.chunk" } else { "chat.completion" };
    let reply = Reply {
        envelope: Envelope::new(&lease, "chatcmpl", object),
        model: lease.served().model.clone(),
        n: parameters.n,
        likeliest: parameters.likeliest.is_some(),
        include_usage: parameters.include_usage,
        usage: super::Usage::default(),
        speeches,
    };
    if parameters.stream {
        return Ok(stream::respond(answers, reply));
    }
    let answers = answers.collect().await?;
    Ok(body::json(StatusCode::OK, &reply.whole(answers)))
}
