//! Responses of Ollama's API as tables.

use crate::energy::USED;
use crate::schema::Kind::{AnyOf, Flag, Integer, List, Map, OrNull, Text, Words};
use crate::schema::{COUNT, Field, Kind, Object, REAL, needed, sometimes};

/// A whole answer of `/api/generate`, and a line of a stream.
pub(in crate::ollama) static GENERATED: Object = Object {
    name: "GenerateReply",
    fields: &[
        &LINE,
        &[needed("response", Text, ""), sometimes("thinking", Text, "What the model thought.")],
        &LAST,
    ],
};

/// A whole answer of `/api/chat`, and a line of a stream.
pub(in crate::ollama) static SAID: Object = Object {
    name: "OllamaChatReply",
    fields: &[&LINE, &[needed("message", Kind::Object(&MESSAGE), "")], &LAST],
};

static LINE: [Field; 3] = [
    needed("model", Text, "As it was asked for."),
    needed("created_at", Text, ""),
    needed("done", Flag, "Whether it is the last."),
];

/// What the last line has.
static LAST: [Field; 8] = [
    sometimes("done_reason", Words(&["stop", "length", "load", "unload"]), ""),
    sometimes("total_duration", COUNT, "Nanoseconds."),
    sometimes("load_duration", COUNT, "Nanoseconds until it left the queue."),
    sometimes("prompt_eval_count", COUNT, "Tokens of the prompt."),
    sometimes("prompt_eval_duration", COUNT, "Nanoseconds from then to the first token."),
    sometimes("eval_count", COUNT, "Tokens of the answer."),
    sometimes("eval_duration", COUNT, "Nanoseconds from the first token on."),
    sometimes("energy", Kind::Object(&USED), "Where power is measured."),
];

static MESSAGE: Object = Object {
    name: "OllamaAnswer",
    fields: &[&[
        needed("role", Words(&["assistant"]), ""),
        needed("content", Text, ""),
        sometimes("thinking", Text, "What the model thought."),
        sometimes("tool_calls", List(&Kind::Object(&CALL)), ""),
    ]],
};

static CALL: Object =
    Object { name: "OllamaCall", fields: &[&[needed("function", Kind::Object(&FUNCTION), "")]] };

static FUNCTION: Object = Object {
    name: "OllamaCallFunction",
    fields: &[&[needed("name", Text, ""), needed("arguments", Map, "")]],
};

pub(in crate::ollama) static EMBEDDED: Object = Object {
    name: "EmbedReply",
    fields: &[&[
        needed("model", Text, "As it was asked for."),
        needed("embeddings", List(&List(&REAL)), "A vector for each text."),
        needed("total_duration", COUNT, "Nanoseconds."),
        needed("load_duration", COUNT, "Nanoseconds."),
        needed("prompt_eval_count", COUNT, "Tokens of all texts."),
    ]],
};

pub(in crate::ollama) static EMBEDDED_ONE: Object =
    Object { name: "OldEmbedReply", fields: &[&[needed("embedding", List(&REAL), "")]] };

pub(in crate::ollama) static TAGS: Object = Object {
    name: "TagsReply",
    fields: &[&[needed("models", List(&Kind::Object(&LISTED)), "The models by all their names.")]],
};

static LISTED: Object = Object { name: "ListedModel", fields: &[&ENTRY] };

static ENTRY: [Field; 6] = [
    needed("name", Text, "With a tag."),
    needed("model", Text, "The same."),
    needed("modified_at", Text, "When the server began."),
    needed("size", COUNT, "Bytes, once it was loaded."),
    needed("digest", Text, "Of its name and size."),
    needed(
        "details",
        AnyOf(&[Kind::Object(&DETAILS), Kind::Object(&NO_DETAILS)]),
        "Empty until it was loaded.",
    ),
];

pub(in crate::ollama) static RUNNING: Object = Object {
    name: "PsReply",
    fields: &[&[needed("models", List(&Kind::Object(&LOADED)), "What is loaded.")]],
};

static LOADED: Object = Object {
    name: "LoadedModel",
    fields: &[
        &ENTRY,
        &[
            needed("expires_at", Text, "When it is let go."),
            needed("size_vram", Integer(0, 0), ""),
            needed("context_length", COUNT, "In tokens."),
        ],
    ],
};

static NO_DETAILS: Object = Object { name: "NoModelDetails", fields: &[] };

static DETAILS: Object = Object {
    name: "ModelDetails",
    fields: &[&[
        needed("parent_model", Text, ""),
        needed("format", Text, ""),
        needed("family", Text, ""),
        needed("families", List(&Text), ""),
        needed("parameter_size", Text, "Such as `134.52M`."),
        needed("quantization_level", OrNull(&Text), "The format of most weights."),
    ]],
};

pub(in crate::ollama) static SHOWN: Object = Object {
    name: "ShowReply",
    fields: &[&[
        needed("license", Text, ""),
        needed("modelfile", Text, "Empty."),
        needed("parameters", Text, "Empty."),
        needed("template", Text, "In Jinja."),
        needed("details", Kind::Object(&DETAILS), ""),
        needed("model_info", Map, "Numbers under the names of GGUF."),
        needed("capabilities", List(&Words(&["completion", "embedding", "tools", "thinking"])), ""),
        needed("modified_at", Text, "When the server began."),
    ]],
};

pub(in crate::ollama) static VERSION: Object =
    Object { name: "VersionReply", fields: &[&[needed("version", Text, "Rushlight's own.")]] };

/// A failure.
pub(crate) static ERROR: Object = Object {
    name: "OllamaError",
    fields: &[&[needed("error", Text, "What is wrong, for people.")]],
};
