//! Templates for files that carry none.

use crate::tokenizer::Tokenizer;

/// A template that is built in. Each is what the published ones of its family do for plain chats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Builtin {
    /// `<|im_start|>role … <|im_end|>`: Qwen, SmolLM and most others.
    ChatMl,
    /// `<|start_header_id|>role<|end_header_id|> … <|eot_id|>`: Llama 3.
    Llama3,
    /// `<start_of_turn>role … <end_of_turn>`: Gemma, whose answers are the role `model`, and which
    /// gets the system's words with the first of the user.
    Gemma,
    /// `<|role|> … <|end|>`: Phi 3 and 4.
    Phi3,
    /// The contents, one paragraph each: for vocabularies without marks of turns.
    Plain,
}

impl Builtin {
    /// The first whose marks are tokens of `tokenizer`.
    pub fn of(tokenizer: &Tokenizer) -> Self {
        let families: [(Self, &[&str]); 4] = [
            (Self::ChatMl, &["<|im_start|>", "<|im_end|>"]),
            (Self::Llama3, &["<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]),
            (Self::Gemma, &["<start_of_turn>", "<end_of_turn>"]),
            (Self::Phi3, &["<|user|>", "<|assistant|>", "<|end|>"]),
        ];
        families
            .into_iter()
            .find(|(_, marks)| marks.iter().all(|mark| tokenizer.id(mark).is_some()))
            .map_or(Self::Plain, |(family, _)| family)
    }

    /// The template's text.
    pub fn source(self) -> &'static str {
        match self {
            Self::ChatMl => concat!(
                "{% for message in messages %}",
                "{{ '<|im_start|>' + message.role + '\n' + (message.content or '') ",
                "+ '<|im_end|>\n' }}",
                "{% endfor %}",
                "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
            ),
            Self::Llama3 => concat!(
                "{{ bos_token }}{% for message in messages %}",
                "{{ '<|start_header_id|>' + message.role + '<|end_header_id|>\n\n' ",
                "+ (message.content or '') | trim + '<|eot_id|>' }}",
                "{% endfor %}{% if add_generation_prompt %}",
                "{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}",
            ),
            Self::Gemma => concat!(
                "{{ bos_token }}{% set first = '' %}",
                "{% if messages and messages[0].role == 'system' %}",
                "{% set first = messages[0].content | trim + '\n\n' %}",
                "{% set messages = messages[1:] %}{% endif %}",
                "{% for message in messages %}",
                "{{ '<start_of_turn>' + ('model' if message.role == 'assistant' else message.role)",
                " + '\n' + (first if loop.first else '') + (message.content or '') | trim ",
                "+ '<end_of_turn>\n' }}",
                "{% endfor %}",
                "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}",
            ),
            Self::Phi3 => concat!(
                "{% for message in messages %}",
                "{{ '<|' + message.role + '|>\n' + (message.content or '') + '<|end|>\n' }}",
                "{% endfor %}",
                "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}",
            ),
            Self::Plain => concat!(
                "{% for message in messages %}{{ message.content or '' }}",
                "{% if not loop.last %}{{ '\n\n' }}{% endif %}{% endfor %}",
            ),
        }
    }
}
