//! Answers in the shape of Ollama's lines: pieces of the text, and a last line that says how it went.

use std::time::{Instant, SystemTime};

use rushlight_engine::Finish;
use serde_json::{Value, json};

use super::error;
use super::spoken::{Part, Spoken};
use crate::answers::{Answers, Ended, Piece, Token};
use crate::failure::Failure;
use crate::stream::{Shape, Wire};
use crate::time::rfc3339;

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Generate,
    Chat,
}

impl Kind {
    /// A line with a piece of the text.
    fn line(self, model: &str, text: &str) -> Value {
        let (field, value) = match self {
            Kind::Generate => ("response", json!(text)),
            Kind::Chat => ("message", json!({ "role": "assistant", "content": text })),
        };
        json!({
            "model": model,
            "created_at": rfc3339(SystemTime::now()),
            field: value,
            "done": false,
        })
    }

    /// Puts what the model thinks into a line.
    fn think(self, line: &mut Value, text: String) {
        match self {
            Kind::Generate => line["thinking"] = text.into(),
            Kind::Chat => line["message"]["thinking"] = text.into(),
        }
    }

    /// The response to a request that asks for no more than that the model is there, or leaves.
    pub(super) fn loaded(self, model: &str, leaves: bool) -> Value {
        let mut line = self.line(model, "");
        line["done"] = json!(true);
        line["done_reason"] = json!(if leaves { "unload" } else { "load" });
        line
    }
}

/// What all lines of a response have in common.
pub(super) struct Reply {
    kind: Kind,
    model: String,
    /// When the request came, when it left the queue, and when its first token came.
    asked: Instant,
    begun: Instant,
    first: Option<Instant>,
    spoken: Spoken,
}

impl Reply {
    /// Of an answer that begins now.
    pub(super) fn new(kind: Kind, model: String, asked: Instant, spoken: Spoken) -> Self {
        Self { kind, model, asked, begun: Instant::now(), first: None, spoken }
    }

    /// The response to a request that is not streamed.
    pub(super) async fn whole(mut self, mut answers: Answers) -> Result<Value, Failure> {
        let mut text = String::new();
        while let Some((_, piece)) = answers.next().await {
            match piece {
                Piece::Begun(_) => {}
                Piece::Token(_, shown) => {
                    self.first.get_or_insert_with(Instant::now);
                    text += &shown;
                }
                Piece::Finished(ended) => {
                    text += &ended.text;
                    return Ok(self.message(&text, &ended));
                }
                Piece::Failed(failure) => return Err(failure),
            }
        }
        Err(Failure::unavailable("engine_failed", "the answer has no end"))
    }

    /// The response of a whole answer.
    fn message(&mut self, text: &str, ended: &Ended) -> Value {
        let (mut content, mut thoughts, mut calls) = (String::new(), String::new(), Vec::new());
        for part in self.spoken.push(text).into_iter().chain(self.spoken.finish()) {
            match part {
                Part::Thought(text) => thoughts += &text,
                Part::Text(text) => content += &text,
                Part::Call(call) => calls.push(call),
            }
        }
        let mut line = self.last(&content, ended);
        if !thoughts.is_empty() {
            self.kind.think(&mut line, thoughts);
        }
        if !calls.is_empty() {
            line["message"]["tool_calls"] = calls.into();
        }
        line
    }

    /// A line of each part.
    fn lines(&self, parts: Vec<Part>) -> Vec<Value> {
        let line = |part| match part {
            Part::Thought(text) => {
                let mut line = self.line("");
                self.kind.think(&mut line, text);
                line
            }
            Part::Text(text) => self.line(&text),
            Part::Call(call) => {
                let mut line = self.line("");
                line["message"]["tool_calls"] = json!([call]);
                line
            }
        };
        parts.into_iter().map(line).collect()
    }

    fn line(&self, text: &str) -> Value {
        self.kind.line(&self.model, text)
    }

    /// The last line, with a text.
    fn last(&self, text: &str, ended: &Ended) -> Value {
        let now = Instant::now();
        let first = self.first.unwrap_or(now);
        let reason = match ended.finish {
            Finish::Length | Finish::Context => "length",
            _ => "stop",
        };
        // Clients divide by times.
        let nanoseconds = |from: Instant, to: Instant| (to - from).as_nanos().max(1) as u64;
        let fields = [
            ("done", json!(true)),
            ("done_reason", json!(reason)),
            ("total_duration", json!(nanoseconds(self.asked, now))),
            ("load_duration", json!(nanoseconds(self.asked, self.begun))),
            ("prompt_eval_count", json!(ended.prompt_tokens)),
            ("prompt_eval_duration", json!(nanoseconds(self.begun, first))),
            ("eval_count", json!(ended.answer_tokens)),
            ("eval_duration", json!(nanoseconds(first, now))),
        ];
        let mut line = self.line(text);
        for (name, value) in fields {
            line[name] = value;
        }
        if let Some(energy) = &ended.energy {
            line["energy"] = energy.to_json(ended.answer_tokens);
        }
        line
    }
}

impl Shape for Reply {
    const WIRE: Wire = Wire::Lines;

    fn open(&mut self) -> Vec<Value> {
        Vec::new()
    }

    fn token(&mut self, _: usize, _: &Token, text: &str) -> Vec<Value> {
        self.first.get_or_insert_with(Instant::now);
        let parts = self.spoken.push(text);
        self.lines(parts)
    }

    fn finished(&mut self, _: usize, ended: &Ended) -> Vec<Value> {
        let mut parts = self.spoken.push(&ended.text);
        parts.extend(self.spoken.finish());
        self.lines(parts).into_iter().chain([self.last("", ended)]).collect()
    }

    fn close(&mut self) -> Vec<Value> {
        Vec::new()
    }

    fn failed(&mut self, failure: &Failure) -> Value {
        error(failure)
    }

    /// A piece without text: lines have no comments.
    fn still_working(&self) -> Option<Value> {
        Some(self.line(""))
    }
}
