//! `POST /api/embed` and the older `POST /api/embeddings`: texts as vectors.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use rushlight_engine::{EmbedOptions, EmbedText};
use serde_json::{Value, json};

use super::keep_alive::KeepAlive;
use super::options;
use super::schema::{EMBED, EMBED_ONE};
use crate::app::{App, Unnamed};
use crate::embeddings::{self, Embed, Embedded};
use crate::failure::Failure;
use crate::fields::{Fields, wrong};
use crate::models::Lease;
use crate::openai::embeddings::numbers;
use crate::schema::Object;
use crate::worker::Served;
use crate::{body, prompt};

/// A request.
struct Wanted {
    keep_alive: Option<KeepAlive>,
    texts: Vec<EmbedText>,
    options: EmbedOptions,
}

/// Reads a request for the vectors of one text or several.
fn read(served: &Served, mut fields: Fields) -> Result<Wanted, Failure> {
    embeddings::check_embeds(served)?;
    let want = "a string or a list of strings";
    let list = match fields.take("input") {
        None => Vec::new(),
        Some(Value::String(text)) if text.is_empty() => Vec::new(),
        Some(Value::Array(list)) => list,
        Some(one @ Value::String(_)) => vec![one],
        Some(other) => return Err(wrong("input", &other, want)),
    };
    embeddings::check_count("input", list.len())?;
    let truncates = fields.flag("truncate")?.unwrap_or(true);
    let how = embeddings::options(served, &mut fields)?;
    let keep_alive = shared(served, fields, &EMBED)?;
    let one = |(at, value): (usize, Value)| match value {
        Value::String(text) => embed_text(served, &text, truncates),
        other => Err(wrong(&format!("input[{at}]"), &other, "a string")),
    };
    let texts = list.into_iter().enumerate().map(one).collect::<Result<Vec<_>, _>>()?;
    embeddings::check(served, "input", &texts)?;
    Ok(Wanted { keep_alive, texts, options: how })
}

/// Reads the older request, for the vector of one text, which is not brought to length 1.
fn read_old(served: &Served, mut fields: Fields) -> Result<Wanted, Failure> {
    embeddings::check_embeds(served)?;
    let text = fields.text("prompt")?.unwrap_or_default();
    let keep_alive = shared(served, fields, &EMBED_ONE)?;
    let texts = match text.is_empty() {
        true => Vec::new(),
        false => vec![embed_text(served, &text, true)?],
    };
    embeddings::check(served, "prompt", &texts)?;
    let mut how = EmbedOptions::default();
    how.normalized = false;
    Ok(Wanted { keep_alive, texts, options: how })
}

/// Takes what both requests have; there is no more.
fn shared(
    served: &Served,
    mut fields: Fields,
    table: &Object,
) -> Result<Option<KeepAlive>, Failure> {
    let keep_alive = KeepAlive::take(&mut fields)?;
    let given = fields.object("options")?;
    options::read(served, given)?;
    fields.end(table)?;
    Ok(keep_alive)
}

/// A text; one that is too long without its end, where that is asked for.
fn embed_text(served: &Served, text: &str, truncates: bool) -> Result<EmbedText, Failure> {
    let mut text = embeddings::text(served, text)?;
    let (context, count) = (served.context, text.tokens.len());
    if truncates && count > context {
        // What stands behind every text stays.
        let after = prompt::tokenizer(served)?.after().len().min(context);
        text.tokens.drain(context - after..count - after);
    }
    Ok(text)
}

/// Embeds texts.
pub(super) async fn create(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, Failure> {
    let asked = Instant::now();
    let text = body::read_untyped(request, &app).await?;
    let read = app.read(text, Unnamed::Refused, |_, lease, fields| read(lease.served(), fields));
    let (lease, wanted) = read.await?;
    let (name, loaded) = (lease.asked().to_owned(), Instant::now());
    let found = embed(&app, lease, wanted).await?;
    let text = app.aside(move |_| {
        let mut out = format!("{{\"model\":{},\"embeddings\":[", json!(name));
        for (index, vector) in found.vectors.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            // Writing to a text does not fail.
            let _ = write!(out, "{comma}{}", numbers(vector));
        }
        let nanoseconds = |time: std::time::Duration| time.as_nanos();
        let _ = write!(
            out,
            "],\"total_duration\":{},\"load_duration\":{},\"prompt_eval_count\":{}}}",
            nanoseconds(asked.elapsed()),
            nanoseconds(loaded - asked),
            found.tokens
        );
        Ok(out)
    });
    Ok(body::json_text(StatusCode::OK, text.await?))
}

/// Embeds one text, as the API had it before.
pub(super) async fn create_old(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, Failure> {
    let text = body::read_untyped(request, &app).await?;
    let read =
        app.read(text, Unnamed::Refused, |_, lease, fields| read_old(lease.served(), fields));
    let (lease, wanted) = read.await?;
    let found = embed(&app, lease, wanted).await?;
    let vector = numbers(found.vectors.first().map_or(&[], Vec::as_slice));
    Ok(body::json_text(StatusCode::OK, format!("{{\"embedding\":{vector}}}")))
}

/// Embeds what is wanted; without a text the model is to be loaded, which it is.
async fn embed(app: &Arc<App>, lease: Lease, wanted: Wanted) -> Result<Embedded, Failure> {
    let Wanted { keep_alive, texts, options } = wanted;
    if let Some(keep_alive) = keep_alive {
        lease.keep(keep_alive.idle());
    }
    if texts.is_empty() {
        return Ok(Embedded::default());
    }
    let embed = Embed { texts, options, priority: 0, deadline: app.deadline() };
    lease.embed(embed)?.all().await
}
