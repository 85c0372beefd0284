//! Finds calls in an answer as it arrives.

use super::Convention;
use super::object::{Object, Step};
use crate::marks;

/// What a piece of an answer completed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToolEvent {
    /// Text that is no call.
    Content(String),
    /// A call begins.
    Begin {
        /// The tool's name.
        name: String,
    },
    /// The next part of the call's arguments, as JSON; together they are one object.
    Arguments(String),
    /// The call is complete. One without this was cut off.
    End,
}

/// Turns pieces of an answer into content and calls. Text waits only while it could begin a call.
///
/// What looks like a call and turns out to be none, before its name and arguments were there, is
/// content. Without a mark an answer is a call only of a tool that is known.
#[derive(Debug, Clone)]
pub struct ToolCallParser {
    convention: Convention,
    names: Vec<String>,
    place: Place,
    /// What was not read yet.
    waiting: String,
    /// What was read since the last event, in case that it is content.
    held: String,
    /// Whether `held` comes after a call, where signs between calls are no content.
    is_after_call: bool,
    object: Object,
    has_begun: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Nothing but white space so far.
    Start,
    Content,
    /// Where a call may come: after a mark, or another call.
    Between {
        has_mark: bool,
    },
    Call {
        has_mark: bool,
    },
}

impl ToolCallParser {
    /// A parser at the start of an answer of a model that was given tools of these names.
    pub fn new(convention: Convention, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            convention,
            names: names.into_iter().map(Into::into).collect(),
            place: Place::Start,
            waiting: String::new(),
            held: String::new(),
            is_after_call: false,
            object: Object::default(),
            has_begun: false,
        }
    }

    /// What the next piece of text completes.
    pub fn push(&mut self, text: &str) -> Vec<ToolEvent> {
        self.waiting.push_str(text);
        let mut out = Vec::new();
        while self.step(&mut out) {}
        if self.has_begun {
            self.arguments(&mut out);
        }
        out
    }

    /// What still waits when the answer is over.
    pub fn finish(&mut self) -> Vec<ToolEvent> {
        let mut out = Vec::new();
        self.held.push_str(&std::mem::take(&mut self.waiting));
        if self.has_begun || self.is_after_call && is_between(&self.held, self.convention) {
            self.held.clear();
        }
        self.release(&mut out);
        out
    }

    /// Whether a call has begun and not ended.
    pub fn is_in_call(&self) -> bool {
        self.has_begun
    }

    /// Reads on. Whether there is more to read.
    fn step(&mut self, out: &mut Vec<ToolEvent>) -> bool {
        match self.place {
            Place::Start if self.convention.is_bare() => {
                let begun = self.waiting.trim_start();
                if begun.starts_with(['{', '[']) {
                    self.place = Place::Between { has_mark: false };
                } else if begun.is_empty() {
                    return false;
                } else {
                    self.place = Place::Content;
                }
                true
            }
            Place::Start => {
                self.place = Place::Content;
                true
            }
            Place::Content => self.content(out),
            Place::Between { has_mark } => self.between(has_mark, out),
            Place::Call { has_mark } => self.call(has_mark, out),
        }
    }

    fn content(&mut self, out: &mut Vec<ToolEvent>) -> bool {
        let marks = self.convention.mark();
        let found = marks::find(&self.waiting, marks.as_slice());
        let end = match found {
            Some((at, _)) => at,
            None => marks::certain(&self.waiting, marks.as_slice()),
        };
        let text: String = self.waiting.drain(..end).collect();
        if self.is_after_call && text.trim().is_empty() {
            self.held.push_str(&text);
        } else {
            self.is_after_call = false;
            self.held.push_str(&text);
            self.release(out);
        }
        if let Some((_, mark)) = found {
            if self.is_after_call {
                self.held.clear();
            }
            self.held.push_str(mark);
            self.waiting.drain(..mark.len());
            self.is_after_call = false;
            self.place = Place::Between { has_mark: true };
        }
        found.is_some()
    }

    fn between(&mut self, has_mark: bool, out: &mut Vec<ToolEvent>) -> bool {
        if let Some(mark) = self.convention.end_mark() {
            if self.waiting.starts_with(mark) && self.is_after_call {
                self.waiting.drain(..mark.len());
                self.held.clear();
                self.place = Place::Content;
                return true;
            }
            if !self.waiting.is_empty() && mark.starts_with(&self.waiting) {
                return false;
            }
        }
        let Some(sign) = self.waiting.chars().next() else { return false };
        let is_sign = match sign {
            '{' => true,
            '[' => !self.is_after_call,
            ']' | ',' | ';' => self.is_after_call,
            _ => sign.is_whitespace(),
        };
        if !is_sign {
            // Not the sign itself: it may begin a mark.
            if !self.is_after_call {
                self.release(out);
            }
            self.place = Place::Content;
            return true;
        }
        self.waiting.drain(..sign.len_utf8());
        self.held.push(sign);
        if sign == '{' {
            self.object = Object::default();
            self.place = Place::Call { has_mark };
        }
        true
    }

    fn call(&mut self, has_mark: bool, out: &mut Vec<ToolEvent>) -> bool {
        let mut step = Step::On;
        let mut end = self.waiting.len();
        for (at, sign) in self.waiting.char_indices() {
            step = self.object.read(sign);
            let name = self.object.name.as_ref();
            if name.is_some_and(|name| !has_mark && !self.names.contains(name)) {
                step = Step::Wrong;
            }
            if let Some(name) = name
                && step != Step::Wrong
                && self.object.has_arguments
                && !self.has_begun
            {
                out.push(ToolEvent::Begin { name: name.clone() });
                self.has_begun = true;
            }
            if step != Step::On {
                end = at + sign.len_utf8();
                break;
            }
        }
        let text: String = self.waiting.drain(..end).collect();
        self.held.push_str(&text);
        match step {
            Step::On => false,
            Step::Done => {
                self.arguments(out);
                out.push(ToolEvent::End);
                self.held.clear();
                self.has_begun = false;
                self.is_after_call = true;
                self.place = Place::Between { has_mark };
                true
            }
            Step::Wrong => {
                // What was told of a call stays told; the rest of it is lost with it.
                if self.has_begun {
                    self.arguments(out);
                    self.held.clear();
                    self.has_begun = false;
                }
                self.is_after_call = false;
                self.release(out);
                self.place = Place::Content;
                true
            }
        }
    }

    fn arguments(&mut self, out: &mut Vec<ToolEvent>) {
        if !self.object.arguments.is_empty() {
            out.push(ToolEvent::Arguments(std::mem::take(&mut self.object.arguments)));
        }
    }

    /// What is held is content.
    fn release(&mut self, out: &mut Vec<ToolEvent>) {
        let text = std::mem::take(&mut self.held);
        match out.last_mut() {
            _ if text.is_empty() => {}
            Some(ToolEvent::Content(before)) => before.push_str(&text),
            _ => out.push(ToolEvent::Content(text)),
        }
    }
}

/// Whether `text`, after a call at the end of an answer, is nothing but signs between calls.
fn is_between(text: &str, convention: Convention) -> bool {
    let text = text.trim_start();
    let is_sign = |sign: char| matches!(sign, ']' | ',' | ';') || sign.is_whitespace();
    text.chars().all(is_sign) || convention.end_mark().is_some_and(|mark| mark.starts_with(text))
}
