//! Parameters that chats and completions share.

use std::time::{Duration, Instant};

use rushlight_engine::{GenerateOptions, SamplerOptions, Thinking};
use rushlight_text::constrain::{Constraint, Grammar};
use serde_json::{Map, Value};

use super::schema::STREAM_OPTIONS;
use crate::app::App;
use crate::failure::Failure;
use crate::fields::{Fields, wrong};
use crate::random::random;
use crate::worker::{Ask, Served};

/// Answers to one prompt, at most.
pub(super) const MOST_ANSWERS: i64 = 8;
/// Stop strings, at most, and bytes of each: text is compared with all of them at each token.
pub(super) const MOST_STOPS: usize = 16;
pub(super) const MOST_STOP_BYTES: usize = 1024;
/// Tokens with a bias, at most.
const MOST_BIASES: usize = 4096;
/// Milliseconds of a deadline, at most: a day.
pub(super) const MOST_DEADLINE_MS: i64 = 86_400_000;

/// How an answer is asked for.
#[derive(Debug)]
pub(super) struct Parameters {
    options: GenerateOptions,
    priority: i32,
    deadline: Option<Instant>,
    /// Answers to each prompt.
    pub(super) n: usize,
    /// How many of the likeliest tokens are told at each place; `None` tells nothing of tokens.
    pub(super) likeliest: Option<usize>,
    /// How the model thinks before it answers.
    pub(super) thinking: Option<Thinking>,
    /// What the answers must look like.
    constraint: Option<Constraint>,
    /// Control tokens whose names are part of the text.
    pub(super) shown: Vec<u32>,
    /// Whether the answer is told as it is written.
    pub(super) stream: bool,
    /// Whether a stream ends with what it took.
    pub(super) include_usage: bool,
}

/// How urgent a request is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Urgency {
    /// Greater ones are served first.
    pub(crate) priority: i32,
    /// When nobody wants the answer any more.
    pub(crate) deadline: Option<Instant>,
}

impl Urgency {
    /// Takes `priority` and `deadline_ms`.
    pub(crate) fn take(app: &App, fields: &mut Fields) -> Result<Self, Failure> {
        let own = fields.integer("deadline_ms", 1..=MOST_DEADLINE_MS)?;
        let own = own.map(|ms| Duration::from_millis(ms.unsigned_abs()));
        let time = own.into_iter().chain(app.options.answer_timeout).min();
        let priority = fields.integer("priority", i32::MIN.into()..=i32::MAX.into())?;
        Ok(Self {
            priority: priority.unwrap_or(0) as i32,
            deadline: time.and_then(|time| Instant::now().checked_add(time)),
        })
    }
}

impl Parameters {
    /// Takes the shared parameters out of a request's. Temperature and top-p are 1 without a word, as
    /// the API has it: the model's own distribution.
    pub(super) fn take(app: &App, served: &Served, fields: &mut Fields) -> Result<Self, Failure> {
        ignore(fields)?;
        let mut options = GenerateOptions::default();
        options.stop = stops(fields, "stop")?;
        options.ignore_end = fields.flag("ignore_eos")?.unwrap_or(false);
        options.sampler = sampler(served, fields)?;
        let stream = fields.flag("stream")?.unwrap_or(false);
        let told = fields.object("stream_options")?;
        if told.is_some() && !stream {
            let message = "`stream_options` is only for `stream: true`";
            return Err(Failure::value("stream_options", message));
        }
        let include_usage = match told {
            None => false,
            Some(mut told) => {
                let include = told.flag("include_usage")?.unwrap_or(false);
                told.end(&STREAM_OPTIONS)?;
                include
            }
        };
        let Urgency { priority, deadline } = Urgency::take(app, fields)?;
        Ok(Self {
            options,
            priority,
            deadline,
            n: fields.integer("n", 1..=MOST_ANSWERS)?.unwrap_or(1) as usize,
            likeliest: None,
            thinking: None,
            constraint: None,
            shown: Vec::new(),
            stream,
            include_usage,
        })
    }

    /// Holds the answers to a grammar, which the request's parameter `name` asks for.
    pub(super) fn constrain(
        &mut self,
        served: &Served,
        name: &str,
        grammar: &Grammar,
    ) -> Result<(), Failure> {
        if self.options.ignore_end {
            let message = format!("`ignore_eos` is not for answers that `{name}` describes");
            return Err(Failure::value("ignore_eos", message));
        }
        self.constraint = Some(served.constraint(name, grammar)?);
        Ok(())
    }

    /// Tokens of an answer, at most.
    pub(super) fn set_most_tokens(&mut self, most: Option<i64>) {
        self.options.max_tokens = most.map(|most| most as usize);
    }

    /// Asks for the answers to a prompt: each has a seed of its own, one greater than that before.
    pub(super) fn asks(&self, prompt: &[u32]) -> Vec<Ask> {
        let ask = |i| {
            let mut options = self.options.clone();
            options.sampler.seed = options.sampler.seed.wrapping_add(i);
            Ask {
                prompt: prompt.to_vec(),
                options,
                priority: self.priority,
                deadline: self.deadline,
                likeliest: self.likeliest.unwrap_or(0),
                constraint: self.constraint.clone(),
                thinking: self.thinking.clone(),
                shown: self.shown.clone(),
            }
        };
        (0..self.n as u64).map(ask).collect()
    }
}

/// Takes what changes no answer of this server.
fn ignore(fields: &mut Fields) -> Result<(), Failure> {
    fields.text("user")?;
    fields.map("metadata")?;
    fields.flag("parallel_tool_calls")?;
    if fields.flag("store")? == Some(true) {
        return Err(Failure::unsupported("store", "this server stores no answers"));
    }
    match fields.text("service_tier")?.as_deref() {
        None | Some("auto" | "default") => Ok(()),
        Some(_) => {
            let message = "`service_tier` is none that this server has, expected `auto`";
            Err(Failure::unsupported("service_tier", message))
        }
    }
}

/// Takes texts that end an answer.
pub(crate) fn stops(fields: &mut Fields, field: &str) -> Result<Vec<String>, Failure> {
    let name = fields.name(field);
    let list = match fields.take(field) {
        None => return Ok(Vec::new()),
        Some(Value::Array(list)) => list,
        Some(one) => vec![one],
    };
    if list.len() > MOST_STOPS {
        let message =
            format!("`{name}` has `{}` strings, expected at most `{MOST_STOPS}`", list.len());
        return Err(Failure::value(name, message));
    }
    let stop = |value| match value {
        Value::String(text) if (1..=MOST_STOP_BYTES).contains(&text.len()) => Ok(text),
        other => {
            let want = format!("strings of 1 to `{MOST_STOP_BYTES}` bytes");
            Err(wrong(&name, &other, &want))
        }
    };
    list.into_iter().map(stop).collect()
}

fn sampler(served: &Served, fields: &mut Fields) -> Result<SamplerOptions, Failure> {
    let mut options = SamplerOptions::default();
    options.temperature = 1.0;
    let numbers = [
        ("temperature", 0.0, 2.0, &mut options.temperature),
        ("top_p", 0.0, 1.0, &mut options.top_p),
        ("min_p", 0.0, 1.0, &mut options.min_p),
        ("typical_p", 0.0, 1.0, &mut options.typical_p),
        ("repeat_penalty", 0.01, 100.0, &mut options.repetition_penalty),
        ("presence_penalty", -2.0, 2.0, &mut options.presence_penalty),
        ("frequency_penalty", -2.0, 2.0, &mut options.frequency_penalty),
    ];
    for (name, least, most, option) in numbers {
        if let Some(number) = fields.number(name, least..=most)? {
            *option = number as f32;
        }
    }
    if let Some(penalty) = fields.number("repetition_penalty", 0.01..=100.0)? {
        options.repetition_penalty = penalty as f32;
    }
    // Some clients say -1 for all.
    let top_k = fields.integer("top_k", -1..=u32::MAX.into())?.unwrap_or(0);
    options.top_k = top_k.max(0) as usize;
    options.seed =
        fields.integer("seed", i64::MIN..=i64::MAX)?.map_or_else(random, |seed| seed as u64);
    if let Some(biases) = fields.map("logit_bias")? {
        options.logit_bias = logit_bias(served, &biases)?;
    }
    Ok(options)
}

fn logit_bias(served: &Served, biases: &Map<String, Value>) -> Result<Vec<(u32, f32)>, Failure> {
    if biases.len() > MOST_BIASES {
        let message =
            format!("`logit_bias` has `{}` tokens, expected at most `{MOST_BIASES}`", biases.len());
        return Err(Failure::value("logit_bias", message));
    }
    let v = served.model.dims().v as u32;
    let bias = |(token, bias): (&String, &Value)| {
        let token = token.parse().ok().filter(|token| *token < v).ok_or_else(|| {
            let token = Value::from(token.as_str());
            wrong("logit_bias", &token, &format!("tokens below `{v}`"))
        })?;
        let bias = bias.as_f64().filter(|bias| (-100.0..=100.0).contains(bias));
        let bias = bias.ok_or_else(|| {
            let message = "`logit_bias` has what is no number from `-100` to `100`";
            Failure::value("logit_bias", message)
        })?;
        Ok((token, bias as f32))
    };
    biases.iter().map(bias).collect()
}
