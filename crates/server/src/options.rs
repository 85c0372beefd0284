//! How a server listens and what it allows.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use rushlight_engine::SchedulerOptions;
use rushlight_host::PowerMeter;

use crate::{Error, ErrorKind, Notices, Notify, Observer, TlsFiles};

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A port of an interface. One that others can reach needs keys, or certificates of clients.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

impl Address {
    /// The port when nothing else is asked for.
    pub const DEFAULT_PORT: u16 = 8080;
}

impl Default for Address {
    fn default() -> Self {
        Address::Tcp(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), Self::DEFAULT_PORT))
    }
}

impl FromStr for Address {
    type Err = Error;

    /// Parses `IP:PORT`, `localhost:PORT`, `unix:PATH` or a path that begins with `/`.
    fn from_str(text: &str) -> Result<Self, Error> {
        if let Some(path) = text.strip_prefix("unix:").filter(|path| !path.is_empty()) {
            return Ok(Address::Unix(path.into()));
        }
        if text.starts_with('/') {
            return Ok(Address::Unix(text.into()));
        }
        let local = text.strip_prefix("localhost:").and_then(|port| port.parse().ok());
        let local = local.map(|port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port));
        local.or_else(|| text.parse().ok()).map(Address::Tcp).ok_or_else(|| {
            Error::new(ErrorKind::Address, format!("address `{text}` is not one to listen on"))
                .with_hint("expected `127.0.0.1:8080`, `[::1]:8080` or `unix:/run/rushlight.sock`")
        })
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Address::Tcp(address) => write!(f, "http://{address}"),
            Address::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// How a server listens and what it allows.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerOptions {
    /// Where it listens; by default port 8080 of loopback.
    pub address: Address,
    /// Who may use a Unix socket, as `chmod` has it; by default its owner alone.
    pub socket_mode: u32,
    /// A file with the SHA-256 of an API key on each line. Needed where others can reach the
    /// address.
    pub key_file: Option<PathBuf>,
    /// TLS, which is what is spoken then and nothing else.
    pub tls: Option<TlsFiles>,
    /// Names in `Host` headers beside those of loopback. On loopback others are refused, which
    /// keeps web pages from reaching the server under a name of their own; elsewhere they are
    /// refused once there is a name here.
    pub allowed_hosts: Vec<String>,
    /// Origins, such as `https://example.org`, whose web pages may use the server.
    pub allowed_origins: Vec<String>,
    /// Bytes of a request, at most.
    pub most_body_bytes: usize,
    /// Connections at once, at most; others wait to be accepted.
    pub most_connections: usize,
    /// How long the head of a request may take to come, and how long a connection may idle.
    pub head_timeout: Duration,
    /// How long the rest of a request may take to come.
    pub body_timeout: Duration,
    /// How long a client may read nothing of what waits for it.
    pub write_timeout: Duration,
    /// How long an answer may take, at most.
    pub answer_timeout: Option<Duration>,
    /// How long answers may go on after the server was told to stop.
    pub grace: Duration,
    /// How long a pass of the engine may take before it counts as stuck.
    pub step_limit: Duration,
    /// Bytes of memory that all models together may take; without a word what the machine and its
    /// control groups leave when the server begins.
    pub memory_bytes: Option<u64>,
    /// How requests share an engine.
    pub scheduler: SchedulerOptions,
    /// What measures the energy of answers; without it nothing does.
    pub power: Option<PowerMeter>,
    /// Who hears of each request.
    pub observer: Option<Observer>,
    /// Where traces go, if they go anywhere.
    pub traces: Option<Traces>,
    /// Who hears of what happens to the server.
    pub notices: Option<Notices>,
    /// The service manager that hears how the server is.
    pub notify: Option<Notify>,
    /// Whether SIGHUP has keys and certificates read again at once, instead of ending the process.
    pub reload_on_hangup: bool,
}

/// Where traces go: an OpenTelemetry collector that takes OTLP over HTTP. They tell of routes, models,
/// numbers and times, and nothing of texts.
#[derive(Clone, Debug)]
pub struct Traces {
    /// Its address, such as `http://127.0.0.1:4318`.
    pub endpoint: String,
    /// What this server is called there.
    pub service: String,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            address: Address::default(),
            socket_mode: 0o600,
            key_file: None,
            tls: None,
            allowed_hosts: Vec::new(),
            allowed_origins: Vec::new(),
            most_body_bytes: 8 << 20,
            most_connections: 256,
            head_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(60),
            answer_timeout: None,
            grace: Duration::from_secs(30),
            step_limit: Duration::from_secs(120),
            memory_bytes: None,
            scheduler: SchedulerOptions::default(),
            power: None,
            observer: None,
            traces: None,
            notices: None,
            notify: None,
            reload_on_hangup: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let tcp = |text: &str| Some(Address::Tcp(text.parse().unwrap()));
        let unix = |path: &str| Some(Address::Unix(path.into()));
        let cases = [
            ("127.0.0.1:80", tcp("127.0.0.1:80")),
            ("localhost:80", tcp("127.0.0.1:80")),
            ("[::1]:80", tcp("[::1]:80")),
            ("0.0.0.0:0", tcp("0.0.0.0:0")),
            ("unix:a.sock", unix("a.sock")),
            ("/run/a.sock", unix("/run/a.sock")),
            ("unix:", None),
            ("80", None),
            ("localhost", None),
            ("example.org:80", None),
            ("127.0.0.1:99999", None),
        ];
        let wrong: Vec<_> =
            cases.iter().filter(|(text, want)| text.parse().ok() != *want).collect();
        assert!(wrong.is_empty(), "{wrong:?}");
    }
}
