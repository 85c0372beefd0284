//! What requests and responses of OpenAI's API share, as tables.

use super::chat::MOST_LIKELIEST;
use super::parameters::{MOST_ANSWERS, MOST_DEADLINE_MS, MOST_STOP_BYTES, MOST_STOPS};
use super::tools::MOST_NAME;
use crate::energy::USED;
use crate::schema::Kind::{
    AnyOf, Bounded, Flag, Integer, List, Map, MapOf, Null, Number, Only, OrNull, Pattern, Sized,
    Text, Words,
};
use crate::schema::{COUNT, Field, Kind, Object, REAL, needed, optional, sometimes};
use crate::tools::MOST_TOOLS;

/// Which model is asked; without a word the first.
pub(crate) static MODEL: [Field; 1] =
    [optional("model", Text, "A name of one of the models; without one the first.")];

/// A number of tokens in a request, from 1 on.
pub(crate) const TOKENS: Kind = Integer(1, u32::MAX as i64);

/// What ends an answer.
pub(crate) const STOPS: Kind = AnyOf(&[STOP, Bounded(&STOP, 0, MOST_STOPS)]);
const STOP: Kind = Sized(1, MOST_STOP_BYTES);

/// Parameters that chats and completions share.
pub(super) static PARAMETERS: [Field; 20] = [
    optional("stream", Flag, "Whether the answer is told as it is written."),
    optional("stream_options", Kind::Object(&STREAM_OPTIONS), "Only with `stream: true`."),
    optional("max_tokens", TOKENS, "Tokens of an answer, at most."),
    optional("n", Integer(1, MOST_ANSWERS), "Answers to each prompt."),
    optional("temperature", Number(0.0, 2.0), "1 without a word; 0 takes the likeliest token."),
    optional("top_p", Number(0.0, 1.0), ""),
    optional("top_k", Integer(-1, u32::MAX as i64), "0 and -1 are all."),
    optional("min_p", Number(0.0, 1.0), ""),
    optional("typical_p", Number(0.0, 1.0), ""),
    optional("repeat_penalty", Number(0.01, 100.0), "The same as `repetition_penalty`."),
    optional("repetition_penalty", Number(0.01, 100.0), ""),
    optional("presence_penalty", Number(-2.0, 2.0), ""),
    optional("frequency_penalty", Number(-2.0, 2.0), ""),
    optional("seed", Integer(i64::MIN, i64::MAX), "Another one each time without a word."),
    optional("logit_bias", MapOf(&Number(-100.0, 100.0)), "By the numbers of tokens."),
    optional("stop", STOPS, "Texts that end an answer."),
    optional("ignore_eos", Flag, "Whether the answer goes on where the model would end it."),
    optional("grammar", Text, "What the answer must look like, in GBNF."),
    optional("guided_regex", Text, "What the answer must look like, as a regular expression."),
    optional("service_tier", Words(&["auto", "default"]), "Changes nothing."),
];

/// How urgent a request is.
pub(crate) static URGENCY: [Field; 2] = [
    optional("priority", Integer(i32::MIN as i64, i32::MAX as i64), "Greater ones come first."),
    optional(
        "deadline_ms",
        Integer(1, MOST_DEADLINE_MS),
        "Milliseconds until it must be complete.",
    ),
];

/// Parameters that change no answer.
pub(super) static IGNORED: [Field; 4] = [
    optional("user", Text, "Changes nothing."),
    optional("metadata", Map, "Changes nothing."),
    optional("parallel_tool_calls", Flag, "Whether a model may call several tools at once."),
    optional("store", Only(false), "Nothing is stored."),
];

pub(super) static STREAM_OPTIONS: Object = Object {
    name: "StreamOptions",
    fields: &[&[optional("include_usage", Flag, "Whether the stream ends with what it took.")]],
};

/// Tools of a request.
pub(crate) const TOOLS: Kind = Bounded(&Kind::Object(&TOOL), 0, MOST_TOOLS);

pub(super) static TOOL: Object = Object {
    name: "Tool",
    fields: &[&[
        needed("type", Words(&["function"]), ""),
        needed("function", Kind::Object(&TOOL_FUNCTION), ""),
    ]],
};

pub(super) static TOOL_FUNCTION: Object = Object {
    name: "ToolFunction",
    fields: &[&[
        needed("name", Pattern(TOOL_NAME), ""),
        optional("description", Text, ""),
        optional("strict", Flag, "Whether calls always have arguments as the schema says."),
        optional("parameters", Map, "The JSON schema of the arguments."),
    ]],
};

/// Names of tools, of at most [`MOST_NAME`] letters.
pub(super) const TOOL_NAME: &str = "^[A-Za-z0-9_.-]{1,64}$";
const _: () = assert!(MOST_NAME == 64);

/// Which tool is to be called.
pub(super) const TOOL_CHOICE: Kind =
    AnyOf(&[Words(&["none", "auto", "required"]), Kind::Object(&NAMED_TOOL)]);

pub(super) static NAMED_TOOL: Object = Object {
    name: "NamedTool",
    fields: &[&[
        needed("type", Words(&["function"]), ""),
        needed("function", Kind::Object(&NAMED_FUNCTION), ""),
    ]],
};

pub(super) static NAMED_FUNCTION: Object =
    Object { name: "NamedFunction", fields: &[&[needed("name", Text, "One of the `tools`.")]] };

/// A parameter of chats that asks for the likeliest tokens.
pub(super) const LIKELIEST: Kind = Integer(0, MOST_LIKELIEST);

/// The fields that every response has but its choices.
pub(super) const fn envelope(object: Kind) -> [Field; 5] {
    [
        needed("id", Text, ""),
        needed("object", object, ""),
        needed("created", COUNT, "Seconds since 1970."),
        needed("model", Text, ""),
        needed("system_fingerprint", Text, "The server's version and its kernels."),
    ]
}

pub(super) static USAGE: Object = Object {
    name: "Usage",
    fields: &[&[
        needed("prompt_tokens", COUNT, ""),
        needed("completion_tokens", COUNT, ""),
        needed("total_tokens", COUNT, ""),
        needed("prompt_tokens_details", Kind::Object(&PROMPT_DETAILS), ""),
        needed("completion_tokens_details", Kind::Object(&ANSWER_DETAILS), ""),
        sometimes("energy", Kind::Object(&USED), "Where power is measured."),
    ]],
};

static PROMPT_DETAILS: Object = Object {
    name: "PromptTokensDetails",
    fields: &[&[needed("cached_tokens", COUNT, "Those that were in the cache.")]],
};

static ANSWER_DETAILS: Object =
    Object { name: "CompletionTokensDetails", fields: &[&[needed("reasoning_tokens", COUNT, "")]] };

pub(super) static CHAT_LIKELIHOODS: Object = Object {
    name: "ChatLogprobs",
    fields: &[&[
        needed("content", List(&Kind::Object(&TOKEN)), "One for each token."),
        needed("refusal", Null, ""),
    ]],
};

static TOKEN: Object = Object {
    name: "TokenLogprob",
    fields: &[
        &ALTERNATIVE_FIELDS,
        &[needed("top_logprobs", List(&Kind::Object(&ALTERNATIVE)), "The likeliest.")],
    ],
};

static ALTERNATIVE: Object = Object { name: "TokenAlternative", fields: &[&ALTERNATIVE_FIELDS] };

static ALTERNATIVE_FIELDS: [Field; 3] = [
    needed("token", Text, ""),
    needed("logprob", REAL, ""),
    needed("bytes", List(&Integer(0, 255)), ""),
];

pub(super) static TEXT_LIKELIHOODS: Object = Object {
    name: "CompletionLogprobs",
    fields: &[&[
        needed("tokens", List(&Text), ""),
        needed("token_logprobs", List(&REAL), ""),
        needed("top_logprobs", List(&MapOf(&REAL)), "The likeliest tokens, and the one chosen."),
        needed("text_offset", List(&COUNT), "Where each begins, in characters."),
    ]],
};

/// A failure.
pub(crate) static ERROR: Object =
    Object { name: "OpenAiError", fields: &[&[needed("error", Kind::Object(&ERROR_DETAILS), "")]] };

static ERROR_DETAILS: Object = Object {
    name: "OpenAiErrorDetails",
    fields: &[&[
        needed("message", Text, "What is wrong, for people."),
        needed("type", Words(&ERROR_TYPES), ""),
        needed("param", OrNull(&Text), "The parameter that it is about."),
        needed("code", OrNull(&Text), ""),
    ]],
};

const ERROR_TYPES: [&str; 6] = [
    "rate_limit_error",
    "timeout_error",
    "authentication_error",
    "permission_error",
    "server_error",
    "invalid_request_error",
];
