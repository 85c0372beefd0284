//! `post_processor`: the tokens around a text.

use serde_json::Value;

use super::config::Config;
use super::{type_of, unsupported};
use crate::error::{Error, ErrorKind};
use crate::tokenizer::Roles;
use crate::vocab::Vocab;

/// The ids before and after a text.
#[derive(Default)]
pub(super) struct Frame {
    pub(super) before: Vec<u32>,
    pub(super) after: Vec<u32>,
}

impl Frame {
    pub(super) fn from_file(processor: Option<&Value>, vocab: &Vocab) -> Result<Self, Error> {
        let mut frame = Self::default();
        let processors = match processor {
            None | Some(Value::Null) => return Ok(frame),
            Some(processor) if type_of(processor) == "Sequence" => {
                processor.get("processors").and_then(Value::as_array).map_or(&[][..], Vec::as_slice)
            }
            Some(processor) => std::slice::from_ref(processor),
        };
        for processor in processors {
            match type_of(processor) {
                "ByteLevel" => {}
                "TemplateProcessing" => frame = template(processor, vocab)?,
                "BertProcessing" | "RobertaProcessing" => {
                    let id = |name: &str| named_id(processor.get(name)?.get(1)?, vocab);
                    frame.before = id("cls").into_iter().collect();
                    frame.after = id("sep").into_iter().collect();
                }
                other => {
                    let expected = "`TemplateProcessing`, `BertProcessing`, `RobertaProcessing`, \
                                    `ByteLevel` or `Sequence`";
                    return Err(unsupported("post-processor", other, expected));
                }
            }
        }
        Ok(frame)
    }

    /// The frame with what the configuration says about BOS and EOS, which goes before the
    /// post-processor, as it does where models are converted to GGUF.
    pub(super) fn with_config(mut self, config: &Config, roles: &Roles) -> (Vec<u32>, Vec<u32>) {
        if let (Some(adds), Some(bos)) = (config.add_bos_token, roles.bos) {
            self.before.retain(|&id| id != bos);
            if adds {
                self.before.insert(0, bos);
            }
        }
        if let (Some(adds), Some(eos)) = (config.add_eos_token, roles.eos) {
            self.after.retain(|&id| id != eos);
            if adds {
                self.after.push(eos);
            }
        }
        (self.before, self.after)
    }
}

fn template(processor: &Value, vocab: &Vocab) -> Result<Frame, Error> {
    let mut frame = Frame::default();
    let mut is_after = false;
    let pieces = processor.get("single").and_then(Value::as_array);
    for piece in pieces.into_iter().flatten() {
        if piece.get("Sequence").is_some() {
            is_after = true;
            continue;
        }
        let name = piece.get("SpecialToken").and_then(|token| token.get("id")?.as_str());
        let ids = name
            .and_then(|name| processor.get("special_tokens")?.get(name)?.get("ids")?.as_array())
            .ok_or_else(|| {
                Error::new(
                    ErrorKind::Json,
                    format!(
                        "`tokenizer.json`: post-processor's piece `{piece}`, expected `Sequence` \
                         or a `SpecialToken` that `special_tokens` has"
                    ),
                )
            })?;
        for id in ids {
            let id = named_id(id, vocab).ok_or_else(|| {
                Error::new(
                    ErrorKind::Vocabulary,
                    format!("`tokenizer.json`: post-processor's id `{id}` is no token"),
                )
            })?;
            if is_after { &mut frame.after } else { &mut frame.before }.push(id);
        }
    }
    Ok(frame)
}

/// An id that the vocabulary has.
fn named_id(id: &Value, vocab: &Vocab) -> Option<u32> {
    let id = u32::try_from(id.as_u64()?).ok()?;
    ((id as usize) < vocab.len()).then_some(id)
}
