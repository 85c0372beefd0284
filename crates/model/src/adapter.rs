//! Adapters: low-rank additions to the matrices of a model (Hu et al. 2021,
//! <https://arxiv.org/abs/2106.09685>).
//!
//! Beside a matrix `W` an adapter has `A`, shape `(rank, inputs)`, and `B`, shape
//! `(outputs, rank)`; the product `W x` becomes `W x + factor * B (A x)`. The model itself stays as
//! it is, so that each answer can have another adapter.

mod bind;
mod file;
mod gguf;
mod peft;

use std::path::Path;

use rushlight_kernels::Pairing;
use sha2::{Digest, Sha256};

pub use file::AdapterFile;
pub(crate) use gguf::says_adapter;

use crate::tensor::Matrix;
use crate::{Error, ErrorKind, Ffn, Linear, Model};

/// What is added to one matrix: `factor * B (A x)`.
#[derive(Clone, Debug)]
pub struct LowRank {
    /// `(rank, inputs)`, of float values.
    pub a: Matrix,
    /// `(outputs, rank)`, of float values.
    pub b: Matrix,
    /// Multiplies the product.
    pub factor: f32,
}

/// What is added to a feed-forward part; each list is a sum.
#[derive(Clone, Debug, Default)]
pub struct AdapterFfn {
    /// To the gate.
    pub gate: Vec<LowRank>,
    /// To the way in.
    pub up: Vec<LowRank>,
    /// To the way out.
    pub down: Vec<LowRank>,
}

/// What is added to a layer; each list is a sum.
#[derive(Clone, Debug, Default)]
pub struct AdapterLayer {
    /// To queries.
    pub q: Vec<LowRank>,
    /// To keys.
    pub k: Vec<LowRank>,
    /// To values.
    pub v: Vec<LowRank>,
    /// To the output of attention.
    pub o: Vec<LowRank>,
    /// To the router of experts.
    pub router: Vec<LowRank>,
    /// To the feed-forward part, or to each expert.
    pub ffns: Vec<AdapterFfn>,
}

/// An adapter of one model. Copies share their matrices.
#[derive(Clone)]
pub struct Adapter {
    layers: Vec<AdapterLayer>,
    output: Vec<LowRank>,
    /// The order of the rows of queries and keys.
    pairing: Pairing,
    /// The digest of each file that it is the sum of, and how often that is added.
    terms: Vec<([u8; 32], f32)>,
    bytes: u64,
}

impl Adapter {
    /// Opens a GGUF adapter or a PEFT directory for `model`.
    ///
    /// # Errors
    /// If it cannot be read, breaks its format, is of a kind that cannot run here or does not fit the
    /// model: which tensor, what was found and what was expected.
    pub fn open(path: &Path, model: &Model) -> Result<Self, Error> {
        AdapterFile::open(path)?.bind(model).map_err(|e| e.at(path))
    }

    /// The same, added `scale` times.
    ///
    /// # Errors
    /// If that is not a number.
    pub fn scaled(&self, scale: f32) -> Result<Self, Error> {
        let mut scaled = self.clone();
        for low in scaled.all_mut() {
            low.factor = finite(low.factor * scale, scale)?;
        }
        for (_, times) in &mut scaled.terms {
            *times = finite(*times * scale, scale)?;
        }
        Ok(scaled)
    }

    /// Several added together; `None` of none.
    ///
    /// # Errors
    /// If they are of different models.
    pub fn sum(adapters: &[Self]) -> Result<Option<Self>, Error> {
        let Some((first, others)) = adapters.split_first() else { return Ok(None) };
        let mut sum = first.clone();
        for other in others {
            sum.add(other)?;
        }
        Ok(Some(sum))
    }

    fn add(&mut self, other: &Self) -> Result<(), Error> {
        let ffns = |adapter: &Self| adapter.layers.iter().map(|l| l.ffns.len()).collect::<Vec<_>>();
        if self.pairing != other.pairing || ffns(self) != ffns(other) {
            return Err(Error::adapter("adapters of different models cannot be added"));
        }
        for (to, from) in self.layers.iter_mut().zip(&other.layers) {
            to.q.extend_from_slice(&from.q);
            to.k.extend_from_slice(&from.k);
            to.v.extend_from_slice(&from.v);
            to.o.extend_from_slice(&from.o);
            to.router.extend_from_slice(&from.router);
            for (to, from) in to.ffns.iter_mut().zip(&from.ffns) {
                to.gate.extend_from_slice(&from.gate);
                to.up.extend_from_slice(&from.up);
                to.down.extend_from_slice(&from.down);
            }
        }
        self.output.extend_from_slice(&other.output);
        self.terms.extend_from_slice(&other.terms);
        self.bytes += other.bytes;
        Ok(())
    }

    /// What is added to each layer.
    pub fn layers(&self) -> &[AdapterLayer] {
        &self.layers
    }

    /// What is added to logits, before any scale or cap.
    pub fn output(&self) -> &[LowRank] {
        &self.output
    }

    /// Bytes of its matrices in memory.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The greatest rank; of a sum that of all at one matrix.
    pub fn rank(&self) -> usize {
        let sum = |list: &[LowRank]| list.iter().map(|low| low.a.rows()).sum();
        self.lists().map(sum).max().unwrap_or(0)
    }

    /// The SHA-256 of what it computes: of its files' matrices and how often each is added. Keys and
    /// values that were computed with one adapter are those of every adapter of the same identity.
    pub fn identity(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        for (digest, times) in &self.terms {
            hash.update(digest);
            hash.update(times.to_le_bytes());
        }
        hash.finalize().into()
    }

    /// Whether it fits a model: the same that it was opened for, or another of its shapes.
    ///
    /// # Errors
    /// If it does not; what was found and expected.
    pub fn check(&self, model: &Model) -> Result<(), Error> {
        let weights = model.weights();
        if self.pairing != model.dims().pairing || self.layers.len() != weights.layers.len() {
            return Err(Error::adapter("the adapter was opened for another model"));
        }
        for (i, (layer, base)) in self.layers.iter().zip(&weights.layers).enumerate() {
            let at = |part: &str| format!("blk.{i}.{part}");
            let attention = [
                (&layer.q, "attn_q", Some(&base.q)),
                (&layer.k, "attn_k", Some(&base.k)),
                (&layer.v, "attn_v", Some(&base.v)),
                (&layer.o, "attn_output", Some(&base.o)),
            ];
            attention.into_iter().try_for_each(|(list, name, base)| fits(list, &at(name), base))?;
            let (router, ffns) = match &base.ffn {
                Ffn::Dense(ffn) => (None, std::slice::from_ref(ffn)),
                Ffn::Experts { router, experts } => (Some(router), experts.as_slice()),
            };
            fits(&layer.router, &at("ffn_gate_inp"), router)?;
            for (e, ffn) in layer.ffns.iter().enumerate() {
                let base = ffns.get(e);
                fits(&ffn.gate, &at("ffn_gate"), base.and_then(|base| base.gate.as_ref()))?;
                fits(&ffn.up, &at("ffn_up"), base.map(|base| &base.up))?;
                fits(&ffn.down, &at("ffn_down"), base.map(|base| &base.down))?;
            }
        }
        fits(&self.output, "output", Some(&weights.output))
    }

    fn lists(&self) -> impl Iterator<Item = &[LowRank]> {
        let layers = self.layers.iter().flat_map(|layer| {
            let ffns = layer.ffns.iter().flat_map(|ffn| [&ffn.gate, &ffn.up, &ffn.down]);
            [&layer.q, &layer.k, &layer.v, &layer.o, &layer.router].into_iter().chain(ffns)
        });
        layers.chain([&self.output]).map(Vec::as_slice)
    }

    fn all_mut(&mut self) -> impl Iterator<Item = &mut LowRank> {
        let layers = self.layers.iter_mut().flat_map(|layer| {
            let ffns = layer.ffns.iter_mut().flat_map(|f| [&mut f.gate, &mut f.up, &mut f.down]);
            let AdapterLayer { q, k, v, o, router, .. } = layer;
            [q, k, v, o, router].into_iter().chain(ffns)
        });
        layers.chain([&mut self.output]).flatten()
    }
}

impl std::fmt::Debug for Adapter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Adapter of rank {}, {} bytes", self.rank(), self.bytes)
    }
}

/// A factor that comes of scaling by `scale`.
fn finite(factor: f32, scale: f32) -> Result<f32, Error> {
    if factor.is_finite() {
        return Ok(factor);
    }
    Err(Error::new(
        ErrorKind::Adapter,
        format!("an adapter scaled by `{scale}` has a factor of `{factor}`, expected a number"),
    ))
}

/// Whether additions have the shape of their matrix.
fn fits(list: &[LowRank], name: &str, base: Option<&Linear>) -> Result<(), Error> {
    for low in list {
        let found = (low.b.rows(), low.a.cols());
        let base = base.map(|base| (base.weight.rows(), base.weight.cols()));
        if base != Some(found) {
            let want = base.map_or("none".to_owned(), |base| format!("{base:?}"));
            return Err(Error::adapter(format!(
                "the adapter adds to a matrix `{name}` of shape {found:?}, the model has {want}"
            )));
        }
    }
    Ok(())
}
