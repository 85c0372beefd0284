//! Responses of Anthropic's API as tables.

use crate::energy::USED;
use crate::schema::Kind::{AnyOf, List, Map, OrNull, Text, Words};
use crate::schema::{COUNT, Field, Kind, Object, needed, sometimes};

pub(in crate::anthropic) static MESSAGE: Object = Object {
    name: "Message",
    fields: &[
        &ABOUT,
        &[needed("content", List(&BLOCK), "")],
        &WHY,
        &[needed("usage", Kind::Object(&USAGE), "")],
    ],
};

static ABOUT: [Field; 4] = [
    needed("id", Text, ""),
    needed("type", Words(&["message"]), ""),
    needed("role", Words(&["assistant"]), ""),
    needed("model", Text, ""),
];

/// Why an answer ended.
static WHY: [Field; 2] = [
    needed("stop_reason", OrNull(&Words(&REASONS)), "`null` where a stream begins."),
    needed("stop_sequence", OrNull(&Text), ""),
];

const REASONS: [&str; 5] =
    ["end_turn", "max_tokens", "stop_sequence", "tool_use", "model_context_window_exceeded"];

const BLOCK: Kind = AnyOf(&[Kind::Object(&TEXT), Kind::Object(&THOUGHT), Kind::Object(&CALL)]);

static TEXT: Object = Object {
    name: "AnswerTextBlock",
    fields: &[&[needed("type", Words(&["text"]), ""), needed("text", Text, "")]],
};

static THOUGHT: Object = Object {
    name: "AnswerThinkingBlock",
    fields: &[&[
        needed("type", Words(&["thinking"]), ""),
        needed("thinking", Text, ""),
        needed("signature", Text, "Empty: nobody would check it."),
    ]],
};

static CALL: Object = Object {
    name: "AnswerToolUseBlock",
    fields: &[&[
        needed("type", Words(&["tool_use"]), ""),
        needed("id", Text, ""),
        needed("name", Text, ""),
        needed("input", Map, "Empty where a stream begins to tell it, or where it was cut."),
    ]],
};

static USAGE: Object = Object {
    name: "MessageUsage",
    fields: &[&[
        needed("input_tokens", COUNT, "Those of the prompt that were not in the cache."),
        needed("cache_creation_input_tokens", Kind::Integer(0, 0), ""),
        needed("cache_read_input_tokens", COUNT, ""),
        needed("output_tokens", COUNT, ""),
        sometimes("energy", Kind::Object(&USED), "Where power is measured."),
    ]],
};

/// What a stream tells.
pub(in crate::anthropic) const EVENT: Kind = AnyOf(&[
    Kind::Object(&START),
    Kind::Object(&BLOCK_START),
    Kind::Object(&BLOCK_DELTA),
    Kind::Object(&BLOCK_STOP),
    Kind::Object(&END),
    Kind::Object(&PLAIN),
    Kind::Object(&ERROR),
]);

static START: Object = Object {
    name: "MessageStart",
    fields: &[&[
        needed("type", Words(&["message_start"]), ""),
        needed("message", Kind::Object(&MESSAGE), ""),
    ]],
};

const INDEX: Field = needed("index", COUNT, "Which block.");

static BLOCK_START: Object = Object {
    name: "ContentBlockStart",
    fields: &[&[
        needed("type", Words(&["content_block_start"]), ""),
        INDEX,
        needed("content_block", BLOCK, ""),
    ]],
};

static BLOCK_DELTA: Object = Object {
    name: "ContentBlockDelta",
    fields: &[&[
        needed("type", Words(&["content_block_delta"]), ""),
        INDEX,
        needed("delta", DELTA, ""),
    ]],
};

const DELTA: Kind =
    AnyOf(&[Kind::Object(&TEXT_DELTA), Kind::Object(&THINKING_DELTA), Kind::Object(&INPUT_DELTA)]);

static TEXT_DELTA: Object = Object {
    name: "TextDelta",
    fields: &[&[needed("type", Words(&["text_delta"]), ""), needed("text", Text, "")]],
};

static THINKING_DELTA: Object = Object {
    name: "ThinkingDelta",
    fields: &[&[needed("type", Words(&["thinking_delta"]), ""), needed("thinking", Text, "")]],
};

static INPUT_DELTA: Object = Object {
    name: "InputJsonDelta",
    fields: &[&[
        needed("type", Words(&["input_json_delta"]), ""),
        needed("partial_json", Text, ""),
    ]],
};

static BLOCK_STOP: Object = Object {
    name: "ContentBlockStop",
    fields: &[&[needed("type", Words(&["content_block_stop"]), ""), INDEX]],
};

static END: Object = Object {
    name: "MessageDelta",
    fields: &[&[
        needed("type", Words(&["message_delta"]), ""),
        needed("delta", Kind::Object(&STOP), ""),
        needed("usage", Kind::Object(&USAGE), ""),
    ]],
};

static STOP: Object = Object { name: "MessageStop", fields: &[&WHY] };

static PLAIN: Object = Object {
    name: "PlainEvent",
    fields: &[&[needed("type", Words(&["ping", "message_stop"]), "")]],
};

pub(in crate::anthropic) static TOKENS: Object =
    Object { name: "CountTokensReply", fields: &[&[needed("input_tokens", COUNT, "")]] };

/// A failure.
pub(crate) static ERROR: Object = Object {
    name: "AnthropicError",
    fields: &[&[
        needed("type", Words(&["error"]), ""),
        needed("error", Kind::Object(&ERROR_DETAILS), ""),
        needed("request_id", Text, "The header `request-id` too."),
    ]],
};

static ERROR_DETAILS: Object = Object {
    name: "AnthropicErrorDetails",
    fields: &[&[
        needed("type", Words(&ERROR_TYPES), ""),
        needed("message", Text, "What is wrong, for people."),
    ]],
};

const ERROR_TYPES: [&str; 9] = [
    "authentication_error",
    "permission_error",
    "not_found_error",
    "request_too_large",
    "rate_limit_error",
    "timeout_error",
    "overloaded_error",
    "api_error",
    "invalid_request_error",
];
