//! Messages to tokens, by the model's chat template.

use anyhow::Context;
use rushlight_model::Model;
use rushlight_text::{ChatTemplate, EncodeOptions, Message, RenderOptions};

/// The tokens of a conversation that an answer is to follow.
pub(crate) fn of_messages(
    model: &Model,
    template: &ChatTemplate,
    messages: &[Message],
) -> anyhow::Result<Vec<u32>> {
    let tokenizer = model.tokenizer()?;
    let text = |id: Option<u32>| id.and_then(|id| tokenizer.token_text(id)).unwrap_or_default();
    let (bos, eos) = (text(tokenizer.bos()), text(tokenizer.eos()));
    let options = RenderOptions {
        add_generation_prompt: true,
        bos: &bos,
        eos: &eos,
        ..RenderOptions::default()
    };
    // What a person says must not spell control tokens.
    let shielded: Vec<Message> = messages
        .iter()
        .cloned()
        .map(|mut m| {
            m.content = m.content.map(|text| tokenizer.shield(&text).into_owned());
            m
        })
        .collect();
    let rendered =
        template.render(&shielded, options).context("the chat template cannot be rendered")?;
    // A template that writes the beginning itself must not get a second one.
    let special = bos.is_empty() || !rendered.starts_with(&bos);
    let options = EncodeOptions { special, parse_special: true };
    Ok(tokenizer.encode(&rendered, options)?)
}

/// The tokens of a text as it is.
pub(crate) fn of_text(model: &Model, text: &str) -> anyhow::Result<Vec<u32>> {
    let options = EncodeOptions { special: true, parse_special: true };
    Ok(model.tokenizer()?.encode(text, options)?)
}
