//! What a request says and was said before: the fields that messages and their count share.

use rushlight_text::Message;
use serde_json::Value;

use super::schema::{BOUNDED_THINKING, FREE_THINKING};
use super::{messages, tools, unsupported};
use crate::failure::Failure;
use crate::fields::{Fields, wrong};
use crate::prompt;
use crate::reasoning::Reasoning;
use crate::tools::Tools;
use crate::worker::Served;

/// What the API has and this server has not.
pub(super) const UNSUPPORTED: [&str; 6] = [
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
    /// How the model is to think.
    pub(super) reasoning: Reasoning,
}

impl Conversation {
    /// Takes the fields of the conversation.
    pub(super) fn take(served: &Served, fields: &mut Fields) -> Result<Self, Failure> {
        for name in UNSUPPORTED {
            if fields.take(name).is_some() {
                return Err(unsupported(name));
            }
        }
        let reasoning = thinking(fields)?.check(served, "thinking")?;
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
        Ok(Self { messages, begun, tools, reasoning })
    }

    /// The tokens that an answer is to follow. Templates that know thinking are told whether there is
    /// any.
    pub(super) fn prompt(self, served: &Served) -> Result<Vec<u32>, Failure> {
        let extra: Vec<_> = self.reasoning.variable().into_iter().collect();
        prompt::of_chat(served, self.messages, &extra, self.tools.as_ref(), &self.begun)
    }
}

/// Takes how the model is to think: without a word it is not, as the API has it.
fn thinking(fields: &mut Fields) -> Result<Reasoning, Failure> {
    let none = Reasoning { enabled: Some(false), most_tokens: Some(0) };
    let Some(mut thinking) = fields.object("thinking")? else { return Ok(none) };
    let kind = thinking.text("type")?;
    let most = thinking.integer("budget_tokens", 1..=u32::MAX.into())?;
    // How it is shown: as it is.
    thinking.text("display")?;
    let (reasoning, table) = match thinking.need("type", kind)?.as_str() {
        "disabled" => (none, &FREE_THINKING),
        "enabled" => {
            let most = Some(thinking.need("budget_tokens", most)? as usize);
            (Reasoning { enabled: Some(true), most_tokens: most }, &BOUNDED_THINKING)
        }
        "adaptive" => (Reasoning { enabled: Some(true), most_tokens: None }, &FREE_THINKING),
        other => {
            let want = "`enabled`, `adaptive` or `disabled`";
            return Err(wrong(&thinking.name("type"), &Value::from(other), want));
        }
    };
    thinking.end(table)?;
    Ok(reasoning)
}
