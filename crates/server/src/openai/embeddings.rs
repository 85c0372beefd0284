//! `POST /v1/embeddings`: texts as vectors.

pub(crate) mod schema;

use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use rushlight_engine::EmbedText;
use serde_json::{Value, json};

use super::parameters::Urgency;
use crate::app::{App, Unnamed};
use crate::embeddings::{self, Embed};
use crate::failure::Failure;
use crate::fields::{Fields, wrong};
use crate::worker::Served;
use crate::{body, prompt};

/// How vectors are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    /// As numbers.
    Float,
    /// As the base64 of little-endian f32.
    Base64,
}

/// What `encoding_format` may be.
const ENCODINGS: &str = "`float` or `base64`";

fn read(app: &App, served: &Served, mut fields: Fields) -> Result<(Embed, Encoding), Failure> {
    embeddings::check_embeds(served)?;
    let input = fields.take("input");
    let input = fields.need("input", input)?;
    let encoding = match fields.text("encoding_format")?.as_deref() {
        None | Some("float") => Encoding::Float,
        Some("base64") => Encoding::Base64,
        Some(other) => return Err(wrong("encoding_format", &json!(other), ENCODINGS)),
    };
    let options = embeddings::options(served, &mut fields)?;
    let Urgency { priority, deadline } = Urgency::take(app, &mut fields)?;
    fields.text("user")?;
    fields.end(&schema::REQUEST)?;
    let texts = texts(served, input)?;
    embeddings::check(served, "input", &texts)?;
    Ok((Embed { texts, options, priority, deadline }, encoding))
}

/// Reads a text, a list of texts, a list of tokens or a list of lists of tokens.
fn texts(served: &Served, input: Value) -> Result<Vec<EmbedText>, Failure> {
    let want = "a string, a list of strings, a list of tokens or a list of lists of tokens";
    let list = match input {
        Value::String(_) => vec![input],
        Value::Array(list) if list.first().is_some_and(Value::is_number) => {
            vec![Value::Array(list)]
        }
        Value::Array(list) if !list.is_empty() => list,
        other => return Err(wrong("input", &other, want)),
    };
    embeddings::check_count("input", list.len())?;
    let one = |value| match value {
        Value::String(text) => embeddings::text(served, &text),
        // Tokens are taken as they are.
        Value::Array(ids) => {
            let tokens = prompt::of_ids(served, "input", &ids)?;
            Ok(EmbedText { tokens, segments: Vec::new() })
        }
        other => Err(wrong("input", &other, want)),
    };
    list.into_iter().map(one).collect()
}

/// Embeds texts.
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, Failure> {
    let text = body::read(request, &app).await?;
    let read =
        app.read(text, Unnamed::First, |app, lease, fields| read(app, lease.served(), fields));
    let (lease, (embed, encoding)) = read.await?;
    let name = lease.name().to_owned();
    let found = lease.embed(embed)?.all().await?;
    // A million numbers take a while to write.
    let text = app.aside(move |_| {
        let usage = found.usage();
        let mut out = String::from("{\"object\":\"list\",\"data\":[");
        for (index, vector) in found.vectors.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            let vector = match encoding {
                Encoding::Float => numbers(vector),
                Encoding::Base64 => format!("\"{}\"", base64(vector)),
            };
            // Writing to a text does not fail.
            let _ = write!(
                out,
                "{comma}{{\"object\":\"embedding\",\"index\":{index},\"embedding\":{vector}}}"
            );
        }
        let _ = write!(out, "],\"model\":{},\"usage\":{usage}}}", json!(name));
        Ok(out)
    });
    Ok(body::json_text(StatusCode::OK, text.await?))
}

/// A vector as a list of JSON, each number as short as tells it from its neighbours among f32.
pub(crate) fn numbers(vector: &[f32]) -> String {
    // Numbers are always JSON, as the engine gives finite ones.
    serde_json::to_string(vector).unwrap_or_default()
}

/// The base64 (RFC 4648, section 4) of a vector's little-endian bytes.
fn base64(vector: &[f32]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bytes: Vec<u8> = vector.iter().flat_map(|x| x.to_le_bytes()).collect();
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let at = |i: usize| u32::from(group.get(i).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for i in 0..4 {
            let sextet = (bits >> (18 - 6 * i)) as usize & 63;
            out.push(if i <= group.len() { char::from(ALPHABET[sextet]) } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_others() {
        // python3 -c "import base64,struct; print(base64.b64encode(struct.pack('<3f',1,-2.5,3e8)))"
        assert_eq!(base64(&[1.0, -2.5, 3e8]), "AACAPwAAIMAYDY9N");
        assert_eq!(base64(&[1.0]), "AACAPw==");
        assert_eq!(base64(&[1.0, 2.0]), "AACAPwAAAEA=");
        assert_eq!(base64(&[]), "");
    }
}
