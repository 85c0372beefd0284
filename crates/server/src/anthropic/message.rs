//! `POST /v1/messages`.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use rushlight_engine::{GenerateOptions, SamplerOptions};
use rushlight_text::constrain::Constraint;

use super::blocks::Blocks;
use super::conversation::Conversation;
use super::reply::Reply;
use super::stopped::Stopped;
use super::unsupported;
use crate::app::App;
use crate::calls::Caller;
use crate::dialect::RequestId;
use crate::failure::Failure;
use crate::fields::Fields;
use crate::openai::parameters::stops;
use crate::openai::random;
use crate::worker::{Ask, Served};
use crate::{body, stream, tools};

/// A request.
struct Create {
    prompt: Vec<u32>,
    options: GenerateOptions,
    stream: bool,
    /// What the answer must look like.
    constraint: Option<Constraint>,
    /// Control tokens whose names are part of the text.
    shown: Vec<u32>,
    /// Finds calls of tools.
    caller: Option<Caller>,
}

impl Create {
    fn read(app: &App, served: &Served, mut fields: Fields) -> Result<Self, Failure> {
        let conversation = Conversation::take(app, &mut fields)?;
        fields.map("metadata")?;
        if fields.text("service_tier")?.is_some_and(|t| t != "auto" && t != "standard_only") {
            return Err(unsupported("service_tier"));
        }
        let most = fields.integer("max_tokens", 1..=u32::MAX.into())?;
        let mut options = GenerateOptions::default();
        options.max_tokens = Some(fields.need("max_tokens", most)? as usize);
        options.stop = stops(&mut fields, "stop_sequences")?;
        options.sampler = sampler(&mut fields)?;
        let stream = fields.flag("stream")?.unwrap_or(false);
        fields.end()?;
        let (mut constraint, mut shown, mut caller) = (None, Vec::new(), None);
        if let Some(tools) = &conversation.tools {
            constraint = tools.constraint(served)?;
            shown = tools::marks(served)?;
            caller = Some(tools.caller(served));
        }
        let prompt = conversation.prompt(served)?;
        Ok(Self { prompt, options, stream, constraint, shown, caller })
    }
}

/// Takes how tokens are chosen. Temperature is 1 without a word, and the most, as the API has it.
fn sampler(fields: &mut Fields) -> Result<SamplerOptions, Failure> {
    let mut sampler = SamplerOptions::default();
    sampler.temperature = fields.number("temperature", 0.0..=1.0)?.unwrap_or(1.0) as f32;
    sampler.top_p = fields.number("top_p", 0.0..=1.0)?.unwrap_or(1.0) as f32;
    sampler.top_k = fields.integer("top_k", 0..=u32::MAX.into())?.unwrap_or(0) as usize;
    sampler.seed = random();
    Ok(sampler)
}

/// Answers a conversation.
pub(super) async fn create(
    State(app): State<Arc<App>>,
    Extension(id): Extension<RequestId>,
    request: Request,
) -> Result<Response, Failure> {
    app.engine.served()?;
    let text = body::read(request, &app).await?;
    let read = app.aside(move |app| Create::read(app, app.engine.served()?, body::parse(text)?));
    let Create { prompt, options, stream, constraint, shown, caller } = read.await?;
    let served = app.engine.served()?;
    let (prompt_tokens, model) = (prompt.len(), app.options.model.clone());
    let stopped = Stopped::new(&served.model, &options.stop, &shown);
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
    let reused_tokens = answers.begun().await?;
    let blocks = Blocks::new(caller);
    let reply = Reply::new(model, id, prompt_tokens, reused_tokens, stopped, blocks);
    if stream {
        return Ok(stream::respond(answers, reply));
    }
    let answers = answers.collect().await?;
    Ok(body::json(StatusCode::OK, &reply.whole(answers)))
}
