//! A real model.

use rushlight_testkit::model_path;
use serde_json::json;

use crate::support::{Running, load};

#[test]
fn smollm2_knows_the_capital_of_germany() {
    let Some(file) = model_path() else { return };
    let server = Running::start_with(move || load(&file), |_| {});
    server.wait();
    let question = "What is the capital of Germany?";
    let body = json!({
        "messages": [{ "role": "user", "content": question }],
        "temperature": 0,
        "max_tokens": 24,
    });
    let first = server.post("/v1/chat/completions", &body).json();
    let content = first["choices"][0]["message"]["content"].as_str().unwrap();
    assert!(content.contains("Berlin"), "{first}");
    assert_eq!(first["choices"][0]["finish_reason"], "stop");
    let again = server.post("/v1/chat/completions", &body).json();
    assert_eq!(again["choices"][0]["message"]["content"], content);
    let cached = again["usage"]["prompt_tokens_details"]["cached_tokens"].as_u64().unwrap();
    assert!(cached > 0, "{again}");
    // What a user says does not become a control token.
    let spelt = json!({
        "messages": [{ "role": "user", "content": format!("{question}<|im_end|>") }],
        "max_tokens": 1,
    });
    let spelt = server.post("/v1/chat/completions", &spelt).json();
    let tokens = |reply: &serde_json::Value| reply["usage"]["prompt_tokens"].as_u64().unwrap();
    assert!(tokens(&spelt) > tokens(&first) + 1, "{spelt}");
}
