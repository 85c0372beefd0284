//! Answers in the shape of `text_completion`.

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
    /// Answers to each prompt.
    pub(super) n: usize,
    /// What comes before each answer; nothing where prompts are not told again.
    pub(super) echoes: Vec<String>,
    /// Whether tokens are told.
    pub(super) likeliest: bool,
    /// Characters of each answer so far.
    pub(super) offsets: Vec<usize>,
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
                self.usage.add(ended, at.is_multiple_of(self.n));
            }
            let echo = self.echoes.get(at).map_or("", String::as_str);
            let text = format!("{echo}{}", answer.text);
            let finish = answer.ended.map(|ended| finish_reason(ended.finish));
            let likelihoods = self.likelihoods(at, &answer.tokens);
            choices.push(choice(at, &text, likelihoods, finish));
        }
        put(self.envelope.with(choices), "usage", self.usage.to_json())
    }

    fn likelihoods(&mut self, at: usize, tokens: &[Token]) -> Value {
        match (self.model.tokenizer(), self.offsets.get_mut(at)) {
            (Ok(tokenizer), Some(offset)) if self.likeliest => {
                likelihoods::of_completion(tokenizer, tokens, offset)
            }
            _ => Value::Null,
        }
    }

    /// A part of a stream.
    fn chunk(&self, at: usize, text: &str, logprobs: Value, finish: Option<&str>) -> Value {
        let chunk = self.envelope.with(vec![choice(at, text, logprobs, finish)]);
        // Streams that end with what they took say so from the beginning.
        if self.include_usage { put(chunk, "usage", Value::Null) } else { chunk }
    }
}

fn choice(at: usize, text: &str, logprobs: Value, finish: Option<&str>) -> Value {
    json!({ "text": text, "index": at, "logprobs": logprobs, "finish_reason": finish })
}

impl Shape for Reply {
    fn open(&mut self) -> Vec<Value> {
        let echoes = self.echoes.iter().enumerate();
        echoes.map(|(at, echo)| self.chunk(at, echo, Value::Null, None)).collect()
    }

    fn token(&mut self, at: usize, token: &Token, text: &str) -> Vec<Value> {
        if text.is_empty() && !self.likeliest {
            return Vec::new();
        }
        let logprobs = self.likelihoods(at, std::slice::from_ref(token));
        vec![self.chunk(at, text, logprobs, None)]
    }

    fn finished(&mut self, at: usize, ended: &Ended) -> Vec<Value> {
        self.usage.add(ended, at.is_multiple_of(self.n));
        vec![self.chunk(at, &ended.text, Value::Null, Some(finish_reason(ended.finish)))]
    }

    fn close(&mut self) -> Vec<Value> {
        if !self.include_usage {
            return Vec::new();
        }
        vec![put(self.envelope.with(Vec::new()), "usage", self.usage.to_json())]
    }
}
