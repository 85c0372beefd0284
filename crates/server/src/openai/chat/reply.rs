//! Answers in the shape of `chat.completion` and `chat.completion.chunk`.

use std::sync::Arc;

use rushlight_model::Model;
use serde_json::{Value, json};

use super::parts;
use crate::answers::{Answer, Ended, Token};
use crate::openai::{Envelope, Usage, likelihoods, put};
use crate::speech::Speech;
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
    /// Finds the parts of each answer.
    pub(super) speeches: Vec<Speech>,
}

impl Reply {
    /// The response to a request that is not streamed.
    pub(super) fn whole(mut self, answers: Vec<Answer>) -> Value {
        let mut choices = Vec::with_capacity(answers.len());
        for (at, answer) in answers.into_iter().enumerate() {
            if let Some(ended) = &answer.ended {
                self.usage.add(ended, at == 0);
            }
            let logprobs = self.likelihoods(&answer.tokens);
            let speech = &mut self.speeches[at];
            let message = parts::message(speech, &answer);
            self.usage.reasoning += speech.reasoning_tokens();
            let finish = answer.ended.map(|ended| parts::reason(speech, ended.finish));
            choices.push(json!({
                "index": at,
                "message": message,
                "logprobs": logprobs,
                "finish_reason": finish,
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
        let logprobs = self.likelihoods(std::slice::from_ref(token));
        let mut deltas = parts::deltas(&mut self.speeches[at], text);
        if deltas.is_empty() && self.likeliest {
            let plain = !self.speeches[at].has_tools() && !self.speeches[at].may_think();
            deltas.push(if plain { json!({ "content": text }) } else { json!({}) });
        }
        // What is told of a token is told once.
        let told = std::iter::once(logprobs).chain(std::iter::repeat(Value::Null));
        let chunks = deltas.into_iter().zip(told);
        chunks.map(|(delta, logprobs)| self.chunk(at, delta, logprobs, None)).collect()
    }

    fn finished(&mut self, at: usize, ended: &Ended) -> Vec<Value> {
        self.usage.add(ended, at == 0);
        let speech = &mut self.speeches[at];
        let rest = parts::last_deltas(speech, &ended.text);
        self.usage.reasoning += speech.reasoning_tokens();
        let finish = parts::reason(speech, ended.finish);
        let end = self.chunk(at, json!({}), Value::Null, Some(finish));
        let rest = rest.into_iter().map(|delta| self.chunk(at, delta, Value::Null, None));
        rest.chain([end]).collect()
    }

    fn close(&mut self) -> Vec<Value> {
        if !self.include_usage {
            return Vec::new();
        }
        vec![put(self.envelope.with(Vec::new()), "usage", self.usage.to_json())]
    }
}
