//! Writes a case as a Hugging Face checkpoint.

use super::{Case, Output, Tensor, tokenizer};
use serde_json::{Map, Value, json};
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

/// Writes `case` into the existing folder `folder`: `config.json`, `model.safetensors` in F32, the
/// tokenizer's two files and `generation_config.json`, or for an embedder the two files that say
/// how its states are pooled.
///
/// # Panics
///
/// When a file cannot be written.
pub fn write_hf(case: &Case, folder: &Path) {
    write(&folder.join("config.json"), case.config().as_bytes());
    for name in tokenizer::FILES {
        fs::copy(tokenizer::folder(case).join(name), folder.join(name)).expect(WRITABLE);
    }
    let mut file = BufWriter::new(File::create(folder.join("model.safetensors")).expect(WRITABLE));
    write_safetensors(&case.tensors(), &mut file).and_then(|()| file.flush()).expect(WRITABLE);
    match case.output {
        Output::Logits => {
            let config: Value = serde_json::from_str(&case.config()).expect("valid JSON");
            let ends = json!({
                "bos_token_id": config["bos_token_id"],
                "eos_token_id": config["eos_token_id"],
            });
            write_json(&folder.join("generation_config.json"), &ends);
        }
        // Those of sentence-transformers have none of the files below.
        Output::Hidden if !case.pairs.is_empty() => {}
        Output::Hidden => {
            let modules = json!([
                {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
                {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
            ]);
            write_json(&folder.join("modules.json"), &modules);
            fs::create_dir_all(folder.join("1_Pooling")).expect(WRITABLE);
            let pooling =
                json!({"pooling_mode_cls_token": false, "pooling_mode_mean_tokens": true});
            write_json(&folder.join("1_Pooling/config.json"), &pooling);
        }
    }
}

pub(super) const WRITABLE: &str = "the test's folder can be written";

fn write(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).expect(WRITABLE);
}

fn write_json(path: &Path, value: &Value) {
    write(path, value.to_string().as_bytes());
}

/// The safetensors format: a 64-bit length, a JSON header of that length, the data.
pub(super) fn write_safetensors(tensors: &[Tensor], out: &mut impl Write) -> std::io::Result<()> {
    let mut header = Map::new();
    header.insert("__metadata__".to_owned(), json!({"format": "pt"}));
    let mut start = 0;
    for tensor in tensors {
        let end = start + 4 * tensor.shape.iter().product::<usize>();
        let entry = json!({"dtype": "F32", "shape": tensor.shape, "data_offsets": [start, end]});
        header.insert(tensor.name.clone(), entry);
        start = end;
    }
    let mut header = Value::Object(header).to_string();
    // The data starts at a multiple of 8, as the reference implementation pads it.
    header.push_str(&" ".repeat(header.len().next_multiple_of(8) - header.len()));
    out.write_all(&(header.len() as u64).to_le_bytes())?;
    out.write_all(header.as_bytes())?;
    for value in tensors.iter().flat_map(Tensor::values) {
        out.write_all(&value.to_le_bytes())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::{case, names};
    use super::*;

    #[test]
    fn the_safetensors_header_covers_the_data_exactly() {
        for name in names() {
            let mut bytes = Vec::new();
            write_safetensors(&case(&name).tensors(), &mut bytes).expect("memory can be written");
            let length = u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes")) as usize;
            let header: Value = serde_json::from_slice(&bytes[8..8 + length]).expect("valid JSON");
            let end = header
                .as_object()
                .expect("an object")
                .values()
                .filter_map(|tensor| tensor["data_offsets"][1].as_u64());
            assert_eq!(end.max().map(|end| 8 + length + end as usize), Some(bytes.len()), "{name}");
            assert_eq!((8 + length) % 8, 0, "{name}");
        }
    }
}
