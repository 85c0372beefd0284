//! Tiny models with known outputs: one or more per architecture, from `testkit/golden`.
//!
//! The weights are computed ([`weights`]), the outputs come from an independent implementation;
//! `testkit/golden/README.md` says which and how. A test writes the checkpoint into a folder of
//! its own, loads it, runs [`Case::ids`] and compares with [`Case::rows`].
//!
//! ```
//! let case = rushlight_testkit::tiny::case("llama2");
//! assert_eq!(case.ids.len(), 40);
//! assert_eq!(case.rows.len(), case.positions.len());
//! assert_eq!(case.difference(&case.rows), 0.0);
//! ```
//!
//! Everything here panics when a file of the repository is not as it should be: the tests that
//! use it could do nothing else.

mod adapter;
mod checkpoint;
mod gguf;
mod tokenizer;
pub mod weights;
mod wide;

use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

pub use adapter::{AdapterCase, adapter, adapter_names};
pub use checkpoint::write_hf;
pub use gguf::{
    write_gguf, write_gguf_padded, write_gguf_q8_0, write_gguf_with, write_gguf_with_template,
};
pub use wide::write_gguf_wide;

/// A tiny model with the input it was run on and what came out.
#[derive(Debug, Clone)]
pub struct Case {
    /// The folder's name in `testkit/golden`.
    pub name: String,
    /// What the rows are.
    pub output: Output,
    /// The input, one sequence from position 0; neither BOS nor EOS is added.
    pub ids: Vec<u32>,
    /// The positions that [`Case::rows`] are of, ascending; the last one is the last position.
    pub positions: Vec<usize>,
    /// `(positions, columns)`: what the checkpoint in Hugging Face's form gives.
    pub rows: Vec<Vec<f32>>,
    /// The same for the GGUF form, which cannot say everything that a `config.json` can: equal to
    /// [`Case::rows`] but for the few architectures named in the README.
    pub gguf_rows: Vec<Vec<f32>>,
    /// Of some decoders: the hidden states after the last norm, `(positions, width)`.
    pub states: Option<Vec<Vec<f32>>>,
    /// Of an embedder, and where there are [`Case::states`]: the mean of the last hidden states over
    /// all positions, not normalised.
    pub pooled: Option<Vec<f32>>,
    /// Of a reranker: where the second text begins in [`Case::ids`], and the score then.
    pub pairs: Vec<(usize, f32)>,
    /// The FNV-1a checksum of all weights as little-endian f32, in the order of their names.
    pub weights_fnv1a: String,
}

/// What a case's rows are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// Logits over the vocabulary, after every scale and cap.
    Logits,
    /// The last hidden states, of an embedder.
    Hidden,
}

impl Case {
    /// The folder in the repository that describes the case.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        root().join(&self.name)
    }

    /// `config.json` as text.
    #[must_use]
    pub fn config(&self) -> String {
        text(&self.folder().join("config.json"))
    }

    /// The largest `|found - rows|`, as a share of the largest `|rows|`: 0 is equality, and a NaN
    /// or a wrong shape is infinite.
    #[must_use]
    pub fn difference(&self, found: &[Vec<f32>]) -> f32 {
        difference(&self.rows, found)
    }

    /// [`Case::difference`] for the GGUF form.
    #[must_use]
    pub fn gguf_difference(&self, found: &[Vec<f32>]) -> f32 {
        difference(&self.gguf_rows, found)
    }

    /// The tensors as the checkpoint has them, in the order of their names.
    pub(crate) fn tensors(&self) -> Vec<Tensor> {
        let listed = json(&self.folder().join("tensors.json"));
        array(&listed).iter().map(Tensor::from_json).collect()
    }
}

/// One tensor of a checkpoint: its shape and the law of its values.
pub(crate) struct Tensor {
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
    /// The tensor whose values these are, if not its own.
    seed: Option<String>,
    base: f32,
    spread: f32,
}

impl Tensor {
    fn from_json(value: &Value) -> Self {
        // The file prints the f32 values as the f64 that they equal.
        let number = |key: &str| value[key].as_f64().expect("a number") as f32;
        Tensor {
            name: string(&value["name"]),
            seed: value["as"].as_str().map(str::to_owned),
            shape: array(&value["shape"]).iter().map(integer).collect(),
            base: number("base"),
            spread: number("spread"),
        }
    }

    /// The values, row-major.
    pub(crate) fn values(&self) -> Vec<f32> {
        let seed = self.seed.as_ref().unwrap_or(&self.name);
        weights::values(seed, self.shape.iter().product(), self.base, self.spread)
    }
}

/// The names of all cases, in order.
#[must_use]
pub fn names() -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(root())
        .expect("the folder of golden files")
        .map(|entry| entry.expect("a readable folder").path())
        .filter(|path| path.join("case.json").is_file())
        .map(|path| path.file_name().expect("a name").to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// The case `name`.
///
/// # Panics
///
/// When there is none of this name.
#[must_use]
pub fn case(name: &str) -> Case {
    let folder = root().join(name);
    let summary = json(&folder.join("case.json"));
    let columns = integer(&summary["columns"]);
    let rows = |file: &str| -> Option<Vec<Vec<f32>>> {
        let values = floats(&folder.join(file))?;
        Some(values.chunks_exact(columns).map(<[f32]>::to_vec).collect())
    };
    let positions = array(&summary["positions"]).len();
    let pair = |pair: &Value| {
        let score = pair["score"].as_f64().expect("a number");
        (integer(&pair["first"]), score as f32)
    };
    let hf = rows("logits.f32").unwrap_or_else(|| panic!("there is no golden case `{name}`"));
    Case {
        name: name.to_owned(),
        output: match summary["output"].as_str() {
            Some("logits") => Output::Logits,
            Some("hidden") => Output::Hidden,
            other => panic!("`{name}` has the unknown output `{other:?}`"),
        },
        ids: array(&summary["ids"]).iter().map(|id| integer(id) as u32).collect(),
        positions: array(&summary["positions"]).iter().map(integer).collect(),
        gguf_rows: rows("logits_gguf.f32").unwrap_or_else(|| hf.clone()),
        rows: hf,
        states: floats(&folder.join("states.f32"))
            .map(|all| all.chunks_exact(all.len() / positions).map(<[f32]>::to_vec).collect()),
        pooled: floats(&folder.join("pooled.f32")),
        pairs: summary["pairs"].as_array().into_iter().flatten().map(pair).collect(),
        weights_fnv1a: string(&summary["weights_fnv1a"]),
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden")
}

fn difference(expected: &[Vec<f32>], found: &[Vec<f32>]) -> f32 {
    let shape = |rows: &[Vec<f32>]| rows.iter().map(Vec::len).collect::<Vec<_>>();
    if shape(expected) != shape(found) {
        return f32::INFINITY;
    }
    let largest = expected.iter().flatten().fold(0.0f32, |most, value| most.max(value.abs()));
    let pairs = expected.iter().flatten().zip(found.iter().flatten());
    let off = pairs.map(|(expected, found)| (expected - found).abs());
    // `max` alone would let a NaN pass.
    let worst =
        off.fold(0.0f32, |most, off| most.max(if off.is_nan() { f32::INFINITY } else { off }));
    worst / largest
}

/// The little-endian f32 values of a file, where there is one.
fn floats(path: &Path) -> Option<Vec<f32>> {
    let bytes = fs::read(path).ok()?;
    let values = bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
    Some(values.collect())
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("`{}`: {error}", path.display()))
}

fn json(path: &Path) -> Value {
    serde_json::from_str(&text(path))
        .unwrap_or_else(|error| panic!("`{}`: {error}", path.display()))
}

fn array(value: &Value) -> &[Value] {
    value.as_array().expect("an array")
}

fn integer(value: &Value) -> usize {
    value.as_u64().expect("a whole number") as usize
}

fn string(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_computes_the_weights_that_its_outputs_came_from() {
        let mut wrong = Vec::new();
        for name in names() {
            let case = case(&name);
            let tensors = case.tensors();
            assert!(tensors.is_sorted_by(|a, b| a.name < b.name), "`{name}` is out of order");
            let found = tensors.iter().fold(weights::FNV1A_START, |hash, tensor| {
                tensor.values().iter().fold(hash, |hash, v| weights::fnv1a(&v.to_le_bytes(), hash))
            });
            if format!("{found:016x}") != case.weights_fnv1a {
                wrong.push(name);
            }
        }
        assert!(wrong.is_empty(), "these cases have other weights: {wrong:?}");
    }

    #[test]
    fn every_case_is_whole() {
        let names = names();
        assert!(names.len() >= 20, "only {} golden cases", names.len());
        for name in names {
            let case = case(&name);
            assert_eq!(case.rows.len(), case.positions.len(), "{name}");
            assert_eq!(case.gguf_rows.len(), case.positions.len(), "{name}");
            assert_eq!(case.positions.last(), Some(&(case.ids.len() - 1)), "{name}");
            let has_states = case.output == Output::Hidden || case.states.is_some();
            assert_eq!(case.pooled.is_some(), has_states, "{name}");
            assert!(case.rows.iter().flatten().all(|value| value.is_finite()), "{name}");
        }
    }

    #[test]
    fn a_difference_sees_numbers_shapes_and_nans() {
        let expected = vec![vec![1.0, -4.0]];
        assert_eq!(difference(&expected, &[vec![1.0, -3.0]]), 0.25);
        assert_eq!(difference(&expected, &[vec![1.0]]), f32::INFINITY);
        assert_eq!(difference(&expected, &[vec![f32::NAN, -4.0]]), f32::INFINITY);
        assert_eq!(difference(&expected, &[vec![1.0, f32::NAN]]), f32::INFINITY);
    }
}
