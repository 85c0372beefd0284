//! A request to a server near by.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use crate::error::{Error, ErrorKind};

/// Bytes of an answer, at most.
const MOST_BYTES: u64 = 4 << 20;
/// How long one may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Where a server answers: `http://HOST:PORT`, `https://HOST:PORT` or `unix:PATH`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address(Kind);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Url(String),
    Unix(PathBuf),
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let is_url = |scheme: &str| {
            text.strip_prefix(scheme).is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
        };
        if is_url("http://") || is_url("https://") {
            return Ok(Self(Kind::Url(text.trim_end_matches('/').to_owned())));
        }
        match text.strip_prefix("unix:") {
            Some(path) if !path.is_empty() => Ok(Self(Kind::Unix(path.into()))),
            _ => Err(Error::new(ErrorKind::Address, format!("`{text}` is no server's address"))
                .with_hint(
                    "expected such as `http://127.0.0.1:8080` or `unix:/run/rushlight.sock`",
                )),
        }
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            Kind::Url(url) => f.write_str(url),
            Kind::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Asks one server again and again.
#[derive(Debug)]
pub(crate) struct Client {
    address: Address,
    key: Option<String>,
    agent: ureq::Agent,
}

impl Client {
    pub(crate) fn new(address: Address, key: Option<String>) -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            .http_status_as_error(false)
            .max_redirects(0)
            // A server near by is not behind a proxy.
            .proxy(None);
        Self { address, key, agent: config.build().into() }
    }

    /// The status and the body of `path`.
    pub(crate) fn get(&self, path: &str) -> io::Result<(u16, String)> {
        let (status, bytes) = match &self.address.0 {
            Kind::Url(url) => self.over_tcp(&format!("{url}{path}"))?,
            Kind::Unix(socket) => self.over_unix(socket, path)?,
        };
        Ok((status, String::from_utf8_lossy(&bytes).into_owned()))
    }

    fn over_tcp(&self, url: &str) -> io::Result<(u16, Vec<u8>)> {
        let mut request = self.agent.get(url);
        if let Some(key) = &self.key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        let other = |error: ureq::Error| match error {
            ureq::Error::Io(error) => error,
            error => io::Error::other(error.to_string()),
        };
        let mut answer = request.call().map_err(other)?;
        let body = answer.body_mut().with_config().limit(MOST_BYTES).read_to_vec();
        Ok((answer.status().as_u16(), body.map_err(other)?))
    }

    fn over_unix(&self, socket: &PathBuf, path: &str) -> io::Result<(u16, Vec<u8>)> {
        let mut stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let key = self.key.as_ref().map(|key| format!("Authorization: Bearer {key}\r\n"));
        let key = key.unwrap_or_default();
        // By HTTP 1.0 the body ends where the connection does, and comes in one piece.
        write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n{key}\r\n")?;
        let mut answer = Vec::new();
        stream.take(MOST_BYTES).read_to_end(&mut answer)?;
        split(&answer).ok_or_else(|| io::Error::other("the answer is no HTTP"))
    }
}

/// The status and the body of an answer.
fn split(answer: &[u8]) -> Option<(u16, Vec<u8>)> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let (head, body) = answer.split_at(end);
    let head = std::str::from_utf8(head).ok()?;
    let line = head.lines().next().filter(|line| line.starts_with("HTTP/1."))?;
    let status = line.split(' ').nth(1)?.parse().ok()?;
    Some((status, body.get(4..)?.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_or_refused() {
        for text in ["http://127.0.0.1:8080", "https://box", "unix:/run/r.sock"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        assert_eq!("http://a:1/".parse::<Address>().unwrap().to_string(), "http://a:1");
        for text in ["", "127.0.0.1:8080", "http://", "http:///x", "unix:", "ftp://a"] {
            assert!(text.parse::<Address>().unwrap_err().hint().is_some(), "{text}");
        }
    }

    #[test]
    fn answers_are_split() {
        let whole = b"HTTP/1.1 503 No\r\na: b\r\n\r\nx\r\n\r\ny";
        assert_eq!(split(whole), Some((503, b"x\r\n\r\ny".to_vec())));
        for text in ["", "HTTP/1.1 200\r\n", "SSH-2.0\r\n\r\n", "HTTP/1.1 x\r\n\r\n"] {
            assert_eq!(split(text.as_bytes()), None, "{text}");
        }
    }
}
