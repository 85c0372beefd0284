//! The server's own routes, the models and llama.cpp's, as tables.

use crate::embeddings::MOST_TEXTS;
use crate::energy::ENERGY;
use crate::openai::embeddings::schema::USAGE;
use crate::openai::schema::{MODEL, URGENCY};
use crate::schema::Kind::{AnyOf, Bounded, Flag, Integer, List, Only, OrNull, Text, Words};
use crate::schema::{COUNT, Field, Kind, Object, REAL, needed, optional, sometimes};

pub(super) static TOKENIZE: Object = Object {
    name: "TokenizeRequest",
    fields: &[
        &MODEL,
        &[
            needed("content", Text, ""),
            optional("add_special", Flag, "Whether there is what begins and ends a text."),
            optional("parse_special", Flag, "Whether names of control tokens are these; true."),
            optional("with_pieces", Flag, "Whether the text of each token is told."),
        ],
    ],
};

pub(super) static TOKENS: Object = Object {
    name: "TokenizeReply",
    fields: &[&[needed("tokens", List(&AnyOf(&[COUNT, Kind::Object(&PIECE)])), "")]],
};

static PIECE: Object = Object {
    name: "TokenPiece",
    fields: &[&[
        needed("id", COUNT, ""),
        needed("piece", AnyOf(&[Text, List(&Integer(0, 255))]), "Bytes, where it is no text."),
    ]],
};

pub(super) static DETOKENIZE: Object = Object {
    name: "DetokenizeRequest",
    fields: &[&MODEL, &[needed("tokens", List(&Integer(0, u32::MAX as i64)), "")]],
};

pub(super) static CONTENT: Object =
    Object { name: "DetokenizeReply", fields: &[&[needed("content", Text, "")]] };

pub(super) static RERANK: Object = Object {
    name: "RerankRequest",
    fields: &[
        &MODEL,
        &[
            needed("query", Text, ""),
            needed("documents", Bounded(&A_DOCUMENT, 1, MOST_TEXTS), ""),
            optional("top_n", Integer(1, u32::MAX as i64), "How many of the best are told."),
            optional("return_documents", Flag, "Whether their texts are told again."),
            optional("user", Text, "Changes nothing."),
        ],
        &URGENCY,
    ],
};

const A_DOCUMENT: Kind = AnyOf(&[Text, Kind::Object(&DOCUMENT)]);

pub(super) static DOCUMENT: Object =
    Object { name: "Document", fields: &[&[needed("text", Text, "")]] };

pub(super) static RANKED: Object = Object {
    name: "RerankReply",
    fields: &[&[
        needed("id", Text, ""),
        needed("object", Words(&["list"]), ""),
        needed("model", Text, ""),
        needed("results", List(&Kind::Object(&RESULT)), "The best first."),
        needed("usage", Kind::Object(&USAGE), ""),
    ]],
};

static RESULT: Object = Object {
    name: "RerankResult",
    fields: &[&[
        needed("index", COUNT, "Which of the documents."),
        needed("relevance_score", REAL, ""),
        sometimes("document", Kind::Object(&RANKED_DOCUMENT), ""),
    ]],
};

static RANKED_DOCUMENT: Object =
    Object { name: "RankedDocument", fields: &[&[needed("text", Text, "")]] };

pub(super) static MODELS: Object = Object {
    name: "ModelList",
    fields: &[&[
        needed("object", Words(&["list"]), ""),
        needed("data", List(&Kind::Object(&ONE)), ""),
        needed("has_more", Only(false), ""),
    ]],
};

pub(super) static ONE: Object = Object {
    name: "Model",
    fields: &[&[
        needed("id", Text, ""),
        needed("parent", OrNull(&Text), "Of an adapter: the model that it is for."),
        needed("object", Words(&["model"]), ""),
        needed("created", COUNT, "Seconds since 1970: when the server began."),
        needed("owned_by", Text, ""),
        needed("type", Words(&["model"]), ""),
        needed("display_name", Text, ""),
        needed("created_at", Text, "The same as `created`, in words of RFC 3339."),
        needed("max_model_len", OrNull(&COUNT), "Tokens of its context, once it was loaded."),
    ]],
};

pub(super) static SHORT: Object =
    Object { name: "Status", fields: &[&[needed("status", STATUS, "")]] };

const STATUS: Kind = Words(&["ok", "degraded", "loading", "stuck", "failed"]);

pub(super) static HEALTH: Object = Object {
    name: "Health",
    fields: &[
        &OF_MODEL,
        &[
            needed("backend", Text, ""),
            needed("memory_budget_bytes", COUNT, ""),
            needed("uptime_seconds", COUNT, ""),
            needed("version", Text, ""),
            needed("energy", Kind::Object(&ENERGY), "Of all models."),
            needed("models", List(&Kind::Object(&MODEL_HEALTH)), ""),
            sometimes("traces", Kind::Object(&TRACES), "Where there is a collector."),
        ],
    ],
};

static TRACES: Object = Object {
    name: "TracesHealth",
    fields: &[&[
        needed("sent", COUNT, "Spans."),
        needed("dropped", COUNT, "Spans."),
        needed("failure", OrNull(&Text), "Why the last ones could not be sent."),
    ]],
};

static MODEL_HEALTH: Object = Object { name: "ModelHealth", fields: &[&OF_MODEL] };

static OF_MODEL: [Field; 19] = [
    needed("status", STATUS, ""),
    needed("model", Text, ""),
    needed("stage", Text, "Whether it is loaded, and what it waits for."),
    needed("adapters", List(&Text), "Names that ask for them."),
    needed("pinned", Flag, "Whether it is to stay."),
    needed("priority", Integer(i32::MIN as i64, i32::MAX as i64), ""),
    needed("unloads_in_seconds", OrNull(&COUNT), ""),
    needed("memory_bytes", OrNull(&COUNT), ""),
    needed("kernels", OrNull(&Text), ""),
    needed("threads", OrNull(&COUNT), ""),
    needed("weights", OrNull(&Text), "Where they are read from."),
    needed("context", OrNull(&COUNT), "In tokens."),
    needed("running", COUNT, "Answers that are being written."),
    needed("queued", COUNT, ""),
    needed("cache", Kind::Object(&CACHE), ""),
    needed("speculation", Kind::Object(&SPECULATION), ""),
    needed("degradations", List(&Kind::Object(&DEGRADATION)), "What is not as it should be."),
    needed("failure", OrNull(&Text), ""),
    needed("step_seconds", OrNull(&REAL), "How long the pass takes that runs now."),
];

static CACHE: Object = Object {
    name: "CacheHealth",
    fields: &[&[
        needed("pages", COUNT, ""),
        needed("pages_used", COUNT, ""),
        needed("pages_cached", COUNT, ""),
    ]],
};

static SPECULATION: Object = Object {
    name: "SpeculationHealth",
    fields: &[&[
        needed("drafted_tokens", COUNT, ""),
        needed("acceptance", OrNull(&REAL), "The share that was right."),
        needed("draft_model", OrNull(&Kind::Object(&DRAFT_MODEL)), ""),
    ]],
};

static DRAFT_MODEL: Object = Object {
    name: "DraftModelHealth",
    fields: &[&[
        needed("state", Words(&["asked", "resting", "failed"]), ""),
        needed("passes", COUNT, ""),
        needed("drafted_tokens", COUNT, ""),
        needed("acceptance", OrNull(&REAL), "The share that was right."),
    ]],
};

static DEGRADATION: Object = Object {
    name: "Degradation",
    fields: &[&[needed("what", Text, ""), needed("reason", Text, "")]],
};
