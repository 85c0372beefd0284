//! `/v1/messages` and `/v1/messages/count_tokens`.

use std::time::Duration;

use rushlight_testkit::model_path;
use serde_json::{Value, json};

use crate::support::{Reply, Running, load};

const PATH: &str = "/v1/messages";
const COUNT: &str = "/v1/messages/count_tokens";

/// A request of eight greedy tokens, with further fields.
fn ask(fields: Value) -> Value {
    let mut body = json!({
        "model": "tiny",
        "messages": [{ "role": "user", "content": "abc" }],
        "max_tokens": 8,
        "temperature": 0,
    });
    for (name, value) in fields.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

fn text(reply: &Value) -> &str {
    reply["content"][0]["text"].as_str().unwrap()
}

/// The data of named events; each has the name of its type.
fn events(reply: &Reply) -> Vec<Value> {
    assert_eq!(reply.status, 200, "{reply:?}");
    assert!(reply.header("content-type").unwrap().starts_with("text/event-stream"));
    let event = |event: &str| {
        let (name, data) = event.split_once('\n').unwrap();
        let data: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(name, format!("event: {}", data["type"].as_str().unwrap()));
        data
    };
    reply.body.split_terminator("\n\n").map(event).collect()
}

fn tool(name: &str) -> Value {
    json!({
        "name": name,
        "description": "Says how the weather is.",
        "input_schema": {
            "type": "object",
            "properties": {
                "city": { "type": "string", "maxLength": 12 },
                "unit": { "enum": ["C", "F"] },
            },
            "required": ["city", "unit"],
            "additionalProperties": false,
        },
    })
}

/// The blocks that events tell, each of which begins, is told and ends before the next.
fn content(events: &[Value]) -> Value {
    let (mut blocks, mut input, mut open) = (Vec::new(), String::new(), false);
    for event in events.iter().filter(|e| e["index"].is_u64()) {
        let begins = event["type"] == "content_block_start";
        assert_eq!(open, !begins, "{event}");
        open = event["type"] != "content_block_stop";
        if begins {
            let block = event["content_block"].clone();
            assert!(block["type"] != "tool_use" || block["input"] == json!({}), "{block}");
            blocks.push(block);
        }
        assert_eq!(event["index"], blocks.len() - 1, "{event}");
        let block = blocks.last_mut().unwrap();
        if let Some(text) = event["delta"]["text"].as_str() {
            block["text"] = json!(format!("{}{text}", block["text"].as_str().unwrap()));
        }
        input += event["delta"]["partial_json"].as_str().unwrap_or_default();
        if !open && block["type"] == "tool_use" {
            block["input"] = serde_json::from_str(&std::mem::take(&mut input)).unwrap();
        }
    }
    assert!(!open && input.is_empty());
    blocks.into()
}

/// `status type`, and the message.
fn error(reply: &Reply) -> (String, String) {
    let value = reply.json();
    assert_eq!(value["type"], "error", "{reply:?}");
    let id = value["request_id"].as_str().unwrap();
    assert_eq!(reply.header("request-id"), Some(id));
    let kind = value["error"]["type"].as_str().unwrap();
    let message = value["error"]["message"].as_str().unwrap();
    (format!("{} {kind}", reply.status), message.to_owned())
}

#[test]
fn an_answer_has_the_shape_of_the_api() {
    let server = Running::start(|_| {});
    let version = [("content-type", "application/json"), ("anthropic-version", "2023-06-01")];
    let reply = server.send("POST", PATH, &version, &ask(json!({})).to_string());
    assert_eq!(reply.status, 200, "{reply:?}");
    assert!(reply.header("request-id").unwrap().starts_with("req_"));
    let value = reply.json();
    assert!(value["id"].as_str().unwrap().starts_with("msg_"));
    assert_eq!(value["type"], "message");
    assert_eq!(value["role"], "assistant");
    assert_eq!(value["model"], "tiny");
    assert_eq!(value["content"].as_array().unwrap().len(), 1);
    assert_eq!(value["content"][0]["type"], "text");
    assert_eq!(value["stop_reason"], "max_tokens");
    assert_eq!(value["stop_sequence"], Value::Null);
    assert_eq!(value["usage"]["output_tokens"], 8);
    let counted = server.post(
        COUNT,
        &json!({ "model": "tiny", "messages": [{ "role": "user", "content": "abc" }] }),
    );
    let sum = |usage: &Value| {
        let read = usage["cache_read_input_tokens"].as_u64().unwrap();
        assert_eq!(usage["cache_creation_input_tokens"], 0);
        usage["input_tokens"].as_u64().unwrap() + read
    };
    assert_eq!(counted.json(), json!({ "input_tokens": sum(&value["usage"]) }));
    let again = server.post(PATH, &ask(json!({}))).json();
    assert_eq!(again["content"], value["content"]);
    assert_eq!(sum(&again["usage"]), sum(&value["usage"]));
}

#[test]
fn a_stream_tells_the_same_answer_piece_by_piece() {
    let server = Running::start(|_| {});
    let whole = server.post(PATH, &ask(json!({}))).json();
    let events = events(&server.post(PATH, &ask(json!({ "stream": true }))));
    let kinds: Vec<&str> = events.iter().map(|e| e["type"].as_str().unwrap()).collect();
    let [begin @ .., _, _, _] = kinds.as_slice() else { panic!("{kinds:?}") };
    assert_eq!(begin[..3], ["message_start", "content_block_start", "ping"]);
    assert!(begin[3..].iter().all(|kind| *kind == "content_block_delta"), "{kinds:?}");
    assert_eq!(kinds[begin.len()..], ["content_block_stop", "message_delta", "message_stop"]);
    let message = &events[0]["message"];
    assert_eq!(message["content"], json!([]));
    assert_eq!(message["stop_reason"], Value::Null);
    assert_eq!(message["usage"]["output_tokens"], 0);
    assert_eq!(events[1]["content_block"], json!({ "type": "text", "text": "" }));
    let deltas = events.iter().filter(|e| e["delta"]["type"] == "text_delta");
    let told: String = deltas.map(|e| e["delta"]["text"].as_str().unwrap()).collect();
    assert_eq!(told, text(&whole));
    let end = &events[events.len() - 2];
    let delta = json!({ "stop_reason": "max_tokens", "stop_sequence": null });
    assert_eq!(end["delta"], delta);
    assert_eq!(end["usage"]["output_tokens"], 8);
    let of_start = &message["usage"];
    for name in ["input_tokens", "cache_read_input_tokens"] {
        assert_eq!(end["usage"][name], of_start[name], "{name}");
    }
}

#[test]
fn the_stop_sequence_that_came_is_told() {
    let server = Running::start(|_| {});
    let whole = server.post(PATH, &ask(json!({ "max_tokens": 24 }))).json();
    let letters: Vec<char> = text(&whole).chars().collect();
    let stop: String = letters[letters.len() / 2..][..2].iter().collect();
    let before = text(&whole).split(&stop).next().unwrap();
    let fields = json!({ "max_tokens": 24, "stop_sequences": ["never said", stop] });
    let reply = server.post(PATH, &ask(fields.clone())).json();
    assert_eq!(text(&reply), before);
    assert_eq!(reply["stop_reason"], "stop_sequence");
    assert_eq!(reply["stop_sequence"], stop);
    let mut fields = ask(fields);
    fields["stream"] = json!(true);
    let events = events(&server.post(PATH, &fields));
    let delta = json!({ "stop_reason": "stop_sequence", "stop_sequence": stop });
    assert_eq!(events[events.len() - 2]["delta"], delta);
}

#[test]
fn what_changes_nothing_is_taken() {
    let server = Running::start(|_| {});
    let plain = server.post(PATH, &ask(json!({}))).json();
    let block = json!({ "type": "text", "text": "abc", "cache_control": { "type": "ephemeral" } });
    let cases = [
        json!({ "messages": [{ "role": "user", "content": [block] }] }),
        json!({ "metadata": { "user_id": "me" }, "service_tier": "auto", "speed": "standard" }),
        json!({ "thinking": { "type": "disabled" }, "tools": [], "cache_control": null }),
        json!({ "tool_choice": { "type": "auto", "disable_parallel_tool_use": true } }),
        json!({ "tools": [tool("f")], "tool_choice": { "type": "none" } }),
        json!({ "top_p": 1, "top_k": 0, "stop_sequences": [], "stream": false, "system": null }),
    ];
    for fields in cases {
        let reply = server.post(PATH, &ask(fields.clone()));
        assert_eq!(text(&reply.json()), text(&plain), "{fields}: {reply:?}");
    }
    // What does change something changes the prompt.
    let count = |fields: Value| {
        let mut body =
            json!({ "model": "tiny", "messages": [{ "role": "user", "content": "abc" }] });
        for (name, value) in fields.as_object().unwrap() {
            body[name] = value.clone();
        }
        server.post(COUNT, &body).json()["input_tokens"].as_u64().unwrap()
    };
    let system = json!([{ "type": "text", "text": "Be short." }]);
    assert!(count(json!({ "system": system })) > count(json!({})));
    assert_eq!(count(json!({ "system": system })), count(json!({ "system": "Be short." })));
    let tools = |list: Value| count(json!({ "tools": list }));
    assert!(tools(json!([tool("f")])) > count(json!({})) + 100);
    assert!(tools(json!([tool("f"), tool("g")])) > tools(json!([tool("f")])) + 100);
}

#[test]
fn what_is_wrong_is_said_with_its_parameter() {
    let server = Running::start(|_| {});
    let image = json!([{ "role": "user", "content": [{ "type": "image", "source": {} }] }]);
    let bad = "400 invalid_request_error";
    let cases = [
        (json!({ "model": "other" }), "404 not_found_error", "`other`"),
        (json!({ "model": null }), bad, "`model` is missing"),
        (json!({ "max_tokens": null }), bad, "`max_tokens` is missing"),
        (json!({ "max_tokens": 0 }), bad, "`max_tokens` is `0`"),
        (json!({ "temperature": 1.5 }), bad, "`temperature`"),
        (json!({ "top_k": -1 }), bad, "`top_k`"),
        (json!({ "temprature": 1 }), bad, "`temprature` is not a parameter"),
        (json!({ "messages": [] }), bad, "`messages` is empty"),
        (json!({ "messages": image }), bad, "`messages[0].content[0].type`"),
        (json!({ "system": 1 }), bad, "`system`"),
        (json!({ "system": [{ "type": "image" }] }), bad, "`system[0].type`"),
        (json!({ "stop_sequences": "x".repeat(2000) }), bad, "`stop_sequences`"),
        (json!({ "thinking": { "type": "enabled", "budget_tokens": 1024 } }), bad, "`thinking`"),
        (json!({ "output_config": {} }), bad, "`output_config`"),
        (json!({ "service_tier": "batch" }), bad, "`service_tier`"),
        (
            json!({ "messages": [{ "role": "user", "content": "long".repeat(600) }] }),
            bad,
            "context",
        ),
    ];
    let mut failures = Vec::new();
    for (fields, kind, message) in cases {
        for stream in [false, true] {
            let mut body = ask(fields.clone());
            body["stream"] = json!(stream);
            let found = error(&server.post(PATH, &body));
            if found.0 != kind || !found.1.contains(message) {
                failures.push(format!("{fields}: {found:?}, expected {kind} {message}"));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    let more = json!({ "model": "tiny", "messages": [], "max_tokens": 1 });
    assert_eq!(error(&server.post(COUNT, &more)).0, bad);
}

#[test]
fn what_is_no_tool_is_refused() {
    let server = Running::start(|_| {});
    let with = |tool: Value| json!({ "tools": [tool] });
    let choice = |choice: Value| json!({ "tools": [tool("f")], "tool_choice": choice });
    let schema = |schema: Value| {
        json!({
            "tools": [{ "name": "f", "input_schema": schema }],
            "tool_choice": { "type": "any" },
        })
    };
    let and = |field: &str, value: Value| {
        let mut tool = tool("f");
        tool[field] = value;
        with(tool)
    };
    let call = json!([{ "type": "tool_use", "id": "1", "name": "f", "input": {} }]);
    let said = |role: &str, content: Value| json!({ "tools": [tool("f")], "messages": [{ "role": role, "content": content }] });
    let cases = [
        (with(json!({ "input_schema": {} })), "`tools[0].name`"),
        (with(json!({ "name": "f" })), "`tools[0].input_schema`"),
        (with(json!({ "name": "f", "input_schema": "{}" })), "`tools[0].input_schema`"),
        (with(json!({ "name": "a b", "input_schema": {} })), "`tools[0].name`"),
        (with(json!({ "type": "web_search_20250305", "name": "web_search" })), "`tools[0].type`"),
        (and("input_examples", json!([{}])), "`tools[0].input_examples`"),
        (and("defer_loading", json!(true)), "`tools[0].defer_loading`"),
        (and("allowed_callers", json!(["code_execution"])), "`tools[0].allowed_callers`"),
        (json!({ "tool_choice": { "type": "any" } }), "no `tools`"),
        (choice(json!("any")), "`tool_choice`"),
        (choice(json!({ "type": "often" })), "`tool_choice.type`"),
        (choice(json!({ "type": "tool" })), "`tool_choice.name`"),
        (choice(json!({ "type": "tool", "name": "other" })), "`other`"),
        (choice(json!({ "type": "any", "name": "f" })), "`tool_choice.name`"),
        (schema(json!({ "type": "object", "properties": { "a": { "type": "x" } } })), "`f`"),
        (schema(json!({ "type": "string" })), "`object`"),
        (said("user", call.clone()), "`messages[0].content[0].type`"),
        (said("assistant", call), "calls tools"),
        (
            said("user", json!([{ "type": "tool_result", "tool_use_id": "1" }])),
            "`messages[0].content[0].tool_use_id`",
        ),
    ];
    let mut failures = Vec::new();
    for (fields, message) in cases {
        let found = error(&server.post(PATH, &ask(fields.clone())));
        if found.0 != "400 invalid_request_error" || !found.1.contains(message) {
            failures.push(format!("{fields}: {found:?}, expected {message}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn a_model_that_knows_nothing_calls_what_it_must() {
    // Its context has room for letters that are tokens.
    let server = Running::start_tiny("llama_yarn", |_| {});
    let named = json!({ "type": "tool", "name": "climate" });
    let choices = [(json!({ "type": "any" }), None), (named, Some("climate"))];
    for at in 0..12 {
        let (choice, name) = &choices[at % 2];
        let fields = |stream: bool, greedy: bool| {
            ask(json!({
                "tools": [tool("weather"), tool("climate")],
                "tool_choice": choice,
                "max_tokens": 1200,
                "stream": stream,
                "temperature": if greedy { 0 } else { 1 },
            }))
        };
        let call = |content: &Value| {
            let [call] = content.as_array().unwrap().as_slice() else { panic!("{content}") };
            assert_eq!(call["type"], "tool_use", "{call}");
            assert!(call["id"].as_str().unwrap().starts_with("toolu_"), "{call}");
            let input = call["input"].as_object().unwrap();
            assert!(input["city"].is_string() && input.len() == 2, "{call}");
            assert!(["C", "F"].contains(&input["unit"].as_str().unwrap()), "{call}");
            let found = call["name"].as_str().unwrap();
            assert!(["weather", "climate"].contains(&found), "{call}");
            assert!(name.is_none_or(|name| name == found), "{call}");
            json!([call["name"], call["input"]])
        };
        let reply = server.post(PATH, &fields(false, at < 2)).json();
        assert_eq!(reply["stop_reason"], "tool_use", "{reply}");
        let whole = call(&reply["content"]);
        let streamed = events(&server.post(PATH, &fields(true, at < 2)));
        let told = call(&content(&streamed));
        assert_eq!(streamed[streamed.len() - 2]["delta"]["stop_reason"], "tool_use");
        if at < 2 {
            // Without chance, it is the same call.
            assert_eq!(told, whole);
        }
    }
    // An answer that is cut within a call says so.
    let mut body = ask(json!({ "tools": [tool("f")], "tool_choice": { "type": "any" } }));
    body["max_tokens"] = json!(40);
    let reply = server.post(PATH, &body).json();
    assert_eq!(reply["stop_reason"], "max_tokens", "{reply}");
    assert_eq!(reply["content"][0]["input"], json!({}), "{reply}");
}

#[test]
fn tools_that_may_be_called_leave_text_as_it_is() {
    let server = Running::start_tiny("llama_yarn", |_| {});
    let fields = json!({ "tools": [tool("f")], "stop_sequences": [] });
    let whole = server.post(PATH, &ask(fields.clone())).json();
    assert_eq!(whole["content"].as_array().unwrap().len(), 1, "{whole}");
    assert_eq!(whole["stop_reason"], "max_tokens", "{whole}");
    let mut body = ask(fields);
    body["stream"] = json!(true);
    let streamed = events(&server.post(PATH, &body));
    assert_eq!(content(&streamed), whole["content"]);
}

#[test]
fn what_fails_before_it_is_read_is_said_in_the_same_words() {
    let dir = tempfile::tempdir().unwrap();
    let keys = dir.path().join("keys");
    // Of `secret`.
    let digest = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";
    std::fs::write(&keys, digest).unwrap();
    let server = Running::start(|options| {
        options.key_file = Some(keys);
        options.most_body_bytes = 1000;
    });
    let json = ("content-type", "application/json");
    let key = ("x-api-key", "secret");
    let large = "x".repeat(1001);
    let cases = [
        ("POST", PATH, &[json][..], "{}", "401 authentication_error"),
        ("POST", PATH, &[json, key], &large, "413 request_too_large"),
        ("POST", PATH, &[key], "{}", "415 invalid_request_error"),
        ("POST", PATH, &[json, key], "{", "400 invalid_request_error"),
        ("GET", PATH, &[key], "", "405 invalid_request_error"),
        ("POST", "/v1/messages/batches", &[json, key], "{}", "404 not_found_error"),
        ("POST", PATH, &[json, key, ("host", "evil.example")], "{}", "403 permission_error"),
    ];
    for (method, path, headers, body, want) in cases {
        let reply = server.send(method, path, headers, body);
        assert_eq!(error(&reply).0, want, "{method} {path} {headers:?}");
    }
    let good = server.send("POST", PATH, &[json, key], &ask(json!({})).to_string());
    assert_eq!(good.status, 200, "{good:?}");
}

#[test]
fn a_full_queue_is_said_in_the_same_words() {
    let server = Running::start_tiny("phi3_short", |options| {
        options.scheduler.most_running = 1;
        options.scheduler.most_queued = 0;
    });
    let long = json!({ "max_tokens": 4000, "stream": true });
    let streams: Vec<_> = (0..8).map(|_| server.begin(PATH, &ask(long.clone()))).collect();
    let replies: Vec<Reply> = streams.into_iter().map(Reply::read).collect();
    let refused: Vec<_> = replies.iter().filter(|reply| reply.status != 200).collect();
    assert!(!refused.is_empty());
    for reply in refused {
        assert_eq!(error(reply).0, "429 rate_limit_error");
        assert!(reply.header("retry-after").is_some());
    }
}

#[test]
fn a_stream_that_fails_ends_with_an_event_of_it() {
    // How long it takes until an answer is under way depends on the machine.
    let failed = [5, 20, 80].into_iter().any(|ms| {
        let server = Running::start_tiny("phi3_short", |options| {
            options.answer_timeout = Some(Duration::from_millis(ms));
        });
        // The model ends its answers at random.
        let body = ask(json!({ "max_tokens": 4000, "temperature": 1, "stream": true }));
        (0..8).any(|_| {
            let reply = server.post(PATH, &body);
            if reply.status != 200 {
                return false;
            }
            let last = events(&reply).pop().unwrap();
            let id = last["request_id"].as_str();
            last["type"] == "error"
                && last["error"]["type"] == "timeout_error"
                && id == reply.header("request-id")
        })
    });
    assert!(failed, "no answer was late");
}

#[test]
fn smollm2_goes_on_from_what_the_assistant_began() {
    let Some(file) = model_path() else { return };
    let server = Running::start_with(move || load(&file), |_| {});
    server.wait();
    let mut body = ask(json!({
        "max_tokens": 24,
        "messages": [{ "role": "user", "content": "What is the capital of Germany?" }],
    }));
    let whole = server.post(PATH, &body).json();
    assert!(text(&whole).contains("Berlin"), "{whole}");
    assert_eq!(whole["stop_reason"], "end_turn");
    let (begin, rest) = text(&whole).split_once(" Berlin").unwrap();
    let messages = body["messages"].as_array_mut().unwrap();
    messages.push(json!({ "role": "assistant", "content": begin }));
    let goes_on = server.post(PATH, &body).json();
    assert_eq!(text(&goes_on), format!(" Berlin{rest}"));
}

#[test]
fn smollm2_is_told_of_tools_and_reads_what_they_gave() {
    let Some(file) = model_path() else { return };
    let server = Running::start_with(move || load(&file), |_| {});
    server.wait();
    let question = json!({ "role": "user", "content": "How is the weather in Rome?" });
    let mut body = ask(json!({
        "messages": [question],
        "tools": [tool("weather"), tool("climate")],
        "tool_choice": { "type": "any" },
        "max_tokens": 100,
    }));
    let reply = server.post(PATH, &body).json();
    let call = reply["content"][0].clone();
    let input = &call["input"]["city"];
    assert_eq!((&call["name"], input), (&json!("weather"), &json!("Rome")), "{reply}");
    // The call and what it gave go back, and are part of the prompt.
    let count = |body: &Value| {
        let mut counted = body.clone();
        let fields = counted.as_object_mut().unwrap();
        fields.retain(|name, _| !["max_tokens", "temperature"].contains(&name.as_str()));
        server.post(COUNT, &counted).json()["input_tokens"].as_u64().unwrap()
    };
    let before = count(&body);
    let result = json!([{
        "type": "tool_result",
        "tool_use_id": call["id"],
        "content": [{ "type": "text", "text": "31 degrees, sunny" }],
    }]);
    let messages = body["messages"].as_array_mut().unwrap();
    messages.push(json!({ "role": "assistant", "content": reply["content"] }));
    messages.push(json!({ "role": "user", "content": result }));
    body["tool_choice"] = json!({ "type": "none" });
    let told = server.post(PATH, &body).json();
    assert!(text(&told).contains("sunny") || text(&told).contains("31"), "{told}");
    body["tool_choice"] = json!({ "type": "auto" });
    assert!(count(&body) > before + 20);
}
