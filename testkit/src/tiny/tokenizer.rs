//! The tokenizers that the tiny models share, as GGUF has them.

use super::{Case, Output, array, integer, json, root, string};
use serde_json::Value;
use std::path::PathBuf;

/// The files in [`folder`].
pub(super) const FILES: [&str; 2] = ["tokenizer.json", "tokenizer_config.json"];

/// GGUF's type of a token of the text.
const NORMAL: i32 = 1;
/// GGUF's type of a token that no text yields.
const CONTROL: i32 = 3;

/// Where the tokenizer of `case` is.
pub(super) fn folder(case: &Case) -> PathBuf {
    root().join(match case.output {
        Output::Logits => "tokenizer_bytes",
        Output::Hidden => "tokenizer_words",
    })
}

/// The arrays of a tokenizer in GGUF.
pub(super) struct Lists {
    pub(super) tokens: Vec<String>,
    pub(super) types: Vec<i32>,
    /// Byte-level BPE only.
    pub(super) merges: Option<Vec<String>>,
}

impl Lists {
    pub(super) fn of(case: &Case) -> Self {
        let file = json(&folder(case).join(FILES[0]));
        let added = array(&file["added_tokens"]);
        let vocabulary = file["model"]["vocab"].as_object().expect("a vocabulary");
        let mut tokens = vec![String::new(); vocabulary.len()];
        for (token, id) in vocabulary {
            tokens[integer(id)] = token.clone();
        }
        let mut types = vec![NORMAL; tokens.len()];
        for token in added {
            types[integer(&token["id"])] = CONTROL;
        }
        if case.output == Output::Hidden {
            let pairs = tokens.iter_mut().zip(&types).filter(|(_, ty)| **ty == NORMAL);
            pairs.for_each(|(token, _)| *token = marked(token));
        }
        let merges =
            file["model"]["merges"].as_array().map(|list| list.iter().map(merge).collect());
        Lists { tokens, types, merges }
    }
}

/// GGUF marks the pieces that begin a word, WordPiece those that go on.
fn marked(token: &str) -> String {
    token.strip_prefix("##").map_or_else(|| format!("\u{2581}{token}"), str::to_owned)
}

fn merge(pair: &Value) -> String {
    format!("{} {}", string(&pair[0]), string(&pair[1]))
}
