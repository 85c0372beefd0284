//! The JSON files beside a Hugging Face checkpoint: `config.json`, `generation_config.json`,
//! `tokenizer_config.json`, `modules.json`.

mod read;

use serde_json::{Map, Value};

use crate::error::{Error, ErrorKind, quoted};
use crate::getters::getters;
use crate::json::{self, Object, Objects};

/// The longest file in bytes; `tokenizer_config.json` with thousands of added tokens has about 1 MB.
const MAX_BYTES: usize = 16 << 20;

/// The most chat templates of one file that are accepted.
const MAX_TEMPLATES: usize = 64;

/// A JSON object with typed getters. A key whose value is `null` counts as absent.
#[derive(Clone, Debug, PartialEq)]
pub struct HfConfig {
    map: Map<String, Value>,
    /// The keys that lead to this object, each with a dot behind it.
    path: String,
}

impl HfConfig {
    /// Reads a JSON object of which no key occurs twice.
    ///
    /// # Errors
    /// The bytes are not such an object, or too many.
    pub fn parse(bytes: &[u8]) -> Result<HfConfig, Error> {
        let Object(map) = json::parse(bytes, MAX_BYTES, "config")?;
        Ok(HfConfig { map, path: String::new() })
    }

    /// Reads a JSON array of such objects, as `modules.json` is.
    ///
    /// # Errors
    /// The bytes are not such an array, or too many.
    pub fn parse_list(bytes: &[u8]) -> Result<Vec<HfConfig>, Error> {
        let Objects(maps) = json::parse(bytes, MAX_BYTES, "config")?;
        let config = |(index, map)| HfConfig { map, path: format!("{index}.") };
        Ok(maps.into_iter().enumerate().map(config).collect())
    }

    /// The keys in the order of the file.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.map.keys().map(String::as_str)
    }

    /// The value of a key; `None` when it is `null`.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    getters! {
        /// An integer.
        u32, need_u32 -> u32, "an integer from `0` to `2^32 - 1`";
        /// An integer.
        u64, need_u64 -> u64, "an integer from `0` to `2^64 - 1`";
        /// An integer.
        i32, need_i32 -> i32, "an integer from `-2^31` to `2^31 - 1`";
        /// A number that rounds to a finite `f32`.
        f32, need_f32 -> f32, "a number";
        /// A bool.
        bool, need_bool -> bool, "`true` or `false`";
        /// A text.
        str, need_str -> &str, "a text";
        /// An array of texts.
        strings, need_strings -> Vec<&str>, "an array of texts";
        /// An array of numbers that round to finite `f32`.
        f32s, need_f32s -> Vec<f32>, "an array of numbers";
        /// An array of integers.
        u32s, need_u32s -> Vec<u32>, "an array of integers from `0` to `2^32 - 1`";
        /// An array of integers.
        i32s, need_i32s -> Vec<i32>, "an array of integers from `-2^31` to `2^31 - 1`";
        /// An array of bools.
        bools, need_bools -> Vec<bool>, "an array of `true` or `false`";
        /// Token ids: one integer or an array of them, as `eos_token_id` has it.
        ids, need_ids -> Vec<u32>, "a token id or an array of them";
        /// A token's text: a text, or an object with the text as `content`.
        token, need_token -> &str, "a text or an object with `content`";
    }

    /// The object of a key, such as `rope_scaling` or `text_config`.
    ///
    /// # Errors
    /// The value is not an object.
    pub fn object(&self, key: &str) -> Result<Option<HfConfig>, Error> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Object(map)) => {
                Ok(Some(HfConfig { map: map.clone(), path: format!("{}{key}.", self.path) }))
            }
            Some(value) => {
                Err(Error::new(ErrorKind::Type, self.place(key), describe(value), "an object"))
            }
        }
    }

    /// The chat templates of a `tokenizer_config.json`, each with its name; the one that has no
    /// name is `default`.
    ///
    /// # Errors
    /// `chat_template` is neither a text nor an array of objects with `name` and `template`.
    pub fn chat_templates(&self) -> Result<Vec<(String, String)>, Error> {
        const KEY: &str = "chat_template";
        let templates = match self.get(KEY) {
            None => return Ok(Vec::new()),
            Some(Value::String(template)) => {
                return Ok(vec![("default".to_owned(), template.clone())]);
            }
            Some(Value::Array(templates)) if templates.len() <= MAX_TEMPLATES => templates,
            Some(value) => {
                return Err(Error::new(
                    ErrorKind::Type,
                    self.place(KEY),
                    describe(value),
                    format!("a text or an array of at most `{MAX_TEMPLATES}` objects"),
                ));
            }
        };
        let named = |(index, template): (usize, &Value)| match template {
            Value::Object(map) => {
                let path = format!("{}{KEY}.{index}.", self.path);
                let template = HfConfig { map: map.clone(), path };
                Ok((
                    template.need_str("name")?.to_owned(),
                    template.need_str("template")?.to_owned(),
                ))
            }
            other => Err(Error::new(
                ErrorKind::Type,
                self.place(KEY),
                describe(other),
                "an object with `name` and `template`",
            )),
        };
        templates.iter().enumerate().map(named).collect()
    }

    fn place(&self, key: &str) -> String {
        format!("key {}", quoted(&format!("{}{key}", self.path)))
    }
}

/// A value as errors show it.
fn describe(value: &Value) -> String {
    match value {
        Value::Null => "`null`".to_owned(),
        Value::Bool(value) => format!("`{value}`"),
        Value::Number(number) => format!("`{number}`"),
        Value::String(text) => format!("the text {}", quoted(text)),
        Value::Array(elements) => format!("an array of `{}`", elements.len()),
        Value::Object(map) => format!("an object of `{}` keys", map.len()),
    }
}
