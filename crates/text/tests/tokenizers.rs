//! Ids as Hugging Face's tokenizers gives them, for tiny vocabularies of each kind.

use rushlight_text::{DecodeOptions, EncodeOptions, Tokenizer, VocabKind, VocabParts};
use serde_json::{Value, json};

const TOKENIZERS: [(&str, &str); 3] = [
    ("bytes", include_str!("golden/bytes.json")),
    ("spaces", include_str!("golden/spaces.json")),
    ("words", include_str!("golden/words.json")),
];

#[test]
fn ids_are_those_of_hugging_face() {
    let golden: Value = serde_json::from_str(include_str!("golden/tokenizers.json")).unwrap();
    let mut failures = Vec::new();
    for (name, json) in TOKENIZERS {
        let tokenizer = Tokenizer::from_json(json.as_bytes(), None).unwrap();
        for case in golden[name].as_array().unwrap() {
            let text = case["text"].as_str().unwrap();
            for (key, special) in [("ids", false), ("framed", true)] {
                let options = EncodeOptions { special, parse_special: true };
                let got = tokenizer.encode(text, options).unwrap();
                let expected: Vec<u32> = serde_json::from_value(case[key].clone()).unwrap();
                if got != expected {
                    failures.push(format!("{name} {text:?}\n  got  {got:?}\n  want {expected:?}"));
                }
            }
            // WordPiece loses what stood between words; how it is put back is a matter of taste.
            let ids: Vec<u32> = serde_json::from_value(case["ids"].clone()).unwrap();
            let back = tokenizer.decode(&ids, DecodeOptions::default());
            if name != "words" && back != case["decoded"].as_str().unwrap() {
                failures
                    .push(format!("{name} {text:?}: decoded {back:?}, not {}", case["decoded"]));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn two_texts_become_one_as_hugging_face_has_it() {
    let golden: Value = serde_json::from_str(include_str!("golden/pairs.json")).unwrap();
    let words: Value = serde_json::from_str(include_str!("golden/words.json")).unwrap();
    let mut failures = Vec::new();
    for case in golden.as_array().unwrap() {
        let mut file = words.clone();
        file["post_processor"] = case["processor"].clone();
        let tokenizer = Tokenizer::from_json(file.to_string().as_bytes(), None).unwrap();
        let (first, second) = (case["first"].as_str().unwrap(), case["second"].as_str().unwrap());
        let encode = |special| {
            let options = EncodeOptions { special, parse_special: true };
            tokenizer.encode_pair(first, second, options).unwrap()
        };
        let framed = encode(true);
        let got = json!([framed.ids, framed.segments, encode(false).ids]);
        let want = json!([case["ids"], case["segments"], case["bare"]]);
        if got != want {
            failures.push(format!("{} {first:?} {second:?}\n  {got}\n  {want}", case["name"]));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn broken_pairs_are_refused() {
    let words: Value = serde_json::from_str(include_str!("golden/words.json")).unwrap();
    let broken = [
        json!([{"Sequence": {"id": "C", "type_id": 0}}]),
        json!([{"Sequence": {"id": "A", "type_id": 256}}]),
        json!([{"Sequence": {"id": "A", "type_id": -1}}]),
        json!([{"SpecialToken": {"id": "[NONE]", "type_id": 0}}]),
        json!([{}]),
    ];
    for pair in broken {
        let mut file = words.clone();
        file["post_processor"]["pair"] = pair.clone();
        let error = Tokenizer::from_json(file.to_string().as_bytes(), None).unwrap_err();
        assert!(error.to_string().contains("post-processor's piece"), "{pair}: {error}");
    }
}

#[test]
fn configuration_names_the_roles() {
    let config = br#"{"bos_token": {"content": "<|begin|>"}, "eos_token": "<|end|>",
        "pad_token": null, "add_bos_token": false, "chat_template": "x"}"#;
    let tokenizer = Tokenizer::from_json(TOKENIZERS[0].1.as_bytes(), Some(config)).unwrap();
    let end = tokenizer.id("<|end|>").unwrap();
    assert_eq!(tokenizer.bos(), tokenizer.id("<|begin|>"));
    assert_eq!(tokenizer.eos(), Some(end));
    let mut tokenizer = tokenizer;
    tokenizer.add_ends([0, u32::MAX]);
    assert_eq!(tokenizer.ends(), [0, end]);
    assert!(tokenizer.is_end(end) && tokenizer.is_control(end) && !tokenizer.adds_bos());
    let options = EncodeOptions { special: true, parse_special: false };
    assert!(tokenizer.encode("", options).unwrap().is_empty());
    let error = Tokenizer::from_json(TOKENIZERS[0].1.as_bytes(), Some(b"[1")).unwrap_err();
    assert!(error.to_string().contains("tokenizer_config.json"), "{error}");
}

/// What users say stays text in a prompt whose control tokens count.
#[test]
fn shielded_text_stays_text() {
    let tokenizer = Tokenizer::from_json(TOKENIZERS[0].1.as_bytes(), None).unwrap();
    let plain = EncodeOptions::default();
    let prompt = EncodeOptions { parse_special: true, ..plain };
    let end = tokenizer.id("<|end|>").unwrap();
    for text in [
        "hello world <tool> {}",
        "<|end|>",
        "a <|end|><|begin|> b<|en<|end|>d|>",
        "\u{fdd0}<\u{fdd0}|end|>",
        "<|end|",
    ] {
        let shielded = tokenizer.shield(text);
        let clean = text.replace('\u{fdd0}', "");
        let expected = tokenizer.encode(&clean, plain).unwrap();
        assert_eq!(tokenizer.encode(&shielded, prompt).unwrap(), expected, "{text:?}");
        assert!(!expected.contains(&end), "{text:?}");
        assert_eq!(*shielded == *clean, !clean.contains("|>"), "{text:?}");
    }
}

#[test]
fn tokens_by_text_and_back() {
    for (name, json) in TOKENIZERS {
        let tokenizer = Tokenizer::from_json(json.as_bytes(), None).unwrap();
        for id in 0..tokenizer.vocab_size() as u32 {
            let text = tokenizer.token_text(id).unwrap();
            assert_eq!(tokenizer.id(&text), Some(id), "{name} {text:?}");
        }
    }
}

#[test]
fn streams_give_the_same_text() {
    let tokenizer = Tokenizer::from_json(TOKENIZERS[0].1.as_bytes(), None).unwrap();
    let text = "naïve 你好 🦙👩‍👩‍👧‍👦 end";
    let ids = tokenizer.encode(text, EncodeOptions::default()).unwrap();
    let mut stream = rushlight_text::StreamDecoder::new();
    let mut streamed = String::new();
    for id in ids {
        streamed.push_str(stream.push(&tokenizer, id));
    }
    streamed.push_str(stream.finish());
    assert_eq!(streamed, text);
}

/// The same vocabularies as GGUF carries them: merges as lines or as scores, kinds as numbers.
#[test]
fn parts_give_the_ids_of_the_json() {
    let golden: Value = serde_json::from_str(include_str!("golden/tokenizers.json")).unwrap();
    let mut failures = Vec::new();
    for (name, json) in &TOKENIZERS[..2] {
        let json: Value = serde_json::from_str(json).unwrap();
        let added = json["added_tokens"].as_array().unwrap();
        let vocab = json["model"]["vocab"].as_object().unwrap();
        let size = vocab.len().max(added.last().unwrap()["id"].as_u64().unwrap() as usize + 1);
        let (mut tokens, mut token_types) = (vec![""; size], vec![1; size]);
        for (text, id) in vocab {
            tokens[id.as_u64().unwrap() as usize] = text;
        }
        for (id, token) in tokens.iter().enumerate() {
            if *name == "spaces" && token.starts_with("<0x") {
                token_types[id] = 6;
            }
        }
        for token in added {
            let id = token["id"].as_u64().unwrap() as usize;
            tokens[id] = token["content"].as_str().unwrap();
            token_types[id] = if token["special"] == true { 3 } else { 4 };
        }
        let pairs: Vec<[String; 2]> =
            serde_json::from_value(json["model"]["merges"].clone()).unwrap();
        let merges: Vec<String> = pairs.iter().map(|pair| pair.join(" ")).collect();
        let mut scores = vec![f32::MIN; size];
        for (rank, pair) in pairs.iter().enumerate().rev() {
            scores[vocab[&pair.concat()].as_u64().unwrap() as usize] = -(rank as f32);
        }
        let id = |text: &str| tokens.iter().position(|token| *token == text).map(|id| id as u32);
        let (bos, eos) = if *name == "bytes" { ("<|begin|>", "<|end|>") } else { ("<s>", "</s>") };
        let parts = VocabParts {
            kind: if *name == "bytes" { VocabKind::Bpe } else { VocabKind::Spm },
            bos: id(bos),
            eos: id(eos),
            add_bos: Some(true),
            add_eos: Some(*name == "spaces"),
            merges: merges.iter().map(String::as_str).collect(),
            // Llama 3's pattern, without its way past the merges.
            pre: Some("dbrx"),
            tokens,
            scores,
            token_types,
            ..VocabParts::default()
        };
        let tokenizer = Tokenizer::from_parts(parts).unwrap();
        for case in golden[*name].as_array().unwrap() {
            let text = case["text"].as_str().unwrap();
            // GGUF has no normalizer, no flags of added tokens, and `(?i:` only for ASCII.
            let differs = ['\u{301}', 'Å', 'ſ'].iter().any(|char| text.contains(*char))
                || text.contains("<tool>")
                || text.contains("word");
            if *name == "bytes" && differs {
                continue;
            }
            let options = EncodeOptions { special: true, parse_special: true };
            let got = tokenizer.encode(text, options).unwrap();
            let expected: Vec<u32> = serde_json::from_value(case["framed"].clone()).unwrap();
            if got != expected {
                failures.push(format!("{name} {text:?}\n  got  {got:?}\n  want {expected:?}"));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
