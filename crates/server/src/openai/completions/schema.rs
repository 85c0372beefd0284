//! `POST /v1/completions` as tables.

use super::{MOST_LIKELIEST, MOST_PROMPTS};
use crate::openai::schema::{
    IGNORED, MODEL, PARAMETERS, TEXT_LIKELIHOODS, URGENCY, USAGE, envelope,
};
use crate::schema::Kind::{AnyOf, Bounded, Flag, Integer, List, Null, OrNull, Text, Words};
use crate::schema::{COUNT, Field, Kind, Object, needed, optional, sometimes};

pub(crate) static REQUEST: Object =
    Object { name: "CompletionRequest", fields: &[&MODEL, &OWN, &PARAMETERS, &URGENCY, &IGNORED] };

static OWN: [Field; 5] = [
    needed("prompt", PROMPT, "Texts or tokens; a list of either is several."),
    optional("suffix", Null, "Not supported."),
    optional("logprobs", Integer(0, MOST_LIKELIEST), "Likeliest tokens that are told."),
    optional("best_of", Integer(1, 1), ""),
    optional("echo", Flag, "Whether the answer begins with the prompt."),
];

const PROMPT: Kind =
    AnyOf(&[Text, Bounded(&Text, 1, MOST_PROMPTS), TOKENS, Bounded(&TOKENS, 1, MOST_PROMPTS)]);

const TOKENS: Kind = Bounded(&Integer(0, u32::MAX as i64), 1, usize::MAX);

pub(crate) static REPLY: Object = Object {
    name: "Completion",
    fields: &[&ENVELOPE, &CHOICES, &[needed("usage", Kind::Object(&USAGE), "")]],
};

pub(crate) static CHUNK: Object = Object {
    name: "CompletionChunk",
    fields: &[
        &ENVELOPE,
        &CHOICES,
        &[sometimes("usage", OrNull(&Kind::Object(&USAGE)), "In the last, if it was asked for.")],
    ],
};

static ENVELOPE: [Field; 5] = envelope(Words(&["text_completion"]));

static CHOICES: [Field; 1] = [needed("choices", List(&Kind::Object(&CHOICE)), "")];

static CHOICE: Object = Object {
    name: "CompletionChoice",
    fields: &[&[
        needed("text", Text, ""),
        needed("index", COUNT, ""),
        needed("logprobs", OrNull(&Kind::Object(&TEXT_LIKELIHOODS)), ""),
        needed("finish_reason", OrNull(&Words(&["stop", "length"])), ""),
    ]],
};
