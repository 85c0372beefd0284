//! Vocabularies, patterns and texts that are hostile (classes T1 to T4): errors or ids, soon, on a
//! small stack.

use std::time::{Duration, Instant};

use rushlight_text::{
    DecodeOptions, EncodeOptions, ErrorKind, StreamDecoder, Tokenizer, VocabKind, VocabParts,
};
use serde_json::{Value, json};

fn from_json(value: &Value) -> Result<Tokenizer, rushlight_text::Error> {
    Tokenizer::from_json(value.to_string().as_bytes(), None)
}

/// A byte-level BPE of `a`, `b`, runs of them and a space, with one change.
fn tokenizer_json(change: impl FnOnce(&mut Value)) -> Value {
    let mut value = json!({
        "added_tokens": [
            {"id": 9, "content": "<|end|>", "special": true},
            {"id": 10, "content": "<tool>", "special": false},
        ],
        "normalizer": null,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "use_regex": true},
        "post_processor": null,
        "decoder": {"type": "ByteLevel"},
        "model": {
            "type": "BPE",
            "vocab": {"a": 0, "b": 1, "Ġ": 2, "aa": 3, "aaaa": 4, "ab": 5, "Ġa": 6, "^": 7, "^^": 8},
            "merges": ["a a", "aa aa", "a b", "Ġ a", "^ ^"],
        },
    });
    change(&mut value);
    value
}

fn soon<T>(name: &str, what: impl FnOnce() -> T) -> T {
    let began = Instant::now();
    let out = what();
    // A bound of work, not of speed: quadratic work on this much takes hours.
    assert!(began.elapsed() < Duration::from_secs(60), "{name}: {:?}", began.elapsed());
    out
}

/// T1: patterns that backtrack.
#[test]
fn catastrophic_patterns_end() {
    let split = |regex: &str| {
        tokenizer_json(|value| {
            value["pre_tokenizer"] = json!({"type": "Sequence", "pretokenizers": [
                {"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated"},
                {"type": "ByteLevel", "add_prefix_space": false, "use_regex": false},
            ]});
        })
    };
    let text = "a".repeat(30_000) + "b";
    // Regular ones are linear however they look.
    for regex in ["(a+)+$", "(a|aa)+c", "(.*)*x", r"(a*)*\s+(?!\S)|\s+"] {
        let tokenizer = from_json(&split(regex)).unwrap();
        let ids = soon(regex, || tokenizer.encode(&text, EncodeOptions::default()));
        match ids {
            Ok(ids) => assert_eq!(tokenizer.decode(&ids, DecodeOptions::default()), text),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Pattern, "{regex}"),
        }
    }
    // Those that look around are stopped.
    for regex in [r"(?:(a+)\1?)+(?!b)c|d", r"(?:(a|aa)\1?)+(?<!a)"] {
        let tokenizer = from_json(&split(regex)).unwrap();
        let error = soon(regex, || tokenizer.encode(&text, EncodeOptions::default())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Pattern, "{regex}: {error}");
    }
    // Those that are no patterns are refused.
    for regex in [
        "(",
        "[",
        "a{1000000}{1000000}",
        &"(".repeat(8000),
        &"(?=".repeat(5000),
        &"[".repeat(16_000),
        &"a?".repeat(100_000),
    ] {
        let error = soon("compile", || from_json(&split(regex))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Pattern, "{:.20}: {error}", regex);
    }
}

/// T2: a quarter of a megabyte that is one word, whatever the model.
#[test]
fn long_runs_are_linear() {
    let bpe = from_json(&tokenizer_json(|_| ())).unwrap();
    let spm = Tokenizer::from_parts(VocabParts {
        kind: VocabKind::Spm,
        tokens: vec!["<unk>", "<s>", "</s>", "▁", "a", "aa", "aaaa", "^", "^^", "b"],
        scores: vec![0.0, 0.0, 0.0, -1.0, -2.0, -3.0, -4.0, -2.0, -3.0, -9.0],
        token_types: vec![2, 3, 3, 1, 1, 1, 1, 1, 1, 1],
        ..VocabParts::default()
    })
    .unwrap();
    let bert = Tokenizer::from_parts(VocabParts {
        kind: VocabKind::WordPiece,
        tokens: vec!["[UNK]", "▁a", "a", "aa", "▁^", "^", "b"],
        unk: Some(0),
        ..VocabParts::default()
    })
    .unwrap();
    let texts = [
        "^".repeat(250_000),
        "a".repeat(250_000),
        "ab".repeat(125_000),
        " ".repeat(250_000),
        " ".repeat(249_999) + "a",
        "\n ".repeat(125_000),
        "<".repeat(250_000),
        "<|end|".repeat(40_000),
        "<|end|>".repeat(40_000),
        "日".repeat(80_000),
        "\u{301}".repeat(125_000),
        "1".repeat(250_000),
    ];
    for text in &texts {
        for (name, tokenizer) in [("bpe", &bpe), ("spm", &spm), ("bert", &bert)] {
            for parse_special in [false, true] {
                let options = EncodeOptions { special: true, parse_special };
                soon(name, || tokenizer.encode(text, options)).unwrap();
            }
        }
    }
    let count = |text: &str| bpe.encode(text, EncodeOptions::default()).unwrap().len();
    assert_eq!(count(&texts[1]), 62_500);
    assert_eq!(count(&texts[0]), 125_000);
}

/// T3: vocabularies that contradict themselves.
#[test]
fn lying_vocabularies_are_refused() {
    let mut cases: Vec<(&str, Value, ErrorKind)> = vec![
        (
            "an id far out",
            tokenizer_json(|v| v["model"]["vocab"]["zz"] = json!(4_000_000_000u32)),
            ErrorKind::Vocabulary,
        ),
        (
            "an id twice",
            tokenizer_json(|v| v["model"]["vocab"]["zz"] = json!(0)),
            ErrorKind::Vocabulary,
        ),
        (
            "an added token on another",
            tokenizer_json(|v| v["added_tokens"][0]["id"] = json!(1)),
            ErrorKind::Vocabulary,
        ),
        (
            "an id below zero",
            tokenizer_json(|v| v["model"]["vocab"]["zz"] = json!(-1)),
            ErrorKind::Json,
        ),
        (
            "an id over 32 bits",
            tokenizer_json(|v| v["model"]["vocab"]["zz"] = json!(1u64 << 40)),
            ErrorKind::Json,
        ),
        (
            "no tokens",
            tokenizer_json(|v| {
                v["model"]["vocab"] = json!({});
                v["added_tokens"] = json!([]);
            }),
            ErrorKind::Vocabulary,
        ),
        (
            "a merge of one",
            tokenizer_json(|v| v["model"]["merges"] = json!(["a"])),
            ErrorKind::Json,
        ),
        (
            "a merge of three",
            tokenizer_json(|v| v["model"]["merges"] = json!([["a", "b", "c"]])),
            ErrorKind::Json,
        ),
        (
            "a list of tokens",
            tokenizer_json(|v| v["model"]["vocab"] = json!([["a", -1.0]])),
            ErrorKind::Json,
        ),
        (
            "an unknown model",
            tokenizer_json(|v| v["model"]["type"] = json!("Unigram")),
            ErrorKind::Unsupported,
        ),
        (
            "an unknown pre-tokenizer",
            tokenizer_json(|v| v["pre_tokenizer"] = json!({"type": "X"})),
            ErrorKind::Unsupported,
        ),
        (
            "an unknown normalizer",
            tokenizer_json(|v| v["normalizer"] = json!({"type": "X"})),
            ErrorKind::Unsupported,
        ),
        (
            "an unknown decoder",
            tokenizer_json(|v| v["decoder"] = json!({"type": "X"})),
            ErrorKind::Unsupported,
        ),
        (
            "a frame of no token",
            tokenizer_json(|v| {
                v["post_processor"] = json!({"type": "TemplateProcessing",
                "single": [{"SpecialToken": {"id": "x"}}, {"Sequence": {"id": "A"}}],
                "special_tokens": {"x": {"ids": [77]}}});
            }),
            ErrorKind::Vocabulary,
        ),
        (
            "a frame without its token",
            tokenizer_json(|v| {
                v["post_processor"] = json!({"type": "TemplateProcessing",
                "single": [{"SpecialToken": {"id": "x"}}], "special_tokens": {}});
            }),
            ErrorKind::Json,
        ),
        (
            "many normalizers",
            tokenizer_json(|v| {
                v["normalizer"] = json!({"type": "Sequence",
                "normalizers": vec![json!({"type": "NFC"}); 1000]});
            }),
            ErrorKind::Unsupported,
        ),
        (
            "a split of nothing",
            tokenizer_json(|v| {
                v["pre_tokenizer"] =
                    json!({"type": "Split", "behavior": "Isolated", "pattern": {}});
            }),
            ErrorKind::Json,
        ),
    ];
    for (name, text) in [
        ("no model", "{}"),
        ("no JSON", "{\"model\""),
        ("a number", "1"),
        ("nothing", ""),
        ("not UTF-8", "\u{fffd}"),
    ] {
        cases.push((name, Value::String(text.to_owned()), ErrorKind::Json));
    }
    let mut failures = Vec::new();
    for (name, value, kind) in cases {
        let text = match &value {
            Value::String(text) => text.clone(),
            value => value.to_string(),
        };
        match Tokenizer::from_json(text.as_bytes(), None) {
            Err(error) if error.kind() == kind => {}
            got => failures.push(format!("{name}: {got:?}, expected {kind:?}")),
        }
    }
    let deep = "[".repeat(100_000);
    let error = Tokenizer::from_json(format!("{{\"normalizer\": {deep}").as_bytes(), None);
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Json);
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn lying_parts_are_refused() {
    let parts = |change: fn(&mut VocabParts<'_>)| {
        let mut parts = VocabParts {
            kind: VocabKind::Bpe,
            tokens: vec!["a", "b", "ab"],
            merges: vec!["a b"],
            pre: Some("gpt-2"),
            ..VocabParts::default()
        };
        change(&mut parts);
        Tokenizer::from_parts(parts)
    };
    assert!(parts(|_| ()).is_ok());
    type Case<'a> = (&'a str, fn(&mut VocabParts<'_>), ErrorKind);
    let cases: [Case<'_>; 9] = [
        ("no tokens", |parts| parts.tokens.clear(), ErrorKind::Vocabulary),
        ("few types", |parts| parts.token_types = vec![1], ErrorKind::Vocabulary),
        ("few scores", |parts| parts.scores = vec![1.0, 2.0], ErrorKind::Vocabulary),
        ("a merge of one", |parts| parts.merges.push("ab"), ErrorKind::Vocabulary),
        ("an empty merge", |parts| parts.merges.push(""), ErrorKind::Vocabulary),
        ("bos out of range", |parts| parts.bos = Some(3), ErrorKind::Vocabulary),
        ("eot out of range", |parts| parts.eot = Some(u32::MAX), ErrorKind::Vocabulary),
        ("pre unknown", |parts| parts.pre = Some("gpt-9"), ErrorKind::Unsupported),
        (
            "a score that is no number",
            |parts| {
                parts.kind = VocabKind::Spm;
                parts.scores = vec![0.0, f32::NAN, 0.0];
            },
            ErrorKind::Vocabulary,
        ),
    ];
    let mut failures = Vec::new();
    for (name, change, kind) in cases {
        match parts(change) {
            Err(error) if error.kind() == kind => {}
            got => failures.push(format!("{name}: {got:?}, expected {kind:?}")),
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert_eq!(VocabKind::from_ggml("rwkv").unwrap_err().kind(), ErrorKind::Unsupported);
}

/// A million times the same: tokens, merges, added tokens that begin each other.
#[test]
fn repetitive_vocabularies_load_soon() {
    soon("merges", || {
        Tokenizer::from_parts(VocabParts {
            tokens: vec!["a"; 300_000],
            merges: vec!["a a"; 1_000_000],
            pre: Some("gpt-2"),
            ..VocabParts::default()
        })
    })
    .unwrap();
    let runs: Vec<String> = (1..2000).map(|length| "a".repeat(length)).collect();
    let tokenizer = soon("added", || {
        Tokenizer::from_parts(VocabParts {
            tokens: runs.iter().map(String::as_str).collect(),
            token_types: vec![4; runs.len()],
            pre: Some("gpt-2"),
            ..VocabParts::default()
        })
    })
    .unwrap();
    let text = "a".repeat(100_000);
    let ids = soon("find", || tokenizer.encode(&text, EncodeOptions::default())).unwrap();
    assert_eq!(ids.len(), 51);
    let error = Tokenizer::from_parts(VocabParts {
        tokens: vec![&"x".repeat(9 << 20)],
        token_types: vec![3],
        pre: Some("gpt-2"),
        ..VocabParts::default()
    });
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Vocabulary);
}

/// T4: ids and bytes that are no text.
#[test]
fn whatever_is_decoded() {
    let tokenizer = from_json(&tokenizer_json(|value| {
        value["model"]["vocab"]["æ"] = json!(11);
        value["model"]["vocab"]["Ĺ"] = json!(12);
        value["model"]["vocab"]["¥"] = json!(13);
    }))
    .unwrap();
    let options = DecodeOptions::default();
    assert_eq!(tokenizer.decode(&[11, 12, 13], options), "日");
    assert_eq!(tokenizer.decode(&[11, 12, 0, 13], options), "\u{fffd}a\u{fffd}");
    assert_eq!(tokenizer.decode(&[0, u32::MAX, 14, 1], options), "ab");
    assert_eq!(tokenizer.decode_bytes(&[12], options), [0x97]);
    assert_eq!(tokenizer.token_text(u32::MAX), None);
    assert!(!tokenizer.is_end(u32::MAX) && !tokenizer.is_control(u32::MAX));
    let mut stream = StreamDecoder::new();
    let text: String = [11, 12, 9, 13, u32::MAX, 11]
        .iter()
        .map(|&id| stream.push(&tokenizer, id).to_owned())
        .collect();
    assert_eq!(text + stream.finish(), "日\u{fffd}");
}

/// Text of users never becomes a control token, whatever the merges make of it.
#[test]
fn user_text_spells_no_control_token() {
    let tokenizer = from_json(&tokenizer_json(|value| {
        value["added_tokens"][0] = json!({"id": 5, "content": "ab", "special": true});
        value["model"]["ignore_merges"] = json!(true);
    }))
    .unwrap();
    let plain = EncodeOptions::default();
    let special = EncodeOptions { parse_special: true, ..plain };
    assert_eq!(tokenizer.encode("ab", plain).unwrap(), [0, 1]);
    assert_eq!(tokenizer.encode("ab", special).unwrap(), [5]);
    assert_eq!(tokenizer.encode("a<tool>ab", plain).unwrap(), [0, 10, 0, 1]);
}
