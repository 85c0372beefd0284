//! `/v1/responses`: answers that can be gone on from.

use rushlight_testkit::model_path;
use serde_json::{Value, json};

use crate::support::{Reply, Running, load};

fn ask(server: &Running, more: &Value) -> Reply {
    let mut body = json!({ "input": "abc", "max_output_tokens": 6, "temperature": 0 });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    server.post("/v1/responses", &body)
}

#[test]
fn a_response_is_complete_and_can_be_asked_for_again() {
    let server = Running::start_tiny("llama_yarn", |_| {});
    let more = json!({ "instructions": "Be brief.", "metadata": { "a": "b" } });
    let response = ask(&server, &more).json();
    assert_eq!(response["object"], "response");
    assert_eq!((&response["model"], &response["metadata"]["a"]), (&json!("tiny"), &json!("b")));
    assert_eq!(response["instructions"], "Be brief.");
    let cut = response["status"] == "incomplete";
    assert_eq!(response["incomplete_details"]["reason"] == "max_output_tokens", cut, "{response}");
    let message = &response["output"][0];
    assert_eq!((&message["type"], &message["role"]), (&json!("message"), &json!("assistant")));
    assert_eq!(message["content"][0]["type"], "output_text");
    let usage = &response["usage"];
    let count = |name: &str| usage[name].as_u64().unwrap();
    assert_eq!(count("total_tokens"), count("input_tokens") + count("output_tokens"));

    let id = response["id"].as_str().unwrap();
    let path = format!("/v1/responses/{id}");
    assert_eq!(server.get(&path).json(), response);
    let items = server.get(&format!("{path}/input_items")).json();
    assert_eq!(items["data"][0]["content"][0]["text"], "abc");
    assert_eq!(items["first_id"], items["data"][0]["id"]);
    assert_eq!(server.send("DELETE", &path, &[], "").json()["deleted"], true);
    assert_eq!(server.get(&path).error(), "404 - response_not_found");
    assert_eq!(server.send("DELETE", &path, &[], "").status, 404);
    // One that is not to be kept is not.
    let response = ask(&server, &json!({ "store": false })).json();
    let path = format!("/v1/responses/{}", response["id"].as_str().unwrap());
    assert_eq!(server.get(&path).status, 404);
}

#[test]
fn items_are_told_by_pages() {
    let server = Running::start_tiny("llama_yarn", |_| {});
    let items: Vec<Value> = (0..23)
        .map(|at| json!({ "role": "user", "content": "a", "id": format!("m {at}") }))
        .collect();
    let response = ask(&server, &json!({ "input": items })).json();
    let path = format!("/v1/responses/{}/input_items", response["id"].as_str().unwrap());
    let page = |query: &str| {
        let page = server.get(&format!("{path}{query}")).json();
        let ids: Vec<String> = page["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["id"].as_str().unwrap().trim_start_matches("m ").to_owned())
            .collect();
        assert_eq!(page["first_id"], page["data"][0]["id"], "{page}");
        assert_eq!(page["last_id"].is_null(), ids.is_empty(), "{page}");
        (ids.join(" "), page["has_more"].as_bool().unwrap())
    };
    let count = |from: i32, to: i32, step: i32| {
        let all = (0..(to - from).abs()).map(|n| (from + n * step).to_string());
        all.collect::<Vec<_>>().join(" ")
    };
    // As OpenAI documents: the last first, 20 on a page.
    assert_eq!(page(""), (count(22, 2, -1), true));
    assert_eq!(page("?order=desc&after=m%203"), ("2 1 0".to_owned(), false));
    assert_eq!(page("?order=asc"), (count(0, 20, 1), true));
    assert_eq!(page("?order=asc&limit=100"), (count(0, 23, 1), false));
    assert_eq!(page("?limit=2&order=asc&after=m+4"), ("5 6".to_owned(), true));
    assert_eq!(page("?limit=2&order=asc&after=m+20"), ("21 22".to_owned(), false));
    assert_eq!(page("?after=m+0"), (String::new(), false));
    for (query, error) in [
        ("?order=up", "400 order invalid_value"),
        ("?limit=0", "400 limit invalid_value"),
        ("?limit=101", "400 limit invalid_value"),
        ("?limit=x", "400 limit invalid_value"),
        ("?after=nobody", "400 after invalid_value"),
        ("?after=a&after=b", "400 after invalid_value"),
        ("?before=m+1", "400 before unknown_parameter"),
        ("?include%5B%5D=message.input_image.image_url", "400 include[] unknown_parameter"),
    ] {
        assert_eq!(server.get(&format!("{path}{query}")).error(), error, "{query}");
    }
}

#[test]
fn what_was_said_before_is_part_of_the_prompt() {
    let server = Running::start_tiny("llama_yarn", |_| {});
    let first = ask(&server, &json!({})).json();
    let text = first["output"][0]["content"][0]["text"].as_str().unwrap();
    let next = ask(&server, &json!({ "input": "d", "previous_response_id": first["id"] })).json();
    let whole = ask(
        &server,
        &json!({ "input": [
        { "role": "user", "content": "abc" },
        { "role": "assistant", "content": text },
        { "role": "user", "content": "d" },
    ] }),
    )
    .json();
    assert_eq!(next["usage"]["input_tokens"], whole["usage"]["input_tokens"]);
    assert_eq!(next["output"][0]["content"][0]["text"], whole["output"][0]["content"][0]["text"]);
    let missing = ask(&server, &json!({ "previous_response_id": "resp_0" }));
    assert_eq!(missing.error(), "404 previous_response_id response_not_found");
}

#[test]
fn a_stream_tells_all_that_the_response_has() {
    let server = Running::start_tiny("llama_yarn", |_| {});
    let whole = ask(&server, &json!({})).json();
    let reply = ask(&server, &json!({ "stream": true }));
    let events: Vec<Value> = reply
        .body
        .split_terminator("\n\n")
        .map(|event| {
            let (name, data) = event.split_once('\n').unwrap();
            let data: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
            assert_eq!(name.strip_prefix("event: ").unwrap(), data["type"]);
            data
        })
        .collect();
    let numbers: Vec<u64> = events.iter().map(|e| e["sequence_number"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (0..events.len() as u64).collect::<Vec<_>>());
    assert_eq!(events[0]["type"], "response.created");
    let last = &events.last().unwrap()["response"];
    assert_eq!(last["output"][0]["content"], whole["output"][0]["content"]);
    assert_eq!(last["usage"]["output_tokens"], whole["usage"]["output_tokens"]);
    let deltas = events.iter().filter(|e| e["type"] == "response.output_text.delta");
    let text: String = deltas.map(|e| e["delta"].as_str().unwrap()).collect();
    assert_eq!(text, whole["output"][0]["content"][0]["text"].as_str().unwrap());
    let path = format!("/v1/responses/{}", last["id"].as_str().unwrap());
    assert_eq!(server.get(&path).json()["output"], last["output"]);
}

#[test]
fn forms_and_calls_are_followed() {
    let server = Running::start_tiny("llama_yarn", |_| {});
    let schema = json!({ "type": "object", "properties": { "a": { "enum": ["x", "y"] } },
                         "required": ["a"], "additionalProperties": false });
    let format = json!({ "type": "json_schema", "name": "n", "schema": schema });
    let more = json!({ "text": { "format": format }, "max_output_tokens": 200, "temperature": 1 });
    let response = ask(&server, &more).json();
    let text = response["output"][0]["content"][0]["text"].as_str().unwrap();
    let value: Value = serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {response}"));
    assert!(value["a"] == "x" || value["a"] == "y");
    assert_eq!(response["text"]["format"], format);

    let tool = json!({ "type": "function", "name": "f", "description": "d", "parameters": schema });
    let more = json!({ "tools": [tool], "tool_choice": "required", "max_output_tokens": 400 });
    let response = ask(&server, &more).json();
    let call = &response["output"][0];
    assert_eq!(
        (&call["type"], &call["name"]),
        (&json!("function_call"), &json!("f")),
        "{response}"
    );
    let arguments: Value = serde_json::from_str(call["arguments"].as_str().unwrap()).unwrap();
    assert!(arguments["a"].is_string());
    let more = json!({ "previous_response_id": response["id"], "tools": [tool], "input": [
        { "type": "function_call_output", "call_id": call["call_id"], "output": "3" },
    ] });
    assert_eq!(ask(&server, &more).status, 200);
}

#[test]
fn what_is_wrong_is_said_with_its_parameter() {
    let server = Running::start(|_| {});
    let cases = [
        (json!({ "input": null }), "input"),
        (json!({ "inptu": "a" }), "inptu"),
        (json!({ "background": true }), "background"),
        (json!({ "truncation": "auto" }), "truncation"),
        (json!({ "include": ["file_search_call.results"] }), "include"),
        (json!({ "tools": [{ "type": "web_search" }] }), "tools[0].type"),
        (json!({ "tool_choice": "required" }), "tool_choice"),
        (json!({ "text": { "format": { "type": "xml" } } }), "text.format.type"),
        (json!({ "text": { "verbosity": "low" } }), "text.verbosity"),
        (json!({ "reasoning": { "effort": "high" } }), "reasoning.effort"),
        (json!({ "reasoning": { "summary": "detailed" } }), "reasoning.summary"),
        (json!({ "max_output_tokens": 0 }), "max_output_tokens"),
        (json!({ "conversation": "c" }), "conversation"),
    ];
    for (more, parameter) in cases {
        let reply = ask(&server, &more);
        let error = reply.json();
        assert_eq!((reply.status, &error["error"]["param"]), (400, &json!(parameter)), "{error}");
    }
}

#[test]
fn smollm2_does_not_read_again_what_was_said() {
    let Some(file) = model_path() else { return };
    let server = Running::start_with(move || load(&file), |_| {});
    server.wait();
    let more = json!({ "input": "My name is Ada. Say hello.", "max_output_tokens": 30 });
    let first = ask(&server, &more).json();
    let more = json!({ "input": "What is my name?", "previous_response_id": first["id"],
                       "max_output_tokens": 30 });
    let next = ask(&server, &more).json();
    assert!(
        next["usage"]["input_tokens_details"]["cached_tokens"].as_u64().unwrap() > 10,
        "{next}"
    );
}
