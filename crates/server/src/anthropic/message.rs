//! `POST /v1/messages`.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use rushlight_engine::{GenerateOptions, SamplerOptions, Thinking};
use rushlight_text::constrain::Constraint;

use super::blocks::Blocks;
use super::conversation::Conversation;
use super::reply::Reply;
use super::schema::MESSAGES;
use super::stopped::Stopped;
use super::unsupported;
use crate::app::{App, Unnamed};
use crate::dialect::RequestId;
use crate::failure::Failure;
use crate::fields::Fields;
use crate::openai::parameters::stops;
use crate::random::random;
use crate::reasoning;
use crate::speech::Speech;
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
    /// How the model thinks before it answers.
    thinking: Option<Thinking>,
    /// Finds the parts of the answer.
    speech: Speech,
    /// Whether what the model thinks is told.
    tells_thoughts: bool,
}

impl Create {
    fn read(served: &Served, mut fields: Fields) -> Result<Self, Failure> {
        let conversation = Conversation::take(served, &mut fields)?;
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
        fields.end(&MESSAGES)?;
        let (mut constraint, mut shown, mut caller) = (None, Vec::new(), None);
        if let Some(tools) = &conversation.tools {
            constraint = tools.constraint(served)?;
            shown = tools::marks(served)?;
            caller = Some(tools.caller(served).with_prefix("toolu_"));
        }
        shown.extend(reasoning::marks(served)?);
        let reasoning = conversation.reasoning;
        let prompt = conversation.prompt(served)?;
        let (thinking, filter) = reasoning.found(served, &prompt)?.unzip();
        let speech = Speech::new(filter, caller);
        let tells_thoughts = reasoning.enabled == Some(true);
        Ok(Self { prompt, options, stream, constraint, shown, thinking, speech, tells_thoughts })
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
    let text = body::read(request, &app).await?;
    let read = app.read_to_answer(text, Unnamed::Refused, |_, lease, fields| {
        Create::read(lease.served(), fields)
    });
    let (lease, create) = read.await?;
    let Create { prompt, options, stream, constraint, shown, thinking, speech, tells_thoughts } =
        create;
    let (prompt_tokens, model) = (prompt.len(), lease.name().to_owned());
    let stopped = Stopped::new(&lease.served().model, &options.stop, &shown);
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
    let reused_tokens = answers.begun().await?;
    let blocks = Blocks::new(speech, tells_thoughts);
    let reply = Reply::new(model, id, prompt_tokens, reused_tokens, stopped, blocks);
    if stream {
        return Ok(stream::respond(answers, reply));
    }
    let answers = answers.collect().await?;
    Ok(body::json(StatusCode::OK, &reply.whole(answers)))
}
