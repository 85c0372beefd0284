//! Writes a case as the GGUF file that llama.cpp's converter makes of its checkpoint.

use super::tokenizer::Lists;
use super::{Case, Tensor, array, integer, json, string};
use rushlight_formats::gguf::Writer;
use rushlight_formats::{Error, TensorType};
use serde_json::Value;
use std::collections::HashMap;
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

/// Writes `case` as the file `path`, by the recipe `gguf.json`: every tensor in F32, the tokenizer
/// included.
///
/// # Panics
///
/// When the file cannot be written.
pub fn write_gguf(case: &Case, path: &Path) {
    write_gguf_with(case, path, &[]);
}

/// As [`write_gguf`] with these numbers in the metadata, which the recipe must not have.
///
/// # Panics
///
/// When the file cannot be written.
pub fn write_gguf_with(case: &Case, path: &Path, numbers: &[(&str, u32)]) {
    let file = File::create(path).expect("the test's folder can be written");
    let change = Change { numbers, ..Change::default() };
    write(case, BufWriter::new(file), &change, |_| TensorType::F32).expect(SOUND);
}

/// As [`write_gguf`] with a chat template.
///
/// # Panics
///
/// When the file cannot be written.
pub fn write_gguf_with_template(case: &Case, path: &Path, template: &str) {
    let file = File::create(path).expect("the test's folder can be written");
    let change = Change { template: Some(template), ..Change::default() };
    write(case, BufWriter::new(file), &change, |_| TensorType::F32).expect(SOUND);
}

/// As [`write_gguf`] with so many rows of padding after those of the vocabulary: the embedding and the
/// output know tokens that the tokenizer does not. Each is half as much again as one of the others, so
/// that the model prefers it where its logit is above zero.
///
/// # Panics
///
/// When the file cannot be written, or there are more of them than of the others.
pub fn write_gguf_padded(case: &Case, path: &Path, padding: usize) {
    let file = File::create(path).expect("the test's folder can be written");
    let change = Change { padding, ..Change::default() };
    write(case, BufWriter::new(file), &change, |_| TensorType::F32).expect(SOUND);
}

const SOUND: &str = "the recipe is sound and the folder is writable";

/// As [`write_gguf`] with matrices whose rows are whole blocks in Q8_0, as most models are
/// published; what comes out is then only near [`Case::gguf_rows`].
///
/// # Panics
///
/// When the file cannot be written.
pub fn write_gguf_q8_0(case: &Case, path: &Path) {
    let file = File::create(path).expect("the test's folder can be written");
    let ty = |shape: &[usize]| match shape {
        [_, .., n] if n.is_multiple_of(BLOCK) => TensorType::Q8_0,
        _ => TensorType::F32,
    };
    write(case, BufWriter::new(file), &Change::default(), ty).expect(SOUND);
}

/// Values of a block of Q8_0.
const BLOCK: usize = 32;

/// What is other than in the recipe.
#[derive(Default)]
struct Change<'a> {
    numbers: &'a [(&'a str, u32)],
    template: Option<&'a str>,
    /// Rows of the embedding and the output beyond the vocabulary.
    padding: usize,
}

fn write<W: std::io::Write>(
    case: &Case,
    out: W,
    change: &Change<'_>,
    ty: impl Fn(&[usize]) -> TensorType,
) -> Result<W, Error> {
    let recipe = json(&case.folder().join("gguf.json"));
    let mut writer = Writer::new();
    for entry in array(&recipe["metadata"]) {
        set(&mut writer, entry)?;
    }
    for (key, value) in change.numbers {
        writer.set(key, *value)?;
    }
    let Lists { tokens, types, merges } = Lists::of(case);
    writer.set("tokenizer.ggml.tokens", &tokens[..])?;
    writer.set("tokenizer.ggml.token_type", &types[..])?;
    if let Some(merges) = merges {
        writer.set("tokenizer.ggml.merges", &merges[..])?;
    }
    if let Some(template) = change.template {
        writer.set("tokenizer.chat_template", template)?;
    }
    let tensors = array(&recipe["tensors"]);
    let padding = |tensor: &Value| match tensor["name"].as_str() {
        Some("token_embd.weight" | "output.weight") => change.padding,
        _ => 0,
    };
    let shape = |tensor: &Value| -> Vec<usize> {
        let mut shape: Vec<usize> = array(&tensor["shape"]).iter().map(integer).collect();
        shape[0] += padding(tensor);
        shape
    };
    for tensor in tensors {
        let shape = shape(tensor);
        writer.tensor(&string(&tensor["name"]), &shape, ty(&shape))?;
    }
    let source = Source::of(case);
    let mut data = writer.begin(out)?;
    for tensor in tensors {
        let mut values = source.make(tensor);
        let more = padding(tensor) * shape(tensor).last().expect("a dimension");
        let more: Vec<f32> = values[..more].iter().map(|value| 1.5 * value).collect();
        values.extend(more);
        let bytes: Vec<u8> = match ty(&shape(tensor)) {
            TensorType::Q8_0 => values.chunks(BLOCK).flat_map(q8_0).collect(),
            _ => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        };
        data.push(&string(&tensor["name"]), &bytes)?;
    }
    data.finish()
}

/// A block: its scale in half precision, here always a power of two, and 32 signed bytes.
fn q8_0(values: &[f32]) -> Vec<u8> {
    let most = values.iter().fold(0f32, |most, value| most.max(value.abs()));
    let exponent = (most / 127.0).log2().ceil().clamp(-14.0, 15.0);
    let scale = ((exponent + 15.0) as u16) << 10;
    let rounded = values.iter().map(|value| (value / exponent.exp2()).round() as i8 as u8);
    scale.to_le_bytes().into_iter().chain(rounded).collect()
}

pub(super) fn set(writer: &mut Writer, entry: &Value) -> Result<(), Error> {
    let (key, value) = (&string(&entry["key"]), &entry["value"]);
    match entry["type"].as_str() {
        Some("uint32") => writer.set(key, integer(value) as u32),
        Some("float32") => writer.set(key, value.as_f64().expect("a number") as f32),
        Some("bool") => writer.set(key, value.as_bool().expect("a bool")),
        Some("string") => writer.set(key, value.as_str().expect("a text")),
        other => panic!("a recipe has the unknown type `{other:?}`"),
    }
}

/// The checkpoint's tensors by name.
pub(super) struct Source(HashMap<String, Tensor>);

impl Source {
    fn of(case: &Case) -> Self {
        Self::new(case.tensors())
    }

    pub(super) fn new(tensors: Vec<Tensor>) -> Self {
        Source(tensors.into_iter().map(|tensor| (tensor.name.clone(), tensor)).collect())
    }

    fn tensor(&self, name: &str) -> &Tensor {
        self.0.get(name).unwrap_or_else(|| panic!("a recipe asks for the missing `{name}`"))
    }

    /// The values of a recipe's entry, row-major.
    pub(super) fn make(&self, entry: &Value) -> Vec<f32> {
        if entry["how"] == "values" {
            let list = array(&entry["values"]).iter();
            return list.map(|value| value.as_f64().expect("a number") as f32).collect();
        }
        let from = string(&entry["from"]);
        match entry["how"].as_str() {
            Some("same") => self.tensor(&from).values(),
            Some("add_one") => {
                self.tensor(&from).values().iter().map(|value| value + 1.0).collect()
            }
            Some("transpose") => transposed(self.tensor(&from)),
            Some("permute") => permuted(self.tensor(&from), integer(&entry["heads"])),
            Some("stack") => (0..integer(&entry["count"]))
                .flat_map(|index| self.tensor(&from.replace('*', &index.to_string())).values())
                .collect(),
            other => panic!("a recipe has the unknown way `{other:?}`"),
        }
    }
}

fn transposed(tensor: &Tensor) -> Vec<f32> {
    let (values, columns) = (tensor.values(), tensor.shape[1]);
    (0..columns).flat_map(|c| values.iter().skip(c).step_by(columns).copied()).collect()
}

/// The rows of each head with the halves of every rotary pair side by side: row `2j + s` of a head
/// is its row `s * width / 2 + j`.
fn permuted(tensor: &Tensor, heads: usize) -> Vec<f32> {
    let values = tensor.values();
    let rows: Vec<&[f32]> = values.chunks_exact(values.len() / tensor.shape[0]).collect();
    let width = rows.len() / heads;
    let source = |row: usize| {
        let (head, row) = (row / width, row % width);
        head * width + row % 2 * (width / 2) + row / 2
    };
    (0..rows.len()).flat_map(|row| rows[source(row)].iter().copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{case, names};
    use super::*;
    use rushlight_formats::Gguf;

    #[test]
    fn every_case_becomes_a_file_that_the_reader_takes() {
        for name in names() {
            let case = case(&name);
            let file = write(&case, Vec::new(), &Change::default(), |_| TensorType::F32)
                .expect("memory can be written");
            let gguf = Gguf::parse(&file).expect("a sound file");
            assert_eq!(
                gguf.strings("tokenizer.ggml.tokens").expect("texts").map(|texts| texts.len()),
                Some(288),
                "{name}"
            );
            let embeddings = gguf.tensor("token_embd.weight").expect("embeddings");
            assert_eq!(embeddings.shape[0], 288, "{name}");
        }
    }

    #[test]
    fn rows_of_a_head_interleave() {
        let tensor =
            Tensor { name: "q".to_owned(), seed: None, shape: vec![8, 1], base: 0.0, spread: 1.0 };
        let rows = tensor.values();
        let expected: Vec<f32> = [0, 2, 1, 3, 4, 6, 5, 7].map(|row| rows[row]).to_vec();
        assert_eq!(permuted(&tensor, 2), expected);
    }
}
