//! Tools that a model may call, as requests describe them.

use std::sync::Arc;

use rushlight_text::constrain::Grammar;
use rushlight_text::tools::{CallOptions, Convention, ToolCallParser, ToolChoice, grammar};
use rushlight_text::{Message, Tokenizer};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::fields::{Fields, wrong};

/// Tools of a request, at most.
const MOST_TOOLS: usize = 256;

/// Which of them is to be called.
#[derive(Debug)]
enum Choice {
    Auto,
    Required,
    Named(String),
}

/// What a model may call.
#[derive(Debug)]
pub(super) struct Tools {
    list: Vec<Value>,
    names: Vec<String>,
    choice: Choice,
    parallel: bool,
    /// Whether a tool wants its arguments as its schema has them, in calls that need not be.
    strict: bool,
}

impl Tools {
    /// Takes `tools`, `tool_choice` and `parallel_tool_calls`; `None` where nothing can be called.
    pub(super) fn take(fields: &mut Fields) -> Result<Option<Self>, Failure> {
        let parallel = fields.flag("parallel_tool_calls")?.unwrap_or(true);
        let list = fields.list("tools")?.unwrap_or_default();
        let choice = choice(fields)?;
        if list.len() > MOST_TOOLS {
            let message = format!("`tools` has `{}`, expected at most `{MOST_TOOLS}`", list.len());
            return Err(Failure::value("tools", message));
        }
        if list.is_empty() {
            return match choice {
                None | Some(Choice::Auto) => Ok(None),
                Some(_) => Err(Failure::value("tool_choice", "there are no `tools` to choose")),
            };
        }
        let (mut names, mut strict) = (Vec::new(), false);
        for (at, tool) in list.iter().enumerate() {
            let (name, is_strict) = read(tool.clone(), format!("tools[{at}]"))?;
            strict |= is_strict;
            names.push(name);
        }
        let Some(choice) = choice else { return Ok(None) };
        if let Choice::Named(name) = &choice
            && !names.contains(name)
        {
            let message = format!("`tool_choice` names `{name}`, which is none of the `tools`");
            return Err(Failure::value("tool_choice", message));
        }
        Ok(Some(Self { list, names, choice, parallel, strict }))
    }

    /// What an answer must look like, if it must: a call that has to come always parses.
    pub(super) fn grammar(
        &self,
        tokenizer: &Tokenizer,
        convention: Convention,
    ) -> Result<Option<Grammar>, Failure> {
        let choice = match &self.choice {
            Choice::Auto if self.strict => ToolChoice::Auto,
            Choice::Auto => return Ok(None),
            Choice::Required => ToolChoice::Required,
            Choice::Named(name) => ToolChoice::Named(name),
        };
        let options = CallOptions { tools: &self.list, choice, parallel: self.parallel };
        let grammar = grammar(tokenizer, convention, options);
        let refused = |e: rushlight_text::Error| {
            Failure::value("tools", e.to_string()).with_code("invalid_grammar")
        };
        grammar.map(Some).map_err(refused)
    }

    /// What the template is told of them.
    pub(super) fn list(&self) -> &[Value] {
        &self.list
    }

    /// Finds calls in an answer.
    pub(super) fn parser(&self, convention: Convention) -> ToolCallParser {
        ToolCallParser::new(convention, self.names.clone())
    }

    /// Tells the model of the tools in words, where its template has no place for them.
    pub(super) fn describe(&self, messages: &mut Vec<Message>) {
        let mut text = "You can call tools. To call one, answer with nothing but JSON: \
                        {\"name\": NAME, \"arguments\": {…}}. The tools:\n"
            .to_owned();
        for tool in &self.list {
            text += &format!("{}\n", tool.get("function").unwrap_or(tool));
        }
        match messages.first_mut() {
            Some(first) if first.role == "system" => {
                let before = first.content.take().unwrap_or_default();
                first.content = Some(format!("{before}\n\n{text}"));
            }
            _ => messages.insert(0, Message::system(text)),
        }
    }
}

/// Writes calls that were made into the text of their messages, for a template that has no place for
/// them.
pub(super) fn spell_calls(messages: &mut [Message]) {
    for message in messages.iter_mut().filter(|message| !message.tool_calls.is_empty()) {
        let mut text = message.content.take().unwrap_or_default();
        for call in std::mem::take(&mut message.tool_calls) {
            let call = call.function;
            let call = json!({ "name": call.name, "arguments": call.arguments });
            text += &format!("{}{call}", if text.is_empty() { "" } else { "\n" });
        }
        message.content = Some(text);
    }
}

/// The control tokens among the marks of a convention.
pub(super) fn marks(tokenizer: &Arc<Tokenizer>, convention: Convention) -> Vec<u32> {
    let marks = [convention.mark(), convention.end_mark()];
    let ids = marks.into_iter().flatten().filter_map(|mark| tokenizer.id(mark));
    ids.filter(|id| tokenizer.is_control(*id)).collect()
}

/// The name of a tool, and whether it is strict.
fn read(tool: Value, place: String) -> Result<(String, bool), Failure> {
    let mut tool = Fields::new(tool, place)?;
    let kind = tool.text("type")?;
    if tool.need("type", kind)? != "function" {
        let message = "the server has no tools of its own, expected the type `function`";
        return Err(Failure::unsupported(tool.name("type"), message));
    }
    let function = tool.object("function")?;
    let mut function = tool.need("function", function)?;
    let name = function.text("name")?;
    let name = function.need("name", name)?;
    let good = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    if name.is_empty() || name.len() > 64 || !name.chars().all(good) {
        let want = "letters, digits, `_`, `-` and `.`, at most 64";
        return Err(wrong(&function.name("name"), &Value::from(name), want));
    }
    function.text("description")?;
    let strict = function.flag("strict")?.unwrap_or(false);
    function.map("parameters")?;
    function.end()?;
    tool.end()?;
    Ok((name, strict))
}

/// Takes `tool_choice`; `None` says that nothing is to be called.
fn choice(fields: &mut Fields) -> Result<Option<Choice>, Failure> {
    match fields.take("tool_choice") {
        None => Ok(Some(Choice::Auto)),
        Some(Value::String(text)) => match text.as_str() {
            "none" => Ok(None),
            "auto" => Ok(Some(Choice::Auto)),
            "required" => Ok(Some(Choice::Required)),
            _ => {
                let want = "`none`, `auto`, `required` or a function";
                Err(wrong("tool_choice", &Value::from(text), want))
            }
        },
        Some(value) => {
            let mut choice = Fields::new(value, "tool_choice")?;
            let kind = choice.text("type")?;
            if choice.need("type", kind)? != "function" {
                let message =
                    "`tool_choice.type` is none that this server has, expected `function`";
                return Err(Failure::unsupported("tool_choice.type", message));
            }
            let function = choice.object("function")?;
            let mut function = choice.need("function", function)?;
            let name = function.text("name")?;
            let name = function.need("name", name)?;
            function.end()?;
            choice.end()?;
            Ok(Some(Choice::Named(name)))
        }
    }
}
