//! Ids of llama.cpp's own test texts, for each of its test vocabularies. The files are too big to
//! be kept here; without them this test says so and passes.

#[path = "support/gguf.rs"]
mod gguf;

use std::fs;
use std::path::Path;

use rushlight_formats::Gguf;
use rushlight_text::{DecodeOptions, EncodeOptions, Tokenizer};

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/tokenizer");

#[test]
fn ids_are_those_of_llama_cpp() {
    let Ok(entries) = fs::read_dir(Path::new(DATA)) else {
        eprintln!("skipped: `{DATA}` is absent");
        return;
    };
    let mut failures = Vec::new();
    let mut texts = 0;
    for entry in entries {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "gguf") {
            continue;
        }
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let bytes = fs::read(&path).unwrap();
        let parsed = Gguf::parse(&bytes).unwrap();
        let tokenizer = match Tokenizer::from_parts(gguf::parts(&parsed).unwrap()) {
            Ok(tokenizer) => tokenizer,
            Err(error) => {
                failures.push(format!("{name}: {error}"));
                continue;
            }
        };
        let input = fs::read_to_string(path.with_extension("gguf.inp")).unwrap();
        let output = fs::read_to_string(path.with_extension("gguf.out")).unwrap();
        // A separator after the last text ends it and begins no other.
        let input: Vec<&str> = input.split_terminator("\n__ggml_vocab_test__\n").collect();
        let output: Vec<Vec<u32>> = output
            .lines()
            .map(|line| line.split_whitespace().map(|id| id.parse().unwrap()).collect())
            .collect();
        assert_eq!(input.len(), output.len(), "{name}");
        for (text, expected) in input.iter().zip(&output) {
            texts += 1;
            let got = tokenizer.encode(text, EncodeOptions::default()).unwrap();
            if &got != expected {
                failures.push(format!("{name}: {text:?}\n  got  {got:?}\n  want {expected:?}"));
            }
            let back = tokenizer.decode(&got, DecodeOptions::default());
            if back != *text && !name.contains("bert") {
                failures.push(format!("{name}: {text:?} comes back as {back:?}"));
            }
        }
    }
    assert!(failures.is_empty(), "of {texts} texts:\n{}", failures.join("\n"));
}
