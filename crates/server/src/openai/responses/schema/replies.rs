//! Responses of `/v1/responses` as tables.

use crate::energy::USED;
use crate::schema::Kind::{Any, AnyOf, Flag, List, Map, Null, Only, OrNull, Text, Words};
use crate::schema::{COUNT, Field, Kind, Object, REAL, needed, sometimes};

pub(in crate::openai) static RESPONSE: Object = Object { name: "Response", fields: &[&OWN, &ECHO] };

static OWN: [Field; 10] = [
    needed("id", Text, ""),
    needed("object", Words(&["response"]), ""),
    needed("created_at", COUNT, "Seconds since 1970."),
    needed("status", Words(&["in_progress", "completed", "incomplete", "failed"]), ""),
    needed("error", OrNull(&Kind::Object(&ERROR)), ""),
    needed("incomplete_details", OrNull(&Kind::Object(&WHY)), ""),
    needed("model", Text, ""),
    needed("output", List(&ITEM), ""),
    needed("usage", OrNull(&Kind::Object(&USAGE)), "`null` while it is written."),
    sometimes("completed_at", COUNT, "Seconds since 1970."),
];

/// What repeats the request.
static ECHO: [Field; 14] = [
    needed("background", Only(false), ""),
    needed("truncation", Words(&["disabled"]), ""),
    needed("instructions", OrNull(&Text), ""),
    needed("max_output_tokens", OrNull(&COUNT), ""),
    needed("metadata", Map, ""),
    needed("parallel_tool_calls", Flag, ""),
    needed("previous_response_id", OrNull(&Text), ""),
    needed("reasoning", Kind::Object(&REASONING), ""),
    needed("store", Flag, ""),
    needed("temperature", REAL, ""),
    needed("text", Kind::Object(&FORMAT), ""),
    needed("tool_choice", AnyOf(&[Text, Map]), ""),
    needed("tools", List(&Map), ""),
    needed("top_p", REAL, ""),
];

static ERROR: Object = Object {
    name: "ResponseError",
    fields: &[&[needed("code", OrNull(&Text), ""), needed("message", Text, "")]],
};

static WHY: Object = Object {
    name: "IncompleteDetails",
    fields: &[&[needed("reason", Words(&["max_output_tokens"]), "")]],
};

static REASONING: Object = Object {
    name: "ReasoningEcho",
    fields: &[&[needed("effort", OrNull(&Text), ""), needed("summary", Null, "")]],
};

static FORMAT: Object = Object { name: "TextEcho", fields: &[&[needed("format", Map, "")]] };

static USAGE: Object = Object {
    name: "ResponseUsage",
    fields: &[&[
        needed("input_tokens", COUNT, ""),
        needed("input_tokens_details", Kind::Object(&INPUT_DETAILS), ""),
        needed("output_tokens", COUNT, ""),
        needed("output_tokens_details", Kind::Object(&OUTPUT_DETAILS), ""),
        needed("total_tokens", COUNT, ""),
        sometimes("energy", Kind::Object(&USED), "Where power is measured."),
    ]],
};

static INPUT_DETAILS: Object = Object {
    name: "InputTokensDetails",
    fields: &[&[needed("cached_tokens", COUNT, "Those that were in the cache.")]],
};

static OUTPUT_DETAILS: Object =
    Object { name: "OutputTokensDetails", fields: &[&[needed("reasoning_tokens", COUNT, "")]] };

const ITEM: Kind = AnyOf(&[Kind::Object(&THOUGHT), Kind::Object(&MESSAGE), Kind::Object(&CALL)]);

/// What all items have.
static ABOUT: [Field; 2] = [
    needed("id", Text, ""),
    needed("status", Words(&["in_progress", "completed", "incomplete"]), ""),
];

static THOUGHT: Object = Object {
    name: "OutputReasoning",
    fields: &[
        &ABOUT,
        &[
            needed("type", Words(&["reasoning"]), ""),
            needed("summary", List(&Any), "Empty."),
            needed("content", List(&Kind::Object(&THOUGHT_PART)), ""),
        ],
    ],
};

static THOUGHT_PART: Object = Object {
    name: "OutputReasoningPart",
    fields: &[&[needed("type", Words(&["reasoning_text"]), ""), needed("text", Text, "")]],
};

static MESSAGE: Object = Object {
    name: "OutputMessage",
    fields: &[
        &ABOUT,
        &[
            needed("type", Words(&["message"]), ""),
            needed("role", Words(&["assistant"]), ""),
            needed("content", List(&Kind::Object(&PART)), ""),
        ],
    ],
};

static PART: Object = Object {
    name: "OutputText",
    fields: &[&[
        needed("type", Words(&["output_text"]), ""),
        needed("text", Text, ""),
        needed("annotations", List(&Any), "Empty."),
        needed("logprobs", List(&Any), "Empty."),
    ]],
};

static CALL: Object = Object {
    name: "OutputFunctionCall",
    fields: &[
        &ABOUT,
        &[
            needed("type", Words(&["function_call"]), ""),
            needed("call_id", OrNull(&Text), ""),
            needed("name", OrNull(&Text), ""),
            needed("arguments", Text, "JSON, unless the answer was cut."),
        ],
    ],
};

/// What a stream tells.
pub(in crate::openai) const EVENT: Kind = AnyOf(&[
    Kind::Object(&WHOLE_EVENT),
    Kind::Object(&ITEM_EVENT),
    Kind::Object(&PART_EVENT),
    Kind::Object(&DELTA_EVENT),
    Kind::Object(&DONE_EVENT),
]);

const SEQUENCE: Field = needed("sequence_number", COUNT, "");

static WHOLE_EVENT: Object = Object {
    name: "ResponseEvent",
    fields: &[&[
        needed("type", Words(&WHOLE), ""),
        SEQUENCE,
        needed("response", Kind::Object(&RESPONSE), ""),
    ]],
};

const WHOLE: [&str; 5] = [
    "response.created",
    "response.in_progress",
    "response.completed",
    "response.incomplete",
    "response.failed",
];

static ITEM_EVENT: Object = Object {
    name: "OutputItemEvent",
    fields: &[&[
        needed("type", Words(&["response.output_item.added", "response.output_item.done"]), ""),
        SEQUENCE,
        needed("output_index", COUNT, ""),
        needed("item", ITEM, ""),
    ]],
};

static PART_EVENT: Object = Object {
    name: "ContentPartEvent",
    fields: &[
        &[needed(
            "type",
            Words(&["response.content_part.added", "response.content_part.done"]),
            "",
        )],
        &PLACE,
        &[needed("content_index", COUNT, ""), needed("part", Kind::Object(&PART), "")],
    ],
};

/// Where something belongs.
static PLACE: [Field; 3] =
    [SEQUENCE, needed("item_id", Text, ""), needed("output_index", COUNT, "")];

/// What events of texts have beside those of calls.
static OF_TEXTS: [Field; 2] =
    [sometimes("content_index", COUNT, ""), sometimes("logprobs", List(&Any), "Empty.")];

static DELTA_EVENT: Object = Object {
    name: "DeltaEvent",
    fields: &[&[needed("type", Words(&DELTAS), ""), needed("delta", Text, "")], &PLACE, &OF_TEXTS],
};

const DELTAS: [&str; 3] = [
    "response.reasoning_text.delta",
    "response.output_text.delta",
    "response.function_call_arguments.delta",
];

static DONE_EVENT: Object = Object {
    name: "DoneEvent",
    fields: &[
        &[
            needed("type", Words(&DONE), ""),
            sometimes("text", Text, ""),
            sometimes("arguments", Text, ""),
        ],
        &PLACE,
        &OF_TEXTS,
    ],
};

const DONE: [&str; 3] = [
    "response.reasoning_text.done",
    "response.output_text.done",
    "response.function_call_arguments.done",
];

pub(in crate::openai) static ITEMS: Object = Object {
    name: "InputItems",
    fields: &[&[
        needed("object", Words(&["list"]), ""),
        needed("first_id", OrNull(&Text), ""),
        needed("last_id", OrNull(&Text), ""),
        needed("has_more", Only(false), ""),
        needed("data", List(&Map), "What came with the request."),
    ]],
};

pub(in crate::openai) static REMOVED: Object = Object {
    name: "RemovedResponse",
    fields: &[&[
        needed("id", Text, ""),
        needed("object", Words(&["response"]), ""),
        needed("deleted", Only(true), ""),
    ]],
};
