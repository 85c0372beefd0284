//! The logarithms of probabilities of tokens, in the two shapes that the API has.

use rushlight_text::Tokenizer;
use serde_json::{Map, Value, json};

use crate::answers::Token;

/// Those of a chat: the entries of `logprobs.content`.
pub(super) fn of_chat(tokenizer: &Tokenizer, tokens: &[Token]) -> Value {
    let entry = |id: u32, log_probability: f32| {
        let bytes = tokenizer.token_bytes(id);
        json!({
            "token": String::from_utf8_lossy(&bytes),
            "logprob": finite(log_probability),
            "bytes": bytes,
        })
    };
    let content = tokens.iter().map(|token| {
        let likeliest = token.likeliest.iter().map(|(id, p)| entry(*id, *p));
        let likeliest: Vec<Value> = likeliest.collect();
        let chosen = entry(token.choice.token, token.choice.log_probability);
        super::put(chosen, "top_logprobs", Value::Array(likeliest))
    });
    json!({ "content": content.collect::<Vec<Value>>(), "refusal": null })
}

/// Those of a completion. `offset` is where in the text the tokens begin, in characters, and is moved
/// to where they end.
pub(super) fn of_completion(tokenizer: &Tokenizer, tokens: &[Token], offset: &mut usize) -> Value {
    let text = |id: u32| String::from_utf8_lossy(&tokenizer.token_bytes(id)).into_owned();
    let mut offsets = Vec::with_capacity(tokens.len());
    let mut likeliest = Vec::with_capacity(tokens.len());
    for token in tokens {
        offsets.push(*offset);
        *offset += text(token.choice.token).chars().count();
        // The chosen token is told in any case.
        let chosen = (token.choice.token, token.choice.log_probability);
        let all = token.likeliest.iter().copied().chain([chosen]);
        let all: Map<String, Value> = all.map(|(id, p)| (text(id), finite(p))).collect();
        likeliest.push(Value::Object(all));
    }
    json!({
        "tokens": tokens.iter().map(|token| text(token.choice.token)).collect::<Vec<_>>(),
        "token_logprobs":
            tokens.iter().map(|token| finite(token.choice.log_probability)).collect::<Vec<_>>(),
        "top_logprobs": likeliest,
        "text_offset": offsets,
    })
}

/// JSON has no infinity; the API says -9999 for what cannot be.
fn finite(log_probability: f32) -> Value {
    json!(f64::from(log_probability).max(-9999.0))
}
