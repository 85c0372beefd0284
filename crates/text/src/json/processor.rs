//! `post_processor`: the tokens around a text.

use serde_json::Value;

use super::config::Config;
use super::{type_of, unsupported};
use crate::error::{Error, ErrorKind};
use crate::tokenizer::{PairPiece, Roles};
use crate::vocab::Vocab;

/// The ids before and after a text, and how two texts become one.
pub(super) struct Frame {
    pub(super) before: Vec<u32>,
    pub(super) after: Vec<u32>,
    pub(super) pair: Vec<PairPiece>,
}

impl Default for Frame {
    fn default() -> Self {
        Self { before: Vec::new(), after: Vec::new(), pair: PairPiece::plain() }
    }
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
                kind @ ("BertProcessing" | "RobertaProcessing") => {
                    let id = |name: &str| named_id(processor.get(name)?.get(1)?, vocab);
                    let (cls, sep) = (id("cls"), id("sep"));
                    frame.before = cls.into_iter().collect();
                    frame.after = sep.into_iter().collect();
                    frame.pair = match kind {
                        "BertProcessing" => PairPiece::bert(cls, sep),
                        _ => PairPiece::roberta(cls, sep),
                    };
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
    pub(super) fn with_config(mut self, config: &Config, roles: &Roles) -> Self {
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
        self
    }
}

fn template(processor: &Value, vocab: &Vocab) -> Result<Frame, Error> {
    let mut frame = Frame::default();
    let mut is_after = false;
    for piece in pieces(processor, "single") {
        if piece.get("Sequence").is_some() {
            is_after = true;
            continue;
        }
        let ids = special(processor, piece, vocab)?;
        if is_after { &mut frame.after } else { &mut frame.before }.extend(ids);
    }
    if let Some(whole) = processor.get("pair").filter(|pair| !pair.is_null()) {
        frame.pair = pair(processor, vocab)?;
        let count =
            |is: fn(&PairPiece) -> bool| frame.pair.iter().filter(|piece| is(piece)).count();
        let texts = (
            count(|piece| matches!(piece, PairPiece::First(_))),
            count(|piece| matches!(piece, PairPiece::Second(_))),
        );
        if texts != (1, 1) {
            return Err(unknown(whole, "each of the texts `A` and `B` once"));
        }
    }
    Ok(frame)
}

/// How the template puts two texts together.
fn pair(processor: &Value, vocab: &Vocab) -> Result<Vec<PairPiece>, Error> {
    let mut out = Vec::new();
    for piece in pieces(processor, "pair") {
        let Some(text) = piece.get("Sequence") else {
            let segment = segment(piece, piece.get("SpecialToken"))?;
            let ids = special(processor, piece, vocab)?;
            out.extend(ids.into_iter().map(|id| PairPiece::Token { id, segment }));
            continue;
        };
        let segment = segment(piece, Some(text))?;
        out.push(match text.get("id").and_then(Value::as_str) {
            Some("A") => PairPiece::First(segment),
            Some("B") => PairPiece::Second(segment),
            _ => return Err(unknown(piece, "the texts `A` and `B`")),
        });
    }
    Ok(out)
}

fn pieces<'p>(processor: &'p Value, key: &str) -> impl Iterator<Item = &'p Value> {
    processor.get(key).and_then(Value::as_array).into_iter().flatten()
}

/// The segment that the model is told for a piece.
fn segment(piece: &Value, part: Option<&Value>) -> Result<u8, Error> {
    match part.and_then(|part| part.get("type_id")) {
        None => Ok(0),
        Some(id) => id
            .as_u64()
            .and_then(|id| u8::try_from(id).ok())
            .ok_or_else(|| unknown(piece, "a `type_id` from `0` to `255`")),
    }
}

/// The ids of a `SpecialToken`.
fn special(processor: &Value, piece: &Value, vocab: &Vocab) -> Result<Vec<u32>, Error> {
    let name = piece.get("SpecialToken").and_then(|token| token.get("id")?.as_str());
    let ids = name
        .and_then(|name| processor.get("special_tokens")?.get(name)?.get("ids")?.as_array())
        .ok_or_else(|| {
            unknown(piece, "`Sequence` or a `SpecialToken` that `special_tokens` has")
        })?;
    let id = |id| {
        named_id(id, vocab).ok_or_else(|| {
            Error::new(
                ErrorKind::Vocabulary,
                format!("`tokenizer.json`: post-processor's id `{id}` is no token"),
            )
        })
    };
    ids.iter().map(id).collect()
}

fn unknown(piece: &Value, expected: &str) -> Error {
    Error::new(
        ErrorKind::Json,
        format!("`tokenizer.json`: post-processor's piece `{piece}`, expected {expected}"),
    )
}

/// An id that the vocabulary has.
fn named_id(id: &Value, vocab: &Vocab) -> Option<u32> {
    let id = u32::try_from(id.as_u64()?).ok()?;
    ((id as usize) < vocab.len()).then_some(id)
}
