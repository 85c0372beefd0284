//! Templates for files that carry none.

/// A template that is built in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Builtin {
    /// `<|im_start|>role … <|im_end|>`: Qwen, SmolLM and most others.
    ChatMl,
    /// The contents, one paragraph each: for vocabularies without marks of turns.
    Plain,
}

impl Builtin {
    /// The template's text.
    pub fn source(self) -> &'static str {
        match self {
            Self::ChatMl => concat!(
                "{% for message in messages %}",
                "{{ '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' }}",
                "{% endfor %}",
                "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
            ),
            Self::Plain => concat!(
                "{% for message in messages %}{{ message.content }}",
                "{% if not loop.last %}{{ '\n\n' }}{% endif %}{% endfor %}",
            ),
        }
    }
}
