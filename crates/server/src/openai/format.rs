//! What an answer must look like, as requests say it.

use rushlight_text::constrain::Grammar;
use serde_json::Value;

use super::chat::schema::{NAMED_SCHEMA, PLAIN_FORMAT, SCHEMA_FORMAT};
use crate::failure::Failure;
use crate::fields::Fields;

/// Characters that a schema's name may have, as the API says.
pub(super) const NAME: &str = "letters, digits, `_` and `-`, at most 64";

/// A grammar, and the parameter that asked for it.
pub(super) type Asked = (&'static str, Grammar);

/// Takes the form of a chat's answer: `response_format`, or one of those that [`grammar`] takes.
pub(super) fn take(fields: &mut Fields) -> Result<Option<Asked>, Failure> {
    let format = response_format(fields)?;
    let other = grammar(fields)?;
    match (format, other) {
        (Some(_), Some((name, _))) => {
            let message = format!("`{name}` is not for requests with a `response_format`");
            Err(Failure::value(name, message))
        }
        (format, other) => Ok(format.or(other)),
    }
}

/// Takes `grammar` (GBNF, as llama.cpp's server has it) or `guided_regex` (as vLLM's has it).
pub(super) fn grammar(fields: &mut Fields) -> Result<Option<Asked>, Failure> {
    let gbnf = fields.text("grammar")?.map(|text| ("grammar", Grammar::Gbnf(text)));
    let regex = fields.text("guided_regex")?.map(|text| ("guided_regex", Grammar::Regex(text)));
    match (gbnf, regex) {
        (Some(_), Some(_)) => {
            let message = "`guided_regex` is not for requests with a `grammar`";
            Err(Failure::value("guided_regex", message))
        }
        (gbnf, regex) => Ok(gbnf.or(regex)),
    }
}

fn response_format(fields: &mut Fields) -> Result<Option<Asked>, Failure> {
    let Some(mut format) = fields.object("response_format")? else { return Ok(None) };
    let kind = format.text("type")?;
    let (grammar, table) = match format.need("type", kind)?.as_str() {
        "text" => (None, &PLAIN_FORMAT),
        "json_object" => (Some(Grammar::JsonObject), &PLAIN_FORMAT),
        "json_schema" => (Some(schema(&mut format)?), &SCHEMA_FORMAT),
        other => {
            let message = format!(
                "`response_format.type` is `{other}`, expected `text`, `json_object` or `json_schema`"
            );
            return Err(Failure::unsupported("response_format", message));
        }
    };
    format.end(table)?;
    Ok(grammar.map(|grammar| ("response_format", grammar)))
}

/// Takes a schema with its name. It is followed to the letter whether or not it is `strict`.
fn schema(format: &mut Fields) -> Result<Grammar, Failure> {
    let described = format.object("json_schema")?;
    let mut described = format.need("json_schema", described)?;
    let name = described.text("name")?;
    let name = described.need("name", name)?;
    let good = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if name.is_empty() || name.len() > 64 || !name.chars().all(good) {
        let message = format!("`response_format.json_schema.name` is not made of {NAME}");
        return Err(Failure::value("response_format.json_schema.name", message));
    }
    described.text("description")?;
    described.flag("strict")?;
    let schema = described.take("schema");
    let schema: Value = described.need("schema", schema)?;
    described.end(&NAMED_SCHEMA)?;
    Ok(Grammar::JsonSchema(schema))
}
