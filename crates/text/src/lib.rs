//! Tokenizers, streaming decode, chat templates, constrained output, tool calls.
//!
//! A [`Tokenizer`] is made from what a GGUF file says ([`VocabParts`]) or from `tokenizer.json`; a
//! [`ChatTemplate`] turns [`Message`]s into a prompt; a [`StreamDecoder`] gives text as tokens
//! arrive. [`constrain`] says which tokens may come next in an answer that follows a schema or a
//! grammar; [`tools`] finds the calls of tools in an answer. Text of users and text of templates are told apart when they are encoded: only the
//! latter may spell control tokens.
//!
//! ```
//! use rushlight_text::{EncodeOptions, Tokenizer, VocabKind, VocabParts};
//!
//! let tokenizer = Tokenizer::from_parts(VocabParts {
//!     kind: VocabKind::Bpe,
//!     tokens: vec!["<|im_end|>", "a", "b", "ab", "Ġ"],
//!     token_types: vec![3, 1, 1, 1, 1],
//!     merges: vec!["a b"],
//!     pre: Some("gpt-2"),
//!     ..VocabParts::default()
//! })?;
//! assert_eq!(tokenizer.encode("ab a", EncodeOptions::default())?, [3, 4, 1]);
//! assert!(tokenizer.is_end(0));
//! # Ok::<(), rushlight_text::Error>(())
//! ```

#![forbid(unsafe_code)]
#![deny(clippy::indexing_slicing)]

mod added;
mod alphabet;
mod bpe;
mod chat;
pub mod constrain;
mod ends;
mod error;
mod fallback;
mod hash;
mod json;
mod marks;
mod merge;
mod model;
mod normalize;
mod parts;
mod reasoning;
mod split;
mod spm;
mod stream;
mod table;
mod tokenizer;
pub mod tools;
mod vocab;
mod wordpiece;

pub use chat::{Builtin, ChatTemplate, FunctionCall, Message, RenderOptions, ToolCall};
pub use error::{Error, ErrorKind};
pub use parts::{VocabKind, VocabParts};
pub use reasoning::{ReasoningFilter, ReasoningMarks, Thought};
pub use stream::StreamDecoder;
pub use tokenizer::{DecodeOptions, EncodeOptions, EncodedPair, Tokenizer};
