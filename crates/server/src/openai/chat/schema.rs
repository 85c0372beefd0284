//! `POST /v1/chat/completions` as tables.

use super::UNSUPPORTED;
use crate::openai::effort::NAMES;
use crate::openai::schema::{
    CHAT_LIKELIHOODS, IGNORED, LIKELIEST, MODEL, PARAMETERS, TOKENS, TOOL_CHOICE, TOOLS, URGENCY,
    USAGE, envelope,
};
use crate::schema::Kind::{
    Any, AnyOf, Bounded, Flag, Integer, List, Map, Null, OrNull, Pattern, Text, Words,
};
use crate::schema::{COUNT, Field, Kind, Object, all_of, needed, optional, sometimes};

pub(crate) static REQUEST: Object = Object {
    name: "ChatRequest",
    fields: &[&MODEL, &OWN, &PARAMETERS, &URGENCY, &IGNORED, &MISSING],
};

static OWN: [Field; 9] = [
    needed("messages", Bounded(&MESSAGE, 1, usize::MAX), ""),
    optional("max_completion_tokens", TOKENS, "The newer name of `max_tokens`."),
    optional("tools", TOOLS, "What the model may call."),
    optional("tool_choice", TOOL_CHOICE, ""),
    optional("response_format", FORMAT, "What the answer must look like."),
    optional("logprobs", Flag, "Whether tokens are told."),
    optional("top_logprobs", LIKELIEST, "Only with `logprobs: true`."),
    optional("reasoning_effort", Words(&NAMES), "For models that think."),
    optional("thinking_budget", Integer(0, u32::MAX as i64), "Tokens of reasoning, at most."),
];

static MISSING: [Field; UNSUPPORTED.len() + 1] = {
    let missing = all_of(UNSUPPORTED, Null, "Not supported.");
    let variables = optional("chat_template_kwargs", Map, "Variables of the chat template.");
    let mut fields = [variables; UNSUPPORTED.len() + 1];
    let mut at = 0;
    while at < UNSUPPORTED.len() {
        fields[at] = missing[at];
        at += 1;
    }
    fields
};

const MESSAGE: Kind = AnyOf(&[
    Kind::Object(&PLAIN_MESSAGE),
    Kind::Object(&ASSISTANT_MESSAGE),
    Kind::Object(&TOOL_MESSAGE),
]);

const CONTENT: Kind = AnyOf(&[Text, List(&Kind::Object(&PART))]);

pub(in crate::openai) static PLAIN_MESSAGE: Object = Object {
    name: "ChatMessage",
    fields: &[&[
        needed("role", Words(&["system", "developer", "user"]), ""),
        needed("content", CONTENT, ""),
        optional("name", Text, ""),
    ]],
};

pub(in crate::openai) static ASSISTANT_MESSAGE: Object = Object {
    name: "ChatAssistantMessage",
    fields: &[&[
        needed("role", Words(&["assistant"]), ""),
        optional("content", CONTENT, "Needed unless there are `tool_calls`."),
        optional("name", Text, ""),
        optional("reasoning_content", Text, ""),
        optional("tool_calls", List(&Kind::Object(&TOOL_CALL)), ""),
        optional("refusal", Text, "Changes nothing."),
        optional("annotations", List(&Any), "Changes nothing."),
    ]],
};

pub(in crate::openai) static TOOL_MESSAGE: Object = Object {
    name: "ChatToolMessage",
    fields: &[&[
        needed("role", Words(&["tool"]), ""),
        needed("content", CONTENT, ""),
        optional("name", Text, ""),
        optional("tool_call_id", Text, ""),
    ]],
};

pub(in crate::openai) static PART: Object = Object {
    name: "ChatTextPart",
    fields: &[&[needed("type", Words(&["text"]), ""), needed("text", Text, "")]],
};

pub(in crate::openai) static TOOL_CALL: Object = Object {
    name: "ChatToolCall",
    fields: &[&[
        optional("id", Text, ""),
        optional("type", Words(&["function"]), ""),
        needed("function", Kind::Object(&CALLED_FUNCTION), ""),
    ]],
};

pub(in crate::openai) static CALLED_FUNCTION: Object = Object {
    name: "ChatCalledFunction",
    fields: &[&[needed("name", Text, ""), needed("arguments", Text, "JSON.")]],
};

const FORMAT: Kind = AnyOf(&[Kind::Object(&PLAIN_FORMAT), Kind::Object(&SCHEMA_FORMAT)]);

pub(in crate::openai) static PLAIN_FORMAT: Object = Object {
    name: "PlainFormat",
    fields: &[&[needed("type", Words(&["text", "json_object"]), "")]],
};

pub(in crate::openai) static SCHEMA_FORMAT: Object = Object {
    name: "JsonSchemaFormat",
    fields: &[&[
        needed("type", Words(&["json_schema"]), ""),
        needed("json_schema", Kind::Object(&NAMED_SCHEMA), ""),
    ]],
};

pub(in crate::openai) static NAMED_SCHEMA: Object = Object {
    name: "NamedJsonSchema",
    fields: &[&[
        needed("name", Pattern("^[A-Za-z0-9_-]{1,64}$"), ""),
        optional("description", Text, ""),
        optional("strict", Flag, "Changes nothing: the schema is always followed."),
        needed(
            "schema",
            AnyOf(&[Map, Flag]),
            "What of JSON Schema can be followed; 400 otherwise.",
        ),
    ]],
};

pub(crate) static REPLY: Object = Object {
    name: "ChatCompletion",
    fields: &[
        &REPLY_ENVELOPE,
        &[
            needed("choices", List(&Kind::Object(&CHOICE)), "One for each of `n`."),
            needed("usage", Kind::Object(&USAGE), ""),
        ],
    ],
};

static REPLY_ENVELOPE: [Field; 5] = envelope(Words(&["chat.completion"]));

static CHOICE: Object = Object {
    name: "ChatChoice",
    fields: &[&[needed("message", Kind::Object(&ANSWER), "")], &CHOICE_FIELDS],
};

/// What whole choices and pieces of them have.
static CHOICE_FIELDS: [Field; 3] = [
    needed("index", COUNT, ""),
    needed("logprobs", OrNull(&Kind::Object(&CHAT_LIKELIHOODS)), ""),
    needed("finish_reason", OrNull(&Words(&["stop", "length", "tool_calls"])), ""),
];

static ANSWER: Object = Object {
    name: "ChatAnswer",
    fields: &[&[
        needed("role", Words(&["assistant"]), ""),
        needed("content", OrNull(&Text), ""),
        needed("refusal", Null, ""),
        sometimes("reasoning_content", Text, "What the model thought."),
        sometimes("tool_calls", List(&Kind::Object(&CALL)), ""),
    ]],
};

static CALL: Object = Object {
    name: "ChatCall",
    fields: &[&[
        needed("id", Text, ""),
        needed("type", Words(&["function"]), ""),
        needed("function", Kind::Object(&CALL_FUNCTION), ""),
    ]],
};

static CALL_FUNCTION: Object = Object {
    name: "ChatCallFunction",
    fields: &[&[
        needed("name", Text, ""),
        needed("arguments", Text, "JSON, unless the answer was cut."),
    ]],
};

pub(crate) static CHUNK: Object = Object {
    name: "ChatCompletionChunk",
    fields: &[
        &CHUNK_ENVELOPE,
        &[
            needed("choices", List(&Kind::Object(&PIECE)), ""),
            sometimes("usage", OrNull(&Kind::Object(&USAGE)), "In the last, if it was asked for."),
        ],
    ],
};

static CHUNK_ENVELOPE: [Field; 5] = envelope(Words(&["chat.completion.chunk"]));

static PIECE: Object = Object {
    name: "ChatChunkChoice",
    fields: &[&[needed("delta", Kind::Object(&DELTA), "")], &CHOICE_FIELDS],
};

static DELTA: Object = Object {
    name: "ChatDelta",
    fields: &[&[
        sometimes("role", Words(&["assistant"]), ""),
        sometimes("content", Text, ""),
        sometimes("refusal", Null, ""),
        sometimes("reasoning_content", Text, ""),
        sometimes("tool_calls", List(&Kind::Object(&CALL_PIECE)), ""),
    ]],
};

static CALL_PIECE: Object = Object {
    name: "ChatCallPiece",
    fields: &[&[
        needed("index", COUNT, ""),
        sometimes("id", Text, ""),
        sometimes("type", Words(&["function"]), ""),
        needed("function", Kind::Object(&FUNCTION_PIECE), ""),
    ]],
};

static FUNCTION_PIECE: Object = Object {
    name: "ChatFunctionPiece",
    fields: &[&[sometimes("name", Text, ""), needed("arguments", Text, "")]],
};
