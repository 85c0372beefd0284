//! What keys may do, and how much of it.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use rushlight_server::Observer;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::support::{Reply, Running, until};

/// A line of the key file for a key.
fn line(key: &str, settings: &str) -> String {
    let mut line = String::from("sha256:");
    for byte in Sha256::digest(key) {
        write!(line, "{byte:02x}").unwrap();
    }
    line + " " + settings + "\n"
}

/// A server with these keys.
fn start(keys: &[(&str, &str)]) -> (Running, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keys");
    let text: String = keys.iter().map(|(key, settings)| line(key, settings)).collect();
    std::fs::write(&path, text).unwrap();
    (Running::start(|options| options.key_file = Some(path)), dir)
}

fn ask(server: &Running, key: &str, method: &str, path: &str, body: &Value) -> Reply {
    let key = format!("Bearer {key}");
    let headers = [("authorization", &*key), ("content-type", "application/json")];
    let body = if method == "GET" { String::new() } else { body.to_string() };
    server.send(method, path, &headers, &body)
}

fn complete(server: &Running, key: &str) -> Reply {
    let body = json!({ "prompt": "abc", "max_tokens": 4, "ignore_eos": true });
    ask(server, key, "POST", "/v1/completions", &body)
}

fn refused(server: &Running, reason: &str) -> f64 {
    let text = ask(server, "all", "GET", "/metrics", &json!({})).body;
    let name = format!("rushlight_refused_total{{reason=\"{reason}\"}} ");
    let line = text.lines().find_map(|line| line.strip_prefix(&name));
    line.map_or(0.0, |value| value.parse().unwrap())
}

#[test]
fn keys_open_what_they_are_for() {
    let (server, _dir) = start(&[
        ("all", ""),
        ("writer", "name=writer scopes=generate"),
        ("reader", "scopes=read,metrics"),
        ("nobody", "scopes=admin"),
    ]);
    let completion = json!({ "prompt": "abc", "max_tokens": 1 });
    let message = json!({ "model": "tiny", "max_tokens": 1,
        "messages": [{ "role": "user", "content": "abc" }] });
    let generate = json!({ "model": "tiny", "prompt": "abc", "options": { "num_predict": 1 } });
    let text = json!({ "content": "abc" });
    let none = json!({});
    let routes = [
        ("POST", "/v1/completions", &completion, "writer"),
        ("POST", "/v1/chat/completions", &message, "writer"),
        ("POST", "/v1/messages", &message, "writer"),
        ("POST", "/api/generate", &generate, "writer"),
        ("POST", "/tokenize", &text, "reader"),
        ("POST", "/v1/messages/count_tokens", &message, "reader"),
        ("GET", "/v1/models", &none, "reader"),
        ("GET", "/v1/models/tiny", &none, "reader"),
        ("GET", "/api/tags", &none, "reader"),
        ("GET", "/health", &none, "reader"),
        ("GET", "/metrics", &none, "reader"),
    ];
    let mut failures = Vec::new();
    for (method, path, body, who) in routes {
        for key in ["all", "writer", "reader", "nobody"] {
            let reply = ask(&server, key, method, path, body);
            let refused = reply.status == 403;
            if refused == (key == "all" || key == who) {
                failures.push(format!("{key} {path}: {} {}", reply.status, reply.body));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert_eq!(refused(&server, "scope"), 22.0);
    // Each dialect says it in its own words.
    let reply = ask(&server, "reader", "POST", "/v1/completions", &completion);
    assert_eq!(reply.error(), "403 - insufficient_scope");
    assert_eq!(reply.json()["error"]["type"], "permission_error");
    let reply = ask(&server, "reader", "POST", "/v1/messages", &message);
    assert_eq!(reply.json()["error"]["type"], "permission_error");
    let reply = ask(&server, "reader", "POST", "/api/generate", &generate);
    assert!(reply.json()["error"].as_str().unwrap().contains("`generate`"));
    // What is not there is not there, and the probes are open.
    assert_eq!(ask(&server, "reader", "GET", "/nowhere", &none).status, 404);
    assert_eq!(server.get("/readyz").status, 200);
}

#[test]
fn requests_of_a_minute_are_counted() {
    let (server, _dir) = start(&[("all", ""), ("few", "rpm=2")]);
    let reply = complete(&server, "few");
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("x-ratelimit-limit-requests"), Some("2"));
    assert_eq!(reply.header("x-ratelimit-remaining-requests"), Some("1"));
    assert!(reply.header("x-ratelimit-reset-requests").unwrap().ends_with('s'));
    assert_eq!(reply.header("x-ratelimit-limit-tokens"), None);
    assert_eq!(complete(&server, "few").status, 200);
    let reply = complete(&server, "few");
    assert_eq!(reply.error(), "429 - rate_limit_exceeded");
    assert_eq!(reply.json()["error"]["type"], "rate_limit_error");
    let retry: u64 = reply.header("retry-after").unwrap().parse().unwrap();
    assert!((20..=30).contains(&retry), "{retry}");
    assert_eq!(reply.header("x-ratelimit-remaining-requests"), Some("0"));
    let message = json!({ "model": "tiny", "max_tokens": 1,
        "messages": [{ "role": "user", "content": "abc" }] });
    let reply = ask(&server, "few", "POST", "/v1/messages", &message);
    assert_eq!((reply.status, &reply.json()["error"]["type"]), (429, &json!("rate_limit_error")));
    let reply = ask(&server, "few", "POST", "/api/chat", &json!({ "model": "tiny" }));
    assert!(reply.status == 429 && reply.json()["error"].is_string(), "{reply:?}");
    assert_eq!(refused(&server, "request_rate"), 3.0);
    // Reading costs nothing, and others are not held up.
    assert_eq!(ask(&server, "few", "GET", "/health", &json!({})).status, 200);
    let reply = complete(&server, "all");
    assert_eq!((reply.status, reply.header("x-ratelimit-limit-requests")), (200, None));
}

#[test]
fn tokens_of_prompts_and_answers_are_counted() {
    let (server, _dir) = start(&[("all", ""), ("few", "name=few tpm=20")]);
    let reply = complete(&server, "few");
    let used = reply.json()["usage"]["total_tokens"].as_u64().unwrap();
    let left = ask(&server, "few", "GET", "/health", &json!({}));
    let left = left.header("x-ratelimit-remaining-tokens").unwrap().parse::<u64>().unwrap();
    // A token comes back every three seconds.
    assert!((20 - used..20 - used + 3).contains(&left), "{used} {left}");
    // One that began may go beyond, which is paid for before the next.
    let stream = json!({ "prompt": "abc", "max_tokens": 40, "ignore_eos": true, "stream": true });
    let reply = ask(&server, "few", "POST", "/v1/completions", &stream);
    assert!(reply.body.contains("[DONE]"), "{reply:?}");
    let reply = complete(&server, "few");
    assert_eq!(reply.error(), "429 - rate_limit_exceeded");
    let retry: u64 = reply.header("retry-after").unwrap().parse().unwrap();
    assert!((60..=150).contains(&retry), "{retry}");
    assert_eq!(reply.header("x-ratelimit-remaining-tokens"), Some("0"));
    assert_eq!(refused(&server, "token_rate"), 1.0);
    assert_eq!(complete(&server, "all").status, 200);
}

#[test]
fn keys_end_and_change() {
    let (server, dir) = start(&[
        ("all", ""),
        ("old", "expires=2020-01-01"),
        ("new", "expires=2120-01-01"),
        ("few", "rpm=1"),
    ]);
    let models = |key: &str| ask(&server, key, "GET", "/v1/models", &json!({}));
    assert_eq!(models("old").error(), "401 - invalid_api_key");
    assert!(models("old").body.contains("expired"));
    assert_eq!(models("new").status, 200);
    assert_eq!(complete(&server, "few").status, 200);
    assert_eq!((refused(&server, "expired_key"), refused(&server, "unknown_key")), (2.0, 0.0));
    let path = dir.path().join("keys");
    let text = line("all", "") + &line("few", "rpm=1") + &line("later", "scopes=read");
    std::fs::write(&path, &text).unwrap();
    until("the new key opens", || models("later").status == 200);
    assert_eq!(models("new").status, 401);
    assert_eq!(complete(&server, "few").status, 429, "what it had is not forgotten");
    // A file that is no good changes nothing, which is told.
    std::fs::write(&path, text + &line("more", "scope=read")).unwrap();
    let wrong = || {
        let health = ask(&server, "all", "GET", "/health", &json!({})).json();
        let all = health["degradations"].as_array().unwrap();
        all.iter().find(|d| d["what"] == "API keys").map(|d| d["reason"].to_string())
    };
    until("it is told", || wrong().is_some());
    assert!(wrong().unwrap().contains("line `4`"), "{:?}", wrong());
    assert_eq!((models("more").status, models("later").status), (401, 200));
}

#[test]
fn logs_have_the_names_of_keys() {
    let heard: Arc<Mutex<Vec<String>>> = Arc::default();
    let hear = heard.clone();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keys");
    std::fs::write(&path, line("a", "name=camera scopes=read") + &line("b", "")).unwrap();
    let server = Running::start(|options| {
        options.key_file = Some(path);
        options.observer = Some(Observer::new(move |seen| {
            hear.lock().unwrap().push(format!("{} {:?} {}", seen.route, seen.caller, seen.status));
        }));
    });
    heard.lock().unwrap().clear();
    for key in ["a", "b", "c"] {
        ask(&server, key, "GET", "/v1/models", &json!({}));
    }
    ask(&server, "a", "GET", "/metrics", &json!({}));
    let want = [
        "/v1/models Some(\"camera\") 200",
        "/v1/models None 200",
        "/v1/models None 401",
        "/metrics Some(\"camera\") 403",
    ];
    assert_eq!(*heard.lock().unwrap(), want);
}

#[test]
fn what_is_kept_is_its_keys_alone() {
    let (server, _dir) = start(&[("one", "scopes=generate"), ("two", "scopes=generate")]);
    let more = json!({ "input": "abc", "max_output_tokens": 2 });
    let response = ask(&server, "one", "POST", "/v1/responses", &more).json();
    let path = format!("/v1/responses/{}", response["id"].as_str().unwrap());
    let next = json!({ "input": "d", "previous_response_id": response["id"] });
    for (key, status) in [("two", 404), ("one", 200)] {
        assert_eq!(ask(&server, key, "GET", &path, &json!({})).status, status, "{key}");
        let items = format!("{path}/input_items");
        assert_eq!(ask(&server, key, "GET", &items, &json!({})).status, status, "{key}");
        assert_eq!(ask(&server, key, "POST", "/v1/responses", &next).status, status, "{key}");
        assert_eq!(ask(&server, key, "DELETE", &path, &json!({})).status, status, "{key}");
    }
    let rerank = json!({ "query": "a", "documents": ["b"] });
    let refused = ask(&server, "one", "POST", "/rerank", &rerank);
    assert!(refused.body.contains("embed"), "{}", refused.body);
}
