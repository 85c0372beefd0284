//! `/tokenize`, `/detokenize`, `/v1/models`.

use serde_json::json;

use crate::support::Running;

#[test]
fn text_becomes_tokens_and_text_again() {
    let server = Running::start(|_| {});
    let text = "the té <|end|>";
    let tokens = server.post("/tokenize", &json!({ "content": text })).json()["tokens"].clone();
    assert!(tokens.as_array().unwrap().iter().all(|token| token.is_u64()));
    let back = server.post("/detokenize", &json!({ "tokens": tokens })).json();
    assert_eq!(back["content"], text);
    let pieces = json!({ "content": "té", "with_pieces": true });
    let pieces = server.post("/tokenize", &pieces).json();
    assert_eq!(pieces["tokens"][0]["piece"], "t");
    assert_eq!(pieces["tokens"][1]["piece"], json!([0xc3]), "a part of a character is bytes");
    let plain = json!({ "content": "<|end|>", "parse_special": false });
    let plain = server.post("/tokenize", &plain).json();
    let special = server.post("/tokenize", &json!({ "content": "<|end|>" })).json();
    assert_eq!(special["tokens"].as_array().unwrap().len(), 1);
    assert!(plain["tokens"].as_array().unwrap().len() > 1);
}

#[test]
fn what_is_wrong_is_named() {
    let server = Running::start(|_| {});
    let cases = [
        ("/tokenize", json!({}), "400 content missing_parameter"),
        ("/tokenize", json!({ "content": 1 }), "400 content invalid_value"),
        ("/tokenize", json!({ "content": "", "x": 1 }), "400 x unknown_parameter"),
        ("/detokenize", json!({}), "400 tokens missing_parameter"),
        ("/detokenize", json!({ "tokens": ["a"] }), "400 tokens[0] invalid_value"),
        ("/detokenize", json!({ "tokens": [1, 288] }), "400 tokens[1] invalid_value"),
        ("/detokenize", json!({ "tokens": [-1] }), "400 tokens[0] invalid_value"),
    ];
    for (path, body, want) in cases {
        assert_eq!(server.post(path, &body).error(), want, "{path} {body}");
    }
}

#[test]
fn the_model_is_listed_by_all_its_names() {
    let server = Running::start_named("hub/tiny:f32", &["tiny"]);
    let list = server.get("/v1/models").json();
    assert_eq!(list["object"], "list");
    assert_eq!(list["data"][0]["id"], "hub/tiny:f32");
    assert_eq!(list["data"][1]["id"], "tiny");
    for path in ["/v1/models/hub/tiny:f32", "/v1/models/hub%2Ftiny:f32", "/v1/models/tiny"] {
        let one = server.get(path).json();
        assert_eq!(one["object"], "model", "{path}: {one}");
        assert_eq!(one["max_model_len"], 512);
    }
    assert_eq!(server.get("/v1/models/other").error(), "404 model model_not_found");
    let body = json!({ "model": "tiny", "prompt": "a", "max_tokens": 1, "ignore_eos": true });
    assert_eq!(server.post("/v1/completions", &body).json()["model"], "hub/tiny:f32");
}
