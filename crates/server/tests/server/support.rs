//! Starts servers and talks to them.

mod document;

use std::io::{Read, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rushlight_engine::{Engine, EngineOptions};
use rushlight_model::Model;
use rushlight_server::{Address, Error, Loaded, ServedModel, Server, ServerOptions, runtime};
use rushlight_testkit::tiny;
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::oneshot;

pub(crate) type LoadResult = Result<Loaded, Box<dyn std::error::Error + Send + Sync>>;

/// How long anything may take, at most.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A server that runs until it is dropped.
pub(crate) struct Running {
    pub(crate) address: Address,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<Result<(), Error>>>,
    _dir: Option<TempDir>,
}

impl Running {
    /// A server of the tiny model `llama2`, which can write.
    pub(crate) fn start(change: impl FnOnce(&mut ServerOptions)) -> Self {
        Self::start_tiny("llama2", change)
    }

    /// A server of a tiny model.
    pub(crate) fn start_tiny(name: &str, change: impl FnOnce(&mut ServerOptions)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("tiny.gguf");
        tiny::write_gguf(&tiny::case(name), &file);
        let mut server = Self::start_with(move || load(&file), change);
        server._dir = Some(dir);
        server.wait();
        server
    }

    /// A server of the tiny model `llama2` with these names.
    pub(crate) fn start_named(name: &str, aliases: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("tiny.gguf");
        tiny::write_gguf(&tiny::case("llama2"), &file);
        let mut model = ServedModel::new(name, move || load(&file));
        model.aliases = aliases.iter().map(|alias| (*alias).to_owned()).collect();
        let mut server = Self::start_models(vec![model], |_| {});
        server._dir = Some(dir);
        server.wait();
        server
    }

    /// A server that may not be ready yet.
    pub(crate) fn start_with(
        load: impl Fn() -> LoadResult + Send + Sync + 'static,
        change: impl FnOnce(&mut ServerOptions),
    ) -> Self {
        Self::start_models(vec![ServedModel::new("tiny", load)], change)
    }

    /// A server of several models, which may not be ready yet.
    pub(crate) fn start_models(
        models: Vec<ServedModel>,
        change: impl FnOnce(&mut ServerOptions),
    ) -> Self {
        let mut options = ServerOptions::default();
        options.address = "127.0.0.1:0".parse().unwrap();
        options.grace = Duration::from_secs(10);
        change(&mut options);
        let (stop, stopped) = oneshot::channel();
        let (tell, told) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            runtime().unwrap().block_on(async {
                let server = Server::bind(options).await?;
                tell.send(server.address().clone()).unwrap();
                server.run(models, async { stopped.await.unwrap_or_default() }).await
            })
        });
        let address = told.recv().unwrap();
        Self { address, stop: Some(stop), thread: Some(thread), _dir: None }
    }

    /// Waits until it is ready.
    pub(crate) fn wait(&self) {
        until("the server is ready", || self.get("/readyz").status == 200);
    }

    /// Tells it to stop, without waiting.
    pub(crate) fn tell_to_stop(&mut self) {
        drop(self.stop.take());
    }

    /// Waits for its end.
    pub(crate) fn end(&mut self) -> Result<(), Error> {
        self.thread.take().unwrap().join().unwrap()
    }

    pub(crate) fn socket(&self) -> SocketAddr {
        match self.address {
            Address::Tcp(address) => address,
            Address::Unix(_) => panic!("the test server has a port"),
        }
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.socket()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    pub(crate) fn get(&self, path: &str) -> Reply {
        self.send("GET", path, &[], "")
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Reply {
        self.send("POST", path, &[("content-type", "application/json")], &body.to_string())
    }

    /// Sends a request with headers of its own; `host` among them replaces the usual one.
    pub(crate) fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Reply {
        let mut stream = self.connect();
        write(&mut stream, &self.head(method, path, headers, body.len()), body);
        let reply = Reply::read(stream);
        document::check(method, path, body, &reply);
        reply
    }

    /// Begins a streamed chat and gives the connection.
    pub(crate) fn begin(&self, path: &str, body: &Value) -> TcpStream {
        let mut stream = self.connect();
        let body = body.to_string();
        let json = [("content-type", "application/json")];
        write(&mut stream, &self.head("POST", path, &json, body.len()), &body);
        stream
    }

    fn head(&self, method: &str, path: &str, headers: &[(&str, &str)], bytes: usize) -> String {
        let mut head = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\n");
        if !headers.iter().any(|(name, _)| *name == "host") {
            head += &format!("host: {}\r\n", self.socket());
        }
        if bytes > 0 {
            head += &format!("content-length: {bytes}\r\n");
        }
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        head + "\r\n"
    }

    /// The value of a sample in `/metrics`; 0 where there is none.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let text = self.get("/metrics").body;
        let line = text.lines().find(|line| line.starts_with(name));
        line.map_or(0.0, |line| line.rsplit_once(' ').unwrap().1.parse().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.tell_to_stop();
        if let Some(thread) = self.thread.take() {
            // A test that has failed already says why.
            let _ = thread.join();
        }
    }
}

/// The engine of the model in a file.
pub(crate) fn load(file: &Path) -> LoadResult {
    let mut options = EngineOptions::default();
    options.threads = Some(1);
    options.pin = false;
    Ok(Loaded::new(Engine::new(Arc::new(Model::open(file)?), &options)?))
}

fn write(stream: &mut TcpStream, head: &str, body: &str) {
    stream.write_all(head.as_bytes()).unwrap();
    // A server that refuses the request may not read its body.
    let _ = stream.write_all(body.as_bytes());
}

/// Waits for something.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < PATIENCE, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A response.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// Names in lower case.
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Reply {
    /// Reads until the server closes.
    pub(crate) fn read(mut stream: impl Read) -> Self {
        let mut bytes = Vec::new();
        // A connection that is cut off gives what came before.
        let _ = stream.read_to_end(&mut bytes);
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or_else(|| {
            panic!("no head in `{}`", String::from_utf8_lossy(&bytes));
        });
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers: Vec<(String, String)> = lines
            .map(|line| line.split_once(": ").unwrap())
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect();
        let chunked = headers.iter().any(|(_, value)| value == "chunked");
        let rest = &bytes[end + 4..];
        let body = if chunked { unchunked(rest) } else { rest.to_vec() };
        Self { status, headers, body: String::from_utf8(body).unwrap() }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| &**value)
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    /// The data of the events of a stream, which must end with `[DONE]`.
    pub(crate) fn events(&self) -> Vec<Value> {
        assert_eq!(self.status, 200, "{self:?}");
        assert!(self.header("content-type").unwrap().starts_with("text/event-stream"));
        let mut data: Vec<&str> = self
            .body
            .split_terminator("\n\n")
            .map(|event| event.strip_prefix("data: ").unwrap())
            .collect();
        assert_eq!(data.pop(), Some("[DONE]"), "{}", self.body);
        data.into_iter().map(|data| serde_json::from_str(data).unwrap()).collect()
    }

    /// `status parameter code` of an error.
    pub(crate) fn error(&self) -> String {
        let error = &self.json()["error"];
        assert!(error["message"].as_str().is_some_and(|text| !text.is_empty()), "{self:?}");
        assert!(error["type"].is_string(), "{self:?}");
        let text = |name: &str| error[name].as_str().unwrap_or("-").to_owned();
        format!("{} {} {}", self.status, text("param"), text("code"))
    }
}

fn unchunked(mut bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    while let Some(at) = bytes.windows(2).position(|two| two == b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&bytes[..at]).unwrap(), 16).unwrap();
        let data = &bytes[at + 2..];
        if size == 0 {
            return out;
        }
        out.extend_from_slice(&data[..size.min(data.len())]);
        bytes = data.get(size + 2..).unwrap_or_default();
    }
    out
}
