//! `POST /v1/responses`: an answer that can be gone on from by its name.
//!
//! What was asked and answered stays in memory, unless the request says otherwise, until newer ones
//! need the room or the server ends.

mod input;
mod output;
mod reply;
pub(super) mod schema;
mod stored;

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use rushlight_engine::{GenerateOptions, SamplerOptions, Thinking};
use rushlight_text::Message;
use rushlight_text::constrain::{Constraint, Grammar};
use serde_json::{Map, Value, json};

use super::chat::schema::PLAIN_FORMAT;
use super::effort;
use super::tools::choice;
use crate::app::{App, Unnamed};
use crate::caller::Caller;
use crate::failure::Failure;
use crate::fields::{Fields, wrong};
use crate::random::random;
use crate::reasoning::{self, Reasoning};
use crate::speech::Speech;
use crate::tools::{self, Tool, Tools, take_name};
use crate::worker::{Ask, Served};
use crate::{body, prompt, stream};
use output::Output;
use reply::Reply;
use schema::{NAMED_TOOL, REASONING, REQUEST, SCHEMA_FORMAT, STREAM_OPTIONS, TEXT, TOOL};

pub(crate) use stored::{Stored, input_items, one, remove};

/// Letters of a name, at most.
const MOST_NAME: usize = 64;
/// Metadata of a response, at most, and bytes of each.
const MOST_PAIRS: usize = 16;
const MOST_VALUE: usize = 512;

/// What the API has and this server has not.
const UNSUPPORTED: [&str; 5] =
    ["conversation", "prompt", "max_tool_calls", "moderation", "context_management"];

/// What changes no answer of this server.
const IGNORED: [&str; 5] =
    ["user", "safety_identifier", "prompt_cache_key", "prompt_cache_retention", "service_tier"];

/// A request.
struct Create {
    ask: Ask,
    speech: Speech,
    stream: bool,
    /// Whether it can be gone on from.
    store: bool,
    /// What was said, for who goes on.
    messages: Vec<Message>,
    /// What came with this request, as items.
    items: Vec<Value>,
    /// The fields of the response that repeat the request.
    echo: Value,
}

impl Create {
    fn read(app: &App, served: &Served, mut fields: Fields) -> Result<Self, Failure> {
        for name in UNSUPPORTED {
            if fields.take(name).is_some() {
                let message = format!("`{name}` is not supported by this server");
                return Err(Failure::unsupported(name, message));
            }
        }
        for name in IGNORED {
            fields.text(name)?;
        }
        must_be_off(&mut fields)?;
        let mut echo = json!({ "background": false, "truncation": "disabled" });
        let previous = fields.text("previous_response_id")?;
        let mut messages = match &previous {
            Some(id) => app.stored.messages(id, &Caller::now())?,
            None => Vec::new(),
        };
        let items = input::take(&mut fields, &mut messages)?;
        let instructions = fields.text("instructions")?;
        let metadata = metadata(&mut fields)?;
        let stream = fields.flag("stream")?.unwrap_or(false);
        if let Some(mut told) = fields.object("stream_options")? {
            told.flag("include_obfuscation")?;
            told.end(&STREAM_OPTIONS)?;
        }
        let store = fields.flag("store")?.unwrap_or(true);
        let most = fields.integer("max_output_tokens", 1..=u32::MAX.into())?;
        let mut sampler = SamplerOptions::default();
        let temperature = fields.number("temperature", 0.0..=2.0)?.unwrap_or(1.0);
        let top_p = fields.number("top_p", 0.0..=1.0)?.unwrap_or(1.0);
        (sampler.temperature, sampler.top_p) = (temperature as f32, top_p as f32);
        let seed = fields.integer("seed", i64::MIN..=i64::MAX)?;
        sampler.seed = seed.map_or_else(random, |seed| seed as u64);
        let (format, grammar) = text(&mut fields)?;
        let (reasoning, effort) = reasoning(served, &mut fields)?;
        let parallel = fields.flag("parallel_tool_calls")?.unwrap_or(true);
        let described = fields.as_is("tools").unwrap_or_else(|| json!([]));
        let tools = tools::take(&mut fields, tool)?;
        let wanted = fields.as_is("tool_choice").unwrap_or_else(|| json!("auto"));
        let tools = Tools::new(tools, choice(&mut fields, named)?, parallel)?;
        fields.end(&REQUEST)?;

        let told = [
            ("instructions", json!(instructions)),
            ("max_output_tokens", json!(most)),
            ("metadata", json!(metadata)),
            ("parallel_tool_calls", json!(parallel)),
            ("previous_response_id", json!(previous)),
            ("reasoning", json!({ "effort": effort, "summary": null })),
            ("store", json!(store)),
            ("temperature", json!(temperature)),
            ("text", json!({ "format": format })),
            ("tool_choice", wanted),
            ("tools", described),
            ("top_p", json!(top_p)),
        ];
        for (name, value) in told {
            echo[name] = value;
        }

        let mut options = GenerateOptions::default();
        options.max_tokens = most.map(|most| most as usize);
        options.sampler = sampler;
        let constraint = constraint(served, grammar, tools.as_ref())?;
        let mut shown = reasoning::marks(served)?;
        if tools.is_some() {
            shown.extend(tools::marks(served)?);
        }
        let extra: Vec<_> = reasoning.variable().into_iter().collect();
        let system = instructions.map(Message::system);
        let all = system.into_iter().chain(messages.iter().cloned()).collect();
        let prompt = prompt::of_chat(served, all, &extra, tools.as_ref(), "")?;
        let (thinking, filter): (Option<Thinking>, _) = reasoning.found(served, &prompt)?.unzip();
        let caller = tools.as_ref().map(|tools| tools.caller(served));
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
        let speech = Speech::new(filter, caller);
        Ok(Self { ask, speech, stream, store, messages, items, echo })
    }
}

/// Takes `metadata`, which is as small as the API has it.
fn metadata(fields: &mut Fields) -> Result<Map<String, Value>, Failure> {
    let metadata = fields.map("metadata")?.unwrap_or_default();
    let good = |(name, value): (&String, &Value)| {
        name.len() <= MOST_NAME && value.as_str().is_some_and(|text| text.len() <= MOST_VALUE)
    };
    if metadata.len() > MOST_PAIRS || !metadata.iter().all(good) {
        let message = format!(
            "`metadata` is not what it may be: at most `{MOST_PAIRS}` strings of `{MOST_VALUE}` bytes with \
             names of `{MOST_NAME}`"
        );
        return Err(Failure::value("metadata", message));
    }
    Ok(metadata)
}

/// What must not be asked for.
fn must_be_off(fields: &mut Fields) -> Result<(), Failure> {
    let refuse = |name: &str| {
        let message = format!("`{name}` is not supported by this server");
        Err(Failure::unsupported(name, message))
    };
    if fields.flag("background")? == Some(true) {
        return refuse("background");
    }
    if fields.text("truncation")?.is_some_and(|truncation| truncation != "disabled") {
        return refuse("truncation");
    }
    if fields.integer("top_logprobs", 0..=20)?.is_some_and(|count| count > 0) {
        return refuse("top_logprobs");
    }
    let include = fields.list("include")?.unwrap_or_default();
    // What it would add is there anyway, or there is nothing to encrypt.
    if include.iter().any(|what| what != "reasoning.encrypted_content") {
        return refuse("include");
    }
    Ok(())
}

/// Takes `text`: the form of the answer as it is told again, and as a grammar.
fn text(fields: &mut Fields) -> Result<(Value, Option<Grammar>), Failure> {
    let plain = json!({ "type": "text" });
    let Some(mut text) = fields.object("text")? else { return Ok((plain, None)) };
    if text.text("verbosity")?.is_some_and(|verbosity| verbosity != "medium") {
        let message = "`text.verbosity` is not supported by this server";
        return Err(Failure::unsupported("text.verbosity", message));
    }
    let told = text.as_is("format").unwrap_or(plain);
    let format = text.object("format")?;
    text.end(&TEXT)?;
    let Some(mut format) = format else { return Ok((told, None)) };
    let kind = format.text("type")?;
    let (grammar, table) = match format.need("type", kind)?.as_str() {
        "text" => (None, &PLAIN_FORMAT),
        "json_object" => (Some(Grammar::JsonObject), &PLAIN_FORMAT),
        "json_schema" => {
            take_name(&mut format, MOST_NAME)?;
            format.text("description")?;
            format.flag("strict")?;
            let schema = format.take("schema");
            (Some(Grammar::JsonSchema(format.need("schema", schema)?)), &SCHEMA_FORMAT)
        }
        other => {
            let want = "`text`, `json_object` or `json_schema`";
            return Err(wrong("text.format.type", &Value::from(other), want));
        }
    };
    format.end(table)?;
    Ok((told, grammar))
}

/// Takes `reasoning`: what it asks for, and the effort as it came.
fn reasoning(served: &Served, fields: &mut Fields) -> Result<(Reasoning, Option<String>), Failure> {
    let Some(mut told) = fields.object("reasoning")? else { return Ok(Default::default()) };
    let effort = told.text("effort")?;
    let summaries = [told.text("summary")?, told.text("generate_summary")?];
    if summaries.into_iter().flatten().any(|summary| summary != "auto") {
        let message = "`reasoning.summary` is not supported: reasoning is told as it is";
        return Err(Failure::unsupported("reasoning.summary", message));
    }
    told.end(&REASONING)?;
    let asked = effort.as_deref().map(|effort| effort::of(served, "reasoning.effort", effort));
    Ok((asked.transpose()?.unwrap_or_default(), effort))
}

/// Reads a tool at a place: here the function's fields are the tool's own.
fn tool(value: Value, place: String) -> Result<Tool, Failure> {
    let mut tool = Fields::new(value, place)?;
    let kind = tool.text("type")?;
    if tool.need("type", kind)? != "function" {
        let message = "the server has no tools of its own, expected the type `function`";
        return Err(Failure::unsupported(tool.name("type"), message));
    }
    let name = take_name(&mut tool, MOST_NAME)?;
    let description = tool.text("description")?;
    let is_strict = tool.flag("strict")?.unwrap_or(false);
    let parameters = tool.map("parameters")?;
    tool.end(&TOOL)?;
    let mut function = json!({ "name": name });
    for (field, value) in [("description", json!(description)), ("parameters", json!(parameters))] {
        if !value.is_null() {
            function[field] = value;
        }
    }
    let described = json!({ "type": "function", "function": function });
    Ok(Tool { name, is_strict, described })
}

/// The name of a function in `tool_choice`: here it is the choice's own.
fn named(mut choice: Fields) -> Result<String, Failure> {
    let name = choice.text("name")?;
    let name = choice.need("name", name)?;
    choice.end(&NAMED_TOOL)?;
    Ok(name)
}

fn constraint(
    served: &Served,
    grammar: Option<Grammar>,
    tools: Option<&Tools>,
) -> Result<Option<Constraint>, Failure> {
    match (grammar, tools) {
        (Some(_), Some(_)) => {
            let message = "`text.format` is not for requests with `tools`";
            Err(Failure::value("text.format", message))
        }
        (Some(grammar), None) => served.constraint("text.format", &grammar).map(Some),
        (None, Some(tools)) => tools.constraint(served),
        (None, None) => Ok(None),
    }
}

/// Answers what is asked.
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, Failure> {
    let text = body::read(request, &app).await?;
    let read = app.read_to_answer(text, Unnamed::First, |app, lease, fields| {
        Create::read(app, lease.served(), fields)
    });
    let (lease, create) = read.await?;
    let Create { ask, speech, stream, store, messages, items, echo } = create;
    let mut answers = lease.ask(vec![ask])?;
    answers.begun().await?;
    let owner = Caller::now();
    let keep = store.then(|| stored::Keep { app: app.clone(), owner, messages, items });
    let reply = Reply::new(lease.name(), echo, Output::new(speech), keep);
    if stream {
        return Ok(stream::respond(answers, reply));
    }
    let answers = answers.collect().await?;
    Ok(body::json(StatusCode::OK, &reply.whole(answers)))
}
