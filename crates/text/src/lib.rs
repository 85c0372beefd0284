//! Tokenizers, streaming decode, chat templates.

#![forbid(unsafe_code)]
