//! How a model writes calls of tools.

/// What is around a call, and what its parts are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Convention {
    /// `<tool_call>{"name": …, "arguments": …}</tool_call>`, as many as needed: Hermes, Qwen.
    Hermes,
    /// The answer is `{"name": …, "parameters": …}`, perhaps after `<|python_tag|>`: Llama 3.
    Llama3,
    /// `[TOOL_CALLS][{"name": …, "arguments": …}, …]`: Mistral.
    Mistral,
    /// The answer is `{"name": …, "arguments": …}`: models that were told so.
    Json,
}

impl Convention {
    /// The convention that a chat template's text speaks of.
    pub fn of(template: &str) -> Self {
        let families: [(Self, &[&str]); 3] = [
            (Self::Hermes, &["<tool_call>"]),
            (Self::Mistral, &["[TOOL_CALLS]"]),
            (Self::Llama3, &["<|python_tag|>", "\"parameters\": dictionary of argument"]),
        ];
        families
            .into_iter()
            .find(|(_, signs)| signs.iter().any(|sign| template.contains(sign)))
            .map_or(Self::Json, |(family, _)| family)
    }

    /// The mark that calls come after, if any. Where it is a control token, its text must reach
    /// [`ToolCallParser::push`](super::ToolCallParser::push) all the same: see
    /// [`StreamDecoder::showing`](crate::StreamDecoder::showing).
    pub fn mark(self) -> Option<&'static str> {
        match self {
            Self::Hermes => Some("<tool_call>"),
            Self::Llama3 => Some("<|python_tag|>"),
            Self::Mistral => Some("[TOOL_CALLS]"),
            Self::Json => None,
        }
    }

    /// The mark after a call, if any.
    pub fn end_mark(self) -> Option<&'static str> {
        (self == Self::Hermes).then_some("</tool_call>")
    }

    /// Whether an answer may hold several calls.
    pub fn is_parallel(self) -> bool {
        matches!(self, Self::Hermes | Self::Mistral)
    }

    /// Whether an answer may be a call without a mark.
    pub(super) fn is_bare(self) -> bool {
        matches!(self, Self::Llama3 | Self::Json)
    }

    /// What the arguments are called.
    pub(super) fn arguments(self) -> &'static str {
        if self == Self::Llama3 { "parameters" } else { "arguments" }
    }
}
