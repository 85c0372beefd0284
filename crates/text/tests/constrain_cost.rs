//! What constraints cost per token, on the vocabularies of llama.cpp's tests. Run by hand:
//! `cargo test --release -p rushlight-text --test constrain_cost -- --ignored --nocapture`.

#[path = "support/gguf.rs"]
mod gguf;
#[path = "support/walk.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod walk;

use std::sync::Arc;
use std::time::{Duration, Instant};

use rushlight_formats::Gguf;
use rushlight_text::Tokenizer;
use rushlight_text::constrain::{Constraints, Grammar};
use serde_json::json;
use walk::Random;

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/tokenizer");

#[test]
#[ignore = "measures"]
fn cost_of_a_step() {
    let person = json!({
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "age": {"type": "integer"},
            "notes": {"type": "array", "items": {"type": "string", "maxLength": 200}},
        },
        "required": ["name", "age", "notes"],
        "additionalProperties": false,
    });
    let list = "root ::= \"[\" ws (item (\",\" ws item)*)? \"]\"\n\
        item ::= \"\\\"\" ([^\"\\\\] | \"\\\\\" .)* \"\\\"\" ws\n  | root ws\nws ::= [ \\t\\n]*";
    let grammars = [
        ("object", Grammar::JsonObject),
        ("schema", Grammar::JsonSchema(person)),
        ("regex", Grammar::Regex(r"([A-Z][a-z]+ ){3,40}\d{4}".to_owned())),
        ("gbnf", Grammar::Gbnf(list.to_owned())),
    ];
    for file in ["gpt-2", "starcoder", "llama-bpe", "qwen2", "llama-spm"] {
        let Ok(bytes) = std::fs::read(format!("{DATA}/ggml-vocab-{file}.gguf")) else {
            println!("skipped: `{file}` is absent from `{DATA}`");
            continue;
        };
        let gguf = Gguf::parse(&bytes).unwrap();
        let tokenizer = Arc::new(Tokenizer::from_parts(gguf::parts(&gguf).unwrap()).unwrap());
        let constraints = Constraints::new(Arc::clone(&tokenizer));
        let start = Instant::now();
        constraints.prepare().unwrap();
        println!("{file}: {} tokens, prepared in {:?}", tokenizer.vocab_size(), start.elapsed());
        for (name, grammar) in &grammars {
            let start = Instant::now();
            let constraint = constraints.compile(grammar).unwrap();
            let compiled = start.elapsed();
            let (mut masks, mut accepts, mut applies) = (Vec::new(), Vec::new(), Vec::new());
            let mut logits = vec![0.0f32; tokenizer.vocab_size()];
            for seed in 0..8 {
                let mut answer = constraint.clone();
                let mut random = Random(seed);
                for _ in 0..200 {
                    if answer.is_finished() {
                        break;
                    }
                    let start = Instant::now();
                    let allowed: Vec<u32> = answer
                        .mask()
                        .map(|mask| {
                            masks.push(start.elapsed());
                            mask.iter().collect()
                        })
                        .unwrap();
                    let start = Instant::now();
                    answer.apply(&mut logits).unwrap();
                    applies.push(start.elapsed());
                    let start = Instant::now();
                    answer.accept(allowed[random.below(allowed.len())]).unwrap();
                    accepts.push(start.elapsed());
                }
            }
            println!(
                "  {name}: compiled in {compiled:?}; {} steps; mask {}; apply {}; accept {}",
                masks.len(),
                spread(masks),
                spread(applies),
                spread(accepts)
            );
        }
    }
}

fn spread(mut times: Vec<Duration>) -> String {
    times.sort();
    let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize];
    let mean = times.iter().sum::<Duration>() / times.len() as u32;
    format!("mean {mean:?}, median {:?}, p99 {:?}, max {:?}", at(0.5), at(0.99), at(1.0))
}
