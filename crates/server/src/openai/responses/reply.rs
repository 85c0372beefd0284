//! Answers in the shape of a `response` and of the events of one.

use rushlight_engine::Finish;
use serde_json::{Value, json};

use super::output::Output;
use super::stored::Keep;
use crate::answers::{Answer, Ended, Token};
use crate::app::unix_seconds;
use crate::failure::Failure;
use crate::openai::random;
use crate::stream::{Shape, Wire};

/// What all parts of a response have in common.
pub(super) struct Reply {
    /// The response but for its items, status and usage.
    response: Value,
    output: Output,
    /// What keeps it, if it is to be.
    keep: Option<Keep>,
    /// The number of the next event.
    sequence: u64,
}

impl Reply {
    pub(super) fn new(model: &str, echo: Value, output: Output, keep: Option<Keep>) -> Self {
        let mut response = json!({
            "id": format!("resp_{:016x}{:016x}", random(), random()),
            "object": "response",
            "created_at": unix_seconds(),
            "status": "in_progress",
            "error": null,
            "incomplete_details": null,
            "model": model,
            "output": [],
            "usage": null,
        });
        if let (Some(all), Value::Object(echo)) = (response.as_object_mut(), echo) {
            all.extend(echo);
        }
        Self { response, output, keep, sequence: 0 }
    }

    /// The response to a request that is not streamed.
    pub(super) fn whole(mut self, answers: Vec<Answer>) -> Value {
        let answer = answers.into_iter().next().unwrap_or_default();
        let ended = answer.ended.clone();
        self.output.take(&answer, ended.as_ref().is_some_and(is_cut));
        ended.iter().for_each(|ended| self.end(ended));
        self.response
    }

    /// Completes the response, and keeps it.
    fn end(&mut self, ended: &Ended) {
        let response = &mut self.response;
        response["output"] = self.output.items().into();
        response["status"] = json!("completed");
        response["completed_at"] = json!(unix_seconds());
        if is_cut(ended) {
            response["status"] = json!("incomplete");
            response["incomplete_details"] = json!({ "reason": "max_output_tokens" });
        }
        response["usage"] = json!({
            "input_tokens": ended.prompt_tokens,
            "input_tokens_details": { "cached_tokens": ended.reused_tokens },
            "output_tokens": ended.answer_tokens,
            "output_tokens_details": { "reasoning_tokens": self.output.reasoning_tokens() },
            "total_tokens": ended.prompt_tokens + ended.answer_tokens,
        });
        if let Some(energy) = &ended.energy {
            response["usage"]["energy"] = energy.to_json(ended.answer_tokens);
        }
        if let Some(keep) = self.keep.take() {
            keep.keep(response);
        }
    }

    /// An event that tells of the whole response.
    fn whole_event(&self, kind: &str) -> Value {
        json!({ "type": kind, "response": self.response })
    }

    /// Events in their order.
    fn numbered(&mut self, mut events: Vec<Value>) -> Vec<Value> {
        for event in &mut events {
            event["sequence_number"] = json!(self.sequence);
            self.sequence += 1;
        }
        events
    }
}

/// Whether an answer might have gone on.
fn is_cut(ended: &Ended) -> bool {
    matches!(ended.finish, Finish::Length | Finish::Context)
}

impl Shape for Reply {
    const WIRE: Wire = Wire::NamedEvents;

    fn open(&mut self) -> Vec<Value> {
        let events = ["response.created", "response.in_progress"];
        let events = events.map(|kind| self.whole_event(kind));
        self.numbered(events.to_vec())
    }

    fn token(&mut self, _: usize, _: &Token, text: &str) -> Vec<Value> {
        let events = self.output.token(text);
        self.numbered(events)
    }

    fn finished(&mut self, _: usize, ended: &Ended) -> Vec<Value> {
        let cut = is_cut(ended);
        let mut events = self.output.finish(&ended.text, cut);
        self.end(ended);
        let kind = if cut { "response.incomplete" } else { "response.completed" };
        events.push(self.whole_event(kind));
        self.numbered(events)
    }

    fn close(&mut self) -> Vec<Value> {
        Vec::new()
    }

    fn failed(&mut self, failure: &Failure) -> Value {
        let error = failure.to_json()["error"].clone();
        self.response["status"] = json!("failed");
        self.response["error"] = json!({ "code": error["code"], "message": error["message"] });
        self.response["output"] = self.output.items().into();
        let event = self.whole_event("response.failed");
        self.numbered(vec![event]).remove(0)
    }
}
