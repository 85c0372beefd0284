//! `POST /v1/embeddings` as tables.

use crate::embeddings::MOST_TEXTS;
use crate::energy::USED;
use crate::openai::schema::{MODEL, URGENCY};
use crate::schema::Kind::{AnyOf, Bounded, From, Integer, List, Text, Words};
use crate::schema::{COUNT, Field, Kind, Object, REAL, needed, optional, sometimes};

pub(in crate::openai) static REQUEST: Object =
    Object { name: "EmbeddingRequest", fields: &[&MODEL, &OWN, &URGENCY] };

static OWN: [Field; 4] = [
    needed("input", INPUT, "Texts or tokens; a list of either is several."),
    optional("encoding_format", Words(&["float", "base64"]), "`float` without a word."),
    optional("dimensions", From(1), "Values of each vector, at most."),
    optional("user", Text, "Changes nothing."),
];

const INPUT: Kind =
    AnyOf(&[Text, Bounded(&Text, 1, MOST_TEXTS), TOKENS, Bounded(&TOKENS, 1, MOST_TEXTS)]);

const TOKENS: Kind = Bounded(&Integer(0, u32::MAX as i64), 1, usize::MAX);

pub(in crate::openai) static REPLY: Object = Object {
    name: "Embeddings",
    fields: &[&[
        needed("object", Words(&["list"]), ""),
        needed("data", List(&Kind::Object(&ONE)), "One for each text."),
        needed("model", Text, ""),
        needed("usage", Kind::Object(&USAGE), ""),
    ]],
};

static ONE: Object = Object {
    name: "Embedding",
    fields: &[&[
        needed("object", Words(&["embedding"]), ""),
        needed("index", COUNT, ""),
        needed(
            "embedding",
            AnyOf(&[List(&REAL), Text]),
            "Numbers, or base64 of little-endian f32.",
        ),
    ]],
};

/// Tokens that were read.
pub(crate) static USAGE: Object = Object {
    name: "EmbeddingUsage",
    fields: &[&[
        needed("prompt_tokens", COUNT, ""),
        needed("total_tokens", COUNT, ""),
        sometimes("energy", Kind::Object(&USED), "Where power is measured."),
    ]],
};
