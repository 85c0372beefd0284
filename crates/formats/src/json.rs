//! JSON from a file: bounded in size, depth and number of values, every key once.

use std::fmt;

use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;
use serde_json::{Map, Number, Value};

use crate::error::{Error, ErrorKind, quoted};

/// Parses `bytes` as a `T`, `what` in errors. Depth is bounded by serde_json: 128.
pub(crate) fn parse<'a, T: Deserialize<'a>>(
    bytes: &'a [u8],
    limit: usize,
    what: &str,
) -> Result<T, Error> {
    if bytes.len() > limit {
        return Err(Error::new(
            ErrorKind::Limit,
            what,
            format!("`{}` bytes", bytes.len()),
            format!("at most `{limit}`"),
        ));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        Error::new(
            ErrorKind::Encoding,
            what,
            format!("bytes that are not UTF-8 at offset `{}`", error.valid_up_to()),
            "JSON in UTF-8",
        )
        .with_source(error)
    })?;
    serde_json::from_str(text).map_err(|error| json_error(&error, what))
}

fn json_error(error: &serde_json::Error, what: &str) -> Error {
    let kind = match error.classify() {
        Category::Syntax | Category::Eof => ErrorKind::Syntax,
        Category::Data | Category::Io => ErrorKind::Value,
    };
    let place = format!("{what}, line `{}` column `{}`", error.line(), error.column());
    let message = error.to_string();
    let message = message.split(" at line ").next().unwrap_or_default();
    Error::new(kind, place, quoted(message), "well-formed JSON of the documented form")
}

/// The most values of one [`Object`]: ten times those of the largest published index.
const MAX_VALUES: usize = 1 << 20;

/// An object of which no key, at any depth, occurs twice; serde_json alone keeps the last.
pub(crate) struct Object(pub(crate) Map<String, Value>);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match (Strict { left: &mut { MAX_VALUES } }).deserialize(deserializer)? {
            Value::Object(map) => Ok(Object(map)),
            _ => Err(de::Error::custom("not an object")),
        }
    }
}

/// An array of objects of which none has a key twice at any depth.
pub(crate) struct Objects(pub(crate) Vec<Map<String, Value>>);

impl<'de> Deserialize<'de> for Objects {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Value::Array(all) = (Strict { left: &mut { MAX_VALUES } }).deserialize(deserializer)?
        else {
            return Err(de::Error::custom("not an array"));
        };
        let map = |value| match value {
            Value::Object(map) => Ok(map),
            _ => Err(de::Error::custom("not an array of objects")),
        };
        all.into_iter().map(map).collect::<Result<_, _>>().map(Objects)
    }
}

/// Reads a value; `left` counts down the values that may come.
struct Strict<'a> {
    left: &'a mut usize,
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        *self.left = self
            .left
            .checked_sub(1)
            .ok_or_else(|| de::Error::custom(format_args!("more than {MAX_VALUES} values")))?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("not a finite number"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(element) = elements.next_element_seed(Strict { left: self.left })? {
            array.push(element);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut pairs: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = pairs.next_key::<String>()? {
            if map.contains_key(&key) {
                return Err(de::Error::custom(format_args!("key {} again", quoted(&key))));
            }
            let value = pairs.next_value_seed(Strict { left: self.left })?;
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}
