//! What `tokenizer_config.json` says about roles.

use serde::Deserialize;
use serde_json::Value;

use crate::error::{Error, ErrorKind};

/// The part of the file that tokenizers need. Everything else is left alone.
#[derive(Default)]
pub(super) struct Config {
    pub(super) bos_token: Option<String>,
    pub(super) eos_token: Option<String>,
    pub(super) unk_token: Option<String>,
    pub(super) sep_token: Option<String>,
    pub(super) pad_token: Option<String>,
    pub(super) cls_token: Option<String>,
    pub(super) mask_token: Option<String>,
    pub(super) eot_token: Option<String>,
    pub(super) add_bos_token: Option<bool>,
    pub(super) add_eos_token: Option<bool>,
}

#[derive(Deserialize)]
struct Raw {
    #[serde(default)]
    bos_token: Value,
    #[serde(default)]
    eos_token: Value,
    #[serde(default)]
    unk_token: Value,
    #[serde(default)]
    sep_token: Value,
    #[serde(default)]
    pad_token: Value,
    #[serde(default)]
    cls_token: Value,
    #[serde(default)]
    mask_token: Value,
    #[serde(default)]
    eot_token: Value,
    add_bos_token: Option<bool>,
    add_eos_token: Option<bool>,
}

impl Config {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let raw: Raw = serde_json::from_slice(bytes).map_err(|error| {
            Error::new(ErrorKind::Json, format!("`tokenizer_config.json`: {error}"))
                .with_source(error)
        })?;
        Ok(Self {
            bos_token: text(raw.bos_token),
            eos_token: text(raw.eos_token),
            unk_token: text(raw.unk_token),
            sep_token: text(raw.sep_token),
            pad_token: text(raw.pad_token),
            cls_token: text(raw.cls_token),
            mask_token: text(raw.mask_token),
            eot_token: text(raw.eot_token),
            add_bos_token: raw.add_bos_token,
            add_eos_token: raw.add_eos_token,
        })
    }
}

/// The text of a token, which is a string or an object with `content`.
fn text(token: Value) -> Option<String> {
    match token {
        Value::String(text) => Some(text),
        Value::Object(mut fields) => match fields.remove("content") {
            Some(Value::String(text)) => Some(text),
            _ => None,
        },
        _ => None,
    }
}
