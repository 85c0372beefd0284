//! The items of an answer: what it thinks, says and calls, and the events that tell of each.

use serde_json::{Value, json};

use crate::answers::Answer;
use crate::random;
use crate::speech::{Said, Speech};

/// Puts an answer into items, and tells of each as it comes.
pub(super) struct Output {
    speech: Speech,
    items: Vec<Item>,
    /// Whether the last is not complete.
    is_open: bool,
}

struct Item {
    id: String,
    kind: Kind,
    /// What it has so far; of a call its arguments.
    text: String,
    status: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Reasoning,
    Message,
    /// The call of this number.
    Call(usize),
}

impl Kind {
    fn prefix(self) -> &'static str {
        match self {
            Kind::Reasoning => "rs",
            Kind::Message => "msg",
            Kind::Call(_) => "fc",
        }
    }

    /// The events of its texts: pieces, and the end.
    fn events(self) -> [&'static str; 2] {
        match self {
            Kind::Reasoning => ["response.reasoning_text.delta", "response.reasoning_text.done"],
            Kind::Message => ["response.output_text.delta", "response.output_text.done"],
            Kind::Call(_) => {
                ["response.function_call_arguments.delta", "response.function_call_arguments.done"]
            }
        }
    }
}

impl Output {
    pub(super) fn new(speech: Speech) -> Self {
        Self { speech, items: Vec::new(), is_open: false }
    }

    /// The events of the next token.
    pub(super) fn token(&mut self, text: &str) -> Vec<Value> {
        let begun = self.speech.calls().len();
        let said = self.speech.token(text);
        self.events(begun, said)
    }

    /// The events of the end, after a last text. An answer that was `cut` leaves its last item
    /// incomplete.
    pub(super) fn finish(&mut self, text: &str, cut: bool) -> Vec<Value> {
        let begun = self.speech.calls().len();
        let mut said = self.speech.push(text);
        said.extend(self.speech.finish());
        let mut out = self.events(begun, said);
        if self.items.iter().all(|item| item.kind == Kind::Reasoning) && !cut {
            self.begin(Kind::Message, &mut out);
        }
        self.end(if cut { "incomplete" } else { "completed" }, &mut out);
        out
    }

    /// Takes a whole answer.
    pub(super) fn take(&mut self, answer: &Answer, cut: bool) {
        for text in &answer.pieces {
            self.token(text);
        }
        self.finish(answer.ended.as_ref().map_or("", |ended| &ended.text), cut);
    }

    /// All items so far.
    pub(super) fn items(&self) -> Vec<Value> {
        self.items.iter().map(|item| self.item(item)).collect()
    }

    pub(super) fn reasoning_tokens(&self) -> usize {
        self.speech.reasoning_tokens()
    }

    fn item(&self, item: &Item) -> Value {
        let Item { id, kind, text, status } = item;
        match kind {
            Kind::Reasoning => json!({
                "id": id,
                "type": "reasoning",
                "summary": [],
                "content": [{ "type": "reasoning_text", "text": text }],
                "status": status,
            }),
            Kind::Message => json!({
                "id": id,
                "type": "message",
                "role": "assistant",
                "status": status,
                "content": [part(text)],
            }),
            Kind::Call(at) => {
                let call = self.speech.calls().get(*at);
                json!({
                    "id": id,
                    "type": "function_call",
                    "call_id": call.map(|call| &call.id),
                    "name": call.map(|call| &call.name),
                    "arguments": text,
                    "status": status,
                })
            }
        }
    }

    /// Takes parts, before which so many calls had begun.
    fn events(&mut self, mut begun: usize, said: Vec<Said>) -> Vec<Value> {
        let mut out = Vec::new();
        for said in said {
            match said {
                Said::Reasoning(text) => self.text(Kind::Reasoning, &text, &mut out),
                Said::Content(text) => self.text(Kind::Message, &text, &mut out),
                Said::Call => {
                    self.begin(Kind::Call(begun), &mut out);
                    begun += 1;
                }
                Said::Arguments(json) => self.delta(&json, &mut out),
                Said::End => self.end("completed", &mut out),
            }
        }
        out
    }

    fn text(&mut self, kind: Kind, text: &str, out: &mut Vec<Value>) {
        if !self.is_open || self.items.last().is_none_or(|item| item.kind != kind) {
            self.begin(kind, out);
        }
        self.delta(text, out);
    }

    fn begin(&mut self, kind: Kind, out: &mut Vec<Value>) {
        self.end("completed", out);
        let id = random::id(&format!("{}_", kind.prefix()));
        let item = Item { id, kind, text: String::new(), status: "in_progress" };
        let mut told = self.item(&item);
        if kind == Kind::Message {
            // The part comes with an event of its own.
            told["content"] = json!([]);
        }
        let at = self.items.len();
        out.push(json!({ "type": "response.output_item.added", "output_index": at, "item": told }));
        if kind == Kind::Message {
            out.push(json!({
                "type": "response.content_part.added",
                "item_id": item.id,
                "output_index": at,
                "content_index": 0,
                "part": part(""),
            }));
        }
        self.items.push(item);
        self.is_open = true;
    }

    fn delta(&mut self, text: &str, out: &mut Vec<Value>) {
        let at = self.items.len().saturating_sub(1);
        let Some(item) = self.items.last_mut() else { return };
        item.text += text;
        let mut event = json!({
            "type": item.kind.events()[0],
            "item_id": item.id,
            "output_index": at,
            "delta": text,
        });
        about(item.kind, &mut event);
        out.push(event);
    }

    fn end(&mut self, status: &'static str, out: &mut Vec<Value>) {
        if !std::mem::take(&mut self.is_open) {
            return;
        }
        let at = self.items.len().saturating_sub(1);
        let Some(item) = self.items.last_mut() else { return };
        item.status = status;
        let item = &self.items[at];
        let field = if matches!(item.kind, Kind::Call(_)) { "arguments" } else { "text" };
        let mut done = json!({
            "type": item.kind.events()[1],
            "item_id": item.id,
            "output_index": at,
            field: item.text,
        });
        about(item.kind, &mut done);
        out.push(done);
        if item.kind == Kind::Message {
            out.push(json!({
                "type": "response.content_part.done",
                "item_id": item.id,
                "output_index": at,
                "content_index": 0,
                "part": part(&item.text),
            }));
        }
        let item = self.item(item);
        out.push(json!({ "type": "response.output_item.done", "output_index": at, "item": item }));
    }
}

/// What events of texts have beside those of calls.
fn about(kind: Kind, event: &mut Value) {
    if !matches!(kind, Kind::Call(_)) {
        event["content_index"] = json!(0);
    }
    if kind == Kind::Message {
        event["logprobs"] = json!([]);
    }
}

fn part(text: &str) -> Value {
    json!({ "type": "output_text", "text": text, "annotations": [], "logprobs": [] })
}

#[cfg(test)]
mod tests {
    use rushlight_text::tools::{Convention, ToolCallParser};
    use rushlight_text::{ReasoningFilter, ReasoningMarks};

    use super::*;
    use crate::calls::Caller;

    #[test]
    fn events_begin_tell_and_end_each_item() {
        let call = "<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": 1}}</tool_call>";
        let cases = [
            (format!("hm</think>Well.{call}"), false, "reasoning message function_call"),
            ("hm</think>Well.".to_owned(), true, "reasoning message"),
            ("hm".to_owned(), true, "reasoning"),
            (format!("</think>{call}"), false, "function_call"),
            ("</think>".to_owned(), false, "message"),
        ];
        for (text, cut, want) in cases {
            for size in [1, 6, 1000] {
                let caller = Caller::new(ToolCallParser::new(Convention::Hermes, ["f"]));
                let filter = ReasoningFilter::after_prompt("<think>", ReasoningMarks::default());
                let mut output = Output::new(Speech::new(Some(filter), Some(caller)));
                let mut events = Vec::new();
                for piece in text.as_bytes().chunks(size) {
                    events.extend(output.token(std::str::from_utf8(piece).unwrap()));
                }
                events.extend(output.finish("", cut));
                let items = output.items();
                let kinds: Vec<_> = items.iter().map(|i| i["type"].as_str().unwrap()).collect();
                assert_eq!(kinds.join(" "), want, "{text} {size}");
                let last = items.last().unwrap()["status"].as_str().unwrap();
                assert_eq!(last, if cut { "incomplete" } else { "completed" }, "{text}");
                let kind = |event: &Value| event["type"].as_str().unwrap().to_owned();
                for (at, item) in items.iter().enumerate() {
                    let own: Vec<&Value> =
                        events.iter().filter(|e| e["output_index"] == at).collect();
                    assert_eq!(kind(own[0]), "response.output_item.added");
                    assert_eq!(own.last().unwrap()["item"], *item);
                    let deltas = own.iter().filter(|e| kind(e).ends_with(".delta"));
                    let told: String = deltas.map(|e| e["delta"].as_str().unwrap()).collect();
                    let texts = [&item["arguments"], &item["content"][0]["text"]];
                    let whole = texts.iter().find_map(|text| text.as_str()).unwrap();
                    assert_eq!(told, whole, "{text} {size}");
                }
            }
        }
    }
}
