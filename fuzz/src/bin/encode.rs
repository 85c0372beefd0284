//! Hostile text through a byte-level vocabulary that can spell every byte: it comes back as it was,
//! whole and as a stream, and never as a control token.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rushlight_text::{DecodeOptions, EncodeOptions, StreamDecoder};
use rushlight_text::{Tokenizer, VocabKind, VocabParts};
use std::sync::LazyLock;

/// Pre-tokenizers that cut in different ways.
const PRE: [&str; 8] =
    ["gpt-2", "smollm", "llama-bpe", "qwen2", "gpt-4o", "tekken", "deepseek-llm", "deepseek-v3"];

static TOKENIZERS: LazyLock<Vec<Tokenizer>> =
    LazyLock::new(|| PRE.iter().map(|pre| tokenizer(pre)).collect());

fn tokenizer(pre: &str) -> Tokenizer {
    let bytes: Vec<String> = (0..=255).map(|byte| spelling(byte).to_string()).collect();
    let pairs = [("Ġ", "a"), ("a", "b"), ("Ġa", "b"), ("1", "2"), ("Ã", "©"), ("Ċ", "Ċ")];
    let merged: Vec<String> = pairs.iter().map(|(left, right)| format!("{left}{right}")).collect();
    let merges: Vec<String> = pairs.iter().map(|(left, right)| format!("{left} {right}")).collect();
    let mut tokens = vec!["<s>", "</s>", "<|im_end|>"];
    tokens.extend(bytes.iter().chain(&merged).map(String::as_str));
    let mut token_types = vec![1; tokens.len()];
    token_types[..3].fill(3);
    Tokenizer::from_parts(VocabParts {
        kind: VocabKind::Bpe,
        tokens,
        token_types,
        merges: merges.iter().map(String::as_str).collect(),
        pre: Some(pre),
        bos: Some(0),
        eos: Some(1),
        ..VocabParts::default()
    })
    .expect("the vocabulary is sound")
}

/// The character that stands for a byte in byte-level vocabularies (GPT-2's `bytes_to_unicode`).
fn spelling(byte: u8) -> char {
    let printable = |byte: u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    if printable(byte) {
        return char::from(byte);
    }
    let before = (0..byte).filter(|other| !printable(*other)).count();
    char::from_u32(256 + before as u32).expect("below the surrogates")
}

fuzz_target!(|input: (u8, &str)| {
    let (choice, text) = input;
    let tokenizer = &TOKENIZERS[usize::from(choice) % TOKENIZERS.len()];
    let user = EncodeOptions { special: false, parse_special: false };
    let ids = tokenizer.encode(text, user).expect("a vocabulary that has every byte");
    assert!(ids.iter().all(|id| !tokenizer.is_control(*id)), "{text:?} became {ids:?}");
    assert_eq!(tokenizer.decode(&ids, DecodeOptions::default()), text);
    let mut decoder = StreamDecoder::new();
    let mut streamed = String::new();
    for id in ids {
        streamed.push_str(decoder.push(tokenizer, id));
    }
    streamed.push_str(decoder.finish());
    assert_eq!(streamed, text);
    let _ = tokenizer.encode(text, EncodeOptions { special: true, parse_special: true });
});
