//! The blocks of an answer: its text, and its calls of tools.

use serde_json::{Map, Value, json};

use crate::calls::Call;
use crate::speech::{Said, Speech};

/// Puts an answer into blocks, and tells of each as it comes.
pub(super) struct Blocks {
    speech: Speech,
    /// Whether what the model thinks is told.
    tells_thoughts: bool,
    list: Vec<Block>,
    /// Whether the last is not complete.
    is_open: bool,
}

enum Block {
    Thinking(String),
    Text(String),
    /// The call of this number.
    Call(usize),
}

impl Blocks {
    pub(super) fn new(speech: Speech, tells_thoughts: bool) -> Self {
        Self { speech, tells_thoughts, list: Vec::new(), is_open: false }
    }

    /// The events before anything was written. Where there are no tools and no thoughts, it can only
    /// be a text.
    pub(super) fn open(&mut self) -> Vec<Value> {
        let mut out = Vec::new();
        if !self.speech.has_tools() && !self.speech.may_think() {
            self.begin(Block::Text(String::new()), &mut out);
        }
        out
    }

    /// The events of the next piece of the answer.
    pub(super) fn push(&mut self, text: &str) -> Vec<Value> {
        let begun = self.speech.calls().len();
        let said = self.speech.push(text);
        self.events(begun, said)
    }

    /// The events of the end.
    pub(super) fn finish(&mut self) -> Vec<Value> {
        let begun = self.speech.calls().len();
        let said = self.speech.finish();
        let mut out = self.events(begun, said);
        if !self.list.iter().any(|block| !matches!(block, Block::Thinking(_))) {
            self.begin(Block::Text(String::new()), &mut out);
        }
        self.end(&mut out);
        out
    }

    /// Whether there are calls.
    pub(super) fn has_calls(&self) -> bool {
        !self.calls().is_empty()
    }

    /// The blocks so far.
    pub(super) fn content(&self) -> Vec<Value> {
        let content = |block: &Block| match block {
            // There is nobody who would check a signature.
            Block::Thinking(text) => {
                json!({ "type": "thinking", "thinking": text, "signature": "" })
            }
            Block::Text(text) => json!({ "type": "text", "text": text }),
            // One that was cut is told all the same, as in a stream; `stop_reason` says so.
            Block::Call(at) => self.call(*at, |call| call.object().unwrap_or_default()),
        };
        self.list.iter().map(content).collect()
    }

    fn calls(&self) -> &[Call] {
        self.speech.calls()
    }

    fn call(&self, at: usize, input: impl Fn(&Call) -> Map<String, Value>) -> Value {
        self.calls().get(at).map_or(Value::Null, |call| {
            json!({ "type": "tool_use", "id": call.id, "name": call.name, "input": input(call) })
        })
    }

    /// Takes parts, before which so many calls had begun.
    fn events(&mut self, mut begun: usize, said: Vec<Said>) -> Vec<Value> {
        let mut out = Vec::new();
        for said in said {
            match said {
                Said::Reasoning(_) if !self.tells_thoughts => {}
                Said::Reasoning(text) => {
                    if !self.is_open || !matches!(self.list.last(), Some(Block::Thinking(_))) {
                        self.begin(Block::Thinking(String::new()), &mut out);
                    }
                    self.delta(&json!({ "type": "thinking_delta", "thinking": text }), &mut out);
                    if let Some(Block::Thinking(whole)) = self.list.last_mut() {
                        *whole += &text;
                    }
                }
                Said::Content(text) => {
                    if !self.is_open || !matches!(self.list.last(), Some(Block::Text(_))) {
                        self.begin(Block::Text(String::new()), &mut out);
                    }
                    self.delta(&json!({ "type": "text_delta", "text": text }), &mut out);
                    if let Some(Block::Text(whole)) = self.list.last_mut() {
                        *whole += &text;
                    }
                }
                Said::Call => {
                    self.begin(Block::Call(begun), &mut out);
                    begun += 1;
                }
                Said::Arguments(json) => {
                    let delta = json!({ "type": "input_json_delta", "partial_json": json });
                    self.delta(&delta, &mut out);
                }
                Said::End => self.end(&mut out),
            }
        }
        out
    }

    fn begin(&mut self, block: Block, out: &mut Vec<Value>) {
        self.end(out);
        let content = match &block {
            Block::Thinking(text) => {
                json!({ "type": "thinking", "thinking": text, "signature": "" })
            }
            Block::Text(text) => json!({ "type": "text", "text": text }),
            Block::Call(at) => self.call(*at, |_| Map::new()),
        };
        let index = self.list.len();
        out.push(
            json!({ "type": "content_block_start", "index": index, "content_block": content }),
        );
        self.list.push(block);
        self.is_open = true;
    }

    fn delta(&self, delta: &Value, out: &mut Vec<Value>) {
        let index = self.list.len().saturating_sub(1);
        out.push(json!({ "type": "content_block_delta", "index": index, "delta": delta }));
    }

    fn end(&mut self, out: &mut Vec<Value>) {
        if std::mem::take(&mut self.is_open) {
            let index = self.list.len().saturating_sub(1);
            out.push(json!({ "type": "content_block_stop", "index": index }));
        }
    }
}

#[cfg(test)]
mod tests {
    use rushlight_text::tools::{Convention, ToolCallParser};
    use rushlight_text::{ReasoningFilter, ReasoningMarks};

    use super::*;
    use crate::calls::Caller;

    #[test]
    fn texts_and_calls_have_blocks_in_their_order() {
        let call = |name: &str| {
            format!("<tool_call>{{\"name\": \"{name}\", \"arguments\": {{\"a\": 1}}}}</tool_call>")
        };
        let cases = [
            (format!("Well.{}\n{}", call("f"), call("g")), "Well. f g"),
            (format!("\n{}", call("f")), "f"),
            (format!("{}so", call("f")), "f so"),
            ("Well.".to_owned(), "Well."),
            (String::new(), ""),
            ("<tool_call>{\"name\": \"f\", \"arguments\": {\"a".to_owned(), "f"),
        ];
        for (text, want) in cases {
            for size in [1, 7, 1000] {
                let parser = ToolCallParser::new(Convention::Hermes, ["f", "g"]);
                let mut blocks = Blocks::new(Speech::new(None, Some(Caller::new(parser))), false);
                let mut events = blocks.open();
                for piece in text.as_bytes().chunks(size) {
                    events.extend(blocks.push(std::str::from_utf8(piece).unwrap()));
                }
                events.extend(blocks.finish());
                let content = blocks.content();
                let name = |block: &Value| {
                    let name = block["name"].as_str().or(block["text"].as_str());
                    name.unwrap().to_owned()
                };
                let found: Vec<String> = content.iter().map(name).collect();
                assert_eq!(found.join(" "), want, "{text} {size}");
                // The events begin, tell and end each block once, one after the other.
                let mut told = Vec::new();
                for event in &events {
                    let index = event["index"].as_u64().unwrap() as usize;
                    match event["type"].as_str().unwrap() {
                        "content_block_start" => told.push((index, false)),
                        "content_block_stop" => told.last_mut().unwrap().1 = true,
                        _ => assert_eq!(told.last(), Some(&(index, false)), "{text}: {event}"),
                    }
                }
                let all: Vec<_> = (0..content.len()).map(|at| (at, true)).collect();
                assert_eq!(told, all, "{text} {size}");
            }
        }
    }

    #[test]
    fn thoughts_have_a_block_of_their_own_or_none() {
        for (tells, want) in [(true, "thinking Hm. text Well."), (false, "text Well.")] {
            let filter = ReasoningFilter::after_prompt("<think>", ReasoningMarks::default());
            let mut blocks = Blocks::new(Speech::new(Some(filter), None), tells);
            assert!(blocks.open().is_empty());
            let pieces = ["Hm", ".</thi", "nk>\n", "Well."];
            let mut events: Vec<Value> = pieces.iter().flat_map(|text| blocks.push(text)).collect();
            events.extend(blocks.finish());
            let block = |block: Value| {
                let kind = block["type"].as_str().unwrap().to_owned();
                format!("{kind} {}", block[&kind].as_str().unwrap())
            };
            let found: Vec<String> = blocks.content().into_iter().map(block).collect();
            assert_eq!(found.join(" "), want);
            let starts = events.iter().filter(|e| e["type"] == "content_block_start").count();
            assert_eq!(starts, blocks.content().len());
        }
    }
}
