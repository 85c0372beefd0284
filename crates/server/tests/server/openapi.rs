//! `/openapi.json`. That it is true is checked by `support::document` with each request of all tests.

use serde_json::{Value, json};

use crate::support::Running;

const PATH: &str = "/openapi.json";

#[test]
fn the_document_is_served_to_everybody_and_once_for_each_version() {
    let dir = tempfile::tempdir().unwrap();
    let keys = dir.path().join("keys");
    std::fs::write(&keys, format!("sha256:{} ours\n", "0".repeat(64))).unwrap();
    let server = Running::start(|options| options.key_file = Some(keys));
    let reply = server.get(PATH);
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert_eq!(reply.header("cache-control"), Some("no-cache"));
    assert_eq!(reply.body, rushlight_server::openapi());
    let document = reply.json();
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    let tag = reply.header("etag").unwrap();
    let known = server.send("GET", PATH, &[("if-none-match", tag)], "");
    assert_eq!((known.status, known.body.as_str()), (304, ""));
    assert_eq!(server.send("POST", PATH, &[], "").error(), "405 - method_not_allowed");
}

/// What `field` says in the schema of the body of a path's request, and in what it refers to.
fn described(document: &Value, path: &str, field: &str) -> Value {
    let operation = &document["paths"][path]["post"];
    let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
    let schema = document.pointer(&schema["$ref"].as_str().unwrap()[1..]).unwrap();
    schema["properties"][field].clone()
}

#[test]
fn it_says_what_parsers_say() {
    let document: Value = serde_json::from_str(rushlight_server::openapi()).unwrap();
    let cases = [
        ("/v1/chat/completions", "n", json!({ "minimum": 1, "maximum": 8 })),
        ("/v1/chat/completions", "temperature", json!({ "minimum": 0, "maximum": 2 })),
        ("/v1/messages", "temperature", json!({ "minimum": 0, "maximum": 1 })),
        ("/v1/completions", "logprobs", json!({ "minimum": 0, "maximum": 5 })),
        ("/v1/chat/completions", "functions", json!({ "type": "null" })),
        ("/api/chat", "logprobs", json!({ "enum": [null, false, 0, "", []] })),
    ];
    for (path, field, want) in cases {
        let found = described(&document, path, field);
        for (name, value) in want.as_object().unwrap() {
            assert_eq!(&found[name], value, "{path} {field} {name}");
        }
    }
}

#[test]
fn words_that_are_described_are_taken_and_others_are_not() {
    let document: Value = serde_json::from_str(rushlight_server::openapi()).unwrap();
    let server = Running::start(|_| {});
    let message = json!([{ "role": "user", "content": "abc" }]);
    let chat = json!({ "messages": message, "max_tokens": 1 });
    let claude = json!({ "model": "tiny", "messages": message, "max_tokens": 1 });
    let ollama = json!({ "model": "tiny", "messages": message, "stream": false, "options": { "num_predict": 1 } });
    let cases = [
        ("/v1/chat/completions", &chat, "service_tier"),
        ("/v1/chat/completions", &chat, "store"),
        ("/v1/chat/completions", &chat, "reasoning_effort"),
        ("/v1/messages", &claude, "service_tier"),
        ("/v1/messages", &claude, "speed"),
        ("/api/chat", &ollama, "think"),
        ("/api/chat", &ollama, "format"),
    ];
    for (path, request, field) in cases {
        let schema = described(&document, path, field);
        let all = schema["anyOf"].as_array().cloned().unwrap_or_else(|| vec![schema.clone()]);
        let words = all.iter().filter_map(|schema| schema["enum"].as_array()).flatten();
        let words: Vec<Value> = words.filter(|word| !word.is_null()).cloned().collect();
        assert!(!words.is_empty(), "{path} {field}");
        let ask = |word: &Value| {
            let mut request = request.clone();
            request[field] = word.clone();
            server.post(path, &request)
        };
        for word in &words {
            let reply = ask(word);
            // The tiny model does not think, which is another reason to refuse.
            let good = reply.status == 200 || reply.body.contains("models that think");
            assert!(good, "{path} {field} {word}: {reply:?}");
        }
        let wrong = if words[0].is_string() { json!("another") } else { json!(true) };
        assert_eq!(ask(&wrong).status, 400, "{path} {field}");
    }
}

#[test]
fn a_name_that_is_no_text_is_refused_in_the_words_of_the_api() {
    let server = Running::start(|_| {});
    assert_eq!(server.get("/v1/models/%FF").error(), "400 - -");
}
