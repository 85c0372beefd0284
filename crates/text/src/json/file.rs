//! `tokenizer.json` as it lies on disk.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use crate::bpe;
use crate::error::{Error, ErrorKind};

/// The whole file. Components that are small stay JSON until they are looked at.
#[derive(Deserialize)]
pub(super) struct File<'a> {
    #[serde(borrow, default)]
    pub(super) added_tokens: Vec<AddedFile<'a>>,
    pub(super) normalizer: Option<serde_json::Value>,
    pub(super) pre_tokenizer: Option<serde_json::Value>,
    pub(super) post_processor: Option<serde_json::Value>,
    pub(super) decoder: Option<serde_json::Value>,
    #[serde(borrow)]
    pub(super) model: ModelFile<'a>,
}

/// One of `added_tokens`.
#[derive(Deserialize)]
pub(super) struct AddedFile<'a> {
    pub(super) id: u32,
    #[serde(borrow)]
    pub(super) content: Cow<'a, str>,
    #[serde(default)]
    pub(super) single_word: bool,
    #[serde(default)]
    pub(super) lstrip: bool,
    #[serde(default)]
    pub(super) rstrip: bool,
    #[serde(default)]
    pub(super) normalized: bool,
    #[serde(default)]
    pub(super) special: bool,
}

/// `model`, of whatever type.
#[derive(Deserialize)]
pub(super) struct ModelFile<'a> {
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    #[serde(borrow)]
    pub(super) vocab: VocabFile<'a>,
    #[serde(borrow, default)]
    pub(super) merges: Vec<MergeFile<'a>>,
    pub(super) unk_token: Option<String>,
    pub(super) continuing_subword_prefix: Option<String>,
    pub(super) end_of_word_suffix: Option<String>,
    #[serde(default)]
    pub(super) fuse_unk: bool,
    #[serde(default)]
    pub(super) byte_fallback: bool,
    #[serde(default)]
    pub(super) ignore_merges: bool,
    pub(super) max_input_chars_per_word: Option<usize>,
}

impl<'a> File<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        serde_json::from_slice(bytes).map_err(|error| {
            Error::new(ErrorKind::Json, format!("`tokenizer.json`: {error}")).with_source(error)
        })
    }
}

/// `model.vocab`: texts and ids, in the order of the file.
pub(super) struct VocabFile<'a>(pub(super) Vec<(Cow<'a, str>, u32)>);

/// One of `model.merges`: `"left right"` or `["left", "right"]`.
pub(super) struct MergeFile<'a> {
    pub(super) left: Cow<'a, str>,
    pub(super) right: Cow<'a, str>,
}

/// A string that borrows from the file where it has no escapes.
struct Text<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        from.deserialize_str(TextVisitor)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for VocabFile<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct MapVisitor;
        impl<'de> Visitor<'de> for MapVisitor {
            type Value = VocabFile<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of texts to ids (the model types `BPE` and `WordPiece`)")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<VocabFile<'de>, M::Error> {
                let mut entries = Vec::new();
                while let Some((Text(text), id)) = map.next_entry()? {
                    entries.push((text, id));
                }
                Ok(VocabFile(entries))
            }
        }
        from.deserialize_map(MapVisitor)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for MergeFile<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct MergeVisitor;
        impl<'de> Visitor<'de> for MergeVisitor {
            type Value = MergeFile<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a merge: two texts, in a list or with a space between")
            }

            fn visit_borrowed_str<E: serde::de::Error>(
                self,
                text: &'de str,
            ) -> Result<MergeFile<'de>, E> {
                let (left, right) = bpe::sides(text)
                    .ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(text), &self))?;
                Ok(MergeFile { left: Cow::Borrowed(left), right: Cow::Borrowed(right) })
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<MergeFile<'de>, E> {
                let (left, right) = bpe::sides(text)
                    .ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(text), &self))?;
                Ok(MergeFile {
                    left: Cow::Owned(left.to_owned()),
                    right: Cow::Owned(right.to_owned()),
                })
            }

            fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<MergeFile<'de>, S::Error> {
                let short = |found| S::Error::invalid_length(found, &"two texts");
                let Text(left) = seq.next_element()?.ok_or_else(|| short(0))?;
                let Text(right) = seq.next_element()?.ok_or_else(|| short(1))?;
                if seq.next_element::<serde::de::IgnoredAny>()?.is_some() {
                    return Err(short(3));
                }
                Ok(MergeFile { left, right })
            }
        }
        from.deserialize_any(MergeVisitor)
    }
}
