//! `POST /v1/completions`: text goes on as it is, without a chat template.

mod reply;
pub(crate) mod schema;

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use rushlight_text::DecodeOptions;
use serde_json::Value;

use super::parameters::Parameters;
use super::{Envelope, format};
use crate::app::{App, Unnamed};
use crate::failure::Failure;
use crate::fields::{Fields, wrong};
use crate::worker::Served;
use crate::{body, prompt, stream};
use reply::Reply;

/// Tokens of an answer without a word, as the API has it.
const DEFAULT_TOKENS: i64 = 16;
/// Likeliest tokens that are told at each place, at most.
const MOST_LIKELIEST: i64 = 5;
/// Prompts of a request, at most.
const MOST_PROMPTS: usize = 64;

/// A request.
struct Completion {
    parameters: Parameters,
    prompts: Vec<Prompt>,
    echo: bool,
}

/// What is to go on.
struct Prompt {
    /// As text, where it is to be told again.
    text: String,
    tokens: Vec<u32>,
}

impl Completion {
    fn read(app: &App, served: &Served, mut fields: Fields) -> Result<Self, Failure> {
        if fields.take("suffix").is_some() {
            let message = "`suffix` is not supported by this server";
            return Err(Failure::unsupported("suffix", message));
        }
        let prompt = fields.take("prompt");
        let prompt = fields.need("prompt", prompt)?;
        let mut parameters = Parameters::take(app, served, &mut fields)?;
        let most = fields.integer("max_tokens", 1..=i64::from(u32::MAX))?;
        parameters.set_most_tokens(Some(most.unwrap_or(DEFAULT_TOKENS)));
        let likeliest = fields.integer("logprobs", 0..=MOST_LIKELIEST)?;
        parameters.likeliest = likeliest.map(|count| count as usize);
        fields.integer("best_of", 1..=1)?;
        let echo = fields.flag("echo")?.unwrap_or(false);
        if echo && parameters.likeliest.is_some() {
            let message = "`logprobs` of an echoed prompt are not supported by this server";
            return Err(Failure::unsupported("logprobs", message));
        }
        let format = format::grammar(&mut fields)?;
        fields.end(&schema::REQUEST)?;
        if let Some((name, grammar)) = format {
            parameters.constrain(served, name, &grammar)?;
        }
        Ok(Self { parameters, prompts: prompts(served, prompt, echo)?, echo })
    }
}

/// Reads a text, a list of texts, a list of tokens or a list of lists of tokens.
fn prompts(served: &Served, prompt: Value, echo: bool) -> Result<Vec<Prompt>, Failure> {
    let want = "a string, a list of strings, a list of tokens or a list of lists of tokens";
    let list = match prompt {
        Value::String(_) => vec![prompt],
        Value::Array(list) if list.first().is_some_and(Value::is_number) => {
            vec![Value::Array(list)]
        }
        Value::Array(list) if !list.is_empty() => list,
        other => return Err(wrong("prompt", &other, want)),
    };
    if list.len() > MOST_PROMPTS {
        let message =
            format!("`prompt` has `{}` prompts, expected at most `{MOST_PROMPTS}`", list.len());
        return Err(Failure::value("prompt", message));
    }
    let one = |value| match value {
        Value::String(text) => {
            let tokens = prompt::of_text(served, &text)?;
            Ok(Prompt { text, tokens })
        }
        Value::Array(ids) => {
            let tokens = prompt::of_ids(served, "prompt", &ids)?;
            let text = match echo {
                true => prompt::tokenizer(served)?.decode(&tokens, DecodeOptions::default()),
                false => String::new(),
            };
            Ok(Prompt { text, tokens })
        }
        other => Err(wrong("prompt", &other, want)),
    };
    list.into_iter().map(one).collect()
}

/// Answers a completion.
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, Failure> {
    let text = body::read(request, &app).await?;
    let read = app.read_to_answer(text, Unnamed::First, |app, lease, fields| {
        Completion::read(app, lease.served(), fields)
    });
    let (lease, Completion { parameters, prompts, echo }) = read.await?;
    let asks = prompts.iter().flat_map(|prompt| parameters.asks(&prompt.tokens)).collect();
    let mut answers = lease.ask(asks)?;
    answers.begun().await?;
    let n = parameters.n;
    let echoes: Vec<String> = match echo {
        true => prompts.iter().flat_map(|p| std::iter::repeat_n(p.text.clone(), n)).collect(),
        false => Vec::new(),
    };
    let reply = Reply {
        envelope: Envelope::new(&lease, "cmpl", "text_completion"),
        model: lease.served().model.clone(),
        n,
        echoes,
        likeliest: parameters.likeliest.is_some(),
        offsets: vec![0; answers.count()],
        include_usage: parameters.include_usage,
        usage: super::Usage::default(),
    };
    if parameters.stream {
        return Ok(stream::respond(answers, reply));
    }
    let answers = answers.collect().await?;
    Ok(body::json(StatusCode::OK, &reply.whole(answers)))
}
