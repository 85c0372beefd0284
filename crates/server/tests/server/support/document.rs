//! Whether what servers take and answer is as their document says: every request of these tests is
//! looked at.

use std::sync::LazyLock;

use serde_json::{Map, Value};

use super::Reply;

static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(rushlight_server::openapi()).unwrap());

/// Paths of the page, which the document leaves out.
const PAGE: [&str; 3] = ["/", "/favicon.ico", "/page/"];

/// Fails where a request that was taken, or its answer, is not as the document says.
pub(crate) fn check(method: &str, path: &str, body: &str, reply: &Reply) {
    if let Err(wrong) = differences(method, path, body, reply) {
        panic!("not as the document says: {method} {path} {body}\n{reply:?}\n{wrong}");
    }
}

/// The words of what a port says that speaks TLS, whatever it is asked in plain text.
const NO_TLS: &str = "this port speaks TLS";

fn differences(method: &str, path: &str, body: &str, reply: &Reply) -> Result<(), String> {
    if reply.body.contains(NO_TLS) {
        return Ok(());
    }
    let path = path.split('?').next().unwrap();
    let Some(operations) = operations(path) else {
        let page = PAGE.contains(&path) || path.starts_with(PAGE[2]);
        let refused = [401, 403, 404].contains(&reply.status);
        return if page || refused { Ok(()) } else { Err("there is no such path".to_owned()) };
    };
    let Some(operation) = operations.get(&method.to_lowercase()) else {
        let refused = [401, 403, 405].contains(&reply.status);
        let asks_first = method == "OPTIONS" || method == "HEAD";
        return if refused || asks_first { Ok(()) } else { Err("no such method".to_owned()) };
    };
    let response = operation["responses"].get(reply.status.to_string());
    let response = response.ok_or("there is no such status")?;
    if reply.status == 200 && operation.get("requestBody").is_some() {
        let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
        conforms(schema, &serde_json::from_str(body).unwrap(), "request")?;
    }
    let Some(contents) = response.get("content").and_then(Value::as_object) else {
        return if reply.body.is_empty() { Ok(()) } else { Err("there is a body".to_owned()) };
    };
    answer(contents, reply)
}

fn answer(contents: &Map<String, Value>, reply: &Reply) -> Result<(), String> {
    let found = reply.header("content-type").unwrap_or_default();
    let kind = found.split(';').next().unwrap();
    let content = contents.get(found).or_else(|| contents.get(kind));
    let content = content.ok_or_else(|| format!("no such content type: {found}"))?;
    match kind {
        "application/json" => conforms(&content["schema"], &reply.json(), "answer"),
        "text/event-stream" | "application/x-ndjson" => {
            let items = reply.body.lines().filter_map(|line| match kind {
                "text/event-stream" => line.strip_prefix("data: "),
                _ => Some(line),
            });
            for item in items.filter(|item| *item != "[DONE]") {
                let item = serde_json::from_str(item).map_err(|error| error.to_string())?;
                conforms(&content["x-item-schema"], &item, "item")?;
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// The methods of a path.
fn operations(path: &str) -> Option<&'static Map<String, Value>> {
    let paths = DOCUMENT["paths"].as_object().unwrap();
    let is = |template: &str| match template.split_once('{') {
        None => template == path,
        Some((before, rest)) => {
            let after = rest.split_once('}').unwrap().1;
            let variable = path.strip_prefix(before).and_then(|path| path.strip_suffix(after));
            variable.is_some_and(|variable| !variable.is_empty())
        }
    };
    // What says more comes first.
    let matching = paths.iter().filter(|(template, _)| is(template));
    matching.max_by_key(|(template, _)| template.len()).and_then(|(_, all)| all.as_object())
}

/// Whether a value is what a schema says; objects have no more fields than it names.
fn conforms(schema: &Value, value: &Value, place: &str) -> Result<(), String> {
    if let Some(name) = schema["$ref"].as_str() {
        return conforms(DOCUMENT.pointer(&name[1..]).unwrap(), value, place);
    }
    if let Some(kinds) = schema["anyOf"].as_array() {
        let found: Result<Vec<String>, ()> =
            kinds.iter().map(|kind| conforms(kind, value, place).err().ok_or(())).collect();
        return found.map_or(Ok(()), |wrong| Err(wrong.join("\n  or ")));
    }
    let wrong = |what: &str| Err(format!("{place} is {value}, expected {what}"));
    let kinds: Vec<&str> = match &schema["type"] {
        Value::String(kind) => vec![kind],
        Value::Array(kinds) => kinds.iter().map(|kind| kind.as_str().unwrap()).collect(),
        _ => Vec::new(),
    };
    if !kinds.is_empty() && !kinds.iter().any(|kind| is(value, kind)) {
        return wrong(&format!("{kinds:?}"));
    }
    if let Some(values) = schema["enum"].as_array()
        && !values
            .iter()
            .any(|one| one == value || one.as_f64().is_some_and(|n| Some(n) == value.as_f64()))
    {
        return wrong(&format!("one of {values:?}"));
    }
    let (least, most) = (schema["minimum"].as_f64(), schema["maximum"].as_f64());
    if let Some(number) = value.as_f64()
        && (least.is_some_and(|least| number < least) || most.is_some_and(|most| number > most))
    {
        return wrong(&format!("from {least:?} to {most:?}"));
    }
    match value {
        Value::String(text) => bounded(schema, "Length", text.chars().count(), place),
        Value::Array(list) => {
            bounded(schema, "Items", list.len(), place)?;
            let items = schema.get("items").unwrap_or(&Value::Null);
            let item = |(at, item)| conforms(items, item, &format!("{place}[{at}]"));
            list.iter().enumerate().try_for_each(item)
        }
        Value::Object(fields) => object(schema, fields, place),
        _ => Ok(()),
    }
}

fn object(schema: &Value, fields: &Map<String, Value>, place: &str) -> Result<(), String> {
    for name in schema["required"].as_array().into_iter().flatten() {
        if fields.get(name.as_str().unwrap()).is_none() {
            return Err(format!("{place} has no {name}"));
        }
    }
    let others = &schema["additionalProperties"];
    for (name, value) in fields {
        let place = format!("{place}.{name}");
        match (schema["properties"].get(name), others) {
            (Some(schema), _) => conforms(schema, value, &place)?,
            (None, Value::Object(_)) => conforms(others, value, &place)?,
            (None, Value::Bool(true)) => {}
            (None, _) if schema.get("type").is_none() => {}
            _ => return Err(format!("{place} is not there")),
        }
    }
    Ok(())
}

fn bounded(schema: &Value, what: &str, count: usize, place: &str) -> Result<(), String> {
    let bound = |side: &str| schema[format!("{side}{what}")].as_u64().map(|n| n as usize);
    let (least, most) = (bound("min"), bound("max"));
    let holds = least.is_none_or(|n| count >= n) && most.is_none_or(|n| count <= n);
    if holds { Ok(()) } else { Err(format!("{place} has {count}, expected {least:?} to {most:?}")) }
}

fn is(value: &Value, kind: &str) -> bool {
    match kind {
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "null" => value.is_null(),
        _ => panic!("there is no type `{kind}`"),
    }
}
