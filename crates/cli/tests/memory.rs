//! What is promised of memory is kept: with `--memory`, and in control groups where they can be made.
#![expect(clippy::unwrap_used, reason = "a test stops where something is not as expected")]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use rushlight_testkit::{model_path, tiny};
use serde_json::Value;

const BINARY: &str = env!("CARGO_BIN_EXE_rushlight");

fn rushlight(store: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(BINARY);
    command.args(args).env("RUSHLIGHT_STORE", store).stdin(Stdio::null()).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Bytes that a tiny model needs at a context.
fn needs(store: &Path, model: &str, ctx: &str) -> u64 {
    let shown = json(&rushlight(store, &["show", model, "--ctx", ctx, "--json"]));
    shown["memory_bytes"]["f16"].as_u64().unwrap()
}

#[test]
fn what_does_not_fit_is_said_with_what_would() {
    let dir = tempfile::tempdir().unwrap();
    let (store, case) = (dir.path().join("store"), tiny::case("llama2"));
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    tiny::write_gguf(&case, Path::new(&at("tiny-1m-f32.gguf")));
    tiny::write_gguf_q8_0(&case, Path::new(&at("tiny-1m-q8_0.gguf")));
    for name in ["f32", "q8_0"] {
        let (file, name) = (at(&format!("tiny-1m-{name}.gguf")), format!("tiny:1m-{name}"));
        let args = ["import", &file, "--name", &name, "--no-prepare"];
        assert!(rushlight(&store, &args).status.success());
    }
    let whole = needs(&store, "tiny:1m-f32", "64");
    let smaller = needs(&store, "tiny:1m-q8_0", "64");
    assert!(smaller < whole);
    let run = |memory: u64, ctx: &[&str]| {
        let memory = format!("{memory}B");
        let args = ["run", "tiny:1m-f32", "ab", "--raw", "-n", "2", "--memory", &memory];
        rushlight(&store, &[&args, ctx].concat())
    };
    let fits = run(whole, &["--ctx", "64"]);
    assert!(fits.status.success(), "{}", stderr(&fits));
    let refused = run(whole - 1, &["--ctx", "64"]);
    assert_eq!((refused.status.code(), refused.stdout.len()), (Some(1), 0));
    let said = stderr(&refused);
    for part in ["the model needs", "weights", "cache", "activations", "process", "are free"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(said.contains("hint: ") && said.contains("`rushlight run tiny:1m-q8_0`"), "{said}");
    // Its files alone are too much: that is said before they are opened.
    let refused = stderr(&run(1000, &[]));
    assert!(refused.contains("the model's files have"), "{refused}");
    for wrong in ["2XB", "much", "-1"] {
        let output = rushlight(&store, &["run", "tiny:1m-f32", "a", &format!("--memory={wrong}")]);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(stderr(&output).contains("such as `2GiB`"), "{}", stderr(&output));
    }
}

#[test]
fn the_peak_stays_below_the_promise_while_the_whole_context_is_used() {
    let Some(model) = model_path() else { return };
    let (dir, model) = (tempfile::tempdir().unwrap(), model.to_str().unwrap().to_owned());
    for prepare in ["never", "memory"] {
        let needs = |ctx: &str| {
            // Panels are a little more than what they are made of, and embeddings are there twice.
            let more = if prepare == "memory" { 48 << 20 } else { 0 };
            needs(dir.path(), &model, ctx) + more
        };
        let promise = needs("640");
        let (memory, p) = (format!("{promise}B"), "640");
        let args = ["bench", &model, "-p", p, "-n", "2", "-r", "1", "--json", "--ctx", p];
        let more = ["--memory", &memory, "--prepare", prepare, "--threads", "2"];
        let peak = json(&rushlight(dir.path(), &[&args[..], &more].concat()));
        let peak = peak["peak_memory_bytes"].as_u64().unwrap();
        eprintln!("{prepare}: {} of {} MiB", peak >> 20, promise >> 20);
        assert!(peak <= promise, "{prepare}: {peak} of {promise}");
        // Without a context the largest is taken that fits, which is said.
        let args = ["run", &model, "Hello", "-n", "2", "--json", "--prepare", prepare];
        let output = rushlight(dir.path(), &[&args[..], &["--memory", &memory]].concat());
        assert!(json(&output)["text"].is_string());
        assert!(stderr(&output).contains("tokens instead of"), "{}", stderr(&output));
    }
}

/// A control group with a limit, which is removed at the end.
struct Group {
    path: PathBuf,
    unified: bool,
}

impl Group {
    /// `None` where none can be made, which is said.
    fn new(mib: u64) -> Option<Self> {
        let name = format!("rushlight-test-{}-{mib}", std::process::id());
        let limit = (mib << 20).to_string();
        let places = [("/sys/fs/cgroup/memory", false), ("/sys/fs/cgroup", true)];
        for (place, unified) in places {
            let path = Path::new(place).join(&name);
            if unified && !Path::new(place).join("cgroup.controllers").exists()
                || !Path::new(place).join("cgroup.procs").exists()
                || fs::create_dir(&path).is_err()
            {
                continue;
            }
            let group = Self { path, unified };
            let file = if unified { "memory.max" } else { "memory.limit_in_bytes" };
            if fs::write(group.path.join(file), &limit).is_ok() {
                // So that what does not fit is killed and not swapped.
                let _ = fs::write(group.path.join("memory.swap.max"), "0");
                return Some(group);
            }
        }
        eprintln!("skipped: no control group with a limit of memory can be made here");
        None
    }

    fn run(&self, store: &Path, args: &[&str]) -> Output {
        let procs = self.path.join("cgroup.procs");
        let mut command = Command::new("sh");
        command.arg("-c").arg("echo $$ > \"$0\" && exec \"$@\"").arg(procs).arg(BINARY).args(args);
        command.env("RUSHLIGHT_STORE", store).stdin(Stdio::null()).output().unwrap()
    }

    /// How many were killed, and the most that the group used, in bytes.
    fn outcome(&self) -> (u64, u64) {
        let (events, peak) = match self.unified {
            true => ("memory.events", "memory.peak"),
            false => ("memory.oom_control", "memory.max_usage_in_bytes"),
        };
        let events = fs::read_to_string(self.path.join(events)).unwrap_or_default();
        let killed = events.lines().find_map(|line| line.strip_prefix("oom_kill "));
        let peak = fs::read_to_string(self.path.join(peak)).unwrap_or_default();
        (killed.map_or(0, |n| n.parse().unwrap()), peak.trim().parse().unwrap_or(0))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.path);
    }
}

#[test]
fn nothing_is_killed_in_a_small_control_group() {
    let Some(model) = model_path() else { return };
    let Some(group) = Group::new(300) else { return };
    let (dir, model) = (tempfile::tempdir().unwrap(), model.to_str().unwrap().to_owned());
    // A file of its own, whose pages the group is charged for.
    let copy = dir.path().join("model.gguf").to_str().unwrap().to_owned();
    fs::copy(&model, &copy).unwrap();
    let cases: [(&[&str], bool); 6] = [
        (&["tune", "--budget", "6", "--no-save"], true),
        (&["run", "Hello", "-n", "8"], true),
        (&["run", "Hello", "-n", "8", "--prepare", "memory"], true),
        (&["bench", "-p", "512", "-n", "4", "-r", "1"], true),
        (&["run", "Hello", "-n", "8", "--ctx", "8192", "--kv", "f16"], false),
        (&["run", "Hello", "-n", "8", "--ctx", "8192", "--memory", "8GiB", "--kv", "f16"], false),
    ];
    for (args, answers) in cases {
        let mut args = args.to_vec();
        args.insert(1, &copy);
        let output = group.run(dir.path(), &args);
        let (killed, peak) = group.outcome();
        assert_eq!(killed, 0, "{args:?}: {output:?}");
        assert_eq!(output.status.success(), answers, "{args:?}: {}", stderr(&output));
        assert!(answers || stderr(&output).contains("the model needs"), "{}", stderr(&output));
        assert!(peak <= 300 << 20, "{args:?}: {peak}");
    }
}

/// A model whose weights are most of what it takes, in a folder.
fn wide(dir: &Path) -> String {
    let file = dir.join("wide.gguf");
    tiny::write_gguf_wide(&file);
    file.to_str().unwrap().to_owned()
}

/// A number of KiB of the status of a process, in bytes; `None` when it has ended.
fn status_bytes(process: u32, field: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? << 10)
}

/// What a command prints, and its peak, in bytes.
fn peak_of(store: &Path, args: &[&str]) -> (Output, u64) {
    let mut command = Command::new(BINARY);
    command.args(args).env("RUSHLIGHT_STORE", store).stdin(Stdio::null());
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (process, mut peak) = (child.id(), 0);
    let ends = std::thread::spawn(move || child.wait_with_output().unwrap());
    while !ends.is_finished() {
        peak = peak.max(status_bytes(process, "VmHWM").unwrap_or(0));
        std::thread::sleep(Duration::from_millis(5));
    }
    (ends.join().unwrap(), peak)
}

#[test]
fn tune_lets_engines_and_weights_go_before_others_come() {
    let dir = tempfile::tempdir().unwrap();
    let model = wide(dir.path());
    // Once, and not the same weights for other kernels or in another layout beside.
    let promise = needs(dir.path(), &model, "8192") + (16 << 20);
    let memory = format!("{promise}B");
    let args = ["tune", &model, "--budget", "8", "--memory", &memory, "--no-save", "--json"];
    let (output, peak) = peak_of(dir.path(), &args);
    let found = json(&output);
    eprintln!("{} of {} MiB", peak >> 20, promise >> 20);
    assert!(peak <= promise, "{peak} of {promise}");
    // All layouts were measured for that.
    let rankings = found["rankings"].as_array().unwrap();
    let machines = rankings.iter().find(|r| r["what"] == "kernels and weights");
    let machines = machines.unwrap()["candidates"].as_array().unwrap();
    assert!(machines.len() > 1, "{machines:?}");
}

#[test]
fn a_context_leaves_room_for_weights_to_be_prepared_and_for_a_draft() {
    let dir = tempfile::tempdir().unwrap();
    let (store, file) = (dir.path().join("store"), wide(dir.path()));
    let args = ["import", &file, "--name", "wide", "--no-prepare"];
    assert!(rushlight(&store, &args).status.success());
    let draft = dir.path().join("draft.gguf").to_str().unwrap().to_owned();
    tiny::write_gguf(&tiny::case("llama2"), Path::new(&draft));

    let promise = needs(&store, "wide", "4096");
    let args = ["run", "wide", "ab", "--raw", "-n", "4", "--json", "--no-prepare"];
    let memory = format!("{promise}B");
    let more = ["--draft", &draft, "--memory", &memory, "--speculate", "always"];
    let output = rushlight(&store, &[&args[..], &more].concat());
    let answer = json(&output);
    assert!(stderr(&output).contains("tokens instead of"), "{}", stderr(&output));
    assert!(answer["speculation"]["drafted_tokens"].as_u64().unwrap() > 0, "{answer}");
    let peak = answer["peak_memory_bytes"].as_u64().unwrap();
    assert!(peak <= promise, "{peak} of {promise}");

    // What requests may take of it is three times a thirty-second.
    let promise = promise * 32 / 29 + (1 << 20);
    let memory = format!("{promise}B");
    for more in [&["--draft", &draft][..], &[]] {
        let args = [&["wide", "--memory", &memory, "--parallel", "4"], more].concat();
        let server = Served::start_in(&store, &args);
        let loaded = || server.health()["models"][0]["stage"] == "loaded";
        while !loaded() {
            std::thread::sleep(Duration::from_millis(50));
        }
        server.write("wide");
        let health = server.health();
        let context = health["models"][0]["context"].as_u64().unwrap();
        assert!((512..8192).contains(&context), "{health}");
        let peak = status_bytes(server.child.id(), "VmHWM").unwrap();
        eprintln!("{more:?}: {} of {} MiB, {context} tokens", peak >> 20, promise >> 20);
        assert!(peak <= promise, "{peak} of {promise}");
        drop(server);
        // They were prepared: again, before.
        fs::remove_dir_all(store.join("prepared")).unwrap();
    }
}

#[test]
fn prepared_weights_are_not_used_where_only_those_of_the_file_fit() {
    let Some(model) = model_path() else { return };
    let (dir, model) = (tempfile::tempdir().unwrap(), model.to_str().unwrap().to_owned());
    assert!(rushlight(dir.path(), &["import", &model, "--name", "small"]).status.success());
    // The matrix of embeddings and output is there twice, with 28.7 MiB.
    let both = needs(dir.path(), "small", "512");
    for (promise, weights) in [(both, "prepared"), (both - (8 << 20), "file")] {
        let memory = format!("{promise}B");
        let args = ["run", "small", "Hello", "-n", "2", "--json", "--memory", &memory];
        let answer = json(&rushlight(dir.path(), &args));
        assert_eq!(answer["weights"], weights, "{answer}");
        let peak = answer["peak_memory_bytes"].as_u64().unwrap();
        assert!(peak <= promise, "{weights}: {peak} of {promise}");
    }
}

/// A server that is ended when it is dropped.
struct Served {
    child: Child,
    address: String,
}

impl Served {
    fn start(args: &[&str]) -> Self {
        Self::of(Command::new(BINARY), args)
    }

    fn start_in(store: &Path, args: &[&str]) -> Self {
        let mut command = Command::new(BINARY);
        command.env("RUSHLIGHT_STORE", store);
        Self::of(command, args)
    }

    fn of(mut command: Command, args: &[&str]) -> Self {
        command.args(["serve", "--address", "127.0.0.1:0", "--no-pin", "--threads", "1"]);
        let mut child = command.args(args).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = lines.find_map(|line| {
            let line = line.unwrap();
            Some(line.split_once("http://")?.1.split([',', ' ']).next()?.to_owned())
        });
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, address: address.unwrap() }
    }

    /// Sends a request; the whole answer.
    fn ask(&self, request: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let (host, length) = (&self.address, body.len());
        write!(
            stream,
            "{request} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// Has a model write something.
    fn write(&self, model: &str) {
        let body = format!(r#"{{"model":"{model}","prompt":"abc","max_tokens":2}}"#);
        let answer = self.ask("POST /v1/completions", &body);
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }

    fn health(&self) -> Value {
        let answer = self.ask("GET /health", "");
        serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
    }

    fn anonymous_kib(&self) -> u64 {
        status_bytes(self.child.id(), "RssAnon").unwrap() >> 10
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn two_models_that_push_each_other_out_leave_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let mut list = String::new();
    for (name, case) in [("a", "llama2"), ("b", "qwen2")] {
        let file = dir.path().join(format!("{name}.gguf"));
        tiny::write_gguf(&tiny::case(case), &file);
        list += &format!("[[model]]\nsource = \"{}\"\nname = \"{name}\"\n", file.display());
    }
    let models = dir.path().join("models.toml");
    fs::write(&models, list).unwrap();
    let start = |memory: u64| {
        let (models, memory) = (models.to_str().unwrap(), format!("{memory}B"));
        Served::start(&["--models", models, "--memory", &memory, "--cache", "512"])
    };
    let number = |health: &Value, name: &str| health[name].as_u64().unwrap();
    // What one of them takes, and the process beside.
    let (server, plenty) = (start(1 << 30), 1u64 << 30);
    let mut most = 0;
    for name in ["a", "b"] {
        server.write(name);
        let health = server.health();
        let all = health["models"].as_array().unwrap().iter();
        most = all.filter_map(|m| m["memory_bytes"].as_u64()).fold(most, u64::max);
    }
    let beside = number(&server.health(), "process_bytes") - 3 * (plenty / 32);
    drop(server);
    // 16 MiB of bodies, and a thirty-second of all for responses.
    let server = start((beside + (16 << 20) + most * 3 / 2) * 32 / 31);
    let cycle = |count: usize| {
        for _ in 0..count {
            ["a", "b"].iter().for_each(|name| server.write(name));
        }
    };
    cycle(10);
    let before = server.anonymous_kib();
    cycle(40);
    let (after, health) = (server.anonymous_kib(), server.health());
    let there = health["models"].as_array().unwrap().iter().filter(|m| m["stage"] == "loaded");
    assert_eq!(there.count(), 1, "{health}");
    assert!(after < before + 4096, "{before} -> {after} KiB");
}
