//! The server as a service: sockets that are handed over, what a service manager hears, TLS.
#![expect(clippy::unwrap_used, reason = "a test stops where something is not as expected")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rushlight_testkit::certificates::{SERVER, put, write};
use rushlight_testkit::tiny;
use tempfile::TempDir;

/// How long anything may take, at most.
const PATIENCE: Duration = Duration::from_secs(60);

/// A folder with a tiny model, and the socket of a service manager.
struct Manager {
    dir: TempDir,
    heard: UnixDatagram,
}

impl Manager {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        tiny::write_gguf(&tiny::case("llama2"), &dir.path().join("tiny.gguf"));
        let heard = UnixDatagram::bind(dir.path().join("notify")).unwrap();
        heard.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { dir, heard }
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }

    /// Starts the server; a socket is its descriptor 3.
    fn start(&self, socket: Option<OwnedFd>, args: &[&str]) -> Started {
        let mut command = Command::new("sh");
        let script = match socket {
            Some(_) => {
                "exec 3<&0 </dev/null; export LISTEN_FDS=1 LISTEN_PID=$$; exec \"$0\" \"$@\""
            }
            None => "exec \"$0\" \"$@\"",
        };
        command
            .args([
                "-c",
                script,
                env!("CARGO_BIN_EXE_rushlight"),
                "serve",
                "--no-pin",
                "--name",
                "it",
            ])
            .args(["--address", "127.0.0.1:0"])
            .arg(self.path("tiny.gguf"))
            .args(args)
            .env("NOTIFY_SOCKET", self.path("notify"))
            .env("WATCHDOG_USEC", "400000")
            .stdin(socket.map_or_else(Stdio::null, Stdio::from))
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        Started(command.spawn().unwrap())
    }

    /// What is said next, but for signs of life, which are counted.
    fn next(&self, signs: &mut usize) -> String {
        let mut buffer = [0; 4096];
        loop {
            let length = self.heard.recv(&mut buffer).unwrap();
            let text = String::from_utf8(buffer[..length].to_vec()).unwrap();
            if text != "WATCHDOG=1" {
                return text;
            }
            *signs += 1;
        }
    }

    /// Waits for something to be said that begins so.
    fn wait(&self, begin: &str) -> (String, usize) {
        let mut signs = 0;
        loop {
            let text = self.next(&mut signs);
            if text.starts_with(begin) {
                return (text, signs);
            }
        }
    }
}

/// A server that was started, ended when it is dropped.
struct Started(Child);

impl Started {
    fn signal(&self, signal: &str) {
        let pid = self.0.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    /// Sends SIGTERM, waits for the end and gives the status and what was written on standard error.
    fn end(mut self) -> (Option<i32>, String) {
        self.signal("-TERM");
        let mut said = String::new();
        self.0.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        (self.0.wait().unwrap().code(), said)
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

const ASK: &[u8] = b"GET /v1/models HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";

#[test]
fn a_socket_is_handed_over_and_the_manager_hears_how_it_is() {
    let manager = Manager::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // Of `secret`.
    let digest = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b name=camera";
    put(Path::new(&manager.path("keys")), digest, 0o600);
    // Who comes before the server waits for it.
    let mut early = std::net::TcpStream::connect(address).unwrap();
    let ask = "GET /v1/models HTTP/1.1\r\nhost: localhost\r\nx-api-key: secret\r\n";
    early.write_all(format!("{ask}connection: close\r\n\r\n").as_bytes()).unwrap();
    let keys = manager.path("keys");
    let server = manager.start(Some(listener.into()), &["--api-keys", &keys, "--log-requests"]);
    assert_eq!(manager.next(&mut 0), "STATUS=loading `it`");
    let (ready, _) = manager.wait("READY=1");
    assert!(ready.contains("\nSTATUS="), "{ready}");
    let mut answer = String::new();
    early.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    // Children do not inherit the socket.
    let info = std::fs::read_to_string(format!("/proc/{}/fdinfo/3", server.0.id())).unwrap();
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).unwrap();
    let flags = u32::from_str_radix(flags.trim(), 8).unwrap();
    assert_ne!(flags & 0o2_000_000, 0, "close-on-exec: {info}");
    std::thread::sleep(Duration::from_millis(900));
    put(Path::new(&keys), "nothing", 0o600);
    server.signal("-HUP");
    let (reloading, signs) = manager.wait("RELOADING=1");
    assert!((3..10).contains(&signs), "one each 200 ms: {signs}");
    let time = reloading.lines().find_map(|line| line.strip_prefix("MONOTONIC_USEC=")).unwrap();
    let uptime = std::fs::read_to_string("/proc/uptime").unwrap();
    let uptime: f64 = uptime.split(' ').next().unwrap().parse().unwrap();
    let time = time.parse::<f64>().unwrap() / 1e6;
    // The uptime has the time that the machine slept, too.
    assert!(time > 0.0 && time <= uptime + 1.0, "{time} {uptime}");
    manager.wait("READY=1");
    server.signal("-TERM");
    manager.wait("STOPPING=1");
    let (code, said) = server.end();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains(&format!("http://{address}, with an API key")), "{said}");
    assert!(said.contains("not read again: API keys: the key file `"), "{said}");
    assert!(said.contains("GET /v1/models 200 ") && said.contains(" ms camera\n"), "{said}");
}

#[test]
fn a_unix_socket_is_handed_over_and_stays() {
    let manager = Manager::new();
    let path = manager.path("s");
    let server = manager.start(Some(UnixListener::bind(&path).unwrap().into()), &[]);
    manager.wait("READY=1");
    let mut stream = UnixStream::connect(&path).unwrap();
    stream.write_all(ASK).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let (code, said) = server.end();
    assert_eq!(code, Some(0), "{said}");
    assert!(Path::new(&path).exists(), "it is the manager's");
}

#[test]
fn what_is_handed_over_must_be_good() {
    let manager = Manager::new();
    let refused = |socket: OwnedFd| {
        let mut started = manager.start(Some(socket), &[]);
        let mut said = String::new();
        started.0.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        (started.0.wait().unwrap().code(), said)
    };
    let (code, said) = refused(TcpListener::bind("0.0.0.0:0").unwrap().into());
    assert!(code == Some(1) && said.contains("others can reach `http://0.0.0.0:"), "{said}");
    let (code, said) = refused(UnixStream::pair().unwrap().0.into());
    assert!(code == Some(1) && said.contains("is no stream socket that listens"), "{said}");
    let (code, said) = refused(std::fs::File::open("/dev/null").unwrap().into());
    assert!(code == Some(1) && said.contains("is no socket"), "{said}");
}

#[test]
fn tls_is_told_by_the_address() {
    let manager = Manager::new();
    let (certificate, key) = write(SERVER, manager.dir.path());
    let (certificate, key) = (certificate.to_str().unwrap(), key.to_str().unwrap());
    let mut server = manager.start(None, &["--tls-cert", certificate, "--tls-key", key]);
    let mut said = BufReader::new(server.0.stderr.take().unwrap());
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    let address = line.trim().rsplit("https://").next().unwrap();
    manager.wait("READY=1");
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.write_all(ASK).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("tls_required"), "{answer}");
    // What cannot be used is said.
    put(Path::new(key), "nothing", 0o644);
    let cases: [(&[&str], i32, &str); 4] = [
        (&["--tls-cert", certificate], 2, "--tls-key"),
        (&["--client-ca", certificate], 2, "--tls-cert"),
        (&["--tls-cert", certificate, "--tls-key", key], 1, "hint: `chmod o-r` it"),
        (&["--tls-cert", "none", "--tls-key", key], 1, "the certificate `none` cannot be read"),
    ];
    for (args, code, want) in cases {
        let output = Command::new(env!("CARGO_BIN_EXE_rushlight"))
            .args(["serve", &manager.path("tiny.gguf"), "--address", "127.0.0.1:0"])
            .args(args)
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{args:?}: {stderr}");
        assert!(stderr.contains(want), "{args:?}: {stderr}");
    }
}
