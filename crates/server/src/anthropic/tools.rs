//! Tools as Anthropic's API describes them.

use serde_json::{Value, json};

use super::schema::{FREE_CHOICE, NAMED_CHOICE, NO_CHOICE, TOOL};
use super::unsupported;
use crate::failure::Failure;
use crate::fields::{Fields, wrong};
use crate::tools::{Choice, Tool, Tools, take, take_name};

/// Letters of a tool's name, at most.
pub(super) const MOST_NAME: usize = 128;

/// Takes `tools` and `tool_choice`; `None` where nothing can be called.
pub(super) fn take_all(fields: &mut Fields) -> Result<Option<Tools>, Failure> {
    let tools = take(fields, read)?;
    let (choice, parallel) = choice(fields)?;
    Tools::new(tools, choice, parallel)
}

fn read(tool: Value, place: String) -> Result<Tool, Failure> {
    let mut tool = Fields::new(tool, place)?;
    if tool.text("type")?.is_some_and(|kind| kind != "custom") {
        let message = "the server has no tools of its own, expected the type `custom` or none";
        let name = tool.name("type");
        return Err(Failure::unsupported(&name, format!("`{name}`: {message}")));
    }
    let name = take_name(&mut tool, MOST_NAME)?;
    let description = tool.text("description")?;
    let schema = tool.map("input_schema")?;
    let schema = tool.need("input_schema", schema)?;
    let is_strict = tool.flag("strict")?.unwrap_or(false);
    // Neither changes an answer of this server.
    tool.map("cache_control")?;
    tool.flag("eager_input_streaming")?;
    if tool.flag("defer_loading")? == Some(true) {
        return Err(unsupported(&tool.name("defer_loading")));
    }
    let callers = tool.list("allowed_callers")?;
    if callers.is_some_and(|callers| callers != [json!("direct")]) {
        return Err(unsupported(&tool.name("allowed_callers")));
    }
    tool.end(&TOOL)?;
    let mut function = json!({ "name": name });
    if let Some(description) = description {
        function["description"] = description.into();
    }
    function["parameters"] = schema.into();
    let described = json!({ "type": "function", "function": function });
    Ok(Tool { name, is_strict, described })
}

/// Takes `tool_choice`: what is to be called, `None` for nothing, and whether several may be.
fn choice(fields: &mut Fields) -> Result<(Option<Choice>, bool), Failure> {
    let Some(mut fields) = fields.object("tool_choice")? else {
        return Ok((Some(Choice::Auto), true));
    };
    let kind = fields.text("type")?;
    let choice = match fields.need("type", kind)?.as_str() {
        "none" => None,
        "auto" => Some(Choice::Auto),
        "any" => Some(Choice::Required),
        "tool" => {
            let name = fields.text("name")?;
            Some(Choice::Named(fields.need("name", name)?))
        }
        other => {
            let want = "`auto`, `any`, `tool` or `none`";
            return Err(wrong(&fields.name("type"), &Value::from(other), want));
        }
    };
    let single = match choice {
        None => false,
        Some(_) => fields.flag("disable_parallel_tool_use")?.unwrap_or(false),
    };
    fields.end(match choice {
        None => &NO_CHOICE,
        Some(Choice::Named(_)) => &NAMED_CHOICE,
        Some(_) => &FREE_CHOICE,
    })?;
    Ok((choice, !single))
}
