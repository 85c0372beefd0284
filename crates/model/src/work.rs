//! What running a model asks of a machine: bytes to read and multiply-adds to do.

use crate::{Ffn, Matrix, Model};

/// Bytes of the weights that one token reads and the multiply-adds it does with them. Of experts
/// only as many count as one token uses. Attention over the context is not in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Work {
    /// Bytes of the layers' matrices.
    pub layer_bytes: u64,
    /// Multiply-adds of the layers' matrices.
    pub layer_multiply_adds: u64,
    /// Bytes of those of them that are the last layer's and make no keys and values: where no output is
    /// wanted they are not read.
    pub last_bytes: u64,
    /// Multiply-adds of the same.
    pub last_multiply_adds: u64,
    /// Bytes of the matrix that makes logits.
    pub output_bytes: u64,
    /// Multiply-adds of the matrix that makes logits.
    pub output_multiply_adds: u64,
}

impl Work {
    /// The work of a model.
    pub fn new(model: &Model) -> Self {
        let mut work = Self::default();
        for layer in &model.weights().layers {
            let before = (work.layer_bytes, work.layer_multiply_adds);
            work.add([&layer.q, &layer.k, &layer.v, &layer.o].map(|l| &l.weight), 1, 1);
            let (parts, used) = match &layer.ffn {
                Ffn::Dense(part) => (std::slice::from_ref(part), 1),
                Ffn::Experts { router, experts } => {
                    work.add([&router.weight], 1, 1);
                    let used = model.dims().experts.map_or(experts.len(), |e| e.used);
                    (experts.as_slice(), used as u64)
                }
            };
            for part in parts {
                let all = part.gate.iter().chain([&part.up, &part.down]).map(|l| &l.weight);
                work.add(all, used, parts.len() as u64);
            }
            let keys_and_values = [&layer.k, &layer.v].map(|l| &l.weight);
            let bytes: u64 = keys_and_values.iter().map(|m| m.data().len() as u64).sum();
            let multiply_adds: u64 = keys_and_values.into_iter().map(multiply_adds).sum();
            work.last_bytes = work.layer_bytes - before.0 - bytes;
            work.last_multiply_adds = work.layer_multiply_adds - before.1 - multiply_adds;
        }
        if !model.arch().bidirectional {
            let output = &model.weights().output.weight;
            work.output_bytes = output.data().len() as u64;
            work.output_multiply_adds = multiply_adds(output);
        }
        work
    }

    /// Bytes that one step of one answer reads.
    pub fn bytes(&self) -> u64 {
        self.layer_bytes + self.output_bytes
    }

    /// Multiply-adds of one step of one answer.
    pub fn multiply_adds(&self) -> u64 {
        self.layer_multiply_adds + self.output_multiply_adds
    }

    /// Adds `used` of `count` times each matrix.
    fn add<'a>(&mut self, all: impl IntoIterator<Item = &'a Matrix>, used: u64, count: u64) {
        for matrix in all {
            self.layer_bytes += matrix.data().len() as u64 * used / count;
            self.layer_multiply_adds += multiply_adds(matrix) * used / count;
        }
    }
}

fn multiply_adds(matrix: &Matrix) -> u64 {
    matrix.rows() as u64 * matrix.cols() as u64
}
