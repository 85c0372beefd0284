//! `/v1/chat/completions`.

use serde_json::{Value, json};

use crate::support::Running;

const PATH: &str = "/v1/chat/completions";

/// A request of eight greedy tokens, with further fields.
fn chat(fields: Value) -> Value {
    let mut body = json!({
        "model": "tiny",
        "messages": [{ "role": "user", "content": "abc" }],
        "max_tokens": 8,
        "temperature": 0,
        "ignore_eos": true,
    });
    for (name, value) in fields.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

fn content(reply: &Value) -> &str {
    reply["choices"][0]["message"]["content"].as_str().unwrap()
}

#[test]
fn an_answer_has_the_shape_of_the_api() {
    let server = Running::start(|_| {});
    let reply = server.post(PATH, &chat(json!({})));
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(reply.header("content-type"), Some("application/json"));
    let value = reply.json();
    assert_eq!(value["object"], "chat.completion");
    assert!(value["id"].as_str().unwrap().starts_with("chatcmpl-"));
    assert_eq!(value["model"], "tiny");
    assert!(value["created"].as_u64().unwrap() > 1_700_000_000);
    let choice = &value["choices"][0];
    assert_eq!(choice["index"], 0);
    assert_eq!(choice["message"]["role"], "assistant");
    assert!(choice["message"]["content"].is_string());
    assert_eq!(choice["finish_reason"], "length");
    assert_eq!(choice["logprobs"], Value::Null);
    let usage = &value["usage"];
    assert_eq!(usage["completion_tokens"], 8);
    let prompt = usage["prompt_tokens"].as_u64().unwrap();
    assert!(prompt > 0);
    assert_eq!(usage["total_tokens"], prompt + 8);
    assert!(usage["prompt_tokens_details"]["cached_tokens"].is_u64());
}

#[test]
fn a_stream_tells_the_same_answer_piece_by_piece() {
    let server = Running::start(|_| {});
    let whole = server.post(PATH, &chat(json!({}))).json();
    let options = json!({ "stream": true, "stream_options": { "include_usage": true } });
    let events = server.post(PATH, &chat(options)).events();
    let first = &events[0];
    assert_eq!(first["object"], "chat.completion.chunk");
    let begin = json!({ "role": "assistant", "content": "", "refusal": null });
    assert_eq!(first["choices"][0]["delta"], begin);
    assert_eq!(first["choices"][0]["finish_reason"], Value::Null);
    assert_eq!(first.get("usage"), Some(&Value::Null));
    assert!(events.iter().all(|event| event["id"] == first["id"]));
    let text: String =
        events.iter().filter_map(|e| e["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(text, content(&whole));
    let [.., end, usage] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!(end["choices"][0]["delta"], json!({}));
    assert_eq!(end["choices"][0]["finish_reason"], "length");
    assert_eq!(usage["choices"], json!([]));
    assert_eq!(usage["usage"]["completion_tokens"], 8);
    let bare = server.post(PATH, &chat(json!({ "stream": true }))).events();
    assert!(bare.iter().all(|event| event.get("usage").is_none()), "{bare:?}");
}

#[test]
fn seeds_repeat_answers_and_each_choice_has_its_own() {
    let server = Running::start(|_| {});
    let of = |fields: Value| {
        let reply = server.post(PATH, &chat(fields)).json();
        let choices = reply["choices"].as_array().unwrap().iter();
        choices.map(|c| c["message"]["content"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let drawn =
        |n: u32, seed: i64| of(json!({ "n": n, "seed": seed, "temperature": 1, "max_tokens": 12 }));
    let three = drawn(3, 7);
    assert_eq!(three.len(), 3);
    assert_eq!(three, drawn(3, 7));
    assert_eq!(three[1..], drawn(2, 8), "choice `i` has the seed `seed + i`");
    assert_ne!(three[0], three[1]);
    assert_ne!(three, drawn(3, -7));
    let reply = server.post(PATH, &chat(json!({ "n": 3 }))).json();
    assert_eq!(reply["usage"]["completion_tokens"], 24);
}

#[test]
fn choices_of_a_stream_are_told_apart() {
    let server = Running::start(|_| {});
    let fields = json!({ "n": 2, "seed": 3, "temperature": 1 });
    let whole = server.post(PATH, &chat(fields.clone())).json();
    let mut streamed = chat(fields);
    streamed["stream"] = json!(true);
    let events = server.post(PATH, &streamed).events();
    for at in 0..2 {
        let mine = events.iter().map(|e| &e["choices"][0]).filter(|c| c["index"] == at);
        let text: String = mine.filter_map(|c| c["delta"]["content"].as_str()).collect();
        assert_eq!(text, whole["choices"][at]["message"]["content"].as_str().unwrap());
    }
}

#[test]
fn a_stop_string_ends_the_answer_and_is_not_told() {
    let server = Running::start(|_| {});
    let whole = server.post(PATH, &chat(json!({ "max_tokens": 24 }))).json();
    let text: Vec<char> = content(&whole).chars().collect();
    let stop: String = text[text.len() / 2..][..2].iter().collect();
    let before = content(&whole).split(&stop).next().unwrap();
    for stops in [json!(stop), json!(["never said", stop])] {
        let reply = server.post(PATH, &chat(json!({ "max_tokens": 24, "stop": stops }))).json();
        assert_eq!(content(&reply), before);
        assert_eq!(reply["choices"][0]["finish_reason"], "stop");
        let streamed = json!({ "max_tokens": 24, "stop": stops, "stream": true });
        let events = server.post(PATH, &chat(streamed)).events();
        let text: String =
            events.iter().filter_map(|e| e["choices"][0]["delta"]["content"].as_str()).collect();
        assert_eq!(text, before);
    }
}

#[test]
fn likelihoods_are_told_for_each_token() {
    let server = Running::start(|_| {});
    let fields = json!({ "logprobs": true, "top_logprobs": 3 });
    let reply = server.post(PATH, &chat(fields)).json();
    let content = reply["choices"][0]["logprobs"]["content"].as_array().unwrap();
    assert_eq!(content.len(), 8);
    for token in content {
        let top = token["top_logprobs"].as_array().unwrap();
        assert_eq!(top.len(), 3);
        // Greedy: the likeliest is the chosen one.
        assert_eq!(top[0]["token"], token["token"]);
        assert_eq!(top[0]["bytes"], token["bytes"]);
        let logprobs: Vec<f64> = top.iter().map(|t| t["logprob"].as_f64().unwrap()).collect();
        assert!(logprobs.is_sorted_by(|a, b| a >= b) && logprobs[0] <= 0.0, "{logprobs:?}");
    }
    let fields = json!({ "logprobs": true, "stream": true });
    let events = server.post(PATH, &chat(fields)).events();
    let told = events.iter().filter(|e| e["choices"][0]["logprobs"]["content"].is_array());
    assert_eq!(told.count(), 8, "{events:?}");
}

#[test]
fn options_change_the_answer() {
    let server = Running::start(|_| {});
    let plain = server.post(PATH, &chat(json!({ "logprobs": true }))).json();
    let first = &plain["choices"][0]["logprobs"]["content"][0]["bytes"];
    let tokens = json!({ "content": content(&plain), "with_pieces": true });
    assert_eq!(server.post("/tokenize", &tokens).status, 200);
    // Whatever the likeliest token was, it is not this one.
    let bias = json!({ "97": 100 });
    let biased = server.post(PATH, &chat(json!({ "logprobs": true, "logit_bias": bias }))).json();
    assert_ne!(&biased["choices"][0]["logprobs"]["content"][0]["bytes"], first);
    let short = server.post(PATH, &chat(json!({ "max_completion_tokens": 8 }))).json();
    assert_eq!(content(&short), content(&plain));
    let parts = json!([{ "role": "user", "content": [{ "type": "text", "text": "abc" }] }]);
    let parts = server.post(PATH, &chat(json!({ "messages": parts }))).json();
    assert_eq!(content(&parts), content(&plain));
    let ignored = json!({
        "user": "me", "metadata": { "a": "b" }, "store": false, "service_tier": "auto",
        "parallel_tool_calls": true, "response_format": { "type": "text" }, "top_k": -1,
        "min_p": 0, "typical_p": 1, "repeat_penalty": 1, "repetition_penalty": 1, "top_p": 1,
        "presence_penalty": 0, "frequency_penalty": 0, "logit_bias": {}, "priority": 1,
        "deadline_ms": 60_000, "chat_template_kwargs": { "enable_thinking": false }, "stop": null,
    });
    let ignored = server.post(PATH, &chat(ignored));
    assert_eq!(content(&ignored.json()), content(&plain), "{ignored:?}");
}

#[test]
fn what_is_wrong_is_said_with_its_parameter() {
    let server = Running::start(|_| {});
    let stops = vec!["x"; 17];
    let cases = [
        (json!({ "model": "other" }), "404 model model_not_found"),
        (json!({ "model": 1 }), "400 model invalid_value"),
        (json!({ "temperture": 1 }), "400 temperture unknown_parameter"),
        (json!({ "temperature": 2.1 }), "400 temperature invalid_value"),
        (json!({ "temperature": "1" }), "400 temperature invalid_value"),
        (json!({ "top_p": -0.1 }), "400 top_p invalid_value"),
        (json!({ "n": 0 }), "400 n invalid_value"),
        (json!({ "n": 9 }), "400 n invalid_value"),
        (json!({ "stop": stops }), "400 stop invalid_value"),
        (json!({ "stop": [1] }), "400 stop invalid_value"),
        (json!({ "stop": "" }), "400 stop invalid_value"),
        (json!({ "seed": 1.5 }), "400 seed invalid_value"),
        (json!({ "max_tokens": 0 }), "400 max_tokens invalid_value"),
        (json!({ "max_completion_tokens": 9 }), "400 max_tokens invalid_value"),
        (json!({ "logprobs": 3 }), "400 logprobs invalid_value"),
        (json!({ "top_logprobs": 3 }), "400 top_logprobs invalid_value"),
        (json!({ "logprobs": true, "top_logprobs": 21 }), "400 top_logprobs invalid_value"),
        (json!({ "presence_penalty": 3 }), "400 presence_penalty invalid_value"),
        (json!({ "logit_bias": { "x": 1 } }), "400 logit_bias invalid_value"),
        (json!({ "logit_bias": { "288": 1 } }), "400 logit_bias invalid_value"),
        (json!({ "logit_bias": { "1": 101 } }), "400 logit_bias invalid_value"),
        (json!({ "stream": "yes" }), "400 stream invalid_value"),
        (json!({ "stream_options": {} }), "400 stream_options invalid_value"),
        (
            json!({ "stream": true, "stream_options": { "x": 1 } }),
            "400 stream_options.x unknown_parameter",
        ),
        (json!({ "messages": null }), "400 messages missing_parameter"),
        (
            json!({ "messages": [{ "role": "user", "content": "x", "y": 1 }] }),
            "400 messages[0].y unknown_parameter",
        ),
        (
            json!({ "messages": [{ "role": "user", "content": "long".repeat(600) }] }),
            "400 - context_length_exceeded",
        ),
        (json!({ "deadline_ms": 0 }), "400 deadline_ms invalid_value"),
        (json!({ "store": true }), "400 store unsupported_parameter"),
        (json!({ "service_tier": "flex" }), "400 service_tier unsupported_parameter"),
        (
            json!({ "response_format": { "type": "yaml" } }),
            "400 response_format unsupported_parameter",
        ),
    ];
    let mut failures = Vec::new();
    for (fields, want) in cases {
        for stream in [false, true] {
            let mut body = chat(fields.clone());
            if body["stream"].is_null() && fields.get("stream_options").is_none() {
                body["stream"] = json!(stream);
            }
            let found = server.post(PATH, &body).error();
            if found != want {
                failures.push(format!("{fields}: {found}, expected {want}"));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn what_is_no_json_object_is_refused() {
    let server = Running::start(|_| {});
    let json = ("content-type", "application/json");
    let cases = [
        (&[json][..], "{", "400 - -"),
        (&[json], "[]", "400 - -"),
        (&[json], "{} {}", "400 - -"),
        (&[json], "", "400 - -"),
        (
            &[("content-type", "application/json; charset=utf-8")],
            "{}",
            "400 messages missing_parameter",
        ),
        (&[("content-type", "text/plain")], "{}", "415 - unsupported_media_type"),
        (&[], "{}", "415 - unsupported_media_type"),
    ];
    for (headers, body, want) in cases {
        assert_eq!(server.send("POST", PATH, headers, body).error(), want, "{headers:?} {body}");
    }
}
