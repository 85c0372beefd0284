//! A model that is not tiny: its weights are most of what it takes.

use super::tokenizer::Lists;
use super::{array, case, json, string};
use crate::tiny::gguf::set;
use rushlight_formats::TensorType;
use rushlight_formats::gguf::Writer;
use serde_json::json;
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

/// Width, width of a head, width of the feed-forward part, layers, tokens.
const SIZES: [usize; 5] = [1024, 128, 4096, 6, 288];

/// Positions that it was trained for.
const CONTEXT: usize = 8192;

/// Writes a Llama of 90 million weights in Q8_0 as the file `path`, 91 MiB, with the tokenizer of the case
/// `llama2`. 1024 positions take 3 MiB. What it writes means nothing.
///
/// # Panics
///
/// When the file cannot be written.
pub fn write_gguf_wide(path: &Path) {
    let [d, k, f, layers, v] = SIZES;
    let tiny = case("llama2");
    let recipe = json(&tiny.folder().join("gguf.json"));
    let mut writer = Writer::new();
    for entry in array(&recipe["metadata"]) {
        let mut entry = entry.clone();
        let other = match string(&entry["key"]).trim_start_matches("llama.") {
            "block_count" => layers,
            "context_length" => CONTEXT,
            "embedding_length" => d,
            "feed_forward_length" => f,
            "attention.head_count" => d / k,
            "attention.head_count_kv" => 1,
            "attention.key_length" | "attention.value_length" | "rope.dimension_count" => k,
            _ => 0,
        };
        if other > 0 {
            entry["value"] = json!(other);
        }
        set(&mut writer, &entry).expect(SOUND);
    }
    let Lists { tokens, types, merges } = Lists::of(&tiny);
    writer.set("tokenizer.ggml.tokens", &tokens[..]).expect(SOUND);
    writer.set("tokenizer.ggml.token_type", &types[..]).expect(SOUND);
    writer.set("tokenizer.ggml.merges", &merges.unwrap_or_default()[..]).expect(SOUND);
    let mut tensors = vec![("token_embd".to_owned(), vec![v, d])];
    tensors.extend([("output".to_owned(), vec![v, d]), ("output_norm".to_owned(), vec![d])]);
    for layer in 0..layers {
        let parts = [
            ("attn_norm", vec![d]),
            ("attn_q", vec![d, d]),
            ("attn_k", vec![k, d]),
            ("attn_v", vec![k, d]),
            ("attn_output", vec![d, d]),
            ("ffn_norm", vec![d]),
            ("ffn_gate", vec![f, d]),
            ("ffn_up", vec![f, d]),
            ("ffn_down", vec![d, f]),
        ];
        tensors.extend(parts.map(|(name, shape)| (format!("blk.{layer}.{name}"), shape)));
    }
    for (name, shape) in &mut tensors {
        *name += ".weight";
        let ty = if shape.len() > 1 { TensorType::Q8_0 } else { TensorType::F32 };
        writer.tensor(name, shape, ty).expect(SOUND);
    }
    let file = File::create(path).expect("the test's folder can be written");
    let mut data = writer.begin(BufWriter::new(file)).expect(SOUND);
    // Values between -1/64 and 1/64: two to the minus 13 times so much.
    let block: Vec<u8> =
        [0, 2 << 2].into_iter().chain((0..32).map(|i| 37u8.wrapping_mul(i))).collect();
    for (name, shape) in &tensors {
        let values: usize = shape.iter().product();
        let bytes = match shape.len() {
            1 => 1f32.to_le_bytes().repeat(values),
            _ => block.repeat(values / 32),
        };
        data.push(name, &bytes).expect(SOUND);
    }
    data.finish().expect(SOUND);
}

const SOUND: &str = "the sizes are sound and the folder is writable";
