//! Calls of tools: forced ones always parse, whatever the model knows.

use rushlight_testkit::model_path;
use serde_json::{Value, json};

use crate::support::{Running, load};

fn tool(name: &str) -> Value {
    json!({ "type": "function", "function": {
        "name": name,
        "description": "Says how the weather is.",
        "parameters": {
            "type": "object",
            "properties": {
                "city": { "type": "string", "maxLength": 12 },
                "unit": { "enum": ["C", "F"] },
            },
            "required": ["city", "unit"],
            "additionalProperties": false,
        },
    }})
}

fn chat(more: &Value) -> Value {
    let mut body = json!({
        "messages": [{ "role": "user", "content": "How is the weather in Rome?" }],
        "max_tokens": 1200,
        "tools": [tool("weather"), tool("climate")],
    });
    let fields = more.as_object().unwrap().clone();
    body.as_object_mut().unwrap().extend(fields);
    body
}

/// The calls of a message as names and arguments, which must be right.
fn calls(message: &Value) -> Vec<(String, Value)> {
    let call = |call: &Value| {
        assert!(call["id"].as_str().unwrap().starts_with("call_"), "{call}");
        let arguments = call["function"]["arguments"].as_str().unwrap();
        let arguments: Value = serde_json::from_str(arguments).unwrap();
        assert!(arguments["city"].is_string() && arguments["unit"].is_string(), "{call}");
        (call["function"]["name"].as_str().unwrap().to_owned(), arguments)
    };
    message["tool_calls"].as_array().map_or(Vec::new(), |list| list.iter().map(call).collect())
}

#[test]
fn a_model_that_knows_nothing_calls_what_it_must() {
    // Its context has room for letters that are tokens.
    let server = Running::start_tiny("llama_yarn", |_| {});
    let named = json!({ "type": "function", "function": { "name": "climate" } });
    for seed in 0..6 {
        for (choice, name) in [(json!("required"), None), (named.clone(), Some("climate"))] {
            let more = json!({ "tool_choice": choice, "seed": seed, "n": 2 });
            let reply = server.post("/v1/chat/completions", &chat(&more)).json();
            for choice in reply["choices"].as_array().unwrap_or_else(|| panic!("{reply}")) {
                let calls = calls(&choice["message"]);
                assert_eq!((calls.len(), &choice["finish_reason"]), (1, &json!("tool_calls")));
                assert!(choice["message"]["content"].is_null(), "{choice}");
                assert!(name.is_none_or(|name| calls[0].0 == name), "{choice}");
            }
            // Streamed, the pieces are the same call.
            let more = json!({ "tool_choice": choice, "seed": seed, "stream": true });
            let events = server.post("/v1/chat/completions", &chat(&more)).events();
            let deltas = || events.iter().map(|e| &e["choices"][0]["delta"]["tool_calls"][0]);
            let text = |at: fn(&Value) -> &Value| -> String {
                deltas().filter_map(|delta| at(delta).as_str()).collect()
            };
            let whole = &calls(&reply["choices"][0]["message"])[0];
            assert_eq!(text(|d| &d["function"]["name"]), whole.0);
            let arguments = text(|d| &d["function"]["arguments"]);
            assert_eq!(serde_json::from_str::<Value>(&arguments).unwrap(), whole.1);
            assert!(deltas().all(|d| d.is_null() || d["index"] == 0));
            let finish = events.iter().find_map(|e| e["choices"][0]["finish_reason"].as_str());
            assert_eq!(finish, Some("tool_calls"));
        }
    }
    // None of them: nothing but text.
    let more = json!({ "tool_choice": "none", "max_tokens": 8 });
    let reply = server.post("/v1/chat/completions", &chat(&more)).json();
    assert!(reply["choices"][0]["message"]["content"].is_string(), "{reply}");
    // An answer that is cut within a call says so.
    let more = json!({ "tool_choice": "required", "max_tokens": 5 });
    let reply = server.post("/v1/chat/completions", &chat(&more)).json();
    assert_eq!(reply["choices"][0]["finish_reason"], "length", "{reply}");
}

#[test]
fn what_is_no_tool_is_refused() {
    let server = Running::start(|_| {});
    let with = |function: Value| json!({ "tools": [{ "type": "function", "function": function }] });
    let schema = |schema: Value| {
        let mut more = with(json!({ "name": "f", "parameters": schema }));
        more["tool_choice"] = "required".into();
        more
    };
    let cases = [
        (json!({ "tools": [{ "type": "web_search" }] }), "tools[0].type"),
        (with(json!({ "description": "no name" })), "tools[0].function.name"),
        (with(json!({ "name": "a b" })), "tools[0].function.name"),
        (with(json!({ "name": "a", "more": 1 })), "tools[0].function.more"),
        (json!({ "tools": [], "tool_choice": "required" }), "tool_choice"),
        (json!({ "tool_choice": "often" }), "tool_choice"),
        (
            json!({ "tool_choice": { "type": "function", "function": { "name": "other" } } }),
            "tool_choice",
        ),
        (schema(json!({ "type": "object", "properties": { "a": { "type": "x" } } })), "tools"),
        (schema(json!({ "type": "string" })), "tools"),
        (json!({ "response_format": { "type": "json_object" } }), "response_format"),
        (json!({ "tool_choice": "required", "ignore_eos": true }), "ignore_eos"),
    ];
    let mut failures = Vec::new();
    for (more, parameter) in cases {
        let reply = server.post("/v1/chat/completions", &chat(&more));
        let error = reply.json();
        if reply.status != 400 || error["error"]["param"] != parameter {
            failures.push(format!("{more}: {} {error}", reply.status));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn smollm2_is_told_of_tools_and_reads_their_answers() {
    let Some(file) = model_path() else { return };
    let server = Running::start_with(move || load(&file), |_| {});
    server.wait();
    let more = json!({ "tool_choice": "required", "temperature": 0 });
    let reply = server.post("/v1/chat/completions", &chat(&more)).json();
    let message = reply["choices"][0]["message"].clone();
    let call = calls(&message).remove(0);
    assert_eq!((call.0.as_str(), &call.1["city"]), ("weather", &json!("Rome")), "{reply}");
    // The call and what it gave go back.
    let id = message["tool_calls"][0]["id"].clone();
    let more = json!({ "temperature": 0, "max_tokens": 40, "messages": [
        { "role": "user", "content": "How is the weather in Rome?" },
        message,
        { "role": "tool", "tool_call_id": id, "content": "{\"sky\": \"sunny\", \"degrees\": 31}" },
    ]});
    let reply = server.post("/v1/chat/completions", &chat(&more));
    assert_eq!(reply.status, 200, "{}", reply.body);
}
