//! What an answer thinks, says and calls, as it arrives.

use rushlight_text::tools::ToolEvent;
use rushlight_text::{ReasoningFilter, Thought};

use crate::answers::Answer;
use crate::calls::{Call, Caller};

/// A part of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// Thought before the answer.
    Reasoning(String),
    /// The answer.
    Content(String),
    /// The call of a tool begins.
    Call,
    /// A piece of the arguments of the last call that began, as JSON.
    Arguments(String),
    /// The last call that began is complete.
    End,
}

/// Finds the parts of one answer.
pub(crate) struct Speech {
    /// `None` where the model does not think.
    filter: Option<ReasoningFilter>,
    /// `None` where there are no tools.
    caller: Option<Caller>,
    /// Tokens of the reasoning, its marks included.
    reasoning_tokens: usize,
}

impl Speech {
    pub(crate) fn new(filter: Option<ReasoningFilter>, caller: Option<Caller>) -> Self {
        Self { filter, caller, reasoning_tokens: 0 }
    }

    /// Takes a token and the text that it completes.
    pub(crate) fn token(&mut self, text: &str) -> Vec<Said> {
        let inside = |filter: &Option<ReasoningFilter>| filter.as_ref().is_some_and(|f| f.thinks());
        let before = inside(&self.filter);
        let said = self.push(text);
        self.reasoning_tokens += usize::from(before || inside(&self.filter));
        said
    }

    /// The parts of a whole answer.
    pub(crate) fn whole(&mut self, answer: &Answer) -> Vec<Said> {
        let mut said: Vec<Said> = answer.pieces.iter().flat_map(|text| self.token(text)).collect();
        said.extend(self.push(answer.ended.as_ref().map_or("", |ended| &ended.text)));
        said.extend(self.finish());
        said
    }

    /// The parts of a piece of text.
    pub(crate) fn push(&mut self, text: &str) -> Vec<Said> {
        match &mut self.filter {
            None => spoken(&mut self.caller, text),
            Some(filter) => {
                let thoughts = filter.push(text);
                self.said(thoughts)
            }
        }
    }

    /// What waits when the answer is over.
    pub(crate) fn finish(&mut self) -> Vec<Said> {
        let thoughts = self.filter.as_mut().map(ReasoningFilter::finish).unwrap_or_default();
        let mut said = self.said(thoughts);
        if let Some(caller) = &mut self.caller {
            said.extend(caller.finish().into_iter().map(Said::from));
        }
        said
    }

    fn said(&mut self, thoughts: Vec<Thought>) -> Vec<Said> {
        let mut said = Vec::new();
        for thought in thoughts {
            match thought {
                Thought::Reasoning(text) => said.push(Said::Reasoning(text)),
                Thought::Content(text) => said.extend(spoken(&mut self.caller, &text)),
            }
        }
        said
    }

    /// All calls that have begun.
    pub(crate) fn calls(&self) -> &[Call] {
        self.caller.as_ref().map_or(&[], Caller::calls)
    }

    /// Whether there are tools.
    pub(crate) fn has_tools(&self) -> bool {
        self.caller.is_some()
    }

    /// Whether the model may think first.
    pub(crate) fn may_think(&self) -> bool {
        self.filter.is_some()
    }

    /// Tokens of the reasoning so far, its marks included.
    pub(crate) fn reasoning_tokens(&self) -> usize {
        self.reasoning_tokens
    }
}

fn spoken(caller: &mut Option<Caller>, text: &str) -> Vec<Said> {
    match caller {
        None if text.is_empty() => Vec::new(),
        None => vec![Said::Content(text.to_owned())],
        Some(caller) => caller.push(text).into_iter().map(Said::from).collect(),
    }
}

impl From<ToolEvent> for Said {
    fn from(event: ToolEvent) -> Self {
        match event {
            ToolEvent::Content(text) => Said::Content(text),
            ToolEvent::Begin { .. } => Said::Call,
            ToolEvent::Arguments(json) => Said::Arguments(json),
            ToolEvent::End => Said::End,
        }
    }
}
