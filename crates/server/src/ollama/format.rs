//! What an answer must look like: any JSON object, or what a schema says.

use rushlight_text::constrain::{Constraint, Grammar};
use serde_json::Value;

use crate::failure::Failure;
use crate::fields::{Fields, wrong};
use crate::worker::Served;

/// Takes `format`; an empty text is none.
pub(super) fn take(served: &Served, fields: &mut Fields) -> Result<Option<Constraint>, Failure> {
    let grammar = match fields.take("format") {
        None => return Ok(None),
        Some(Value::String(text)) if text.is_empty() => return Ok(None),
        Some(Value::String(text)) if text == "json" => Grammar::JsonObject,
        Some(schema @ Value::Object(_)) => Grammar::JsonSchema(schema),
        Some(other) => return Err(wrong("format", &other, "`json` or a schema")),
    };
    served.constraint("format", &grammar).map(Some)
}
