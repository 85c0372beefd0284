//! What a model thinks is told apart, is bounded, and leaves grammars alone.

use rushlight_testkit::tiny;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Running, load};

/// Begins the reasoning, unless it is told that there is to be none.
const TEMPLATE: &str = "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}[assistant]\
    {% if enable_thinking is not defined or enable_thinking %}<think>\n{% endif %}";

/// Tokens of `\n</think>\n\n`, at most.
const END: u64 = 11;

/// A model that knows nothing and thinks: its letters are tokens.
fn start() -> (Running, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tiny.gguf");
    tiny::write_gguf_with_template(&tiny::case("llama_yarn"), &file, TEMPLATE);
    let server = Running::start_with(move || load(&file), |_| {});
    server.wait();
    (server, dir)
}

fn chat(more: &Value) -> Value {
    let mut body = json!({
        "model": "tiny",
        "messages": [{ "role": "user", "content": "a" }],
        "max_tokens": 40,
        "ignore_eos": true,
        "seed": 1,
    });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

#[test]
fn reasoning_has_a_field_of_its_own_and_an_end() {
    let (server, _dir) = start();
    let whole =
        server.post("/v1/chat/completions", &chat(&json!({ "thinking_budget": 12 }))).json();
    let message = &whole["choices"][0]["message"];
    let thought = message["reasoning_content"].as_str().unwrap();
    let content = message["content"].as_str().unwrap();
    assert!(!thought.is_empty() && !content.is_empty(), "{whole}");
    assert!(!content.contains("think>") && !thought.contains("think>"), "{whole}");
    let usage = &whole["usage"];
    assert_eq!(usage["completion_tokens"], 40);
    let told = usage["completion_tokens_details"]["reasoning_tokens"].as_u64().unwrap();
    // Some of the end's letters are one token, and some come after the mark.
    assert!((12 + 4..=12 + END).contains(&told), "{usage}");
    // Streamed, the pieces are the same.
    let more = json!({ "thinking_budget": 12, "stream": true });
    let events = server.post("/v1/chat/completions", &chat(&more)).events();
    let text = |name: &str| -> String {
        let deltas = events.iter().map(|e| &e["choices"][0]["delta"]);
        deltas.filter_map(|delta| delta[name].as_str()).collect()
    };
    assert_eq!((text("reasoning_content").as_str(), text("content").as_str()), (thought, content));
    // Without a bound all of it is reasoning; where there is to be none all of it is the answer.
    let whole = server.post("/v1/chat/completions", &chat(&json!({}))).json();
    assert_eq!(whole["choices"][0]["message"]["content"], "");
    for more in [
        json!({ "reasoning_effort": "none" }),
        json!({ "thinking_budget": 0 }),
        json!({ "chat_template_kwargs": { "enable_thinking": false } }),
    ] {
        let whole = server.post("/v1/chat/completions", &chat(&more)).json();
        let message = &whole["choices"][0]["message"];
        assert!(message["reasoning_content"].is_null(), "{more} {whole}");
        assert_ne!(message["content"], "", "{more}");
    }
}

#[test]
fn a_grammar_holds_for_the_answer_alone() {
    let (server, _dir) = start();
    let schema = json!({ "type": "object", "properties": { "a": { "enum": ["x", "y"] } },
                         "required": ["a"], "additionalProperties": false });
    let format = json!({ "type": "json_schema", "json_schema": { "name": "n", "schema": schema } });
    let more = json!({ "response_format": format, "thinking_budget": 5, "ignore_eos": false,
                       "max_tokens": 200 });
    for seed in 0..5 {
        let mut body = chat(&more);
        body["seed"] = json!(seed);
        let whole = server.post("/v1/chat/completions", &body).json();
        let message = &whole["choices"][0]["message"];
        let content = message["content"].as_str().unwrap();
        if whole["usage"]["completion_tokens"].as_u64().unwrap() < 5 + END {
            // It ended while it thought.
            assert_eq!(content, "", "{whole}");
            continue;
        }
        let value: Value = serde_json::from_str(content).unwrap_or_else(|e| panic!("{e}: {whole}"));
        assert!(value["a"] == "x" || value["a"] == "y", "{whole}");
    }
}

#[test]
fn what_ends_or_stops_an_answer_does_not_end_or_stop_the_reasoning() {
    let (server, _dir) = start();
    // The end that is written for the model has the stop in it.
    let more = json!({ "thinking_budget": 6, "stop": ["\n\n"] });
    let whole = server.post("/v1/chat/completions", &chat(&more)).json();
    let message = &whole["choices"][0]["message"];
    assert!(message["content"].as_str().is_some_and(|text| !text.is_empty()), "{whole}");
    // A model that would end at once still gives what it must.
    let end =
        server.post("/tokenize", &json!({ "content": "<|end|>" })).json()["tokens"][0].clone();
    let format = json!({ "type": "json_schema", "json_schema": { "name": "n", "schema": {
        "type": "object", "properties": { "a": { "enum": ["x", "y"] } },
        "required": ["a"], "additionalProperties": false } } });
    let more = json!({ "response_format": format, "ignore_eos": false, "max_tokens": 200,
                       "logit_bias": { end.to_string(): 100 } });
    let whole = server.post("/v1/chat/completions", &chat(&more)).json();
    let content = whole["choices"][0]["message"]["content"].as_str().unwrap_or_default();
    let value: Value = serde_json::from_str(content).unwrap_or_else(|e| panic!("{e}: {whole}"));
    assert!(value["a"].is_string(), "{whole}");
}

#[test]
fn anthropics_and_ollamas_clients_see_it_too() {
    let (server, _dir) = start();
    let body = |more: Value| {
        let mut body = chat(&more);
        let object = body.as_object_mut().unwrap();
        object.remove("ignore_eos");
        object.remove("seed");
        body
    };
    let thinking = json!({ "thinking": { "type": "enabled", "budget_tokens": 3 } });
    let whole = server.post("/v1/messages", &body(thinking)).json();
    let kinds: Vec<&str> =
        whole["content"].as_array().unwrap().iter().map(|b| b["type"].as_str().unwrap()).collect();
    assert!(kinds == ["thinking", "text"] || whole["stop_reason"] == "end_turn", "{whole}");
    let whole = server.post("/v1/messages", &body(json!({}))).json();
    assert_eq!(whole["content"].as_array().unwrap().len(), 1);
    assert_eq!(whole["content"][0]["type"], "text");
    // What was thought comes back with the next request.
    let history = json!({ "messages": [
        { "role": "user", "content": "a" },
        { "role": "assistant", "content": [
            { "type": "thinking", "thinking": "hm", "signature": "" },
            { "type": "text", "text": "b" },
        ] },
        { "role": "user", "content": "c" },
    ] });
    assert_eq!(server.post("/v1/messages", &body(history)).status, 200);

    let ollama = |think: Value| {
        let body = json!({ "model": "tiny", "messages": [{ "role": "user", "content": "a" }],
                           "think": think, "stream": false,
                           "options": { "num_predict": 30, "temperature": 0 } });
        server.post("/api/chat", &body)
    };
    let told = ollama(json!(true)).json();
    assert!(told["message"]["thinking"].is_string(), "{told}");
    let told = ollama(json!(false)).json();
    assert!(told["message"]["thinking"].is_null(), "{told}");
    assert_eq!(ollama(json!("very")).status, 400);
    let shown = server.post("/api/show", &json!({ "model": "tiny" })).json();
    assert!(shown["capabilities"].as_array().unwrap().contains(&json!("thinking")), "{shown}");
}

#[test]
fn who_does_not_think_cannot_be_told_to() {
    let server = Running::start(|_| {});
    for (more, parameter) in [
        (json!({ "reasoning_effort": "high" }), "reasoning_effort"),
        (json!({ "reasoning_effort": "much" }), "reasoning_effort"),
        (json!({ "thinking_budget": 10 }), "thinking_budget"),
        (json!({ "thinking_budget": -1 }), "thinking_budget"),
    ] {
        let reply = server.post("/v1/chat/completions", &chat(&more));
        assert_eq!((reply.status, &reply.json()["error"]["param"]), (400, &json!(parameter)));
    }
    let more = json!({ "reasoning_effort": "none", "max_tokens": 2 });
    assert_eq!(server.post("/v1/chat/completions", &chat(&more)).status, 200);
}

/// Marks are those of the template's own text: a model that is told of `[THINK]` thinks between these.
#[test]
fn other_marks_are_those_of_the_template() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tiny.gguf");
    let template = "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}[assistant][THINK]\
        {# earlier thoughts: [THINK]...[/THINK] #}";
    tiny::write_gguf_with_template(&tiny::case("llama_yarn"), &file, template);
    let server = Running::start_with(move || load(&file), |_| {});
    server.wait();
    let whole =
        server.post("/v1/chat/completions", &chat(&json!({ "thinking_budget": 12 }))).json();
    let message = &whole["choices"][0]["message"];
    let thought = message["reasoning_content"].as_str().unwrap();
    let content = message["content"].as_str().unwrap();
    assert!(!thought.is_empty() && !content.is_empty(), "{whole}");
    assert!(!content.contains("THINK") && !thought.contains("THINK"), "{whole}");
    let told = whole["usage"]["completion_tokens_details"]["reasoning_tokens"].as_u64().unwrap();
    assert!((12 + 1..=12 + 8).contains(&told), "{whole}");
    let shown = server.post("/api/show", &json!({ "model": "tiny" })).json();
    let capable = shown["capabilities"].as_array().unwrap();
    assert!(capable.contains(&json!("thinking")), "{shown}");
}
