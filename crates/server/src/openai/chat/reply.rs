//! Answers in the shape of `chat.completion` and `chat.completion.chunk`.

use std::sync::Arc;

use rushlight_model::Model;
use serde_json::{Value, json};

use crate::answers::{Answer, Ended, Token};
use crate::openai::{Envelope, Usage, finish_reason, likelihoods, put};
use crate::stream::Shape;

/// What all parts of a response have in common.
pub(super) struct Reply {
    pub(super) envelope: Envelope,
    pub(super) model: Arc<Model>,
    /// Answers.
    pub(super) n: usize,
    /// Whether tokens are told.
    pub(super) likeliest: bool,
    /// Whether a stream ends with what it took.
    pub(super) include_usage: bool,
    pub(super) usage: Usage,
}

impl Reply {
    /// The response to a request that is not streamed.
    pub(super) fn whole(mut self, answers: Vec<Answer>) -> Value {
        let mut choices = Vec::with_capacity(answers.len());
        for (at, answer) in answers.into_iter().enumerate() {
            if let Some(ended) = &answer.ended {
                self.usage.add(ended, at == 0);
            }
            choices.push(json!({
                "index": at,
                "message": { "role": "assistant", "content": answer.text, "refusal": null },
                "logprobs": self.likelihoods(&answer.tokens),
                "finish_reason": answer.ended.map(|ended| finish_reason(ended.finish)),
            }));
        }
        put(self.envelope.with(choices), "usage", self.usage.to_json())
    }

    fn likelihoods(&self, tokens: &[Token]) -> Value {
        match self.model.tokenizer() {
            Ok(tokenizer) if self.likeliest => likelihoods::of_chat(tokenizer, tokens),
            _ => Value::Null,
        }
    }

    /// A part of a stream.
    fn chunk(&self, at: usize, delta: Value, logprobs: Value, finish: Option<&str>) -> Value {
        self.with_no_usage(self.envelope.with(vec![json!({
            "index": at,
            "delta": delta,
            "logprobs": logprobs,
            "finish_reason": finish,
        })]))
    }

    /// Streams that end with what they took say so from the beginning.
    fn with_no_usage(&self, chunk: Value) -> Value {
        if self.include_usage { put(chunk, "usage", Value::Null) } else { chunk }
    }
}

impl Shape for Reply {
    fn open(&mut self) -> Vec<Value> {
        let delta = json!({ "role": "assistant", "content": "", "refusal": null });
        (0..self.n).map(|at| self.chunk(at, delta.clone(), Value::Null, None)).collect()
    }

    fn token(&mut self, at: usize, token: &Token, text: &str) -> Vec<Value> {
        if text.is_empty() && !self.likeliest {
            return Vec::new();
        }
        let logprobs = self.likelihoods(std::slice::from_ref(token));
        vec![self.chunk(at, json!({ "content": text }), logprobs, None)]
    }

    fn finished(&mut self, at: usize, ended: &Ended) -> Vec<Value> {
        self.usage.add(ended, at == 0);
        let rest = (!ended.text.is_empty())
            .then(|| self.chunk(at, json!({ "content": ended.text }), Value::Null, None));
        let end = self.chunk(at, json!({}), Value::Null, Some(finish_reason(ended.finish)));
        rest.into_iter().chain([end]).collect()
    }

    fn close(&mut self) -> Vec<Value> {
        if !self.include_usage {
            return Vec::new();
        }
        vec![put(self.envelope.with(Vec::new()), "usage", self.usage.to_json())]
    }
}
