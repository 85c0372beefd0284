//! The JSON header of a safetensors file.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::tensor::Shape;

/// The most tensors in one file: many times those of any published file.
const MAX_TENSORS: usize = 262_144;

/// The most texts of the metadata.
const MAX_TEXTS: usize = 65_536;

/// The key of the header that is not a tensor.
const METADATA: &str = "__metadata__";

/// A header as it stands: names may repeat, offsets may lie.
pub(super) struct Header<'a> {
    pub(super) entries: Vec<(&'a str, Entry<'a>)>,
    pub(super) metadata: HashMap<String, String>,
}

/// What the header says of one tensor.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry<'a> {
    #[serde(borrow)]
    pub(super) dtype: Cow<'a, str>,
    pub(super) shape: Lengths,
    pub(super) data_offsets: [u64; 2],
}

impl<'de> Deserialize<'de> for Header<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(HeaderVisitor)
    }
}

struct HeaderVisitor;

impl<'de> Visitor<'de> for HeaderVisitor {
    type Value = Header<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of tensors")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut pairs: A) -> Result<Header<'de>, A::Error> {
        let mut entries = Vec::new();
        let mut metadata = None;
        while let Some(Name(name)) = pairs.next_key()? {
            if name == METADATA {
                let Texts(texts) = pairs.next_value()?;
                if metadata.replace(texts).is_some() {
                    return Err(de::Error::duplicate_field(METADATA));
                }
            } else if entries.len() == MAX_TENSORS {
                return Err(de::Error::custom(format_args!("more than {MAX_TENSORS} tensors")));
            } else {
                entries.push((name, pairs.next_value()?));
            }
        }
        Ok(Header { entries, metadata: metadata.unwrap_or_default() })
    }
}

/// A tensor's name, a view of the header.
struct Name<'a>(&'a str);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(NameVisitor)
    }
}

struct NameVisitor;

impl<'de> Visitor<'de> for NameVisitor {
    type Value = Name<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name without escapes")
    }

    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Name<'de>, E> {
        Ok(Name(name))
    }
}

/// An object of texts, every key once.
struct Texts(HashMap<String, String>);

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(TextsVisitor)
    }
}

struct TextsVisitor;

impl<'de> Visitor<'de> for TextsVisitor {
    type Value = Texts;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of texts")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut pairs: A) -> Result<Texts, A::Error> {
        let mut texts = HashMap::new();
        while let Some((key, text)) = pairs.next_entry::<String, String>()? {
            if texts.insert(key, text).is_some() {
                return Err(de::Error::custom("a key of `__metadata__` again"));
            }
            if texts.len() > MAX_TEXTS {
                return Err(de::Error::custom(format_args!("more than {MAX_TEXTS} texts")));
            }
        }
        Ok(Texts(texts))
    }
}

/// The lengths of a shape: as many as are accepted.
#[derive(Debug)]
pub(super) struct Lengths(pub(super) Vec<u64>);

impl<'de> Deserialize<'de> for Lengths {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(LengthsVisitor)
    }
}

struct LengthsVisitor;

impl<'de> Visitor<'de> for LengthsVisitor {
    type Value = Lengths;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at most {} lengths", Shape::MAX)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Lengths, A::Error> {
        let mut lengths = Vec::new();
        while let Some(length) = elements.next_element()? {
            if lengths.len() == Shape::MAX {
                return Err(de::Error::invalid_length(Shape::MAX + 1, &self));
            }
            lengths.push(length);
        }
        Ok(Lengths(lengths))
    }
}
