//! Requests of Anthropic's API as tables.

pub(crate) mod replies;

use super::conversation::UNSUPPORTED;
use super::tools::MOST_NAME;
use crate::openai::schema::{STOPS, TOKENS};
use crate::schema::Kind::{
    Any, AnyOf, Bounded, Flag, Integer, List, Map, Null, Number, Only, Pattern, Text, Words,
};
use crate::schema::{Field, Kind, Object, all_of, needed, optional};
use crate::tools::MOST_TOOLS;

pub(super) static MESSAGES: Object =
    Object { name: "MessagesRequest", fields: &[&MODEL, &OWN, &CONVERSATION, &MISSING] };

pub(super) static COUNT_TOKENS: Object =
    Object { name: "CountTokensRequest", fields: &[&MODEL, &CONVERSATION, &MISSING] };

static MODEL: [Field; 1] = [needed("model", Text, "A name of one of the models.")];

static OWN: [Field; 8] = [
    needed("max_tokens", TOKENS, "Tokens of an answer, at most."),
    optional("stream", Flag, "Whether the answer is told as it is written."),
    optional("stop_sequences", STOPS, "Texts that end an answer."),
    optional("temperature", Number(0.0, 1.0), "1 without a word; 0 takes the likeliest token."),
    optional("top_p", Number(0.0, 1.0), ""),
    optional("top_k", Integer(0, u32::MAX as i64), "0 is all."),
    optional("metadata", Map, "Changes nothing."),
    optional("service_tier", Words(&["auto", "standard_only"]), "Changes nothing."),
];

static CONVERSATION: [Field; 7] = [
    needed("messages", Bounded(&TURN, 1, usize::MAX), ""),
    optional("system", BLOCKS_OF_TEXT, ""),
    optional("tools", Bounded(&Kind::Object(&TOOL), 0, MOST_TOOLS), "What the model may call."),
    optional("tool_choice", CHOICE, ""),
    optional("thinking", THINKING, "For models that think."),
    optional("cache_control", Map, "Changes nothing."),
    optional("speed", Words(&["standard"]), ""),
];

static MISSING: [Field; UNSUPPORTED.len()] = all_of(UNSUPPORTED, Null, "Not supported.");

const TURN: Kind =
    AnyOf(&[Kind::Object(&USER_TURN), Kind::Object(&ASSISTANT_TURN), Kind::Object(&SYSTEM_TURN)]);

pub(super) static USER_TURN: Object = Object {
    name: "UserTurn",
    fields: &[&[needed("role", Words(&["user"]), ""), needed("content", USER_CONTENT, "")]],
};

const USER_CONTENT: Kind =
    AnyOf(&[Text, List(&AnyOf(&[Kind::Object(&TEXT), Kind::Object(&RESULT)]))]);

pub(super) static ASSISTANT_TURN: Object = Object {
    name: "AssistantTurn",
    fields: &[&[
        needed("role", Words(&["assistant"]), ""),
        needed("content", ASSISTANT_CONTENT, "Of the last turn: what the answer goes on from."),
    ]],
};

const ASSISTANT_CONTENT: Kind = AnyOf(&[
    Text,
    List(&AnyOf(&[
        Kind::Object(&TEXT),
        Kind::Object(&CALL),
        Kind::Object(&THOUGHT),
        Kind::Object(&HIDDEN_THOUGHT),
    ])),
]);

pub(super) static SYSTEM_TURN: Object = Object {
    name: "SystemTurn",
    fields: &[&[needed("role", Words(&["system"]), ""), needed("content", BLOCKS_OF_TEXT, "")]],
};

const BLOCKS_OF_TEXT: Kind = AnyOf(&[Text, List(&Kind::Object(&TEXT))]);

pub(super) static TEXT: Object = Object {
    name: "TextBlock",
    fields: &[&[
        needed("type", Words(&["text"]), ""),
        needed("text", Text, ""),
        optional("cache_control", Map, "Changes nothing."),
        optional("citations", Bounded(&Any, 0, 0), "Not supported."),
    ]],
};

pub(super) static CALL: Object = Object {
    name: "ToolUseBlock",
    fields: &[&[
        needed("type", Words(&["tool_use"]), ""),
        needed("id", Text, ""),
        needed("name", Text, ""),
        needed("input", Map, ""),
        optional("cache_control", Map, "Changes nothing."),
        optional("caller", Kind::Object(&CALLER), ""),
    ]],
};

pub(super) static CALLER: Object =
    Object { name: "ToolCaller", fields: &[&[needed("type", Words(&["direct"]), "")]] };

pub(super) static RESULT: Object = Object {
    name: "ToolResultBlock",
    fields: &[&[
        needed("type", Words(&["tool_result"]), ""),
        needed("tool_use_id", Text, "The `id` of a `tool_use` before it."),
        optional("content", BLOCKS_OF_TEXT, ""),
        optional("is_error", Flag, ""),
        optional("cache_control", Map, "Changes nothing."),
    ]],
};

pub(super) static THOUGHT: Object = Object {
    name: "ThinkingBlock",
    fields: &[&[
        needed("type", Words(&["thinking"]), ""),
        needed("thinking", Text, ""),
        optional("signature", Text, "Changes nothing."),
        optional("cache_control", Map, "Changes nothing."),
    ]],
};

/// What nobody here can read is not read.
static HIDDEN_THOUGHT: Object = Object {
    name: "RedactedThinkingBlock",
    fields: &[&[
        needed("type", Words(&["redacted_thinking"]), ""),
        optional("data", Any, "Changes nothing."),
    ]],
};

pub(super) static TOOL: Object = Object {
    name: "AnthropicTool",
    fields: &[&[
        needed("name", Pattern(TOOL_NAME), ""),
        needed("input_schema", Map, "The JSON schema of the input."),
        optional("type", Words(&["custom"]), ""),
        optional("description", Text, ""),
        optional("strict", Flag, "Whether calls always have input as the schema says."),
        optional("cache_control", Map, "Changes nothing."),
        optional("eager_input_streaming", Flag, "Changes nothing."),
        optional("defer_loading", Only(false), ""),
        optional("allowed_callers", Bounded(&Words(&["direct"]), 1, 1), ""),
    ]],
};

/// Names of tools, of at most [`MOST_NAME`] letters.
const TOOL_NAME: &str = "^[A-Za-z0-9_.-]{1,128}$";
const _: () = assert!(MOST_NAME == 128);

const CHOICE: Kind =
    AnyOf(&[Kind::Object(&NO_CHOICE), Kind::Object(&FREE_CHOICE), Kind::Object(&NAMED_CHOICE)]);

pub(super) static NO_CHOICE: Object =
    Object { name: "NoTool", fields: &[&[needed("type", Words(&["none"]), "")]] };

pub(super) static FREE_CHOICE: Object =
    Object { name: "AnyTool", fields: &[&[needed("type", Words(&["auto", "any"]), ""), SINGLE]] };

pub(super) static NAMED_CHOICE: Object = Object {
    name: "OneTool",
    fields: &[&[
        needed("type", Words(&["tool"]), ""),
        needed("name", Text, "One of the `tools`."),
        SINGLE,
    ]],
};

const SINGLE: Field =
    optional("disable_parallel_tool_use", Flag, "Whether there is at most one call.");

const THINKING: Kind = AnyOf(&[Kind::Object(&BOUNDED_THINKING), Kind::Object(&FREE_THINKING)]);

pub(super) static BOUNDED_THINKING: Object = Object {
    name: "BoundedThinking",
    fields: &[&[
        needed("type", Words(&["enabled"]), ""),
        needed("budget_tokens", TOKENS, ""),
        SHOWN,
    ]],
};

pub(super) static FREE_THINKING: Object = Object {
    name: "FreeThinking",
    fields: &[&[
        needed("type", Words(&["adaptive", "disabled"]), ""),
        optional("budget_tokens", TOKENS, "Changes nothing."),
        SHOWN,
    ]],
};

const SHOWN: Field = optional("display", Text, "Changes nothing.");
