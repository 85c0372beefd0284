//! `GET /openapi.json`: all routes as OpenAPI 3.1 describes them
//! (<https://spec.openapis.org/oas/v3.1.0>), made of the tables that the router is made of and that
//! debug builds compare requests with.
//!
//! It is the same for every server of a version and tells nothing of this one, so it needs no key.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use serde_json::{Map, Value, json};

use crate::page::{self, File};
use crate::routes::{self, Body, Method, Route};
use crate::schema::{Components, Kind, Presence};
use crate::{dialect, guard};

/// Where the document is.
pub(crate) const PATH: &str = "/openapi.json";

const JSON: &str = "application/json";

const ABOUT: &str = "Models on this machine, in the words of several APIs. A parameter that a server \
    does not know is an error which names it. Keys are needed where the server was given some. The \
    chat page at `/` and its files are not described. Streams are described by `x-item-schema`: the \
    schema of each event's data or of each line.";

static TEXT: LazyLock<String> = LazyLock::new(|| document().to_string());

static SERVED: LazyLock<(File, HeaderValue)> = LazyLock::new(|| {
    let file = page::file(PATH, JSON, openapi());
    let tag = page::tag(file.text);
    (file, tag)
});

/// All routes of every server as an OpenAPI 3.1 document, which servers have at `/openapi.json`.
pub fn openapi() -> &'static str {
    TEXT.as_str()
}

/// The document, unless the client has this version of it.
pub(crate) async fn serve(headers: HeaderMap) -> Response {
    let (file, tag) = &*SERVED;
    page::answer(file, tag, &headers)
}

fn document() -> Value {
    let mut components = Components::default();
    let mut paths: Map<String, Value> = Map::new();
    for route in routes::all() {
        let path = route.path.replace("{*", "{");
        let operation = operation(route, &path, &mut components);
        let methods = paths.entry(path).or_insert_with(|| json!({}));
        methods[route.method.name()] = operation;
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "rushlight",
            "description": ABOUT,
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "MIT or Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "security": [{}, { "bearer": [] }, { "key": [] }],
        "paths": paths,
        "components": {
            "schemas": components.into_value(),
            "securitySchemes": {
                "bearer": { "type": "http", "scheme": "bearer" },
                "key": { "type": "apiKey", "in": "header", "name": "x-api-key" },
            },
        },
    })
}

fn operation(route: &Route, path: &str, components: &mut Components) -> Value {
    let mut operation = json!({
        "operationId": route.name,
        "tags": [route.of],
        "summary": route.doc,
    });
    let mut parameters: Vec<Value> = variables(path).map(variable).collect();
    let (query, body) = match route.method {
        Method::Get => (route.request, None),
        Method::Post | Method::Delete => (None, route.request),
    };
    for field in query.iter().flat_map(|query| query.all()) {
        parameters.push(json!({
            "name": field.name,
            "in": "query",
            "required": field.presence == Presence::Needed,
            "schema": components.request_value(&field.kind),
            "description": field.doc,
        }));
    }
    if !parameters.is_empty() {
        operation["parameters"] = json!(parameters);
    }
    if let Some(request) = body {
        let content = json!({ JSON: { "schema": components.request(request) } });
        operation["requestBody"] = json!({ "required": true, "content": content });
    }
    operation["responses"] = responses(route, path, components);
    if guard::is_open(route.path) {
        operation["security"] = json!([]);
    }
    operation
}

/// The names of a path's variables.
fn variables(path: &str) -> impl Iterator<Item = &str> {
    path.split('{').skip(1).filter_map(|rest| rest.split('}').next())
}

fn variable(name: &str) -> Value {
    json!({
        "name": name,
        "in": "path",
        "required": true,
        "schema": { "type": "string", "minLength": 1 },
    })
}

/// The responses of a route by their statuses.
fn responses(route: &Route, path: &str, components: &mut Components) -> Value {
    let mut all: BTreeMap<u16, Map<String, Value>> = BTreeMap::new();
    for reply in route.replies {
        let contents = all.entry(reply.status).or_default();
        let (kind, content) = match &reply.body {
            Body::Json(kind) => (JSON, json!({ "schema": components.response(kind) })),
            Body::Events(kind) => ("text/event-stream", stream(kind, components)),
            Body::Lines(kind) => ("application/x-ndjson", stream(kind, components)),
            Body::Text(kind) => (*kind, json!({ "schema": { "type": "string" } })),
            Body::Empty => continue,
        };
        contents.insert(kind.to_owned(), content);
    }
    for status in route.failures {
        let errors = dialect::errors(path);
        let mut errors: Vec<Value> =
            errors.iter().map(|error| components.response(&Kind::Object(error))).collect();
        let contents = all.entry(*status).or_default();
        errors.extend(contents.get(JSON).map(|content| content["schema"].clone()));
        let schema = match errors.as_slice() {
            [error] => error.clone(),
            errors => json!({ "anyOf": errors }),
        };
        contents.insert(JSON.to_owned(), json!({ "schema": schema }));
    }
    let response = |(status, contents): (u16, Map<String, Value>)| {
        let mut response = json!({ "description": description(status) });
        if !contents.is_empty() {
            response["content"] = Value::Object(contents);
        }
        (status.to_string(), response)
    };
    Value::Object(all.into_iter().map(response).collect())
}

/// A stream of values of a kind. It has no `schema`: tools do not agree on whether that is of the whole
/// text or of an event.
fn stream(kind: &Kind, components: &mut Components) -> Value {
    json!({ "x-item-schema": components.response(kind) })
}

/// What a status says here.
fn description(status: u16) -> &'static str {
    match status {
        200 => "The answer.",
        304 => "The client has this version already.",
        400 => "A parameter is wrong, unknown or unsupported, or the prompt is too long.",
        401 => "There is no key, or it is not one of the server's that still hold.",
        403 => "The `Host`, the `Origin` or this key is not allowed here.",
        404 => "There is no such model, or no such response.",
        408 => "The request did not come, or the answer was not complete, in time.",
        413 => "The request is too large.",
        415 => "The request does not say that it is JSON.",
        422 => "The grammar of the answer lets nothing follow.",
        429 => {
            "The queue is full, or the key had its share; `Retry-After` says when to come again."
        }
        503 => "It cannot be answered now; `Retry-After` says when to come again.",
        other => {
            let status = StatusCode::from_u16(other).unwrap_or_default();
            status.canonical_reason().unwrap_or("Another status.")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::Object;

    /// All references of a value.
    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(fields) => {
                found.extend(fields.get("$ref").and_then(Value::as_str));
                fields.values().for_each(|value| references(value, found));
            }
            Value::Array(list) => list.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }

    #[test]
    fn references_lead_somewhere_and_everything_is_referred_to() {
        let document = document();
        let mut found = Vec::new();
        references(&document, &mut found);
        let schemas = document["components"]["schemas"].as_object().unwrap();
        for reference in &found {
            let schema = document.pointer(reference.strip_prefix('#').unwrap());
            assert!(schema.is_some_and(Value::is_object), "{reference}");
        }
        for name in schemas.keys() {
            let whole = format!("#/components/schemas/{name}");
            assert!(found.contains(&whole.as_str()), "{name}");
        }
    }

    #[test]
    fn operations_are_whole_and_their_names_differ() {
        let document = document();
        let mut names = Vec::new();
        for (path, methods) in document["paths"].as_object().unwrap() {
            assert!(path.starts_with('/') && !path.contains('*'), "{path}");
            for (method, operation) in methods.as_object().unwrap() {
                let name = operation["operationId"].as_str().unwrap();
                names.push(name.to_owned());
                let reads = operation.get("requestBody").is_some();
                assert_eq!(reads, method == "post", "{method} {path}");
                let responses = operation["responses"].as_object().unwrap();
                assert!(responses.contains_key("200"), "{method} {path}");
                for (status, response) in responses {
                    assert!(status.parse::<u16>().is_ok_and(|s| (200..600).contains(&s)));
                    assert!(response["description"].is_string(), "{method} {path} {status}");
                }
                let parameters = operation["parameters"].as_array().into_iter().flatten();
                let in_path = parameters.filter(|parameter| parameter["in"] == "path").count();
                assert_eq!(in_path, path.matches('{').count(), "{path}");
                let open = ["/livez", "/readyz", PATH].contains(&path.as_str());
                assert_eq!(operation.get("security").is_some(), open, "{path}");
                assert_eq!(responses.contains_key("401"), !open, "{path}");
            }
        }
        let count = names.len();
        assert_eq!(count, routes::all().count());
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count, "{names:?}");
    }

    /// The tables within a kind.
    fn objects(kind: &Kind, found: &mut Vec<&'static Object>) {
        match kind {
            Kind::Object(object) if !found.iter().any(|known| std::ptr::eq(*known, *object)) => {
                found.push(object);
                object.all().for_each(|field| objects(&field.kind, found));
            }
            Kind::List(kind) | Kind::Bounded(kind, ..) | Kind::MapOf(kind) | Kind::OrNull(kind) => {
                objects(kind, found)
            }
            Kind::AnyOf(kinds) => kinds.iter().for_each(|kind| objects(kind, found)),
            _ => {}
        }
    }

    #[test]
    fn no_two_tables_have_the_same_name_and_no_table_has_a_field_twice() {
        let (mut requests, mut replies) = (Vec::new(), Vec::new());
        for route in routes::all() {
            route.request.iter().for_each(|table| objects(&Kind::Object(table), &mut requests));
            for reply in route.replies {
                if let Body::Json(kind) | Body::Events(kind) | Body::Lines(kind) = &reply.body {
                    objects(kind, &mut replies);
                }
            }
        }
        let all: Vec<_> = requests.into_iter().chain(replies).collect();
        for (at, table) in all.iter().enumerate() {
            assert!(all[..at].iter().all(|other| other.name != table.name), "{}", table.name);
            let fields: Vec<&str> = table.all().map(|field| field.name).collect();
            for (at, field) in fields.iter().enumerate() {
                assert!(!fields[..at].contains(field), "{} {field}", table.name);
            }
        }
    }
}
