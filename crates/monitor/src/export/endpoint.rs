//! An endpoint that Prometheus reads.
//!
//! It answers a few requests at once, and each client has two seconds to ask and two to read: enough for
//! a few collectors, and nothing that a client does makes it take more.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::prometheus::{CONTENT_TYPE, text};
use crate::error::{Error, ErrorKind};
use crate::sample::Sample;

/// Bytes of the head of a request, at most.
const MOST_HEAD: usize = 8 << 10;
/// How long a client may take to ask, and again to read the answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// Clients that are answered at once; the others wait until one of these is done.
const MOST_CLIENTS: usize = 4;

/// The sample that is told.
pub type Exported = Arc<Mutex<Sample>>;

/// Answers requests on threads of its own, as long as the program runs.
#[derive(Debug)]
pub struct Endpoint {
    address: SocketAddr,
}

impl Endpoint {
    /// Answers at `address` with what `exported` holds then. Who asks from elsewhere needs `key`, and
    /// without one only this machine is listened to.
    ///
    /// # Errors
    ///
    /// If the address cannot be listened at, or is not of this machine alone and there is no key.
    pub fn start(
        address: SocketAddr,
        key: Option<String>,
        exported: Exported,
    ) -> Result<Self, Error> {
        if !address.ip().is_loopback() && key.is_none() {
            let message = format!("`{address}` can be reached from elsewhere, and there is no key");
            return Err(Error::new(ErrorKind::Address, message).with_hint(
                "name a file with a key by `--export-key-file`, or listen at 127.0.0.1",
            ));
        }
        let cannot = |e: io::Error| {
            Error::new(ErrorKind::Address, format!("cannot listen at `{address}`: {e}"))
        };
        let listener = TcpListener::bind(address).map_err(cannot)?;
        let address = listener.local_addr().map_err(cannot)?;
        let shared = Arc::new((listener, key, exported));
        for _ in 0..MOST_CLIENTS {
            let shared = shared.clone();
            std::thread::Builder::new()
                .name("export".to_owned())
                .spawn(move || serve(&shared.0, shared.1.as_deref(), &shared.2))
                .map_err(cannot)?;
        }
        Ok(Self { address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Answers one client after the other.
fn serve(listener: &TcpListener, key: Option<&str>, exported: &Exported) {
    for stream in listener.incoming() {
        match stream {
            // That a client goes away is its own matter.
            Ok(stream) => drop(answer(stream, key, exported)),
            // Such as too many open files: it passes, and must not take all time.
            Err(_) => std::thread::sleep(Duration::from_millis(100)),
        }
    }
}

fn answer(mut stream: TcpStream, key: Option<&str>, exported: &Exported) -> io::Result<()> {
    let Some(head) = head(&mut stream, Instant::now() + PATIENCE)? else {
        return reply(
            &mut stream,
            "431 Request Header Fields Too Large",
            "text/plain",
            "too long\n",
            true,
        );
    };
    let mut line = head.lines().next().unwrap_or_default().split(' ');
    let (method, target) = (line.next().unwrap_or_default(), line.next().unwrap_or_default());
    let path = target.split('?').next().unwrap_or_default();
    let has_body = method != "HEAD";
    let say = |stream: &mut TcpStream, status: &str, text: &str| {
        reply(stream, status, "text/plain; charset=utf-8", text, has_body)
    };
    if !matches!(method, "GET" | "HEAD") {
        return say(&mut stream, "405 Method Not Allowed", "only GET\n");
    }
    if key.is_some_and(|key| !is_allowed(&head, key)) {
        return say(&mut stream, "401 Unauthorized", "a key is needed\n");
    }
    if path != "/metrics" {
        return say(&mut stream, "404 Not Found", "see /metrics\n");
    }
    let sample = exported.lock().unwrap_or_else(PoisonError::into_inner).clone();
    reply(&mut stream, "200 OK", CONTENT_TYPE, &text(&sample), has_body)
}

/// The head of a request; `None` if it is too long.
fn head(stream: &mut TcpStream, end: Instant) -> io::Result<Option<String>> {
    let mut head = Vec::new();
    let mut part = [0; 1024];
    while !head.windows(4).any(|four| four == b"\r\n\r\n") {
        if head.len() > MOST_HEAD {
            return Ok(None);
        }
        stream.set_read_timeout(Some(left(end)?))?;
        let read = stream.read(&mut part)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        head.extend_from_slice(part.get(..read).unwrap_or_default());
    }
    Ok(Some(String::from_utf8_lossy(&head).into_owned()))
}

/// Whether a head has `Authorization: Bearer KEY`. All of the key is compared, however early it
/// differs.
fn is_allowed(head: &str, key: &str) -> bool {
    let given = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("authorization").then(|| value.trim())?.strip_prefix("Bearer ")
    });
    let given = given.unwrap_or_default().trim();
    let differs = given.bytes().zip(key.bytes()).fold(0, |all, (a, b)| all | (a ^ b));
    given.len() == key.len() && differs == 0
}

fn reply(
    stream: &mut TcpStream,
    status: &str,
    kind: &str,
    text: &str,
    has_body: bool,
) -> io::Result<()> {
    let length = text.len();
    let head = format!(
        "HTTP/1.0 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    let end = Instant::now() + PATIENCE;
    write(stream, head.as_bytes(), end)?;
    if has_body {
        write(stream, text.as_bytes(), end)?;
    }
    Ok(())
}

/// Writes all of it until `end`, however slowly a client reads.
fn write(stream: &mut TcpStream, mut bytes: &[u8], end: Instant) -> io::Result<()> {
    while !bytes.is_empty() {
        stream.set_write_timeout(Some(left(end)?))?;
        match stream.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The time until `end`.
fn left(end: Instant) -> io::Result<Duration> {
    let left = end.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::Filesystem;

    fn ask(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).unwrap();
        // It may have answered before all was written.
        let _ = stream.write_all(request.as_bytes());
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        answer
    }

    #[test]
    fn it_answers_what_is_asked_properly_and_stays() {
        let exported = Exported::default();
        exported.lock().unwrap().memory.total_bytes = 4096;
        let endpoint =
            Endpoint::start("127.0.0.1:0".parse().unwrap(), None, exported.clone()).unwrap();
        let address = endpoint.address();
        let long = format!("GET /metrics HTTP/1.1\r\n{}", "a: b\r\n".repeat(3000));
        let cases = [
            ("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.0 200 "),
            ("HEAD /metrics?a=b HTTP/1.1\r\n\r\n", "HTTP/1.0 200 "),
            ("GET / HTTP/1.1\r\n\r\n", "HTTP/1.0 404 "),
            ("POST /metrics HTTP/1.1\r\n\r\n", "HTTP/1.0 405 "),
            ("\r\n\r\n", "HTTP/1.0 405 "),
            (&long, "HTTP/1.0 431 "),
        ];
        for (request, want) in cases {
            let answer = ask(address, request);
            // A client that sends more than is read may see its connection reset.
            assert!(
                answer.starts_with(want) || (answer.is_empty() && request.len() > 8192),
                "{request}: {answer}"
            );
        }
        // One that says nothing is left after a while, and the next one is answered.
        let silent = TcpStream::connect(address).unwrap();
        let begin = Instant::now();
        let answer = ask(address, "GET /metrics HTTP/1.0\r\n\r\n");
        assert!(answer.contains("\nnode_memory_MemTotal_bytes 4096\n"), "{answer}");
        assert!(begin.elapsed() < PATIENCE * 3);
        drop(silent);
    }

    #[test]
    fn who_reads_slowly_or_not_at_all_does_not_hold_it() {
        let exported = Exported::default();
        // More than the sockets of both sides hold.
        exported.lock().unwrap().filesystems = (0..60_000)
            .map(|at| Filesystem {
                path: format!("/{at}/{}", "x".repeat(200)),
                ..Default::default()
            })
            .collect();
        let endpoint = Endpoint::start("127.0.0.1:0".parse().unwrap(), None, exported).unwrap();
        let address = endpoint.address();
        let slow: Vec<_> = (0..MOST_CLIENTS)
            .map(|_| {
                let mut stream = TcpStream::connect(address).unwrap();
                stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
                std::thread::spawn(move || {
                    // A little now and then, so that no single writing takes long.
                    let (mut all, mut part) = (0, vec![0; 64 << 10]);
                    while let Ok(read @ 1..) = stream.read(&mut part) {
                        all += read;
                        std::thread::sleep(Duration::from_millis(100));
                    }
                    all
                })
            })
            .collect();
        std::thread::sleep(Duration::from_millis(300));
        let begin = Instant::now();
        let answer = ask(address, "HEAD /metrics HTTP/1.0\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.0 200 "), "{answer}");
        // A slow machine takes a while to make the text.
        assert!(begin.elapsed() < PATIENCE * 5, "{:?}", begin.elapsed());
        let length = answer.split("Content-Length: ").nth(1).unwrap().split('\r').next().unwrap();
        let length: usize = length.parse().unwrap();
        for slow in slow {
            assert!(slow.join().unwrap() < length, "it was left before it had all");
        }
    }

    #[test]
    fn elsewhere_needs_a_key() {
        let any: SocketAddr = "0.0.0.0:0".parse().unwrap();
        let error = Endpoint::start(any, None, Exported::default()).unwrap_err();
        assert!(error.hint().unwrap().contains("--export-key-file"));
        let endpoint =
            Endpoint::start(any, Some("secret".to_owned()), Exported::default()).unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], endpoint.address().port()));
        for (header, want) in [
            ("", "401"),
            ("Authorization: Bearer secre\r\n", "401"),
            ("Authorization: Bearer secret2\r\n", "401"),
            ("Authorization: Basic secret\r\n", "401"),
            ("authorization: Bearer secret\r\n", "200"),
        ] {
            let answer = ask(address, &format!("GET /metrics HTTP/1.1\r\n{header}\r\n"));
            assert!(answer.starts_with(&format!("HTTP/1.0 {want} ")), "{header}: {answer}");
        }
    }
}
