//! Chat templates: messages to the prompt that a model was trained on.
//!
//! A template is a Jinja program out of a model file, so it is hostile until shown otherwise: it
//! runs with counted steps and bounded values, and sees nothing but the messages.

mod bound;
mod builtin;
mod clock;
mod filters;
mod json;
mod limits;
mod message;
mod methods;
mod program;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use minijinja::machinery::{eval, make_string_output};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value};
use program::Program;
use regex::Regex;

pub use builtin::Builtin;
pub use message::{FunctionCall, Message, ToolCall};

use crate::error::{Error, ErrorKind};

/// Steps that one rendering may take; a step also pays for 64 bytes of text (minijinja's fuel).
/// The longest published templates take some 5,000 for a short chat with tools.
const FUEL: u64 = 500_000;

/// How many times a rendering may handle each byte of its messages on top of [`FUEL`], which
/// alone would end at a long document.
const PASSES: u64 = 32;

/// A chat template, parsed once to know that it can be.
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
        let source = without_generation(source);
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Lenient);
        environment.set_recursion_limit(100);
        environment.set_unknown_method_callback(methods::call);
        bound::install(&mut environment);
        filters::install(&mut environment);
        on_own_stack(|| {
            limits::check(&source, syntax()?)?;
            Program::compile(NAME, &source, syntax()?).map(drop)
        })
        .map_err(|error| failed("does not parse", error))?;
        Ok(Self { environment, source })
    }

    /// A template that is built in, for files that carry none.
    pub fn builtin(builtin: Builtin) -> Self {
        Self::new(builtin.source()).expect("the built-in templates are tested")
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
        let bytes: usize = messages.iter().map(Message::bytes).sum();
        let mut environment = self.environment.clone();
        environment.set_fuel(Some(FUEL + bytes as u64 * PASSES / 64));
        on_own_stack(|| {
            let program = Program::compile(NAME, &self.source, syntax()?)?;
            let mut out = String::new();
            let mut output = make_string_output(&mut out);
            let context = Value::from(context);
            let escape = AutoEscape::None;
            eval(&environment, &program.main, context, &program.blocks, &mut output, escape)?;
            drop(output);
            Ok(out)
        })
        .map_err(|error| failed("failed", error))
    }
}

/// Transformers' tags `{% generation %}`, which mark what a model learns from, as conditions that
/// hold: they are no Jinja.
fn without_generation(source: &str) -> String {
    let tags = [(r"generation", "if true"), (r"endgeneration", "endif")];
    tags.into_iter().fold(source.to_owned(), |source, (name, condition)| {
        if !source.contains(name) {
            return source;
        }
        let tag = Regex::new(&format!(r"\{{%([-+]?)\s*{name}\s*([-+]?)%\}}"))
            .expect("the names have no signs of patterns");
        tag.replace_all(&source, format!("{{%$1 {condition} $2%}}")).into_owned()
    })
}

/// Runs `what` where its recursion has room, whatever thread this is.
fn on_own_stack<T: Send>(
    what: impl FnOnce() -> Result<T, minijinja::Error> + Send,
) -> Result<T, minijinja::Error> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("chat template".to_owned())
            .stack_size(limits::STACK_BYTES)
            .spawn_scoped(scope, what)
            .map_err(|error| {
                minijinja::Error::new(minijinja::ErrorKind::InvalidOperation, "no thread for it")
                    .with_source(error)
            })?;
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// How transformers sets Jinja up.
fn syntax() -> Result<SyntaxConfig, minijinja::Error> {
    SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()
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
