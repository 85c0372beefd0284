//! Requests of Ollama's API as tables.

pub(crate) mod replies;

use super::generate::UNSUPPORTED;
use super::options::IGNORED;
use super::shared::REFUSED;
use crate::embeddings::MOST_TEXTS;
use crate::openai::schema::{STOPS, TOOLS};
use crate::schema::Kind::{
    Any, AnyOf, Bounded, Empty, Flag, From, Integer, List, Map, Number, Only, Pattern, Text, Words,
};
use crate::schema::{Field, Kind, Object, REAL, all_of, needed, optional};

pub(super) static GENERATE: Object = Object {
    name: "GenerateRequest",
    fields: &[&SHARED, &GENERATE_FIELDS, &MISSING, &MISSING_HERE],
};

pub(super) static CHAT: Object =
    Object { name: "OllamaChatRequest", fields: &[&SHARED, &CHAT_FIELDS, &MISSING] };

static SHARED: [Field; 6] = [
    needed("model", Text, "A name of one of the models."),
    optional("stream", Flag, "Whether the answer is told as it is written; true."),
    optional("keep_alive", KEEP_ALIVE, "How long the model stays; below 0 is for good."),
    optional("format", AnyOf(&[Words(&["json", ""]), Map]), "Any JSON object, or by a schema."),
    optional("think", AnyOf(&[Flag, Words(&["low", "medium", "high", "max"])]), ""),
    optional("options", Kind::Object(&OPTIONS), ""),
];

/// Seconds, or a duration as Go writes it.
const KEEP_ALIVE: Kind =
    AnyOf(&[REAL, Pattern("^-?([0-9]{1,9}|([0-9]+([.][0-9]+)?(h|m|s|ms|us|µs|ns))+)$")]);

static GENERATE_FIELDS: [Field; 3] = [
    optional("prompt", Text, "Without one the model is loaded, or let go."),
    optional("system", Text, ""),
    optional("raw", Flag, "Whether the chat template is left out."),
];

static CHAT_FIELDS: [Field; 2] = [
    optional("messages", List(&MESSAGE), "Without any the model is loaded, or let go."),
    optional("tools", TOOLS, "What the model may call."),
];

static MISSING: [Field; REFUSED.len()] = all_of(REFUSED, Empty, "Not supported.");
static MISSING_HERE: [Field; UNSUPPORTED.len()] = all_of(UNSUPPORTED, Empty, "Not supported.");

const MESSAGE: Kind = AnyOf(&[
    Kind::Object(&PLAIN_MESSAGE),
    Kind::Object(&ASSISTANT_MESSAGE),
    Kind::Object(&TOOL_MESSAGE),
]);

/// What all messages have but their role.
static MESSAGE_FIELDS: [Field; 3] = [
    optional("content", Text, ""),
    optional("thinking", Text, ""),
    optional("images", Empty, "Not supported."),
];

pub(super) static PLAIN_MESSAGE: Object = Object {
    name: "OllamaMessage",
    fields: &[
        &[needed("role", Words(&["system", "user"]), "")],
        &MESSAGE_FIELDS,
        &[
            optional("tool_calls", Empty, ""),
            optional("tool_name", Empty, ""),
            optional("tool_call_id", Empty, ""),
        ],
    ],
};

pub(super) static ASSISTANT_MESSAGE: Object = Object {
    name: "OllamaAssistantMessage",
    fields: &[
        &[needed("role", Words(&["assistant"]), "")],
        &MESSAGE_FIELDS,
        &[
            optional("tool_calls", List(&Kind::Object(&TOOL_CALL)), ""),
            optional("tool_name", Empty, ""),
            optional("tool_call_id", Empty, ""),
        ],
    ],
};

pub(super) static TOOL_MESSAGE: Object = Object {
    name: "OllamaToolMessage",
    fields: &[
        &[needed("role", Words(&["tool"]), "")],
        &MESSAGE_FIELDS,
        &[
            optional("tool_calls", Empty, ""),
            optional("tool_name", Text, ""),
            optional("tool_call_id", Text, ""),
        ],
    ],
};

pub(super) static TOOL_CALL: Object = Object {
    name: "OllamaToolCall",
    fields: &[&[
        optional("id", Text, ""),
        optional("type", Words(&["function"]), ""),
        needed("function", Kind::Object(&CALLED_FUNCTION), ""),
    ]],
};

pub(super) static CALLED_FUNCTION: Object = Object {
    name: "OllamaCalledFunction",
    fields: &[&[
        needed("name", Text, ""),
        optional("arguments", Map, ""),
        optional("index", Integer(0, i64::MAX), "Changes nothing."),
    ]],
};

pub(super) static OPTIONS: Object =
    Object { name: "OllamaOptions", fields: &[&OPTION_FIELDS, &MIROSTAT, &UNUSED] };

static OPTION_FIELDS: [Field; 14] = [
    optional("temperature", Number(0.0, 100.0), "0.8 without a word."),
    optional("top_k", Integer(-1, u32::MAX as i64), "40 without a word; 0 and -1 are all."),
    optional("top_p", Number(0.0, 1.0), "0.9 without a word."),
    optional("min_p", Number(0.0, 1.0), ""),
    optional("typical_p", Number(0.0, 1.0), ""),
    optional("repeat_penalty", Number(0.01, 100.0), "1.1 without a word."),
    optional("repeat_last_n", Integer(-1, u32::MAX as i64), "64 without a word; -1 is all."),
    optional("presence_penalty", Number(-2.0, 2.0), ""),
    optional("frequency_penalty", Number(-2.0, 2.0), ""),
    optional("seed", Integer(i64::MIN, i64::MAX), "-1 is another one each time."),
    optional("stop", STOPS, "Texts that end an answer."),
    optional("num_predict", Integer(-2, u32::MAX as i64), "Tokens of an answer, at most."),
    optional("num_ctx", Integer(1, u32::MAX as i64), "No more than the server's context."),
    optional("penalize_newline", Only(true), ""),
];

/// Ways of sampling that are off.
static MIROSTAT: [Field; 4] = [
    optional("mirostat", Number(0.0, 0.0), "Not supported."),
    optional("tfs_z", Number(1.0, 1.0), "Not supported."),
    optional("mirostat_tau", Any, "Changes nothing."),
    optional("mirostat_eta", Any, "Changes nothing."),
];

static UNUSED: [Field; IGNORED.len()] = all_of(IGNORED, Any, "Changes nothing.");

pub(super) static EMBED: Object = Object {
    name: "EmbedRequest",
    fields: &[
        &EMBED_SHARED,
        &[
            optional(
                "input",
                AnyOf(&[Text, Bounded(&Text, 0, MOST_TEXTS)]),
                "Without any the model is loaded.",
            ),
            optional("truncate", Flag, "Whether what is too long loses its end; true."),
            optional("dimensions", From(1), "Values of each vector, at most."),
        ],
    ],
};

pub(super) static EMBED_ONE: Object = Object {
    name: "OldEmbedRequest",
    fields: &[&EMBED_SHARED, &[optional("prompt", Text, "Without one the model is loaded.")]],
};

static EMBED_SHARED: [Field; 3] = [
    needed("model", Text, "A name of one of the models."),
    optional("keep_alive", KEEP_ALIVE, "How long the model stays; below 0 is for good."),
    optional("options", Kind::Object(&OPTIONS), ""),
];

pub(super) static SHOW: Object = Object {
    name: "ShowRequest",
    fields: &[&[
        optional("model", Text, "A name of one of the models; this or `name` is needed."),
        optional("name", Text, "The older word for `model`."),
        optional("verbose", Flag, "Changes nothing."),
    ]],
};
