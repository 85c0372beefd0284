//! What is given up while memory is short, and in which order.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rushlight_engine::{Engine, EngineOptions};
use rushlight_model::Model;
use rushlight_server::{Loaded, Notices, ServedModel};
use rushlight_testkit::tiny;
use serde_json::{Value, json};

use crate::support::{LoadResult, Running, until};

fn load(file: &Path) -> LoadResult {
    let mut options = EngineOptions::default();
    (options.threads, options.pin) = (Some(1), false);
    Ok(Loaded::new(Engine::new(Arc::new(Model::open(file)?), &options)?))
}

/// A machine with so many MiB of 1000 left, below a made-up root.
fn machine(root: &Path, left: u64) {
    let proc = root.join("proc");
    std::fs::create_dir_all(&proc).unwrap();
    let text = format!("MemTotal: {} kB\nMemAvailable: {} kB\n", 1000 << 10, left << 10);
    // It is read at any time: whole or not at all.
    std::fs::write(proc.join("new"), text).unwrap();
    std::fs::rename(proc.join("new"), proc.join("meminfo")).unwrap();
}

fn ask(server: &Running, model: &str) -> u16 {
    let body = json!({ "model": model, "prompt": "abc", "max_tokens": 3, "ignore_eos": true });
    server.post("/v1/completions", &body).status
}

fn sheds(server: &Running, step: &str) -> f64 {
    server.metric(&format!("rushlight_memory_sheds_total{{step=\"{step}\"}}"))
}

fn told(server: &Running) -> String {
    let health = server.get("/health").json();
    let all = health["degradations"].as_array().unwrap().clone();
    let of_memory = all.iter().find(|d| d["what"] == "memory");
    of_memory.map_or(String::new(), |d| d["reason"].as_str().unwrap().to_owned())
}

#[test]
fn texts_go_first_then_idle_models_then_the_queue_and_all_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let model = |name: &str| {
        let file = dir.path().join(format!("{name}.gguf"));
        tiny::write_gguf(&tiny::case("llama2"), &file);
        ServedModel::new(name, move || load(&file))
    };
    let (stays, mut goes) = (model("stays"), model("goes"));
    goes.pinned = false;
    machine(dir.path(), 500);
    let lines: Arc<Mutex<Vec<String>>> = Arc::default();
    let heard = lines.clone();
    let root = dir.path().to_owned();
    let server = Running::start_models(vec![stays, goes], |options| {
        options.machine = root;
        options.memory_look = Duration::from_millis(100);
        options.notices = Some(Notices::new(move |line| heard.lock().unwrap().push(line.into())));
    });
    server.wait();
    assert_eq!(["stays", "goes"].map(|name| ask(&server, name)), [200; 2]);
    let cached = || {
        let health = server.get("/health").json();
        let models = health["models"].as_array().unwrap().clone();
        models.iter().map(|m| m["cache"]["pages_cached"].as_u64().unwrap()).sum::<u64>()
    };
    assert!(cached() > 0);
    std::thread::sleep(Duration::from_millis(300));
    assert!(told(&server).is_empty() && lines.lock().unwrap().is_empty());

    machine(dir.path(), 5);
    until("new requests are refused", || told(&server).contains("new requests are refused"));
    assert!(told(&server).contains("5 MiB are left of the machine's 1000"), "{}", told(&server));
    assert_eq!(["prefix_cache", "idle_models", "queue"].map(|step| sheds(&server, step)), [1.0; 3]);
    assert_eq!(cached(), 0);
    let gone = "rushlight_model_unloads_total{model=\"goes\",reason=\"pressure\"}";
    assert_eq!(server.metric(gone), 1.0);
    let body = json!({ "model": "stays", "prompt": "abc", "max_tokens": 3 });
    let refused = server.post("/v1/completions", &body);
    assert_eq!(refused.error(), "503 - memory_short");
    assert_eq!(refused.header("retry-after"), Some("10"));
    assert_eq!(server.get("/readyz").status, 200);
    let said = lines.lock().unwrap().join("\n");
    let at = |what: &str| said.find(what).unwrap_or_else(|| panic!("`{what}` in {said}"));
    assert!(at("kept of earlier texts") < at("are let go"), "{said}");
    assert!(at("are let go") < at("new requests are refused"), "{said}");

    // More than before, but not enough to be out of it.
    machine(dir.path(), 25);
    std::thread::sleep(Duration::from_millis(500));
    assert!(told(&server).contains("new requests are refused"));
    machine(dir.path(), 500);
    until("all is as before", || told(&server).is_empty());
    assert_eq!(["stays", "goes"].map(|name| ask(&server, name)), [200; 2]);
    assert!(lines.lock().unwrap().join("\n").contains("no longer short"));
    let health: Value = server.get("/health").json();
    assert!(health["resident_bytes"].as_u64().unwrap() > 0);
}
