//! What a request says and was said before: the fields that messages and their count share.

use rushlight_text::Message;
use serde_json::Value;

use super::{messages, tools, unsupported};
use crate::app::App;
use crate::failure::Failure;
use crate::fields::Fields;
use crate::prompt;
use crate::tools::Tools;
use crate::worker::Served;

/// What the API has and this server has not.
const UNSUPPORTED: [&str; 6] = [
    "output_config",
    "container",
    "context_management",
    "mcp_servers",
    "inference_geo",
    "diagnostics",
];

/// What a request says and was said before.
pub(super) struct Conversation {
    messages: Vec<Message>,
    /// The beginning of the answer.
    begun: String,
    /// What the answer may call.
    pub(super) tools: Option<Tools>,
}

impl Conversation {
    /// Takes the fields of the conversation and checks the model's name.
    pub(super) fn take(app: &App, fields: &mut Fields) -> Result<Self, Failure> {
        let model = fields.text("model")?;
        app.check_model(Some(&fields.need("model", model)?))?;
        for name in UNSUPPORTED {
            if fields.take(name).is_some() {
                return Err(unsupported(name));
            }
        }
        thinking(fields)?;
        // Prompts are cached whether they are marked or not.
        fields.map("cache_control")?;
        if fields.text("speed")?.is_some_and(|speed| speed != "standard") {
            return Err(unsupported("speed"));
        }
        let tools = tools::take_all(fields)?;
        let mut messages = messages::take(fields)?;
        let begun = messages::take_begun(&mut messages)?;
        if let Some(system) = messages::take_text(fields, "system")? {
            messages.insert(0, Message::system(system));
        }
        Ok(Self { messages, begun, tools })
    }

    /// The tokens that an answer is to follow. Templates that know thinking are told that there is
    /// none.
    pub(super) fn prompt(self, served: &Served) -> Result<Vec<u32>, Failure> {
        let extra = [("enable_thinking".to_owned(), Value::Bool(false))];
        prompt::of_chat(served, self.messages, &extra, self.tools.as_ref(), &self.begun)
    }
}

/// Takes how the model is to think: it is not.
fn thinking(fields: &mut Fields) -> Result<(), Failure> {
    let Some(mut thinking) = fields.object("thinking")? else { return Ok(()) };
    let kind = thinking.text("type")?;
    match thinking.need("type", kind)?.as_str() {
        "disabled" => thinking.end(),
        _ => Err(unsupported("thinking")),
    }
}
