//! Requests of `/v1/responses` as tables.

pub(in crate::openai) mod replies;

use super::{IGNORED, UNSUPPORTED};
use crate::openai::chat::schema::PLAIN_FORMAT;
use crate::openai::effort::NAMES;
use crate::openai::schema::{MODEL, TOKENS, TOOL_NAME};
use crate::schema::Kind::{
    Any, AnyOf, Bounded, Flag, Integer, List, Map, Null, Number, Only, Pattern, Text, Words,
};
use crate::schema::{Field, Kind, Object, all_of, needed, optional};
use crate::tools::MOST_TOOLS;

pub(in crate::openai) static REQUEST: Object =
    Object { name: "ResponseRequest", fields: &[&MODEL, &OWN, &OFF, &MISSING, &UNUSED] };

static OWN: [Field; 15] = [
    needed("input", INPUT, ""),
    optional("previous_response_id", Text, "A stored response to go on from."),
    optional("instructions", Text, "They do not go on."),
    optional("metadata", Map, "Told again."),
    optional("stream", Flag, "Whether the answer is told as it is written."),
    optional("stream_options", Kind::Object(&STREAM_OPTIONS), ""),
    optional("store", Flag, "Whether it can be gone on from; true."),
    optional("max_output_tokens", TOKENS, "Tokens of an answer, at most."),
    optional("temperature", Number(0.0, 2.0), "1 without a word; 0 takes the likeliest token."),
    optional("top_p", Number(0.0, 1.0), ""),
    optional("seed", Integer(i64::MIN, i64::MAX), "Another one each time without a word."),
    optional("text", Kind::Object(&TEXT), "What the answer must look like."),
    optional("reasoning", Kind::Object(&REASONING), "For models that think."),
    optional("tools", Bounded(&Kind::Object(&TOOL), 0, MOST_TOOLS), "What the model may call."),
    optional("tool_choice", CHOICE, ""),
];

/// Items on a page, at most.
pub(super) const MOST_ITEMS: i64 = 100;

pub(in crate::openai) static ITEMS_QUERY: Object = Object {
    name: "InputItemsQuery",
    fields: &[&[
        optional("after", Text, "The item after which the page begins."),
        optional("limit", Integer(1, MOST_ITEMS), "Items on a page, at most; 20."),
        optional("order", Words(&["asc", "desc"]), "`desc`: the last one first."),
    ]],
};

/// What must be off, or changes nothing.
static OFF: [Field; 5] = [
    optional("parallel_tool_calls", Flag, "Whether a model may call several tools at once."),
    optional("background", Only(false), ""),
    optional("truncation", Words(&["disabled"]), ""),
    optional("top_logprobs", Integer(0, 20), "Only 0."),
    optional("include", List(&Words(&["reasoning.encrypted_content"])), "Changes nothing."),
];

static MISSING: [Field; UNSUPPORTED.len()] = all_of(UNSUPPORTED, Null, "Not supported.");
static UNUSED: [Field; IGNORED.len()] = all_of(IGNORED, Text, "Changes nothing.");

pub(super) static STREAM_OPTIONS: Object = Object {
    name: "ResponseStreamOptions",
    fields: &[&[optional("include_obfuscation", Flag, "Changes nothing.")]],
};

const INPUT: Kind = AnyOf(&[Text, Bounded(&ITEM, 1, usize::MAX)]);

const ITEM: Kind = AnyOf(&[
    Kind::Object(&MESSAGE),
    Kind::Object(&CALL),
    Kind::Object(&RESULT),
    Kind::Object(&THOUGHT),
]);

/// What responses tell of their own items.
static TOLD: [Field; 2] =
    [optional("id", Text, "Changes nothing."), optional("status", Text, "Changes nothing.")];

pub(super) static MESSAGE: Object = Object {
    name: "InputMessage",
    fields: &[
        &TOLD,
        &[
            optional("type", Words(&["message"]), ""),
            needed("role", Words(&["user", "assistant", "system", "developer"]), ""),
            needed("content", AnyOf(&[Text, List(&Kind::Object(&MESSAGE_PART))]), ""),
        ],
    ],
};

pub(super) static CALL: Object = Object {
    name: "InputFunctionCall",
    fields: &[
        &TOLD,
        &[
            needed("type", Words(&["function_call"]), ""),
            needed("call_id", Text, ""),
            needed("name", Text, ""),
            needed("arguments", Text, "JSON."),
        ],
    ],
};

pub(super) static RESULT: Object = Object {
    name: "InputFunctionCallOutput",
    fields: &[
        &TOLD,
        &[
            needed("type", Words(&["function_call_output"]), ""),
            needed("call_id", Text, ""),
            needed("output", AnyOf(&[Text, List(&Kind::Object(&RESULT_PART))]), ""),
        ],
    ],
};

pub(super) static THOUGHT: Object = Object {
    name: "InputReasoning",
    fields: &[
        &TOLD,
        &[
            needed("type", Words(&["reasoning"]), ""),
            optional("summary", List(&Any), "Changes nothing."),
            optional("encrypted_content", Text, "Changes nothing."),
            optional("content", AnyOf(&[Text, List(&Kind::Object(&THOUGHT_PART))]), ""),
        ],
    ],
};

/// Types of parts of messages, of what tools gave, and of thoughts.
pub(super) const MESSAGE_PARTS: [&str; 3] = ["input_text", "output_text", "text"];
pub(super) const RESULT_PARTS: [&str; 2] = ["input_text", "output_text"];
pub(super) const THOUGHT_PARTS: [&str; 1] = ["reasoning_text"];

pub(super) static MESSAGE_PART: Object = Object {
    name: "InputMessagePart",
    fields: &[&[needed("type", Words(&MESSAGE_PARTS), "")], &PART],
};
pub(super) static RESULT_PART: Object = Object {
    name: "InputResultPart",
    fields: &[&[needed("type", Words(&RESULT_PARTS), "")], &PART],
};
pub(super) static THOUGHT_PART: Object = Object {
    name: "InputThoughtPart",
    fields: &[&[needed("type", Words(&THOUGHT_PARTS), "")], &PART],
};

static PART: [Field; 3] = [
    needed("text", Text, ""),
    optional("annotations", List(&Any), "Changes nothing."),
    optional("logprobs", List(&Any), "Changes nothing."),
];

pub(super) static TEXT: Object = Object {
    name: "ResponseText",
    fields: &[&[
        optional("verbosity", Words(&["medium"]), ""),
        optional("format", AnyOf(&[Kind::Object(&PLAIN_FORMAT), Kind::Object(&SCHEMA_FORMAT)]), ""),
    ]],
};

pub(super) static SCHEMA_FORMAT: Object = Object {
    name: "ResponseJsonSchema",
    fields: &[&[
        needed("type", Words(&["json_schema"]), ""),
        needed("name", Pattern(TOOL_NAME), ""),
        optional("description", Text, ""),
        optional("strict", Flag, "Changes nothing: the schema is always followed."),
        needed(
            "schema",
            AnyOf(&[Map, Flag]),
            "What of JSON Schema can be followed; 400 otherwise.",
        ),
    ]],
};

pub(super) static REASONING: Object = Object {
    name: "ResponseReasoning",
    fields: &[&[
        optional("effort", Words(&NAMES), ""),
        optional("summary", Words(&["auto"]), "Changes nothing."),
        optional("generate_summary", Words(&["auto"]), "Changes nothing."),
    ]],
};

pub(super) static TOOL: Object = Object {
    name: "ResponseTool",
    fields: &[&[
        needed("type", Words(&["function"]), ""),
        needed("name", Pattern(TOOL_NAME), ""),
        optional("description", Text, ""),
        optional("strict", Flag, "Whether calls always have arguments as the schema says."),
        optional("parameters", Map, "The JSON schema of the arguments."),
    ]],
};

const CHOICE: Kind = AnyOf(&[Words(&["none", "auto", "required"]), Kind::Object(&NAMED_TOOL)]);

pub(super) static NAMED_TOOL: Object = Object {
    name: "ResponseNamedTool",
    fields: &[&[
        needed("type", Words(&["function"]), ""),
        needed("name", Text, "One of the `tools`."),
    ]],
};
