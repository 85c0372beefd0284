//! Several models: loaded when asked for, let go when another needs the room or nobody asks.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rushlight_engine::{Engine, EngineOptions, Plan};
use rushlight_model::{Adapter, Model};
use rushlight_server::{Loaded, ServedModel, Server, ServerOptions, runtime};
use rushlight_testkit::tiny;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{LoadResult, Reply, Running, until};

/// Models that can be served.
struct Shelf {
    dir: TempDir,
}

/// One that stays and three that come and go: names and files.
const SHELF: [(&str, &str); 4] =
    [("stays", "llama2"), ("a", "llama2"), ("b", "qwen2"), ("c", "llama2")];

fn engine_options() -> EngineOptions {
    let mut options = EngineOptions::default();
    options.threads = Some(1);
    options.pin = false;
    options
}

fn load(file: &Path) -> LoadResult {
    Ok(Loaded::new(Engine::new(Arc::new(Model::open(file)?), &engine_options())?))
}

impl Shelf {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for (name, case) in SHELF {
            tiny::write_gguf(&tiny::case(case), &dir.path().join(format!("{name}.gguf")));
        }
        Self { dir }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(format!("{name}.gguf"))
    }

    fn bytes(&self, name: &str) -> u64 {
        let model = Model::open(&self.file(name)).unwrap();
        Plan::of(&model, &engine_options()).total_bytes()
    }

    /// A model that comes and goes, but for `stays`.
    fn model(&self, name: &str) -> ServedModel {
        let (file, bytes) = (self.file(name), self.bytes(name));
        let mut model = ServedModel::new(name, move || load(&file)).with_needs(move || Ok(bytes));
        model.pinned = name == "stays";
        model
    }

    fn models(&self, names: &[&str]) -> Vec<ServedModel> {
        names.iter().map(|name| self.model(name)).collect()
    }

    /// A server with room for so many of the models beside the one that stays.
    fn start(&self, models: Vec<ServedModel>, beside: u64) -> Running {
        let most = SHELF.iter().map(|(name, _)| self.bytes(name)).max().unwrap();
        let budget = self.bytes("stays") + most * beside + most / 2;
        let server = Running::start_models(models, |options| options.memory_bytes = Some(budget));
        server.wait();
        server
    }
}

fn body(model: &str) -> Value {
    json!({ "model": model, "prompt": "abc", "max_tokens": 3, "ignore_eos": true })
}

fn ask(server: &Running, model: &str) -> Reply {
    server.post("/v1/completions", &body(model))
}

/// `name:stage` of all models.
fn stages(server: &Running) -> String {
    let health = server.get("/health").json();
    let all = health["models"].as_array().unwrap().iter();
    let of =
        |m: &Value| format!("{}:{}", m["model"].as_str().unwrap(), m["stage"].as_str().unwrap());
    all.map(of).collect::<Vec<_>>().join(" ")
}

fn unloads(server: &Running, model: &str, reason: &str) -> f64 {
    let labels = format!("{{model=\"{model}\",reason=\"{reason}\"}}");
    server.metric(&format!("rushlight_model_unloads_total{labels}"))
}

#[test]
fn models_come_when_they_are_asked_for() {
    let shelf = Shelf::new();
    let server = shelf.start(shelf.models(&["stays", "a", "b"]), 2);
    assert_eq!(stages(&server), "stays:loaded a:absent b:absent");
    let list = server.get("/v1/models").json();
    let ids: Vec<_> = list["data"].as_array().unwrap().iter().map(|m| &m["id"]).collect();
    assert_eq!(ids, ["stays", "a", "b"]);
    let answers = ["a", "b", "stays"].map(|name| ask(&server, name));
    for (answer, name) in answers.iter().zip(["a", "b", "stays"]) {
        assert_eq!((answer.status, &answer.json()["model"]), (200, &json!(name)));
    }
    assert_eq!(stages(&server), "stays:loaded a:loaded b:loaded");
    let loaded = server.get("/api/ps").json();
    assert_eq!(loaded["models"].as_array().unwrap().len(), 3);
    let text = |answer: &Reply| answer.json()["choices"][0]["text"].clone();
    let own = ask(&server, "a");
    assert_eq!(server.metric("rushlight_model_loads_total{model=\"a\"}"), 1.0);
    assert_eq!(server.metric("rushlight_generation_tokens_total{model=\"b\"}"), 3.0);
    let _ = text(&own);
    // The one of no name is the first.
    let unnamed = json!({ "prompt": "abc", "max_tokens": 1 });
    assert_eq!(server.post("/v1/completions", &unnamed).json()["model"], "stays");
    assert_eq!(ask(&server, "d").error(), "404 model model_not_found");
}

#[test]
fn one_that_nobody_uses_goes_when_another_needs_the_room() {
    let shelf = Shelf::new();
    let server = shelf.start(shelf.models(&["stays", "a", "b", "c"]), 2);
    let first = ask(&server, "a").json();
    for name in ["b", "a", "c"] {
        assert_eq!(ask(&server, name).status, 200, "{name}");
    }
    // `b` was used longest ago.
    assert_eq!(stages(&server), "stays:loaded a:loaded b:absent c:loaded");
    assert_eq!(unloads(&server, "b", "room"), 1.0);
    assert_eq!(server.metric("rushlight_model_loaded{model=\"b\"}"), 0.0);
    assert_eq!(ask(&server, "b").status, 200);
    assert_eq!(stages(&server), "stays:loaded a:absent b:loaded c:loaded");
    // One that comes again is what it was.
    let mut greedy = body("a");
    greedy["temperature"] = json!(0);
    let again = server.post("/v1/completions", &greedy).json();
    assert_eq!(first["usage"]["prompt_tokens"], again["usage"]["prompt_tokens"]);
}

#[test]
fn priority_decides_before_age() {
    let shelf = Shelf::new();
    let mut models = shelf.models(&["stays", "a", "b", "c"]);
    models[1].priority = 1;
    let server = shelf.start(models, 2);
    for name in ["a", "b", "c"] {
        assert_eq!(ask(&server, name).status, 200, "{name}");
    }
    assert_eq!(stages(&server), "stays:loaded a:loaded b:absent c:loaded");
}

#[test]
fn one_that_is_used_is_waited_for() {
    let shelf = Shelf::new();
    let server = shelf.start(shelf.models(&["stays", "a", "b"]), 1);
    let mut long = body("a");
    (long["max_tokens"], long["stream"]) = (json!(400), json!(true));
    let mut stream = server.begin("/v1/completions", &long);
    // Its answer has begun.
    stream.read_exact(&mut [0; 20]).unwrap();
    assert_eq!(ask(&server, "b").status, 200);
    assert_eq!(stages(&server), "stays:loaded a:absent b:loaded");
    let mut rest = String::new();
    stream.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("\"finish_reason\":\"length\"") && rest.contains("[DONE]"), "{rest}");
}

#[test]
fn one_of_higher_priority_that_is_used_is_not_let_go() {
    let shelf = Shelf::new();
    let mut models = shelf.models(&["stays", "a", "b"]);
    models[1].priority = 1;
    let server = shelf.start(models, 1);
    let mut long = body("a");
    (long["max_tokens"], long["stream"]) = (json!(400), json!(true));
    let mut stream = server.begin("/v1/completions", &long);
    stream.read_exact(&mut [0; 20]).unwrap();
    let refused = ask(&server, "b");
    assert_eq!(refused.error(), "503 - load_failed");
    assert!(refused.body.contains("MiB") && refused.header("retry-after").is_some());
    assert_eq!(stages(&server), "stays:loaded a:loaded b:absent");
}

#[test]
fn what_never_fits_and_what_cannot_be_loaded_is_told() {
    let shelf = Shelf::new();
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    let mut huge = shelf.model("a").with_needs(|| Ok(1 << 50));
    huge.name = "huge".to_owned();
    let mut broken = ServedModel::new("broken", move || {
        counted.fetch_add(1, Ordering::SeqCst);
        Err("no such file".into())
    });
    broken.pinned = false;
    let server = shelf.start(vec![shelf.model("stays"), huge, broken], 1);
    let refused = ask(&server, "huge");
    assert_eq!(refused.error(), "503 - load_failed");
    assert!(refused.body.contains("needs `1073741824` MiB"), "{refused:?}");
    for _ in 0..3 {
        let refused = ask(&server, "broken");
        assert_eq!(refused.error(), "503 - load_failed");
        let told = refused.body.contains("cannot be loaded") && !refused.body.contains("such file");
        assert!(told, "what is wrong may name files: {refused:?}");
    }
    assert_eq!(calls.load(Ordering::SeqCst), 1, "it is not tried again at once");
    assert_eq!(server.get("/readyz").status, 200);
    let health = server.get("/health").json();
    assert_eq!(health["status"], "degraded");
    assert!(health["models"][2]["failure"].as_str().unwrap().contains("no such file"));
    assert_eq!(ask(&server, "stays").status, 200);
}

#[test]
fn one_that_nobody_asks_for_goes_after_a_while() {
    let shelf = Shelf::new();
    let mut models = shelf.models(&["stays", "a", "b"]);
    models[1].idle = Some(Duration::from_millis(50));
    models[0].idle = Some(Duration::from_millis(50));
    let server = shelf.start(models, 2);
    assert_eq!(ask(&server, "a").status, 200);
    assert_eq!(ask(&server, "b").status, 200);
    until("it goes", || stages(&server) == "stays:loaded a:absent b:loaded");
    until("it is counted", || unloads(&server, "a", "idle") == 1.0);
    assert_eq!(ask(&server, "a").status, 200);
    assert_eq!(server.metric("rushlight_model_loads_total{model=\"a\"}"), 2.0);
}

#[test]
fn ollamas_clients_say_how_long_it_stays() {
    let shelf = Shelf::new();
    let server = shelf.start(shelf.models(&["stays", "a", "b"]), 2);
    let load = |model: &str, keep: Value| {
        let body = json!({ "model": model, "keep_alive": keep, "stream": false });
        server.post("/api/generate", &body).json()["done_reason"].clone()
    };
    assert_eq!(load("a", json!("10m")), "load");
    let loaded = server.get("/api/ps").json();
    assert!(loaded["models"][0]["expires_at"].as_str().unwrap().starts_with("2999"));
    assert!(!loaded["models"][1]["expires_at"].as_str().unwrap().starts_with("2999"));
    assert_eq!(load("a", json!(0)), "unload");
    until("it goes", || stages(&server) == "stays:loaded a:absent b:absent");
    assert_eq!(load("stays", json!(0)), "unload");
    assert_eq!(stages(&server), "stays:loaded a:absent b:absent", "it is pinned");
    assert_eq!(load("b:latest", json!(-1)), "load");
    let health = server.get("/health").json();
    assert_eq!(health["models"][2]["unloads_in_seconds"], json!(null));
    let wrong = json!({ "model": "a", "keep_alive": "soon", "stream": false });
    assert_eq!(server.post("/api/generate", &wrong).status, 400);
}

#[test]
fn many_who_ask_at_once_load_it_once() {
    let shelf = Shelf::new();
    let server = shelf.start(shelf.models(&["stays", "a", "b"]), 1);
    std::thread::scope(|scope| {
        for i in 0..12 {
            let (server, name) = (&server, ["a", "b", "stays"][i % 3]);
            scope.spawn(move || assert_eq!(ask(server, name).status, 200, "{name}"));
        }
    });
    let loads =
        ["a", "b"].map(|m| server.metric(&format!("rushlight_model_loads_total{{model=\"{m}\"}}")));
    assert!(loads.iter().all(|n| (1.0..=4.0).contains(n)), "{loads:?}");
}

#[test]
fn names_that_do_not_tell_are_refused() {
    let shelf = Shelf::new();
    let run = |models: Vec<ServedModel>| {
        runtime().unwrap().block_on(async {
            let mut options = ServerOptions::default();
            options.address = "127.0.0.1:0".parse().unwrap();
            let server = Server::bind(options).await.unwrap();
            server.run(models, async {}).await.unwrap_err().to_string()
        })
    };
    assert!(run(Vec::new()).contains("no model"));
    let mut twice = shelf.models(&["stays", "a"]);
    twice[1].aliases = vec!["stays".to_owned()];
    assert!(run(twice).contains("two models are called `stays`"));
}

#[test]
fn an_adapter_is_a_model_of_its_own_name() {
    let shelf = Shelf::new();
    let file = shelf.dir.path().join("adapter.gguf");
    let base = shelf.file("stays");
    tiny::adapter("llama2").write_gguf(&file);
    let load = move || {
        let model = Arc::new(Model::open(&base)?);
        let mut options = engine_options();
        let adapter = Arc::new(Adapter::open(&file, &model)?);
        options.adapters = vec![("legal".to_owned(), adapter)];
        Ok(Loaded::new(Engine::new(model, &options)?))
    };
    let mut model = ServedModel::new("stays", load);
    model.adapters = vec!["legal".to_owned()];
    let server = shelf.start(vec![model], 1);
    let greedy = |model: &str| {
        let body = json!({ "model": model, "prompt": "abcabcabcabcabcabcabcabc", "temperature": 0,
                           "max_tokens": 12, "ignore_eos": true });
        let answer = server.post("/v1/completions", &body).json();
        assert_eq!(answer["model"], model, "{answer}");
        answer["choices"][0]["text"].as_str().unwrap().to_owned()
    };
    let (plain, legal) = (greedy("stays"), greedy("legal"));
    assert_ne!(plain, legal);
    // What one has read is nothing to the other.
    assert_eq!((greedy("stays"), greedy("legal")), (plain, legal));
    let list = server.get("/v1/models").json();
    assert_eq!(
        (&list["data"][1]["id"], &list["data"][1]["parent"]),
        (&json!("legal"), &json!("stays"))
    );
    assert_eq!(list["data"][0]["parent"], json!(null));
    let ollama = json!({ "model": "legal:latest", "prompt": "a", "stream": false,
                         "options": { "num_predict": 2 } });
    assert_eq!(server.post("/api/generate", &ollama).json()["model"], "legal:latest");
}

#[test]
fn none_goes_in_vain() {
    let shelf = Shelf::new();
    let budget = shelf.bytes("stays") + 2 * shelf.bytes("a");
    // It would fit alone, but not beside the one that stays.
    let needs = budget - shelf.bytes("stays") / 2;
    let models = vec![
        shelf.model("stays"),
        shelf.model("a"),
        shelf.model("c").with_needs(move || Ok(needs)),
    ];
    let server = Running::start_models(models, |options| options.memory_bytes = Some(budget));
    server.wait();
    assert_eq!(ask(&server, "a").status, 200);
    assert_eq!(ask(&server, "c").error(), "503 - load_failed");
    assert_eq!(stages(&server), "stays:loaded a:loaded c:absent");
    assert_eq!(unloads(&server, "a", "room"), 0.0);
}

#[test]
fn who_waits_for_a_model_has_a_deadline_too() {
    let shelf = Shelf::new();
    let (open, gate) = channel::<()>();
    let (gate, file) = (Mutex::new(gate), shelf.file("a"));
    let mut slow = ServedModel::new("slow", move || {
        gate.lock().unwrap().recv()?;
        load(&file)
    });
    slow.pinned = false;
    let server = shelf.start(vec![shelf.model("stays"), slow], 1);
    let mut soon = body("slow");
    soon["deadline_ms"] = json!(100);
    assert_eq!(server.post("/v1/completions", &soon).error(), "408 - deadline_exceeded");
    open.send(()).unwrap();
    assert_eq!(ask(&server, "slow").status, 200);
}
