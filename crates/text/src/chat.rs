//! Chat templates: messages to the prompt that a model was trained on.
//!
//! A template is a Jinja program out of a model file, so it is hostile until shown otherwise: it
//! runs with counted steps and bounded output, and sees nothing but the messages.

mod builtin;
mod clock;
mod filters;
mod message;
mod methods;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior, Value};

pub use builtin::Builtin;
pub use message::{FunctionCall, Message, ToolCall};

use crate::error::{Error, ErrorKind};

/// Steps that one rendering may take; a step also pays for 64 bytes of text (minijinja's fuel).
/// The longest published templates take some 2,000 for a short chat with tools.
const FUEL: u64 = 500_000;

/// The longest template, in bytes. The longest published ones have 20 kB.
const MOST_SOURCE_BYTES: usize = 1 << 20;

/// A chat template, parsed.
pub struct ChatTemplate {
    environment: Environment<'static>,
    source: String,
}

/// What a template sees beside the messages.
#[derive(Debug, Clone, Copy, Default)]
pub struct RenderOptions<'a> {
    /// Descriptions of the tools that the model may call, as in OpenAI's `tools`.
    pub tools: &'a [serde_json::Value],
    /// Ends the prompt with the start of an answer.
    pub add_generation_prompt: bool,
    /// The text of the BOS token.
    pub bos: &'a str,
    /// The text of the EOS token.
    pub eos: &'a str,
    /// Further variables, such as `enable_thinking`. They do not shadow those above.
    pub extra: &'a [(&'a str, serde_json::Value)],
    /// The time that `strftime_now` tells, in UTC; `None` is now.
    pub now: Option<SystemTime>,
}

impl ChatTemplate {
    /// Parses a template.
    ///
    /// # Errors
    /// `Template` when it is no Jinja, or too long.
    pub fn new(source: &str) -> Result<Self, Error> {
        if source.len() > MOST_SOURCE_BYTES {
            return Err(Error::new(
                ErrorKind::Template,
                format!(
                    "chat template has `{}` bytes, expected at most `{MOST_SOURCE_BYTES}`",
                    source.len()
                ),
            ));
        }
        let mut environment = Environment::new();
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        environment.set_syntax(syntax.map_err(|error| failed("has no syntax", error))?);
        environment.set_undefined_behavior(UndefinedBehavior::Lenient);
        environment.set_fuel(Some(FUEL));
        environment.set_recursion_limit(100);
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        environment.set_unknown_method_callback(methods::call);
        filters::install(&mut environment);
        environment
            .add_template_owned(NAME, source.to_owned())
            .map_err(|error| failed("does not parse", error))?;
        Ok(Self { environment, source: source.to_owned() })
    }

    /// The template's text.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The prompt for `messages`.
    ///
    /// # Errors
    /// `Template` when the template fails, refuses the messages (`raise_exception`), or asks for
    /// more steps or text than it may.
    pub fn render(
        &self,
        messages: &[Message],
        options: RenderOptions<'_>,
    ) -> Result<String, Error> {
        let now = options.now.unwrap_or_else(SystemTime::now);
        let seconds =
            now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
        let tools = match options.tools {
            [] => Value::from(()),
            tools => Value::from(Serde(tools)),
        };
        let mut context: BTreeMap<&str, Value> =
            options.extra.iter().map(|(name, value)| (*name, Value::from(Serde(value)))).collect();
        context.extend([
            ("messages", Value::from(Serde(messages))),
            ("tools", tools),
            ("documents", Value::from(())),
            ("add_generation_prompt", Value::from(options.add_generation_prompt)),
            ("bos_token", Value::from(options.bos)),
            ("eos_token", Value::from(options.eos)),
            (
                "strftime_now",
                Value::from_function(move |format: &str| clock::format(seconds, format)),
            ),
        ]);
        let template =
            self.environment.get_template(NAME).map_err(|error| failed("is missing", error))?;
        template.render(context).map_err(|error| failed("failed", error))
    }
}

/// What the template is called in its own errors.
const NAME: &str = "chat template";

fn failed(how: &str, error: minijinja::Error) -> Error {
    let line = error.line().map(|line| format!(" in line {line}")).unwrap_or_default();
    Error::new(ErrorKind::Template, format!("chat template {how}{line}: {error}"))
        .with_source(error)
}

impl std::fmt::Debug for ChatTemplate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChatTemplate").field("source", &self.source).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SmolLM2's, Apache-2.0.
    const SMOLLM2: &str = "{% for message in messages %}{% if loop.first and messages[0]['role'] \
        != 'system' %}{{ '<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained \
        by Hugging Face<|im_end|>\n' }}{% endif %}{{'<|im_start|>' + message['role'] + '\n' + \
        message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}\
        {{ '<|im_start|>assistant\n' }}{% endif %}";

    #[test]
    fn smollm2() {
        let template = ChatTemplate::new(SMOLLM2).unwrap();
        let options = RenderOptions { add_generation_prompt: true, ..RenderOptions::default() };
        assert_eq!(
            template.render(&[Message::user("Hi")], options).unwrap(),
            "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging \
             Face<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
        );
    }
}
