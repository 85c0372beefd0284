//! Objects that say which properties they have, and nothing of others: they get no others.
//!
//! The standard lets such an object have any further property. A small model that may go on often
//! does, until its answer is cut; a narrower schema has only answers that the wider one has too.

use serde_json::{Map, Value};

use super::keywords::Keyword;

/// What puts schemas together.
const COMBINE: [&str; 4] = ["allOf", "anyOf", "oneOf", "$ref"];

/// The schema, narrowed unless something in it puts schemas together: each part would then refuse
/// what the others ask for.
pub(super) fn closed(schema: &Value) -> Value {
    let mut closed = schema.clone();
    let mut is_put_together = false;
    each(&mut closed, &mut |map| is_put_together |= puts_together(map));
    if !is_put_together {
        each(&mut closed, &mut close);
    }
    closed
}

fn close(map: &mut Map<String, Value>) {
    let Some(Value::Object(properties)) = map.get("properties") else { return };
    let is_open =
        !["additionalProperties", "patternProperties"].iter().any(|&key| map.contains_key(key));
    let least = map.get("minProperties").and_then(Value::as_u64).unwrap_or(0);
    let is_there = |name: &Value| name.as_str().is_some_and(|name| properties.contains_key(name));
    let required = map.get("required").and_then(Value::as_array);
    let has_all = required.is_none_or(|names| names.iter().all(is_there));
    if is_open && has_all && least <= properties.len() as u64 {
        map.insert("additionalProperties".to_owned(), false.into());
    }
}

/// Whether a value has to satisfy more than one part of this schema, where one may have properties
/// that another has not.
fn puts_together(map: &Map<String, Value>) -> bool {
    let is_fixed = map.contains_key("const") || map.contains_key("enum");
    let combined: usize = COMBINE
        .iter()
        .map(|&key| match map.get(key) {
            Some(Value::Array(schemas)) if key == "allOf" => schemas.len(),
            // Of several alternatives a value satisfies one.
            part => usize::from(part.is_some()),
        })
        .sum();
    let asks = map.keys().any(|key| {
        !COMBINE.contains(&key.as_str())
            && key != "type"
            && !matches!(Keyword::of(key), Some(Keyword::Remark | Keyword::Root))
    });
    combined > 1 || (combined == 1 && asks) || (is_fixed && map.contains_key("properties"))
}

/// Shows `see` the schema and all within it.
fn each(schema: &mut Value, see: &mut impl FnMut(&mut Map<String, Value>)) {
    let Value::Object(map) = schema else { return };
    see(map);
    for (key, value) in map {
        let is_named =
            matches!(key.as_str(), "properties" | "patternProperties" | "$defs" | "definitions");
        let is_schema = matches!(
            Keyword::of(key),
            Some(Keyword::Schema | Keyword::Schemas | Keyword::SchemaOrSchemas)
        );
        match value {
            Value::Object(schemas) if is_named => {
                schemas.values_mut().for_each(|schema| each(schema, see));
            }
            Value::Array(schemas) if is_schema => {
                schemas.iter_mut().for_each(|schema| each(schema, see));
            }
            schema if is_schema => each(schema, see),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_says_nothing_of_others_is_closed() {
        let point = json!({"properties": {"x": {"type": "integer"}}, "required": ["x"]});
        let mut narrow = point.clone();
        narrow["additionalProperties"] = false.into();
        for schema in [
            point.clone(),
            json!({"type": "array", "items": point}),
            json!({"$ref": "#/$defs/point", "title": "a", "$defs": {"point": point}}),
            json!({"properties": {"p": {"anyOf": [point, {"type": "null"}], "default": 1}},
                "additionalProperties": point}),
            json!({"allOf": [point], "description": "as pydantic writes references"}),
        ] {
            let text = schema.to_string().replace(&point.to_string(), &narrow.to_string());
            assert_eq!(closed(&schema).to_string(), text);
        }
    }

    #[test]
    fn what_would_lose_answers_stays_open() {
        for schema in [
            json!({"type": "object"}),
            json!({"properties": {"x": {}}, "additionalProperties": {"type": "null"}}),
            json!({"properties": {"x": {}}, "patternProperties": {"^y": {}}}),
            json!({"properties": {"x": {}}, "required": ["y"]}),
            json!({"properties": {"x": {}}, "minProperties": 2}),
            json!({"properties": {"x": {}}, "const": {"x": 1, "y": 2}}),
            json!({"allOf": [{"properties": {"x": {}}}, {"properties": {"y": {}}}]}),
            json!({"properties": {"x": {}}, "anyOf": [{"required": ["y"]}, {"required": ["z"]}]}),
            json!({"$ref": "#/$defs/a", "required": ["y"], "$defs": {"a": {"properties": {"x": {}}}}}),
            json!({"enum": [{"properties": {"x": 1}}]}),
        ] {
            assert_eq!(closed(&schema), schema);
        }
    }
}
