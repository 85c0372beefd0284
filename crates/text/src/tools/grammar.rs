//! The grammar of answers that are valid calls.

use std::collections::HashSet;
use std::fmt::Write;

use serde_json::{Value, json};

use super::Convention;
use crate::constrain::{self, Grammar};
use crate::error::{Error, ErrorKind};
use crate::tokenizer::Tokenizer;

/// Whether a model must call tools, and which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum ToolChoice<'a> {
    /// It may answer in text or call tools.
    #[default]
    Auto,
    /// It must call a tool.
    Required,
    /// It must call this one.
    Named(&'a str),
}

/// What may be called, and how often.
#[derive(Debug, Clone, Copy, Default)]
pub struct CallOptions<'a> {
    /// The tools, as in OpenAI's `tools`.
    pub tools: &'a [Value],
    /// Which of them must be called.
    pub choice: ToolChoice<'a>,
    /// Lets an answer hold several calls, where the convention has that.
    pub parallel: bool,
}

/// The grammar of answers whose calls are written as `convention` has it and have arguments as the
/// tools' schemas want them. Marks are control tokens where the vocabulary of `tokenizer` says so.
///
/// # Errors
/// `Grammar` when there is no tool, the chosen one is absent, or a schema cannot be followed.
pub fn grammar(
    tokenizer: &Tokenizer,
    convention: Convention,
    options: CallOptions<'_>,
) -> Result<Grammar, Error> {
    let mut names = HashSet::new();
    let mut objects = String::new();
    let mut schemas = String::new();
    for (number, tool) in options.tools.iter().enumerate() {
        let (name, parameters) = parts(number, tool)?;
        if !names.insert(name) {
            return Err(fail(format!("tool `{name}` is there twice")));
        }
        if matches!(options.choice, ToolChoice::Named(chosen) if chosen != name) {
            continue;
        }
        let schema = constrain::text_of(&parameters).map_err(|error| {
            fail(format!("parameters of tool `{name}`: {error}")).with_source(error)
        })?;
        let start = format!("{{\"name\": {}, \"{}\": ", Value::from(name), convention.arguments());
        let sign = if objects.is_empty() { "object: " } else { "\n  | " };
        _ = write!(objects, "{sign}{} arguments{number} \"}}\"", quoted(&start));
        _ = writeln!(schemas, "arguments{number}: %json {schema}");
    }
    if objects.is_empty() {
        return Err(fail(match options.choice {
            ToolChoice::Named(name) => format!("there is no tool `{name}`, which must be called"),
            _ => "there are no tools to call".to_owned(),
        }));
    }
    let calls = calls(tokenizer, convention, options);
    Ok(Grammar::Lark(format!("{calls}{objects}\n{schemas}")))
}

/// A tool's name and the schema of its parameters, which is one of objects.
fn parts(number: usize, tool: &Value) -> Result<(&str, Value), Error> {
    let function = tool.get("function").unwrap_or(tool);
    let Some(name) = function.get("name").and_then(Value::as_str) else {
        return Err(fail(format!("tool `{number}` has no `name`")));
    };
    let parameters = match function.get("parameters") {
        None | Some(Value::Null) => json!({"type": "object", "additionalProperties": false}),
        Some(Value::Object(map)) => {
            let mut map = map.clone();
            map.entry("type").or_insert_with(|| "object".into());
            Value::Object(map)
        }
        Some(other) => other.clone(),
    };
    if parameters.get("type") != Some(&"object".into()) {
        return Err(fail(format!("parameters of tool `{name}` are not of type `object`")));
    }
    Ok((name, parameters))
}

/// The rules above `object`.
fn calls(tokenizer: &Tokenizer, convention: Convention, options: CallOptions<'_>) -> String {
    let many = options.parallel && convention.is_parallel();
    let auto = options.choice == ToolChoice::Auto;
    let mark = convention.mark().unwrap_or_default();
    let token = tokenizer.id(mark).filter(|id| tokenizer.is_control(*id));
    let open = token.map_or_else(|| quoted(mark), |id| format!("<[{id}]>"));
    let (first, rest) = match convention {
        Convention::Hermes => {
            let more = if many { format!(" (\"\\n\" {open} body)*") } else { String::new() };
            (format!("body{more}"), "body: \"\\n\" object \"\\n</tool_call>\"\n")
        }
        Convention::Mistral => {
            let more = if many { " (\", \" object)*" } else { "" };
            (format!("\"[\" object{more} \"]\""), "")
        }
        Convention::Llama3 | Convention::Json => ("object".to_owned(), ""),
    };
    if convention.is_bare() {
        // An answer that begins like a call is one.
        let text = if auto { "TEXT | " } else { "" };
        let define = if auto { "TEXT: /[^{\\[\\s][\\s\\S]*/\n" } else { "" };
        return format!("start: {text}{first}\n{define}{rest}");
    }
    match (auto, token) {
        (false, _) => format!("start: {open} {first}\n{rest}"),
        (true, Some(_)) => {
            format!("start: TEXT | TEXT? {open} {first}\nTEXT: /[\\s\\S]+/\n{rest}")
        }
        // Text goes up to the mark; text without one is all there is.
        (true, None) => format!(
            "start: TEXT | before {first}\n\
             before[suffix={open}]: /[\\s\\S]*/\n\
             TEXT: /[\\s\\S]+/ & ~(/[\\s\\S]*/ {open} /[\\s\\S]*/)\n{rest}"
        ),
    }
}

/// A text as Lark spells it.
fn quoted(text: &str) -> String {
    Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}

fn fail(why: String) -> Error {
    Error::new(ErrorKind::Grammar, format!("tool calls: {why}"))
}
