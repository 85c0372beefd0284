//! Tools as OpenAI's API describes them.

use serde_json::Value;

use super::schema::{NAMED_FUNCTION, NAMED_TOOL, TOOL, TOOL_FUNCTION};
use crate::failure::Failure;
use crate::fields::{Fields, wrong};
use crate::tools::{Choice, Tool, Tools, take, take_name};

/// Letters of a tool's name, at most.
pub(super) const MOST_NAME: usize = 64;

/// Takes `tools`, `tool_choice` and `parallel_tool_calls`; `None` where nothing can be called.
pub(super) fn take_all(fields: &mut Fields) -> Result<Option<Tools>, Failure> {
    let parallel = fields.flag("parallel_tool_calls")?.unwrap_or(true);
    let tools = take(fields, read)?;
    Tools::new(tools, choice(fields, named)?, parallel)
}

/// Reads a tool at a place.
pub(crate) fn read(described: Value, place: String) -> Result<Tool, Failure> {
    let mut tool = Fields::new(described.clone(), place)?;
    let kind = tool.text("type")?;
    if tool.need("type", kind)? != "function" {
        let message = "the server has no tools of its own, expected the type `function`";
        return Err(Failure::unsupported(tool.name("type"), message));
    }
    let function = tool.object("function")?;
    let mut function = tool.need("function", function)?;
    let name = take_name(&mut function, MOST_NAME)?;
    function.text("description")?;
    let is_strict = function.flag("strict")?.unwrap_or(false);
    function.map("parameters")?;
    function.end(&TOOL_FUNCTION)?;
    tool.end(&TOOL)?;
    Ok(Tool { name, is_strict, described })
}

/// Takes `tool_choice`, of which `named` reads the name of a function; `None` says that nothing is to
/// be called.
pub(super) fn choice(
    fields: &mut Fields,
    named: impl Fn(Fields) -> Result<String, Failure>,
) -> Result<Option<Choice>, Failure> {
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
            named(choice).map(|name| Some(Choice::Named(name)))
        }
    }
}

/// The name of a function in `tool_choice`.
fn named(mut choice: Fields) -> Result<String, Failure> {
    let function = choice.object("function")?;
    let mut function = choice.need("function", function)?;
    let name = function.text("name")?;
    let name = function.need("name", name)?;
    function.end(&NAMED_FUNCTION)?;
    choice.end(&NAMED_TOOL)?;
    Ok(name)
}
