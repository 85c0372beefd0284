//! `/v1/completions`.

use serde_json::{Value, json};

use crate::support::Running;

const PATH: &str = "/v1/completions";

/// A greedy request with further fields.
fn completion(fields: Value) -> Value {
    let mut body =
        json!({ "prompt": "abc", "temperature": 0, "max_tokens": 6, "ignore_eos": true });
    for (name, value) in fields.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

fn texts(reply: &Value) -> Vec<&str> {
    let choices = reply["choices"].as_array().unwrap().iter();
    choices.map(|choice| choice["text"].as_str().unwrap()).collect()
}

#[test]
fn prompts_are_texts_or_tokens_one_or_many() {
    let server = Running::start(|_| {});
    let one = server.post(PATH, &completion(json!({}))).json();
    assert_eq!(one["object"], "text_completion");
    assert_eq!(one["choices"][0]["finish_reason"], "length");
    assert_eq!(one["usage"]["completion_tokens"], 6);
    let other = server.post(PATH, &completion(json!({ "prompt": "xyz" }))).json();
    let ids = |text: &str| {
        let body = json!({ "content": text, "add_special": true });
        server.post("/tokenize", &body).json()["tokens"].clone()
    };
    let (abc, xyz) = (texts(&one)[0], texts(&other)[0]);
    assert_ne!(abc, xyz);
    let cases = [
        (json!(["abc"]), vec![abc]),
        (json!(["abc", "xyz"]), vec![abc, xyz]),
        (ids("abc"), vec![abc]),
        (json!([ids("xyz"), ids("abc")]), vec![xyz, abc]),
    ];
    for (prompt, want) in cases {
        let reply = server.post(PATH, &completion(json!({ "prompt": prompt }))).json();
        assert_eq!(texts(&reply), want, "{prompt}");
    }
    let twice = completion(json!({ "prompt": ["abc", "xyz"], "n": 2 }));
    let reply = server.post(PATH, &twice).json();
    assert_eq!(texts(&reply), [abc, abc, xyz, xyz]);
    let prompts = |reply: &Value| reply["usage"]["prompt_tokens"].as_u64().unwrap();
    assert_eq!(prompts(&reply), prompts(&one) + prompts(&other));
}

#[test]
fn a_prompt_can_be_told_again() {
    let server = Running::start(|_| {});
    let one = server.post(PATH, &completion(json!({}))).json();
    let want = format!("abc{}", texts(&one)[0]);
    let ids = server.post("/tokenize", &json!({ "content": "abc" })).json()["tokens"].clone();
    for prompt in [json!("abc"), ids] {
        let body = completion(json!({ "prompt": prompt, "echo": true }));
        let reply = server.post(PATH, &body).json();
        assert!(texts(&reply)[0].starts_with("abc"), "{reply}");
    }
    assert_eq!(texts(&server.post(PATH, &completion(json!({ "echo": true }))).json()), [&*want]);
    let streamed = completion(json!({ "echo": true, "stream": true }));
    let events = server.post(PATH, &streamed).events();
    let text: String = events.iter().filter_map(|e| e["choices"][0]["text"].as_str()).collect();
    assert_eq!(text, want);
    assert_eq!(events.last().unwrap()["choices"][0]["finish_reason"], "length");
}

#[test]
fn likelihoods_have_the_older_shape() {
    let server = Running::start(|_| {});
    let fields = json!({ "logprobs": 2 });
    let reply = server.post(PATH, &completion(fields)).json();
    let told = &reply["choices"][0]["logprobs"];
    let list = |name: &str| told[name].as_array().unwrap();
    assert_eq!(list("tokens").len(), 6);
    assert_eq!(list("token_logprobs").len(), 6);
    assert_eq!(list("top_logprobs").len(), 6);
    let mut offset = 0;
    for (token, at) in list("tokens").iter().zip(list("text_offset")) {
        assert_eq!(at, offset);
        offset += token.as_str().unwrap().chars().count();
    }
    let streamed = completion(json!({ "logprobs": 2, "stream": true }));
    let events = server.post(PATH, &streamed).events();
    let offsets: Vec<&Value> = events
        .iter()
        .filter_map(|e| e["choices"][0]["logprobs"]["text_offset"].as_array())
        .flatten()
        .collect();
    assert_eq!(offsets, list("text_offset").iter().collect::<Vec<_>>());
}

#[test]
fn without_a_bound_there_are_sixteen_tokens() {
    let server = Running::start(|_| {});
    let mut body = completion(json!({}));
    body.as_object_mut().unwrap().shift_remove("max_tokens");
    assert_eq!(server.post(PATH, &body).json()["usage"]["completion_tokens"], 16);
}

#[test]
fn what_is_wrong_is_said_with_its_parameter() {
    let server = Running::start(|_| {});
    let cases = [
        (json!({ "prompt": null }), "400 prompt missing_parameter"),
        (json!({ "prompt": 1 }), "400 prompt invalid_value"),
        (json!({ "prompt": [] }), "400 prompt invalid_value"),
        (json!({ "prompt": [1, "a"] }), "400 prompt[1] invalid_value"),
        (json!({ "prompt": [1, 288] }), "400 prompt[1] invalid_value"),
        (json!({ "prompt": [[1], 2] }), "400 prompt invalid_value"),
        (json!({ "prompt": vec!["a"; 65] }), "400 prompt invalid_value"),
        (json!({ "prompt": [[]] }), "400 - invalid_value"),
        (json!({ "suffix": "x" }), "400 suffix unsupported_parameter"),
        (json!({ "best_of": 2 }), "400 best_of invalid_value"),
        (json!({ "logprobs": 6 }), "400 logprobs invalid_value"),
        (json!({ "logprobs": 1, "echo": true }), "400 logprobs unsupported_parameter"),
        (json!({ "messages": [] }), "400 messages unknown_parameter"),
        (json!({ "model": "x" }), "404 model model_not_found"),
    ];
    for (fields, want) in cases {
        assert_eq!(server.post(PATH, &completion(fields.clone())).error(), want, "{fields}");
    }
}
