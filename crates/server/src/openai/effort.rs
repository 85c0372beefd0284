//! How hard a model is to think: OpenAI's `reasoning_effort`, and `thinking_budget` in tokens as Qwen's
//! API has it.

use serde_json::Value;

use crate::failure::Failure;
use crate::fields::{Fields, wrong};
use crate::reasoning::Reasoning;
use crate::worker::Served;

/// Efforts, and the tokens of reasoning that each allows; `None` is as many as the model likes. The API
/// does not say how many: these are rushlight's own.
const EFFORTS: [(&str, Option<usize>); 6] = [
    ("none", Some(0)),
    ("minimal", Some(256)),
    ("low", Some(1024)),
    ("medium", Some(4096)),
    ("high", None),
    ("xhigh", None),
];

/// The names of the efforts.
pub(super) const NAMES: [&str; EFFORTS.len()] = {
    let mut names = [""; EFFORTS.len()];
    let mut at = 0;
    while at < EFFORTS.len() {
        names[at] = EFFORTS[at].0;
        at += 1;
    }
    names
};

/// What an effort asks for, which is the value of the parameter `name`.
pub(super) fn of(served: &Served, name: &str, effort: &str) -> Result<Reasoning, Failure> {
    let known = EFFORTS.iter().find(|(known, _)| *known == effort).ok_or_else(|| {
        let names: Vec<_> = EFFORTS.iter().map(|(name, _)| format!("`{name}`")).collect();
        wrong(name, &Value::from(effort), &names.join(", "))
    })?;
    Reasoning { enabled: Some(known.0 != "none"), most_tokens: known.1 }.check(served, name)
}

/// Takes how hard the model is to think, and what the template is told of it.
pub(super) fn take(
    served: &Served,
    fields: &mut Fields,
) -> Result<(Reasoning, Option<(String, Value)>), Failure> {
    let mut reasoning = Reasoning::default();
    let effort = fields.text("reasoning_effort")?;
    if let Some(effort) = &effort {
        reasoning = of(served, "reasoning_effort", effort)?;
    }
    if let Some(most) = fields.integer("thinking_budget", 0..=u32::MAX.into())? {
        reasoning = Reasoning { enabled: Some(most > 0), most_tokens: Some(most as usize) };
        reasoning.check(served, "thinking_budget")?;
    }
    Ok((reasoning, effort.map(|effort| ("reasoning_effort".to_owned(), effort.into()))))
}
