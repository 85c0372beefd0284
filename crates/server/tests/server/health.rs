//! `/livez`, `/readyz`, `/health`, `/metrics`.

use std::sync::{Mutex, mpsc};

use rushlight_server::{Degradation, ErrorKind};
use rushlight_testkit::tiny;
use serde_json::json;

use crate::support::{Running, load, until};

#[test]
fn it_lives_before_it_is_ready_and_is_ready_once_a_token_came() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tiny.gguf");
    tiny::write_gguf(&tiny::case("llama2"), &file);
    let (open, gate) = mpsc::channel();
    let gate = Mutex::new(gate);
    let server = Running::start_with(
        move || {
            gate.lock().unwrap().recv()?;
            let mut loaded = load(&file)?;
            loaded.degradations.push(Degradation::new("weights", "they are not prepared"));
            Ok(loaded)
        },
        |_| {},
    );
    assert_eq!(server.get("/livez").status, 200);
    assert_eq!(server.get("/readyz").status, 503);
    let health = server.get("/health");
    assert_eq!((health.status, &health.json()["status"]), (503, &json!("loading")));
    let chat = json!({ "messages": [{ "role": "user", "content": "a" }] });
    let refused = server.post("/v1/chat/completions", &chat);
    assert_eq!(refused.error(), "503 - loading");
    assert!(refused.header("retry-after").is_some());
    open.send(()).unwrap();
    server.wait();
    let health = server.get("/health").json();
    assert_eq!(health["status"], "degraded");
    assert_eq!(health["model"], "tiny");
    assert_eq!(health["context"], 512);
    assert_eq!(health["threads"], 1);
    assert_eq!(health["weights"], "file");
    assert_eq!(health["running"], 0);
    assert!(health["kernels"].is_string());
    assert_eq!(health["step_seconds"], json!(null));
    let whats: Vec<_> = health["degradations"].as_array().unwrap().iter().collect();
    assert_eq!(whats[0]["reason"], "they are not prepared");
    assert!(whats.iter().any(|d| d["what"] == "chat template"), "{whats:?}");
}

#[test]
fn a_model_that_cannot_be_loaded_ends_the_server() {
    let mut server = Running::start_with(|| Err("no such file".into()), |_| {});
    let error = server.end().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Load);
    let source = std::error::Error::source(&error).unwrap();
    assert_eq!(source.to_string(), "no such file");
    let mut server = Running::start_with(|| panic!("a bug"), |_| {});
    assert!(server.end().unwrap_err().to_string().contains("a bug"));
}

#[test]
fn metrics_are_what_prometheus_reads() {
    let server = Running::start(|_| {});
    let body = json!({ "prompt": "abc", "max_tokens": 5, "ignore_eos": true, "n": 2 });
    assert_eq!(server.post("/v1/completions", &body).status, 200);
    assert_eq!(server.get("/nowhere/1").status, 404);
    assert_eq!(server.get("/nowhere/2").status, 404);
    let reply = server.get("/metrics");
    assert!(reply.header("content-type").unwrap().starts_with("text/plain; version=0.0.4"));
    for line in reply.body.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').unwrap();
        assert!(value.parse::<f64>().is_ok(), "{line}");
        assert!(name.starts_with("rushlight_") || name.starts_with("process_"), "{line}");
        assert!(!name.contains('{') || name.ends_with('}'), "{line}");
    }
    let model = "{model=\"tiny\"}";
    let values = [
        (format!("rushlight_generation_tokens_total{model}"), 10.0),
        (format!("rushlight_time_to_first_token_seconds_count{model}"), 2.0),
        (format!("rushlight_time_per_output_token_seconds_count{model}"), 8.0),
        (format!("rushlight_request_queue_time_seconds_count{model}"), 2.0),
        (format!("rushlight_e2e_request_latency_seconds_count{model}"), 2.0),
        (format!("rushlight_num_requests_running{model}"), 0.0),
        (format!("rushlight_num_requests_waiting{model}"), 0.0),
        ("rushlight_http_requests_total{route=\"/v1/completions\",status=\"200\"}".to_owned(), 1.0),
        ("rushlight_http_requests_total{route=\"other\",status=\"404\"}".to_owned(), 2.0),
    ];
    for (name, want) in values {
        assert_eq!(server.metric(&name), want, "{name}\n{}", reply.body);
    }
    assert!(server.metric("rushlight_prompt_tokens_total") >= 6.0);
    assert!(server.metric("rushlight_kv_cache_pages{") > 0.0);
}

#[test]
fn an_idle_server_takes_no_processor() {
    let server = Running::start(|_| {});
    let body = json!({ "prompt": "abc", "max_tokens": 5 });
    assert_eq!(server.post("/v1/completions", &body).status, 200);
    // The engine's thread must come to sleep: the kernel says so.
    until("the engine's thread sleeps", || {
        let threads = std::fs::read_dir("/proc/self/task").unwrap().flatten();
        let mut engines = 0;
        let mut sleeping = 0;
        for thread in threads {
            let stat = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
            if let Some((_, state)) = stat.split_once("(engine) ") {
                engines += 1;
                sleeping += usize::from(state.starts_with('S'));
            }
        }
        engines > 0 && sleeping == engines
    });
}
