//! Answers that follow a schema or a grammar, or are refused.

use rushlight_testkit::model_path;
use serde_json::{Value, json};

use crate::support::{Running, load};

/// A chat with some fields more.
fn chat(more: &Value) -> Value {
    let mut body = json!({
        "messages": [{ "role": "user", "content": "Tell me about a person." }],
        "max_tokens": 200,
        "seed": 1,
    });
    let fields = more.as_object().unwrap().clone();
    body.as_object_mut().unwrap().extend(fields);
    body
}

fn schema(schema: &Value) -> Value {
    json!({ "type": "json_schema", "json_schema": { "name": "it", "strict": true, "schema": schema } })
}

fn person() -> Value {
    json!({
        "type": "object",
        "properties": {
            "name": { "type": "string", "maxLength": 20 },
            "age": { "type": "integer", "minimum": 0, "maximum": 150 },
            "colour": { "enum": ["red", "green"] },
        },
        "required": ["name", "age", "colour"],
        "additionalProperties": false,
    })
}

fn content(reply: &Value) -> &str {
    reply["choices"][0]["message"]["content"].as_str().unwrap_or_else(|| panic!("{reply}"))
}

/// Random weights have no reason to write JSON: whatever comes is the grammar's doing.
#[test]
fn a_model_that_knows_nothing_follows_them() {
    let server = Running::start(|_| {});
    for seed in 0..8 {
        let format = schema(&person());
        let more = json!({ "response_format": format, "seed": seed, "temperature": 1.5 });
        let reply = server.post("/v1/chat/completions", &chat(&more)).json();
        let found: Value = serde_json::from_str(content(&reply)).unwrap();
        let age = found["age"].as_i64().unwrap();
        assert!((0..=150).contains(&age) && found["name"].is_string(), "{found}");
        assert!(["red", "green"].contains(&found["colour"].as_str().unwrap()), "{found}");
        assert_eq!(found.as_object().unwrap().len(), 3, "{found}");
        assert_eq!(reply["choices"][0]["finish_reason"], "stop");

        let more = json!({ "guided_regex": "(ab|c){2,4}!", "seed": seed, "n": 2 });
        let reply = server.post("/v1/chat/completions", &chat(&more)).json();
        for choice in reply["choices"].as_array().unwrap() {
            let text = choice["message"]["content"].as_str().unwrap();
            let rest = text.strip_suffix('!').unwrap().replace("ab", "c");
            assert!((2..=4).contains(&rest.len()) && rest.chars().all(|c| c == 'c'), "{text}");
        }

        let grammar = "root ::= \"x\" (\"y\" | \"z\")+ \".\"";
        let body = json!({ "prompt": "go", "grammar": grammar, "seed": seed, "max_tokens": 400 });
        let reply = server.post("/v1/completions", &body).json();
        let text = reply["choices"][0]["text"].as_str().unwrap();
        assert!(text.starts_with('x') && text.ends_with('.'), "{reply}");
        assert!(text[1..text.len() - 1].chars().all(|c| c == 'y' || c == 'z'), "{text}");
    }
    // A bias for what the grammar forbids does not bring it back.
    let more = json!({ "guided_regex": "[0-9]{3}", "logit_bias": { "97": 100 } });
    let reply = server.post("/v1/chat/completions", &chat(&more)).json();
    assert!(content(&reply).chars().all(|c| c.is_ascii_digit()), "{reply}");
    // Streamed, it is the same.
    let more = json!({ "guided_regex": "[a-f]{40}", "temperature": 0 });
    let whole = server.post("/v1/chat/completions", &chat(&more)).json();
    let more = json!({ "guided_regex": "[a-f]{40}", "temperature": 0, "stream": true });
    let events = server.post("/v1/chat/completions", &chat(&more)).events();
    let pieces = events.iter().filter_map(|e| e["choices"][0]["delta"]["content"].as_str());
    assert_eq!(pieces.collect::<String>(), content(&whole));
}

#[test]
fn what_cannot_be_followed_is_refused() {
    let server = Running::start(|_| {});
    let format = |format: Value| json!({ "response_format": format });
    let of = |value: Value| format(schema(&value));
    let cases = [
        (of(json!({ "type": "objekt" })), "invalid_grammar", "objekt"),
        (of(json!({ "type": "array", "uniqueItems": true })), "invalid_grammar", "uniqueItems"),
        (of(json!({ "$ref": "https://example.org/x" })), "invalid_grammar", "$ref"),
        (of(json!({ "not-a-keyword": 1 })), "invalid_grammar", "not-a-keyword"),
        (of(json!(false)), "invalid_grammar", ""),
        (format(json!({ "type": "json_schema" })), "", "json_schema"),
        (format(json!({ "type": "yaml" })), "unsupported_parameter", "yaml"),
        (format(json!({ "type": "json_object", "more": 1 })), "", "more"),
        (json!({ "grammar": "root ::= other" }), "invalid_grammar", "other"),
        (json!({ "grammar": "root ::= \"a" }), "invalid_grammar", "line"),
        (json!({ "guided_regex": "(" }), "invalid_grammar", ""),
        (json!({ "guided_regex": "a", "grammar": "root ::= \"a\"" }), "", "grammar"),
        (json!({ "guided_regex": "a", "ignore_eos": true }), "", "ignore_eos"),
    ];
    let mut failures = Vec::new();
    for (more, code, word) in cases {
        for stream in [false, true] {
            let mut body = chat(&more);
            body["stream"] = stream.into();
            let reply = server.post("/v1/chat/completions", &body);
            let error = reply.json();
            let told = error["error"]["message"].as_str().unwrap_or_default();
            let right = code.is_empty() || error["error"]["code"] == code;
            if reply.status != 400 || !right || !told.contains(word) {
                failures.push(format!("{more}: {} {error}", reply.status));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn smollm2_fills_a_schema() {
    let Some(file) = model_path() else { return };
    let server = Running::start_with(move || load(&file), |_| {});
    server.wait();
    let more = json!({ "response_format": schema(&person()), "temperature": 0 });
    let reply = server.post("/v1/chat/completions", &chat(&more)).json();
    let found: Value = serde_json::from_str(content(&reply)).unwrap();
    assert!(found["name"].as_str().is_some_and(|name| name.len() > 1), "{found}");
    let more = json!({ "response_format": { "type": "json_object" }, "temperature": 0 });
    let reply = server.post("/v1/chat/completions", &chat(&more)).json();
    let ended = reply["choices"][0]["finish_reason"] == "stop";
    assert!(
        !ended || serde_json::from_str::<Value>(content(&reply)).unwrap().is_object(),
        "{reply}"
    );
}
