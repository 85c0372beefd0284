//! A download that a signal ends: it ends soon, nothing looks whole, and the next one goes on.
#![expect(clippy::unwrap_used, reason = "a test stops where something is not as expected")]

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rushlight_testkit::tiny;

const TAG: &str = "\"one\"";
/// What a download may go on for after it was told to end.
const SOON: Duration = Duration::from_secs(5);

/// A server of one file that gives half of it and then nothing more, the first time that it is asked.
struct Slow {
    url: String,
    /// Told when half of the file has been sent.
    half: Receiver<()>,
    /// Where the answers began.
    begins: Arc<Mutex<Vec<usize>>>,
}

impl Slow {
    fn start(file: Vec<u8>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/tiny.gguf", listener.local_addr().unwrap());
        let (told, half) = channel();
        let begins = Arc::new(Mutex::new(Vec::new()));
        let seen = begins.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // The client may be gone: that is what is tested.
                let _ = answer(stream, &file, &seen, &told);
            }
        });
        Self { url, half, begins }
    }
}

fn answer(
    mut stream: TcpStream,
    file: &[u8],
    begins: &Mutex<Vec<usize>>,
    told: &Sender<()>,
) -> std::io::Result<()> {
    let mut from = 0;
    for line in BufReader::new(stream.try_clone()?).lines() {
        let line = line?.to_lowercase();
        if let Some(range) = line.strip_prefix("range: bytes=") {
            from = range.trim_end_matches('-').parse().unwrap();
        }
        if line.is_empty() {
            break;
        }
    }
    let first = begins.lock().unwrap().is_empty();
    begins.lock().unwrap().push(from);
    let (status, rest, all) = (if from > 0 { 206 } else { 200 }, &file[from..], file.len());
    let range = format!("content-range: bytes {from}-{}/{all}\r\n", all - 1);
    write!(
        stream,
        "HTTP/1.1 {status} X\r\nconnection: close\r\netag: {TAG}\r\ncontent-length: {}\r\n{}\r\n",
        rest.len(),
        if from > 0 { &range } else { "" },
    )?;
    stream.write_all(if first { &rest[..rest.len() / 2] } else { rest })?;
    stream.flush()?;
    if first {
        told.send(()).unwrap();
        // Until the client goes.
        BufReader::new(stream).lines().for_each(drop);
    }
    Ok(())
}

fn rushlight(store: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rushlight"));
    command.args(args).env("RUSHLIGHT_STORE", store).stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Its output, which must come soon.
fn end(mut child: Child, signal: &str) -> Output {
    let pid = child.id().to_string();
    assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    let begin = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if begin.elapsed() > SOON {
            child.kill().unwrap();
            panic!("it goes on: {:?}", child.wait_with_output().unwrap());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    child.wait_with_output().unwrap()
}

/// The files of a folder of the store.
fn files(store: &Path, folder: &str) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(store.join(folder)) else { return Vec::new() };
    let name =
        |e: std::io::Result<std::fs::DirEntry>| e.unwrap().file_name().into_string().unwrap();
    entries.map(name).collect()
}

#[test]
fn a_download_that_is_ended_goes_on_the_next_time() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tiny.gguf");
    tiny::write_gguf(&tiny::case("llama2"), &path);
    let file = std::fs::read(&path).unwrap();
    // A server ends as it should, other commands by the signal.
    let cases: [(&[&str], &str, Option<i32>); 4] = [
        (&["pull"], "-TERM", None),
        (&["pull"], "-INT", None),
        (&["serve", "--address", "127.0.0.1:0"], "-TERM", Some(0)),
        (&["serve", "--address", "127.0.0.1:0"], "-INT", Some(0)),
    ];
    for (args, signal, code) in cases {
        let store = tempfile::tempdir().unwrap();
        let store = store.path();
        let server = Slow::start(file.clone());
        let args = [args, &[server.url.as_str()]].concat();
        let child = rushlight(store, &args).spawn().unwrap();
        server.half.recv_timeout(Duration::from_secs(30)).unwrap();
        // What was sent is to be on the disk.
        let begin = Instant::now();
        let partial = || {
            let mut names = files(store, "ingest").into_iter();
            let name = names.find(|name| name.ends_with(".partial"))?;
            Some(std::fs::metadata(store.join("ingest").join(name)).ok()?.len())
        };
        while partial() != Some(file.len() as u64 / 2) {
            assert!(begin.elapsed() < SOON, "{args:?}: {:?}", partial());
            std::thread::sleep(Duration::from_millis(10));
        }
        let output = end(child, signal);
        assert_eq!(output.status.code(), code, "{args:?} {signal}: {output:?}");
        assert!(!String::from_utf8_lossy(&output.stderr).contains("panicked"), "{output:?}");

        assert!(files(store, "blobs/sha256").is_empty(), "{args:?} {signal}");
        let list = rushlight(store, &["list", "--json"]).output().unwrap();
        assert!(list.status.success() && list.stdout == b"[]\n", "{list:?}");

        let pulled = rushlight(store, &["pull", &server.url]).output().unwrap();
        assert!(pulled.status.success(), "{args:?} {signal}: {pulled:?}");
        assert_eq!(*server.begins.lock().unwrap(), [0, file.len() / 2], "{args:?} {signal}");
        let blobs = files(store, "blobs/sha256");
        let whole =
            |name: &String| std::fs::read(store.join("blobs/sha256").join(name)).unwrap() == file;
        assert!(blobs.iter().any(whole), "{args:?} {signal}: {blobs:?}");
        assert_eq!(files(store, "ingest"), [""; 0], "{args:?} {signal}");
        let verified = rushlight(store, &["verify"]).output().unwrap();
        assert!(verified.status.success(), "{args:?} {signal}: {verified:?}");
    }
}

/// Who asks a server for a model that is on its way is told that it ends, and does not keep it.
#[test]
fn a_server_that_is_ended_does_not_wait_for_a_model() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tiny.gguf");
    tiny::write_gguf(&tiny::case("llama2"), &path);
    let server = Slow::start(std::fs::read(&path).unwrap());
    let args = ["serve", "--address", "127.0.0.1:0", "--name", "tiny", &server.url];
    let mut child = rushlight(dir.path(), &args).spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
    let address = said
        .find_map(|line| {
            Some(line.unwrap().split_once(" http://")?.1.split([',', ' ']).next()?.to_owned())
        })
        .unwrap();
    server.half.recv_timeout(Duration::from_secs(30)).unwrap();
    let ask = |path: &str, body: &str| {
        let mut stream = TcpStream::connect(&address).unwrap();
        let length = body.len();
        write!(
            stream,
            "POST {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        stream
    };
    let asked = [
        ask("/v1/completions", r#"{"model": "tiny", "prompt": "a"}"#),
        ask("/api/generate", r#"{"model": "tiny", "prompt": "a", "stream": true}"#),
    ];
    std::thread::sleep(Duration::from_millis(300));
    let output = end(child, "-TERM");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    for stream in asked {
        let status = BufReader::new(stream).lines().next().unwrap().unwrap();
        assert!(status.starts_with("HTTP/1.1 503"), "{status}");
    }
}
