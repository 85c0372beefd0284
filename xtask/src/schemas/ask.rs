//! Requests, several at once.

use super::Schema;
use super::options::Options;
use crate::serving::http;
use crate::serving::stream::{Streamed, milliseconds, read};
use anyhow::{Context, Result, anyhow, bail};
use serde_json::{Value, json};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

/// A schema and what came of asking for it.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) name: String,
    pub(super) schema: Value,
    pub(super) outcome: Outcome,
}

#[derive(Clone, Debug)]
pub(super) enum Outcome {
    Refused { message: String, milliseconds: f64 },
    Answered(Streamed),
}

/// Asks for all schemas.
pub(super) fn all(address: &str, schemas: &[Schema], options: &Options) -> Result<Vec<Asked>> {
    let next = AtomicUsize::new(0);
    let found = Mutex::new(Vec::new());
    let user = || -> Result<()> {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(schema) = schemas.get(number) else { break Ok(()) };
            let seed = options.seed.wrapping_add(number as u64);
            let outcome = one(address, schema, seed, options.tokens)
                .with_context(|| format!("the schema `{}`", schema.name))?;
            if number.is_multiple_of(100) {
                eprintln!("  schema {number}");
            }
            let asked = Asked { name: schema.name.clone(), schema: schema.value.clone(), outcome };
            found.lock().map_err(|_| anyhow!("a user panicked"))?.push((number, asked));
        }
    };
    thread::scope(|scope| {
        let users: Vec<_> = (0..options.users.max(1)).map(|_| scope.spawn(user)).collect();
        let mut users = users.into_iter();
        users.try_for_each(|user| user.join().map_err(|_| anyhow!("a user panicked"))?)
    })?;
    let mut found = found.into_inner().map_err(|_| anyhow!("a user panicked"))?;
    found.sort_by_key(|(number, _)| *number);
    Ok(found.into_iter().map(|(_, asked)| asked).collect())
}

fn one(address: &str, schema: &Schema, seed: u64, tokens: usize) -> Result<Outcome> {
    /// Characters of the schema in the prompt: so that the answer has to do with it.
    const SHOWN: usize = 200;
    let text: String = schema.value.to_string().chars().take(SHOWN).collect();
    let body = json!({
        "messages": [{ "role": "user", "content": format!("An example, short:\n{text}") }],
        "response_format": {
            "type": "json_schema",
            "json_schema": { "name": "it", "strict": true, "schema": schema.value },
        },
        "temperature": 1,
        "seed": seed,
        "max_tokens": tokens,
        "stream": true,
        "stream_options": { "include_usage": true },
    });
    let begun = Instant::now();
    let answer = http::post(address, "/v1/chat/completions", &body)?;
    match answer.status {
        200 => Ok(Outcome::Answered(read(begun, answer, |_| ())?)),
        400 => {
            let error = answer.json()?;
            let message = error["error"]["message"].as_str().context("an error has a message")?;
            let milliseconds = milliseconds(begun, Instant::now());
            Ok(Outcome::Refused { message: message.to_owned(), milliseconds })
        }
        status => bail!("status {status}: {}", answer.text()?),
    }
}
