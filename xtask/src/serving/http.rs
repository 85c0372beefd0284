//! As much of HTTP/1.1 as a client of these servers needs: one request for each connection.

use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// How long a server may say nothing.
const SILENCE: Duration = Duration::from_secs(600);

/// The beginning of an answer; its body is read from it.
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names in small letters.
    headers: Vec<(String, String)>,
    stream: BufReader<TcpStream>,
    rest: Rest,
}

/// What of the body is to come.
enum Rest {
    ToTheEnd,
    Bytes(u64),
    /// So many bytes of this chunk.
    Chunk(u64),
}

/// Asks for `path`.
pub(crate) fn get(address: &str, path: &str) -> Result<Answer> {
    let head = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    send(address, head.as_bytes())
}

/// Sends JSON to `path`.
pub(crate) fn post(address: &str, path: &str, body: &Value) -> Result<Answer> {
    send(address, &posted(address, path, &body.to_string()))
}

/// The bytes of a request with a body of JSON.
pub(crate) fn posted(address: &str, path: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// Sends the bytes of a request and reads the beginning of the answer.
pub(crate) fn send(address: &str, request: &[u8]) -> Result<Answer> {
    let mut stream = TcpStream::connect(address).with_context(|| format!("`{address}`"))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(SILENCE))?;
    // A server may answer before it has read everything, and close.
    let written = stream.write_all(request);
    Answer::read(stream).or_else(|error| {
        written.context("the request could not be sent")?;
        Err(error)
    })
}

impl Answer {
    fn read(stream: TcpStream) -> Result<Self> {
        let mut stream = BufReader::new(stream);
        let first = line(&mut stream)?;
        let status = first.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
        let status = status.with_context(|| format!("`{first}` begins no answer of HTTP/1.1"))?;
        let mut headers = Vec::new();
        loop {
            let line = line(&mut stream)?;
            if line.is_empty() {
                break;
            }
            let Some((name, value)) = line.split_once(':') else { bail!("`{line}` is no header") };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let mut answer = Self { status, headers, stream, rest: Rest::ToTheEnd };
        if answer.header("transfer-encoding").is_some_and(|value| value == "chunked") {
            answer.rest = Rest::Chunk(0);
        } else if let Some(length) = answer.header("content-length") {
            answer.rest = Rest::Bytes(length.parse().context("`content-length` is no number")?);
        }
        Ok(answer)
    }

    /// The value of a header whose name is in small letters.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// The whole body as text.
    pub(crate) fn text(mut self) -> Result<String> {
        let mut text = String::new();
        self.read_to_string(&mut text)?;
        Ok(text)
    }

    /// The whole body as JSON.
    pub(crate) fn json(self) -> Result<Value> {
        let text = self.text()?;
        serde_json::from_str(&text).with_context(|| format!("no JSON: {text}"))
    }

    /// The size of the next chunk, when the last one is through; 0 after the last.
    fn next_chunk(&mut self) -> io::Result<u64> {
        let wrong = |line: &str| io::Error::other(format!("`{line}` is no chunk's size"));
        let size = line(&mut self.stream).map_err(io::Error::other)?;
        let number = size.split(';').next().unwrap_or(&size);
        let number = u64::from_str_radix(number.trim(), 16).map_err(|_| wrong(&size))?;
        if number == 0 {
            self.rest = Rest::Bytes(0);
        }
        Ok(number)
    }
}

impl Read for Answer {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Rest::Chunk(0) = self.rest {
            let size = self.next_chunk()?;
            if size == 0 {
                return Ok(0);
            }
            self.rest = Rest::Chunk(size);
        }
        let most = match self.rest {
            Rest::ToTheEnd => return self.stream.read(buffer),
            Rest::Bytes(0) => return Ok(0),
            Rest::Bytes(left) | Rest::Chunk(left) => left.min(buffer.len() as u64),
        };
        let count = self.stream.read(&mut buffer[..most as usize])?;
        if count == 0 && most > 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the body is cut"));
        }
        match &mut self.rest {
            Rest::ToTheEnd => {}
            Rest::Bytes(left) => *left -= count as u64,
            Rest::Chunk(left) => {
                *left -= count as u64;
                if *left == 0 && !line(&mut self.stream).map_err(io::Error::other)?.is_empty() {
                    return Err(io::Error::other("a chunk does not end where it says"));
                }
            }
        }
        Ok(count)
    }
}

/// A line without its end.
fn line(stream: &mut BufReader<TcpStream>) -> Result<String> {
    let mut line = String::new();
    if stream.read_line(&mut line)? == 0 {
        bail!("the connection is closed where a line was expected");
    }
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::net::TcpListener;

    /// The address of something that answers one request with `answer`.
    pub(crate) fn answering(answer: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
        });
        address
    }

    #[test]
    fn bodies_end_where_they_say() {
        let cases = [
            ("HTTP/1.1 200 OK\r\n\r\nto the end", 200, Some("to the end")),
            ("HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nabcdef", 404, Some("abc")),
            ("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc", 200, None),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
                 3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n",
                200,
                Some("abc0123456789"),
            ),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabcd\r\n", 200, None),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n", 200, None),
        ];
        for (answer, status, body) in cases {
            let found = get(&answering(answer), "/").unwrap();
            assert_eq!(found.status, status, "{answer}");
            assert_eq!(found.text().ok().as_deref(), body, "{answer}");
        }
        assert!(get(&answering("SSH-2.0\r\n"), "/").is_err());
    }
}
