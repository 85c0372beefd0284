//! Tools that a model may call, whichever API they were told in.

use rushlight_text::Message;
use rushlight_text::constrain::{Constraint, Grammar};
use rushlight_text::tools::{CallOptions, ToolCallParser, ToolChoice, grammar};
use serde_json::{Value, json};

use crate::calls::Caller;
use crate::failure::Failure;
use crate::fields::{Fields, wrong};
use crate::prompt;
use crate::worker::Served;

/// Tools of a request, at most.
pub(crate) const MOST_TOOLS: usize = 256;

/// Which of them is to be called.
#[derive(Debug)]
pub(crate) enum Choice {
    Auto,
    Required,
    Named(String),
}

/// One tool.
#[derive(Debug)]
pub(crate) struct Tool {
    pub(crate) name: String,
    /// Whether it wants its arguments as its schema has them, in calls that need not be.
    pub(crate) is_strict: bool,
    /// As OpenAI's API describes it, which templates know.
    pub(crate) described: Value,
}

/// Takes `tools`, each of which `read` makes of its value and place.
pub(crate) fn take(
    fields: &mut Fields,
    read: impl Fn(Value, String) -> Result<Tool, Failure>,
) -> Result<Vec<Tool>, Failure> {
    let list = fields.list("tools")?.unwrap_or_default();
    if list.len() > MOST_TOOLS {
        let message = format!("`tools` has `{}`, expected at most `{MOST_TOOLS}`", list.len());
        return Err(Failure::value("tools", message));
    }
    let read = |(at, tool)| read(tool, format!("tools[{at}]"));
    list.into_iter().enumerate().map(read).collect()
}

/// Takes the name of a tool, of so many letters at most.
pub(crate) fn take_name(fields: &mut Fields, most: usize) -> Result<String, Failure> {
    let name = fields.text("name")?;
    let name = fields.need("name", name)?;
    let good = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    if name.is_empty() || name.len() > most || !name.chars().all(good) {
        let want = format!("letters, digits, `_`, `-` and `.`, at most {most}");
        return Err(wrong(&fields.name("name"), &Value::from(name), &want));
    }
    Ok(name)
}

/// What a model may call.
#[derive(Debug)]
pub(crate) struct Tools {
    list: Vec<Value>,
    names: Vec<String>,
    choice: Choice,
    parallel: bool,
    strict: bool,
}

impl Tools {
    /// These tools, of which `choice` is to be called; `None` where nothing can be called.
    pub(crate) fn new(
        tools: Vec<Tool>,
        choice: Option<Choice>,
        parallel: bool,
    ) -> Result<Option<Self>, Failure> {
        if tools.is_empty() {
            return match choice {
                None | Some(Choice::Auto) => Ok(None),
                Some(_) => Err(Failure::value("tool_choice", "there are no `tools` to choose")),
            };
        }
        let Some(choice) = choice else { return Ok(None) };
        let strict = tools.iter().any(|tool| tool.is_strict);
        let (names, list): (Vec<String>, Vec<Value>) =
            tools.into_iter().map(|tool| (tool.name, tool.described)).unzip();
        if let Choice::Named(name) = &choice
            && !names.contains(name)
        {
            let message = format!("`tool_choice` names `{name}`, which is none of the `tools`");
            return Err(Failure::value("tool_choice", message));
        }
        Ok(Some(Self { list, names, choice, parallel, strict }))
    }

    /// What an answer must look like, if it must: a call that has to come always parses.
    pub(crate) fn grammar(&self, served: &Served) -> Result<Option<Grammar>, Failure> {
        let choice = match &self.choice {
            Choice::Auto if self.strict => ToolChoice::Auto,
            Choice::Auto => return Ok(None),
            Choice::Required => ToolChoice::Required,
            Choice::Named(name) => ToolChoice::Named(name),
        };
        let options = CallOptions { tools: &self.list, choice, parallel: self.parallel };
        let grammar = grammar(prompt::tokenizer(served)?, served.convention(), options);
        let refused = |e: rushlight_text::Error| {
            Failure::value("tools", e.to_string()).with_code("invalid_grammar")
        };
        grammar.map(Some).map_err(refused)
    }

    /// [`Tools::grammar`], ready to go along with an answer.
    pub(crate) fn constraint(&self, served: &Served) -> Result<Option<Constraint>, Failure> {
        let grammar = self.grammar(served)?;
        grammar.map(|grammar| served.constraint("tools", &grammar)).transpose()
    }

    /// What the template is told of them.
    pub(crate) fn list(&self) -> &[Value] {
        &self.list
    }

    /// Finds calls in an answer.
    pub(crate) fn caller(&self, served: &Served) -> Caller {
        Caller::new(ToolCallParser::new(served.convention(), self.names.clone()))
    }

    /// Tells the model of the tools in words, where its template has no place for them.
    pub(crate) fn describe(&self, messages: &mut Vec<Message>) {
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
pub(crate) fn spell_calls(messages: &mut [Message]) {
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

/// The control tokens among the marks of a model's calls.
pub(crate) fn marks(served: &Served) -> Result<Vec<u32>, Failure> {
    let (tokenizer, convention) = (prompt::tokenizer(served)?, served.convention());
    let marks = [convention.mark(), convention.end_mark()];
    let ids = marks.into_iter().flatten().filter_map(|mark| tokenizer.id(mark));
    Ok(ids.filter(|id| tokenizer.is_control(*id)).collect())
}
