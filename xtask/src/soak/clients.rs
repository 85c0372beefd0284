//! Clients, good and bad.

use super::options::Options;
use super::tally::{ANSWERED, Tally};
use crate::serving::http::{self, Answer, posted};
use crate::serving::random::Random;
use crate::serving::stream::chat;
use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Of each kind of those who are not users.
const OF_EACH: usize = 2;
const CHAT: &str = "/v1/chat/completions";

/// They go on until they are stopped.
pub(super) struct Clients {
    state: Arc<AtomicU8>,
    threads: Vec<JoinHandle<()>>,
}

const RUN: u8 = 0;
/// No more requests; what was asked must be answered.
const STOP: u8 = 1;
/// The server goes: nothing that fails now is its fault.
const LEAVE: u8 = 2;

/// What a client does once; an error is what should not have happened.
type Act = fn(&str, &mut Random) -> Result<&'static str>;

impl Clients {
    pub(super) fn start(address: &str, options: &Options, tally: &Tally) -> Self {
        let bad: [Act; 6] =
            [vanish, read_slowly, send_too_much, send_nonsense, send_half, want_a_form];
        let acts = (0..options.users).map(|_| ask as Act);
        let acts = acts.chain(bad.into_iter().flat_map(|act| [act; OF_EACH]));
        let state = Arc::new(AtomicU8::new(RUN));
        let client = |(number, act): (usize, Act)| {
            let (state, tally, address) = (Arc::clone(&state), tally.clone(), address.to_owned());
            let mut random = Random::new(options.seed.wrapping_add(number as u64 * 1000));
            thread::spawn(move || {
                while state.load(Ordering::Relaxed) == RUN {
                    match act(&address, &mut random) {
                        Ok(what) => tally.count(what),
                        Err(_) if state.load(Ordering::Relaxed) == LEAVE => {}
                        Err(error) => tally.wrong(format!("{error:#}")),
                    }
                }
            })
        };
        let threads = acts.enumerate().map(client).collect();
        Self { state, threads }
    }

    pub(super) fn stop(&self) {
        self.state.store(STOP, Ordering::Relaxed);
    }

    pub(super) fn leave(&self) {
        self.state.store(LEAVE, Ordering::Relaxed);
    }

    /// Waits for all; gives how many panicked.
    pub(super) fn join(self) -> usize {
        // All are waited for.
        let ended: Vec<_> = self.threads.into_iter().map(JoinHandle::join).collect();
        ended.iter().filter(|end| end.is_err()).count()
    }
}

/// Those who are answered at once leave the processors to the others.
fn pause(random: &mut Random) {
    thread::sleep(Duration::from_millis(random.below(1000) as u64));
}

/// A chat with a question of its own.
fn question(random: &mut Random, tokens: usize) -> Value {
    let (number, length) = (random.next(), random.below(30));
    let more = " Think of rain, roads and rivers.".repeat(length);
    json!({
        "messages": [{ "role": "user", "content": format!("{number}: what is this number?{more}") }],
        "max_tokens": tokens,
        "temperature": random.below(2),
        "stream": true,
        "stream_options": { "include_usage": true },
    })
}

/// A user: must be answered, whole or streamed.
fn ask(address: &str, random: &mut Random) -> Result<&'static str> {
    let tokens = 1 + random.below(64);
    let mut body = question(random, tokens);
    if random.below(2) == 0 {
        let found = chat(address, &body, |_| ())?;
        ensure!(found.finish.is_some(), "a streamed answer does not say why it ended");
        ensure!((1..=tokens).contains(&found.answer_tokens), "{} tokens", found.answer_tokens);
        return Ok(ANSWERED);
    }
    body["stream"] = false.into();
    if let Some(body) = body.as_object_mut() {
        body.shift_remove("stream_options");
    }
    let answer = http::post(address, CHAT, &body)?;
    let status = answer.status;
    let answer = answer.json()?;
    ensure!(status == 200, "a good request is answered {status}: {answer}");
    ensure!(answer["choices"][0]["message"]["content"].is_string(), "no content: {answer}");
    Ok(ANSWERED)
}

/// Leaves in the middle of the answer, or before it begins.
fn vanish(address: &str, random: &mut Random) -> Result<&'static str> {
    let body = question(random, 400).to_string();
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(&posted(address, CHAT, &body))?;
    let mut bytes = vec![0; 1 + random.below(4000)];
    stream.set_read_timeout(Some(Duration::from_millis(1 + random.below(1500) as u64)))?;
    // However much there is by then.
    let _ = stream.read_exact(&mut bytes);
    Ok("left in the middle")
}

/// Reads a few bytes now and then; the answer must be whole all the same.
fn read_slowly(address: &str, random: &mut Random) -> Result<&'static str> {
    let mut body = question(random, 48);
    body["ignore_eos"] = true.into();
    let mut answer = http::post(address, CHAT, &body)?;
    ensure!(answer.status == 200, "a slow reader is answered {}", answer.status);
    let (mut all, mut bytes) = (Vec::new(), [0; 512]);
    loop {
        match answer.read(&mut bytes)? {
            0 => break,
            count => all.extend_from_slice(&bytes[..count]),
        }
        thread::sleep(Duration::from_millis(random.below(200) as u64));
    }
    let text = String::from_utf8(all).context("a slow reader's answer is no text")?;
    ensure!(text.trim_end().ends_with("data: [DONE]"), "a slow reader's answer is cut");
    Ok("read slowly, to the end")
}

/// A body above the server's limit, said or not.
fn send_too_much(address: &str, random: &mut Random) -> Result<&'static str> {
    pause(random);
    let said = random.below(2) == 0;
    let head = if said { "content-length: 99999999" } else { "transfer-encoding: chunked" };
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(120)))?;
    write!(
        stream,
        "POST {CHAT} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\
         content-type: application/json\r\n{head}\r\n\r\n"
    )?;
    let part = vec![b' '; 64 << 10];
    // It may answer and close before it has read all.
    for _ in 0..200 {
        let size = if said { String::new() } else { format!("{:x}\r\n", part.len()) };
        let end = if said { "" } else { "\r\n" };
        let written = stream
            .write_all(size.as_bytes())
            .and_then(|()| stream.write_all(&part))
            .and_then(|()| stream.write_all(end.as_bytes()));
        if written.is_err() {
            break;
        }
    }
    let mut line = String::new();
    // A connection that is reset while the body is on its way may lose the answer.
    match BufReader::new(stream).read_line(&mut line) {
        Ok(1..) => {
            ensure!(line.contains(" 413 "), "too large a body is answered `{}`", line.trim())
        }
        _ => return Ok("sent too much, and were cut off"),
    }
    Ok("sent too much, and were told")
}

/// What is no request of this API.
fn send_nonsense(address: &str, random: &mut Random) -> Result<&'static str> {
    const BODIES: [&str; 10] = [
        "",
        "{",
        "[]",
        "null",
        r#"{"messages": "hello"}"#,
        r#"{"messages": [{"role": "user", "content": 7}]}"#,
        r#"{"messages": [], "max_tokens": 4}"#,
        r#"{"messages": [{"role": "user", "content": "a"}], "temperature": 99}"#,
        r#"{"messages": [{"role": "user", "content": "a"}], "no_such_parameter": 1}"#,
        r#"{"messages": [{"role": "user", "content": "a"}], "max_tokens": -4}"#,
    ];
    pause(random);
    let nested = "[".repeat(100_000);
    let mut noise = vec![0; 200];
    noise.iter_mut().for_each(|byte| *byte = random.next() as u8);
    let request = match random.below(BODIES.len() + 3) {
        0 => noise,
        1 => posted(address, CHAT, &nested),
        2 => {
            format!("DELETE {CHAT} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").into()
        }
        other => posted(address, CHAT, BODIES[other - 3]),
    };
    match http::send(address, &request) {
        // Noise may be cut off without a word.
        Err(_) => return Ok("sent nonsense, and were cut off"),
        Ok(Answer { status: 400..=499, .. }) => {}
        Ok(answer) => {
            let begin = String::from_utf8_lossy(&request[..request.len().min(300)]).into_owned();
            bail!("nonsense is answered {}: {begin}", answer.status);
        }
    }
    Ok("sent nonsense, and were told")
}

/// Half a request, and then nothing for a while.
fn send_half(address: &str, random: &mut Random) -> Result<&'static str> {
    let body = question(random, 8).to_string();
    let request = posted(address, CHAT, &body);
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(&request[..random.below(request.len())])?;
    stream.set_read_timeout(Some(Duration::from_secs(1 + random.below(20) as u64)))?;
    let mut line = String::new();
    match BufReader::new(stream).read_line(&mut line) {
        Ok(1..) if !line.contains(" 408 ") => bail!("half a request is answered `{}`", line.trim()),
        Ok(_) => Ok("sent half a request, and were cut off"),
        Err(_) => Ok("sent half a request, and left"),
    }
}

/// A schema that can be followed, or one that cannot.
fn want_a_form(address: &str, random: &mut Random) -> Result<&'static str> {
    let good = random.below(2) == 0;
    let length = 2 + random.below(20);
    let text = if good { json!({ "maxLength": length }) } else { json!({ "maxLenght": length }) };
    let mut text = text;
    text["type"] = "string".into();
    let schema = json!({
        "type": "object",
        "properties": { "name": text, "age": { "type": "integer", "minimum": 0, "maximum": 120 } },
        "required": ["name", "age"],
        "additionalProperties": false,
    });
    let mut body = question(random, 96);
    body["response_format"] =
        json!({ "type": "json_schema", "json_schema": { "name": "it", "schema": schema } });
    if !good {
        let answer = http::post(address, CHAT, &body)?;
        ensure!(answer.status == 400, "a misspelt schema is answered {}", answer.status);
        ensure!(answer.text()?.contains("maxLenght"), "a misspelt keyword is not named");
        return Ok("wanted a form that is none, and were told");
    }
    let found = chat(address, &body, |_| ())?;
    if found.finish.as_deref() == Some("stop") {
        let value: Value = serde_json::from_str(&found.text).context(found.text.clone())?;
        let characters = value["name"].as_str().context(found.text.clone())?.chars().count();
        ensure!(characters <= length, "{} has more than {length} characters", found.text);
    }
    Ok("wanted a form, and were answered")
}
