//! What an adapter's file says, before it meets a model.

use std::collections::BTreeMap;
use std::path::Path;

use rushlight_kernels::{Format, Pairing};
use sha2::{Digest, Sha256};

use super::{gguf, peft};
use crate::Error;
use crate::tensor::{Bytes, Tensor};

/// An adapter as its file describes it.
#[derive(Debug)]
pub struct AdapterFile {
    pub(super) kind: &'static str,
    pub(super) architecture: Option<String>,
    pub(super) base: Option<String>,
    /// In the order of their names.
    pub(super) pairs: Vec<Pair>,
    /// Name and shape of the head that it was made for, where the file has that, too.
    pub(super) head: Option<(String, Vec<usize>)>,
    pub(super) file_bytes: u64,
}

/// The two matrices that belong to one of the model.
#[derive(Debug)]
pub(super) struct Pair {
    /// The matrix in the terms of GGUF, such as `blk.0.attn_q.weight`.
    pub(super) name: String,
    /// Of which expert, where each has a pair of its own.
    pub(super) expert: Option<usize>,
    /// `(rank, inputs)`, or one of these for each expert.
    pub(super) a: Tensor,
    /// `(outputs, rank)`, or one of these for each expert.
    pub(super) b: Tensor,
    pub(super) factor: f32,
}

impl AdapterFile {
    /// Whether a path is an adapter: a directory with `adapter_config.json` and no `config.json`, or
    /// a GGUF file that says so. False of what cannot be read.
    pub fn is_at(path: &Path) -> bool {
        if path.is_dir() { peft::is_at(path) } else { gguf::is_at(path) }
    }

    /// Reads a GGUF adapter, as llama.cpp's `convert_lora_to_gguf.py` writes it, or a directory of
    /// PEFT.
    ///
    /// # Errors
    /// If it cannot be read, breaks its format, or is of a kind that cannot run here.
    pub fn open(path: &Path) -> Result<Self, Error> {
        if path.is_dir() { peft::read(path) } else { gguf::read(path).map_err(|e| e.at(path)) }
    }

    /// `GGUF` or `PEFT`.
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// The architecture of its model, by the name in GGUF, where the file says so.
    pub fn architecture(&self) -> Option<&str> {
        self.architecture.as_deref()
    }

    /// What its model is called, where the file says so.
    pub fn base(&self) -> Option<&str> {
        self.base.as_deref()
    }

    /// Bytes of the file with the matrices.
    pub fn file_bytes(&self) -> u64 {
        self.file_bytes
    }

    /// Each matrix that it adds to, by its name in GGUF, with the rank and the factor.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, usize, f32)> {
        self.pairs.iter().map(|pair| (pair.name.as_str(), pair.rank(), pair.factor))
    }

    /// The SHA-256 of all that it computes with, where rows of queries and keys in the order
    /// `of_file` are put in that of a model.
    pub(super) fn digest(&self, of_file: Pairing, of_model: Pairing) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(format!("{of_file:?} {of_model:?}\n"));
        for Pair { name, expert, a, b, factor } in &self.pairs {
            // Lengths keep what follows apart.
            hash.update(format!("{name} {expert:?} {factor:?}\n"));
            for part in [a, b] {
                hash.update(format!("{} {:?}\n", part.format, part.shape));
                hash.update(&*part.bytes);
            }
        }
        hash.finalize().into()
    }
}

impl Pair {
    pub(super) fn rank(&self) -> usize {
        self.b.shape.last().copied().unwrap_or(0)
    }
}

/// Puts together what belongs together; which part a tensor is comes with its name.
#[derive(Debug, Default)]
pub(super) struct Halves {
    /// By the matrix of the model: its name and expert.
    map: BTreeMap<(String, Option<usize>), [Option<Tensor>; 2]>,
}

/// Which of the two matrices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Half {
    A,
    B,
}

impl Halves {
    /// Takes a tensor, `(rank, inputs)` or `(outputs, rank)`.
    pub(super) fn put(
        &mut self,
        name: String,
        expert: Option<usize>,
        half: Half,
        tensor: &Tensor,
    ) -> Result<(), Error> {
        let place = &mut self.map.entry((name, expert)).or_default()[half as usize];
        match place.replace(floats(tensor)?) {
            None => Ok(()),
            Some(twice) => Err(Error::adapter(format!("tensor `{}` is there twice", twice.name))),
        }
    }

    /// The pairs, each with the factor that `factor` gives for the name of `A` and the rank.
    pub(super) fn pairs(
        self,
        factor: impl Fn(&str, usize) -> Result<f32, Error>,
    ) -> Result<Vec<Pair>, Error> {
        if self.map.is_empty() {
            return Err(Error::adapter("the adapter adds to no matrix"));
        }
        let pair = |((name, expert), halves): ((String, Option<usize>), [Option<Tensor>; 2])| {
            let [a, b] = match halves {
                [Some(a), Some(b)] => [a, b],
                [Some(one), None] | [None, Some(one)] => {
                    return Err(Error::adapter(format!(
                        "tensor `{}` stands alone, expected both of `{name}`: A and B",
                        one.name
                    )));
                }
                [None, None] => return Err(Error::adapter(format!("`{name}` has no tensors"))),
            };
            let rank = ranks(&a, &b)?;
            let factor = super::finite(factor(&a.name, rank)?, 1.0)?;
            Ok(Pair { name, expert, a, b, factor })
        };
        self.map.into_iter().map(pair).collect()
    }
}

/// The rank, in which both agree.
fn ranks(a: &Tensor, b: &Tensor) -> Result<usize, Error> {
    let place = |tensor: &Tensor, from_end: usize| match tensor.shape.len() {
        n @ 2..=3 => Ok(tensor.shape[n - from_end]),
        _ => Err(Error::adapter(format!(
            "tensor `{}` has shape {:?}, expected a matrix, or one for each expert",
            tensor.name, tensor.shape
        ))),
    };
    let (rank, other) = (place(a, 2)?, place(b, 1)?);
    if rank != other {
        return Err(Error::adapter(format!(
            "tensor `{}` of shape {:?} has a rank of `{rank}`, but `{}` of shape {:?} one of `{other}`",
            a.name, a.shape, b.name, b.shape
        )));
    }
    let most = place(a, 1)?.max(place(b, 2)?);
    if rank == 0 || rank > most {
        return Err(Error::adapter(format!(
            "tensor `{}` of shape {:?} has a rank of `{rank}`, expected 1 to `{most}`",
            a.name, a.shape
        )));
    }
    Ok(rank)
}

/// The tensor in memory of its own, as floats, each proved to be a number.
fn floats(tensor: &Tensor) -> Result<Tensor, Error> {
    let values = tensor.to_floats();
    if let Some(at) = values.iter().position(|x| !x.is_finite()) {
        return Err(Error::adapter(format!(
            "tensor `{}` has `{}` at `{at}`, expected a number",
            tensor.name, values[at]
        )));
    }
    let (format, bytes) = match tensor.format {
        Format::F32 | Format::F16 | Format::BF16 => (tensor.format, tensor.bytes.to_vec()),
        _ => (Format::F32, values.iter().flat_map(|x| x.to_le_bytes()).collect()),
    };
    Tensor::new(&tensor.name, format, tensor.shape.clone(), Bytes::owned(bytes))
}
