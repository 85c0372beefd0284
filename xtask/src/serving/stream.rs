//! Answers as server-sent events, with the time of each.

use super::http::{self, Answer};
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::time::Instant;

/// An answer that was streamed.
#[derive(Clone, Debug)]
pub(crate) struct Streamed {
    pub(crate) sent: Instant,
    /// When each piece of text came.
    pub(crate) pieces: Vec<Instant>,
    pub(crate) ended: Instant,
    pub(crate) text: String,
    pub(crate) finish: Option<String>,
    pub(crate) prompt_tokens: usize,
    pub(crate) answer_tokens: usize,
}

impl Streamed {
    /// Milliseconds until the first piece of text.
    pub(crate) fn first_ms(&self) -> Option<f64> {
        Some(milliseconds(self.sent, *self.pieces.first()?))
    }

    /// Milliseconds between pieces of text.
    pub(crate) fn gaps_ms(&self) -> impl Iterator<Item = f64> {
        self.pieces.windows(2).map(|pair| milliseconds(pair[0], pair[1]))
    }
}

/// Milliseconds from one time to a later one.
pub(crate) fn milliseconds(from: Instant, to: Instant) -> f64 {
    to.duration_since(from).as_secs_f64() * 1e3
}

/// Asks for a chat, which `body` says is streamed with its usage, and reads it to its end;
/// `told` hears how many pieces of text came.
pub(crate) fn chat(address: &str, body: &Value, told: impl FnMut(usize)) -> Result<Streamed> {
    let sent = Instant::now();
    let answer = http::post(address, "/v1/chat/completions", body)?;
    let status = answer.status;
    if status != 200 {
        bail!("status {status}: {}", answer.text()?);
    }
    read(sent, answer, told)
}

/// Reads the stream of an answer to its end; `told` hears how many pieces of text came.
pub(crate) fn read(sent: Instant, answer: Answer, mut told: impl FnMut(usize)) -> Result<Streamed> {
    // Read now, understood later: the processors are the server's.
    let mut events = Vec::new();
    let mut lines = BufReader::new(answer);
    let mut line = String::new();
    let mut pieces = 0;
    while lines.read_line(&mut line)? > 0 {
        if let Some(data) = line.strip_prefix("data: ") {
            if is_piece(data) {
                pieces += 1;
                told(pieces);
            }
            events.push((Instant::now(), data.trim_end().to_owned()));
        }
        line.clear();
    }
    understand(sent, &events)
}

/// Whether an event brings text: enough to count while reading.
fn is_piece(data: &str) -> bool {
    data.contains("\"content\":\"") && !data.contains("\"content\":\"\"")
}

fn understand(sent: Instant, events: &[(Instant, String)]) -> Result<Streamed> {
    let ended = events.last().context("nothing was streamed")?.0;
    let mut streamed = Streamed {
        sent,
        pieces: Vec::new(),
        ended,
        text: String::new(),
        finish: None,
        prompt_tokens: 0,
        answer_tokens: 0,
    };
    for (time, data) in events.iter().filter(|(_, data)| data != "[DONE]") {
        let event: Value = serde_json::from_str(data).with_context(|| format!("event `{data}`"))?;
        if !event["error"].is_null() {
            bail!("the answer ends with an error: {data}");
        }
        if let Some(text) = event["choices"][0]["delta"]["content"].as_str()
            && !text.is_empty()
        {
            streamed.pieces.push(*time);
            streamed.text += text;
        }
        if let Some(finish) = event["choices"][0]["finish_reason"].as_str() {
            streamed.finish = Some(finish.to_owned());
        }
        let tokens = |name: &str| event["usage"][name].as_u64().map(|n| n as usize);
        streamed.prompt_tokens = tokens("prompt_tokens").unwrap_or(streamed.prompt_tokens);
        streamed.answer_tokens = tokens("completion_tokens").unwrap_or(streamed.answer_tokens);
    }
    if events.last().is_none_or(|(_, data)| data != "[DONE]") {
        bail!("the stream is cut after `{}`", streamed.text);
    }
    Ok(streamed)
}

#[cfg(test)]
mod tests {
    use super::super::http::tests::answering;
    use super::chat;
    use serde_json::json;

    #[test]
    fn pieces_have_times_and_the_usage_counts() {
        let address = answering(
            "HTTP/1.1 200 OK\r\n\r\n\
             data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n\
             : a comment\n\n\
             data: {\"choices\":[{\"delta\":{\"content\":\"Hel\"}}]}\n\n\
             data: {\"choices\":[{\"delta\":{\"content\":\"lo\"}}]}\n\n\
             data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":3}}\n\n\
             data: [DONE]\n\n",
        );
        let mut count = 0;
        let found = chat(&address, &json!({}), |pieces| count = pieces).unwrap();
        assert_eq!((found.text.as_str(), count), ("Hello", 2));
        assert_eq!((found.prompt_tokens, found.answer_tokens), (7, 3));
        assert!(found.first_ms().unwrap() <= super::milliseconds(found.sent, found.ended));
        assert_eq!(found.gaps_ms().count(), 1);
    }

    #[test]
    fn what_is_no_whole_answer_is_an_error() {
        let cases = [
            ("HTTP/1.1 429 Too Many Requests\r\n\r\nlater", "status 429: later"),
            ("HTTP/1.1 200 OK\r\n\r\n", "nothing was streamed"),
            ("HTTP/1.1 200 OK\r\n\r\ndata: {\"error\":{\"message\":\"no\"}}\n\n", "with an error"),
            ("HTTP/1.1 200 OK\r\n\r\ndata: {\"choices\":[]}\n\n", "is cut"),
        ];
        for (answer, expected) in cases {
            let error = chat(&answering(answer), &json!({}), |_| ()).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
        }
    }
}
