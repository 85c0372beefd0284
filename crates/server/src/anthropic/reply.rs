//! Answers in the shape of a `message` and of the events of one.

use rushlight_engine::Finish;
use serde_json::{Value, json};

use super::blocks::Blocks;
use super::stopped::Stopped;
use super::{error, usage};
use crate::answers::{Answer, Ended, Token};
use crate::dialect::RequestId;
use crate::energy::Used;
use crate::failure::Failure;
use crate::openai::random;
use crate::stream::{Shape, Wire};

/// What all parts of a response have in common.
pub(super) struct Reply {
    id: String,
    model: String,
    request: RequestId,
    prompt_tokens: usize,
    reused_tokens: usize,
    stopped: Stopped,
    blocks: Blocks,
}

impl Reply {
    pub(super) fn new(
        model: String,
        request: RequestId,
        prompt_tokens: usize,
        reused_tokens: usize,
        stopped: Stopped,
        blocks: Blocks,
    ) -> Self {
        let id = format!("msg_{:016x}{:016x}", random(), random());
        Self { id, model, request, prompt_tokens, reused_tokens, stopped, blocks }
    }

    /// The response to a request that is not streamed.
    pub(super) fn whole(mut self, answers: Vec<Answer>) -> Value {
        let answer = answers.into_iter().next().unwrap_or_default();
        // What was told is the whole text: the stop comes right after it.
        for (at, token) in answer.tokens.iter().enumerate() {
            self.stopped.token(token, if at == 0 { &answer.text } else { "" });
        }
        self.blocks.open();
        self.blocks.push(&answer.text);
        self.blocks.finish();
        let content = self.blocks.content();
        let (reason, sequence) = match &answer.ended {
            Some(ended) => self.why(ended.finish),
            None => (Value::Null, Value::Null),
        };
        let usage = match answer.ended {
            Some(ended) => self.usage(ended.answer_tokens, ended.energy.as_ref()),
            None => self.usage(0, None),
        };
        self.message(content, &reason, &sequence, &usage)
    }

    fn usage(&self, written: usize, energy: Option<&Used>) -> Value {
        usage(self.prompt_tokens, self.reused_tokens, written, energy)
    }

    fn message(&self, content: Vec<Value>, why: &Value, stop: &Value, usage: &Value) -> Value {
        json!({
            "id": self.id,
            "type": "message",
            "role": "assistant",
            "model": self.model,
            "content": content,
            "stop_reason": why,
            "stop_sequence": stop,
            "usage": usage,
        })
    }

    /// Why an answer ended, and the stop sequence that ended it.
    fn why(&self, finish: Finish) -> (Value, Value) {
        let reason = match finish {
            Finish::Stop => return (json!("stop_sequence"), json!(self.stopped.by())),
            Finish::Length => "max_tokens",
            Finish::Context => "model_context_window_exceeded",
            _ if self.blocks.has_calls() => "tool_use",
            _ => "end_turn",
        };
        (json!(reason), Value::Null)
    }
}

impl Shape for Reply {
    const WIRE: Wire = Wire::NamedEvents;

    fn open(&mut self) -> Vec<Value> {
        let usage = self.usage(0, None);
        let message = self.message(Vec::new(), &Value::Null, &Value::Null, &usage);
        let start = json!({ "type": "message_start", "message": message });
        let blocks = self.blocks.open();
        [start].into_iter().chain(blocks).chain([json!({ "type": "ping" })]).collect()
    }

    fn token(&mut self, _: usize, token: &Token, text: &str) -> Vec<Value> {
        self.stopped.token(token, text);
        self.blocks.push(text)
    }

    fn finished(&mut self, _: usize, ended: &Ended) -> Vec<Value> {
        let mut events = [self.blocks.push(&ended.text), self.blocks.finish()].concat();
        let (reason, sequence) = self.why(ended.finish);
        let (prompt, reused) = (ended.prompt_tokens, ended.reused_tokens);
        let usage = usage(prompt, reused, ended.answer_tokens, ended.energy.as_ref());
        events.push(json!({
            "type": "message_delta",
            "delta": { "stop_reason": reason, "stop_sequence": sequence },
            "usage": usage,
        }));
        events
    }

    fn close(&mut self) -> Vec<Value> {
        vec![json!({ "type": "message_stop" })]
    }

    fn failed(&mut self, failure: &Failure) -> Value {
        error(failure, &self.request)
    }

    fn still_working(&self) -> Option<Value> {
        Some(json!({ "type": "ping" }))
    }
}
