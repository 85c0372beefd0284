//! The server as a command, and the official clients against it.
#![expect(clippy::unwrap_used, reason = "a test stops where something is not as expected")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rushlight_testkit::{clients_path, model_path, tiny, trial_path};

/// A server that runs, ended when it is dropped.
struct Served {
    child: Child,
    address: String,
}

impl Served {
    /// Starts it on a port that is free and waits until it is ready.
    fn start(model: &Path, args: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_rushlight"))
            .args(["serve", "--address", "127.0.0.1:0", "--no-pin", "--name", "it"])
            .arg(model)
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = lines
            .find_map(|line| {
                let line = line.unwrap();
                let (_, rest) = line.split_once("http://")?;
                Some(rest.split([',', ' ']).next()?.to_owned())
            })
            .unwrap();
        // What else it says must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        let served = Self { child, address };
        let begin = Instant::now();
        while !served.get("/readyz").starts_with("HTTP/1.1 200") {
            assert!(begin.elapsed() < Duration::from_secs(60), "it does not become ready");
            std::thread::sleep(Duration::from_millis(20));
        }
        served
    }

    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let host = &self.address;
        write!(stream, "GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn post(&self, path: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let (host, length) = (&self.address, body.len());
        write!(
            stream,
            "POST {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// Sends a signal and waits for the end; gives its status.
    fn end(&mut self, signal: &str) -> Option<i32> {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
        self.child.wait().unwrap().code()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a script of the clients against a server.
fn script(name: &str, served: &Served, clients: &Path) -> Output {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(name);
    Command::new("python3")
        .arg(script)
        .args([&format!("http://{}", served.address), "it"])
        .env("PYTHONPATH", clients)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap()
}

#[test]
fn official_clients_make_their_usual_calls() {
    let (Some(model), Some(clients)) = (model_path(), clients_path()) else { return };
    let mut served = Served::start(&model, &[]);
    for name in ["openai_usual.py", "anthropic_usual.py", "ollama_usual.py"] {
        let output = script(name, &served, &clients);
        let (out, err) = (output.stdout, output.stderr);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(output.status.success(), "{name}: {}\n{}", text(&out), text(&err));
        assert!(text(&out).lines().count() >= 7, "{name}: {}", text(&out));
    }
    assert_eq!(served.end("-TERM"), Some(0));
}

#[test]
fn official_clients_embed() {
    let Some(clients) = clients_path() else { return };
    let dir = tempfile::tempdir().unwrap();
    let model = dir.path().join("minilm.gguf");
    tiny::write_gguf(&tiny::case("minilm"), &model);
    let mut served = Served::start(&model, &[]);
    let output = script("embeddings_usual.py", &served, &clients);
    let (out, err) = (output.stdout, output.stderr);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}\n{}", text(&out), text(&err));
    assert_eq!(text(&out).lines().count(), 8, "{}", text(&out));
    assert_eq!(served.end("-TERM"), Some(0));
}

/// Examples of each route that a server is tried with, unless `RUSHLIGHT_TRIAL_EXAMPLES` says more.
const EXAMPLES: &str = "12";

#[test]
fn requests_made_of_the_document_are_answered_as_it_says() {
    let Some(trial) = trial_path() else { return };
    let dir = tempfile::tempdir().unwrap();
    let model = dir.path().join("tiny.gguf");
    tiny::write_gguf(&tiny::case("llama2"), &model);
    let mut served = Served::start(&model, &["--answer-timeout", "20"]);
    let hooks = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients");
    let examples = std::env::var("RUSHLIGHT_TRIAL_EXAMPLES");
    let output = Command::new("python3")
        .args(["-m", "schemathesis.cli", "run"])
        .arg(format!("http://{}/openapi.json", served.address))
        .args(["--max-examples", examples.as_deref().unwrap_or(EXAMPLES), "--seed", "1"])
        .args(["--workers", "1", "--request-timeout", "30", "--phases", "coverage,fuzzing"])
        .args(["--checks", CHECKS, "--continue-on-failure", "--no-color"])
        .env("PYTHONPATH", std::env::join_paths([&trial, &hooks]).unwrap())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("SCHEMATHESIS_HOOKS", "schemathesis_hooks")
        .current_dir(dir.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}\n{errors}");
    assert!(text.contains("generated"), "{text}");
    assert!(served.get("/livez").starts_with("HTTP/1.1 200"));
    assert_eq!(served.end("-TERM"), Some(0));
}

/// What each answer is compared with.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
    response_schema_conformance";

/// The reused tokens of a chat whose prompt is long.
fn reused(served: &Served) -> usize {
    let text = "All that is said here was said before. ".repeat(12);
    let body = format!(
        "{{\"messages\": [{{\"role\": \"user\", \"content\": \"{text}\"}}], \"max_tokens\": 1}}"
    );
    let answer = served.post("/v1/chat/completions", &body);
    let (_, json) = answer.split_once("\r\n\r\n").unwrap();
    let value: serde_json::Value = serde_json::from_str(json).unwrap();
    let cached = &value["usage"]["prompt_tokens_details"]["cached_tokens"];
    cached.as_u64().unwrap_or_else(|| panic!("{answer}")) as usize
}

#[test]
fn what_was_read_is_kept_across_restarts() {
    let Some(model) = model_path() else { return };
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("texts.kv");
    let keep = ["--keep", file.to_str().unwrap()];
    let mut first = Served::start(&model, &keep);
    assert!(reused(&first) < 10);
    let known = reused(&first);
    assert!(known > 80, "{known}");
    assert_eq!(first.end("-TERM"), Some(0));
    let mut second = Served::start(&model, &keep);
    assert_eq!(reused(&second), known);
    let beside = Served::start(&model, &keep);
    assert!(reused(&beside) < 10 && beside.get("/health").contains("another server"));
    drop(beside);
    // Killed at once: what was there before is whole.
    assert_eq!(second.end("-KILL"), None);
    let third = Served::start(&model, &keep);
    assert_eq!(reused(&third), known);
    assert!(third.get("/health").contains("\"status\":\"ok\""));
    drop(third);
    std::fs::write(&file, "rushlkv\n").unwrap();
    let fourth = Served::start(&model, &keep);
    assert!(reused(&fourth) < 10);
    let health = fourth.get("/health");
    assert!(health.contains("degraded") && health.contains("earlier texts"), "{health}");
    drop(fourth);
    // Something else is left as it is.
    std::fs::write(&file, "all my other things").unwrap();
    let mut fifth = Served::start(&model, &keep);
    assert!(fifth.get("/health").contains("no file of earlier texts"));
    reused(&fifth);
    assert_eq!(fifth.end("-TERM"), Some(0));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "all my other things");
}

#[test]
fn a_draft_model_is_told_of() {
    let dir = tempfile::tempdir().unwrap();
    let model = dir.path().join("tiny.gguf");
    tiny::write_gguf(&tiny::case("llama2"), &model);
    let ask = |served: &Served| {
        let body = "{\"prompt\": \"abcdefgh\", \"max_tokens\": 60, \"temperature\": 0}";
        let answer = served.post("/v1/completions", body);
        let (_, json) = answer.split_once("\r\n\r\n").unwrap();
        let value: serde_json::Value = serde_json::from_str(json).unwrap();
        value["choices"][0]["text"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
    };
    let health = |served: &Served| -> serde_json::Value {
        let answer = served.get("/health");
        serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
    };
    let plain = Served::start(&model, &[]);
    let drafted = Served::start(&model, &["--draft", model.to_str().unwrap()]);
    assert_eq!(ask(&plain), ask(&drafted));
    assert!(health(&plain)["speculation"]["draft_model"].is_null());
    let told = &health(&drafted)["speculation"]["draft_model"];
    assert!(["asked", "resting"].contains(&told["state"].as_str().unwrap()), "{told}");
    assert!(told["passes"].as_u64().unwrap() > 0, "{told}");
    let metrics = drafted.get("/metrics");
    let count = |name: &str| -> u64 {
        let line = metrics.lines().find(|line| line.starts_with(name)).unwrap();
        line.rsplit(' ').next().unwrap().parse().unwrap()
    };
    let all = count("rushlight_spec_decode_num_draft_tokens_total");
    assert!(all >= count("rushlight_spec_decode_num_accepted_tokens_total"));
    assert!(all >= count("rushlight_spec_decode_num_model_draft_tokens_total"));
    assert!(count("rushlight_spec_decode_draft_passes_total") > 0);
}

#[test]
fn an_idle_server_takes_no_processor() {
    let dir = tempfile::tempdir().unwrap();
    let model = dir.path().join("tiny.gguf");
    tiny::write_gguf(&tiny::case("llama2"), &model);
    let mut served = Served::start(&model, &[]);
    let ticks = || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", served.child.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        // User and system time, in hundredths of a second.
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    };
    std::thread::sleep(Duration::from_millis(200));
    // What came before may still be at work the first time.
    let used: Vec<u64> = (0..3)
        .map(|_| {
            let before = ticks();
            std::thread::sleep(Duration::from_secs(1));
            ticks() - before
        })
        .collect();
    assert!(used.contains(&0), "hundredths of a second in a second: {used:?}");
    assert_eq!(served.end("-INT"), Some(0));
}

#[test]
fn what_cannot_be_served_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    tiny::write_gguf(&tiny::case("llama2"), Path::new(&at("tiny.gguf")));
    tiny::write_gguf(&tiny::case("minilm"), Path::new(&at("other.gguf")));
    std::fs::write(at("keys"), "not a digest\n").unwrap();
    let tiny = at("tiny.gguf");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let listening = std::net::TcpListener::bind(&taken);
    let other = at("other.gguf");
    let cases: [(&[&str], i32, &[&str]); 7] = [
        (&["serve", &tiny, "--address", "8080"], 1, &["address `8080`", "hint: expected"]),
        (&["serve", &tiny, "--address", "0.0.0.0:0"], 1, &["API keys", "hint: "]),
        (
            &["serve", &tiny, "--address", "127.0.0.1:0", "--api-keys", &at("keys")],
            1,
            &["line `1`"],
        ),
        (&["serve", &tiny, "--address", &taken], 1, &[&taken]),
        (&["serve", &at("none.gguf"), "--address", "127.0.0.1:0"], 1, &["cannot find the model"]),
        (&["serve", &tiny, "--parallel", "0"], 2, &["from 1 on"]),
        (
            &["serve", &tiny, "--address", "127.0.0.1:0", "--draft", &other],
            1,
            &["cannot draft for", "hint: "],
        ),
    ];
    let mut failures = Vec::new();
    for (args, code, wanted) in cases {
        let output = Command::new(env!("CARGO_BIN_EXE_rushlight"))
            .args(args)
            .env("RUSHLIGHT_STORE", dir.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        let missing: Vec<_> = wanted.iter().filter(|w| !stderr.contains(**w)).collect();
        if output.status.code() != Some(code) || !missing.is_empty() {
            failures.push(format!("{args:?}: {:?}, without {missing:?}: {stderr}", output.status));
        }
    }
    drop(listening);
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
