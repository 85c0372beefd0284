//! The command `monitor` as a whole: exit code, standard output, standard error.
#![expect(clippy::unwrap_used, reason = "a test stops where something is not as expected")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rushlight_testkit::made_up;
use serde_json::Value;

fn rushlight(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rushlight"));
    command.arg("monitor").args(arguments).stdin(Stdio::null()).env("LANG", "C.UTF-8");
    command
}

fn run(arguments: &[&str]) -> Output {
    rushlight(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn one_sample_as_json_and_as_text() {
    let output = run(&["--once", "--json", "--no-server", "-n", "0.2"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let sample: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(sample["schema"], 1);
    assert!(sample["memory"]["total_bytes"].as_u64().unwrap() > 0);
    assert!(sample["interval_seconds"].as_f64().unwrap() >= 0.2);
    let pid = |process: &Value| process["pid"] == std::process::id();
    assert!(sample["processes"].as_array().unwrap().iter().any(pid));
    let dir = tempfile::tempdir().unwrap();
    made_up::write_tree("raspberry-pi-5", dir.path());
    let root = dir.path().to_str().unwrap();
    let output = run(&["--once", "--root", root, "-n", "0.2"]);
    let shown = text(&output.stdout);
    assert!(output.status.success() && shown.contains("81 °C"), "{shown}");
    assert!(!shown.contains('\u{1b}'), "{shown}");
    let output = run(&["--once", "--root", root, "-n", "0.2", "--ascii"]);
    assert!(output.stdout.is_ascii());
}

#[test]
fn a_reader_that_has_enough_is_no_error() {
    for format in [&["--json"][..], &[]] {
        let mut command = rushlight(&["--once", "--no-server", "-n", "0.1"]);
        command.args(format).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()));
    }
}

#[test]
fn what_cannot_be_done_is_said_before_anything_begins() {
    let dir = tempfile::tempdir().unwrap();
    let other = dir.path().join("other");
    std::fs::write(&other, "not a recording\n").unwrap();
    let other = other.to_str().unwrap();
    let cases: [(&[&str], i32, &str); 9] = [
        (&[], 1, "there is no terminal"),
        (&["--alarm", "cold=1"], 1, "hint: expected NAME=VALUE"),
        (&["--server", "nowhere", "--once"], 1, "hint: expected such as"),
        (&["--record", other], 1, "something else than a recording"),
        (&["--replay", other], 1, "no"),
        (&["--export", "0.0.0.0:0"], 1, "--export-key-file"),
        (&["--otlp", "nowhere"], 1, "has no address"),
        (&["--json"], 2, "--once"),
        (&["-n", "0"], 2, "from 0.1 to 3600"),
    ];
    for (arguments, code, want) in cases {
        let output = run(arguments);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(want), "{arguments:?}: {said}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn a_recording_ends_with_a_signal_and_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("r.jsonl");
    let mut child = rushlight(&["--record", path.to_str().unwrap(), "-n", "0.1", "--no-server"])
        .spawn()
        .unwrap();
    let lines = || std::fs::read_to_string(&path).unwrap_or_default().lines().count();
    let end = Instant::now() + Duration::from_secs(60);
    while lines() < 4 && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(50));
    }
    terminate(&child);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let recording = std::fs::read_to_string(&path).unwrap();
    assert!(recording.starts_with("{\"rushlight_monitor\":1,") && recording.ends_with("}\n"));
    assert!(recording.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()));
    assert!(lines() >= 4);
}

#[test]
fn prometheus_is_answered_until_a_signal() {
    let mut child = rushlight(&["--export", "127.0.0.1:0", "-n", "0.1", "--no-server"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut said).unwrap();
    let address = said.split("http://").nth(1).unwrap().split('/').next().unwrap().to_owned();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.0 200 OK"), "{answer}");
    assert!(answer.contains("\nnode_memory_MemTotal_bytes "), "{answer}");
    terminate(&child);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_full_disk_and_a_deaf_collector_are_both_told_and_neither_ends_the_other() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("r.jsonl");
    // A port at which nothing listens any more.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let collector = format!("http://{free}");
    let wait = |child: &mut Child, wanted: &[&str]| {
        let mut wanted = wanted.to_vec();
        let mut said = String::new();
        for line in BufReader::new(child.stderr.take().unwrap()).lines() {
            said.push_str(&line.unwrap());
            wanted.retain(|one| !said.contains(one));
            if wanted.is_empty() {
                break;
            }
        }
        assert!(wanted.is_empty(), "{wanted:?} not in {said}");
    };
    // The largest file that it may write has room for the first line only, as a full disk.
    let mut full = Command::new("sh");
    full.args(["-c", "trap '' XFSZ; ulimit -f 1; exec \"$@\"", "sh"]);
    full.arg(env!("CARGO_BIN_EXE_rushlight")).args(["monitor", "-n", "0.1", "--no-server"]);
    full.args(["--otlp", &collector, "--record"]).arg(&path);
    let mut child = full.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    wait(&mut child, &["it is not recorded: `", "the collector does not take metrics: "]);
    assert!(child.try_wait().unwrap().is_none(), "it goes on");
    terminate(&child);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    // With room for it, the recording goes on beside the collector.
    std::fs::remove_file(&path).unwrap();
    let record = path.to_str().unwrap();
    let arguments = ["--otlp", &collector, "--record", record, "-n", "0.1", "--no-server"];
    let mut child = rushlight(&arguments).stderr(Stdio::piped()).spawn().unwrap();
    wait(&mut child, &["the collector does not take metrics: "]);
    let lines = || std::fs::read_to_string(&path).unwrap_or_default().lines().count();
    let (before, end) = (lines(), Instant::now() + Duration::from_secs(60));
    while lines() < before + 3 && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(lines() >= before + 3);
    terminate(&child);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

fn terminate(child: &Child) {
    let pid = rustix::process::Pid::from_child(child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
}
