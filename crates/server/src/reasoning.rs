//! How a request wants the model to think before it answers.

use rushlight_engine::Thinking;
use rushlight_text::{DecodeOptions, EncodeOptions, ReasoningFilter, Tokenizer};
use serde_json::Value;

use crate::failure::Failure;
use crate::prompt;
use crate::worker::Served;

/// Tokens at the end of a prompt that may hold the mark which begins the reasoning, and white space.
const TAIL: usize = 16;

/// How a request wants the model to think.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reasoning {
    /// Whether it is to think; the template decides without a word.
    pub(crate) enabled: Option<bool>,
    /// Tokens of reasoning, at most.
    pub(crate) most_tokens: Option<usize>,
}

impl Reasoning {
    /// What the request's parameter `name` asks for; an error if the model cannot think.
    pub(crate) fn check(self, served: &Served, name: &str) -> Result<Self, Failure> {
        if self.enabled == Some(true) && !served.thinks() {
            let message = format!("`{name}` is for models that think, which this one does not");
            return Err(Failure::unsupported(name, message));
        }
        Ok(self)
    }

    /// What the template is told.
    pub(crate) fn variable(self) -> Option<(String, Value)> {
        self.enabled.map(|enabled| ("enable_thinking".to_owned(), Value::Bool(enabled)))
    }

    /// What finds the reasoning of an answer to a prompt: in its tokens, and in its text. `None` for a
    /// model that does not think.
    pub(crate) fn found(
        self,
        served: &Served,
        prompt: &[u32],
    ) -> Result<Option<(Thinking, ReasoningFilter)>, Failure> {
        let Some(marks) = served.reasoning_marks() else { return Ok(None) };
        let tokenizer = prompt::tokenizer(served)?;
        let tail = &prompt[prompt.len().saturating_sub(TAIL)..];
        let tail = tokenizer.decode(tail, DecodeOptions { skip_special: false });
        let mut thinking = Thinking::default();
        thinking.begun = tail.trim_end().ends_with(marks.open());
        (thinking.open, thinking.close) = (marks.open().to_owned(), marks.close().to_owned());
        thinking.end = tokens(tokenizer, marks.end())?;
        thinking.most_tokens = self.most_tokens;
        Ok(Some((thinking, ReasoningFilter::after_prompt(&tail, marks.clone()))))
    }
}

fn tokens(tokenizer: &Tokenizer, text: &str) -> Result<Vec<u32>, Failure> {
    let options = EncodeOptions { special: false, parse_special: true };
    tokenizer.encode(text, options).map_err(|error| prompt::unreadable(&error))
}

/// The control tokens among the marks, whose names are part of the text.
pub(crate) fn marks(served: &Served) -> Result<Vec<u32>, Failure> {
    let Some(marks) = served.reasoning_marks() else { return Ok(Vec::new()) };
    let tokenizer = prompt::tokenizer(served)?;
    let ids = [marks.open(), marks.close()].into_iter().filter_map(|mark| tokenizer.id(mark));
    Ok(ids.filter(|id| tokenizer.is_control(*id)).collect())
}
