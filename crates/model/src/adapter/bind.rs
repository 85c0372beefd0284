//! An adapter's matrices in the terms of a model: found, checked, and in its order of rows.

use std::ops::Range;

use rushlight_kernels::Pairing;

use super::file::Pair;
use super::{Adapter, AdapterFfn, AdapterFile, AdapterLayer, LowRank};
use crate::schema::layer_of;
use crate::tensor::{Matrix, Tensor};
use crate::{Dims, Error, ErrorKind, FeedForward, Ffn, Linear, Model};

impl AdapterFile {
    /// The adapter for a model. Where the file has its queries and keys in the other order of rotary
    /// pairs than the model, as between a file of PEFT and a model in GGUF, they are put in the
    /// model's.
    ///
    /// # Errors
    /// If it is of another architecture, or a matrix has no place in the model or another shape.
    pub fn bind(&self, model: &Model) -> Result<Adapter, Error> {
        let dims = model.dims();
        let of_file = match &self.architecture {
            None => Pairing::Halves,
            Some(name) if name == model.arch().name => model.arch().pairing,
            Some(name) => {
                return Err(Error::new(
                    ErrorKind::Architecture,
                    format!(
                        "the adapter is for models of `{name}`, expected `{}`",
                        model.arch().name
                    ),
                ));
            }
        };
        let mut binding = Binding {
            model,
            turn: (of_file != dims.pairing).then_some(dims.pairing),
            layers: empty_layers(model),
            output: Vec::new(),
            bytes: 0,
        };
        let output = &model.weights().output.weight;
        if let Some((name, shape)) = &self.head
            && *shape != [output.rows(), output.cols()]
        {
            let want = [output.rows(), output.cols()];
            return Err(Error::adapter(format!(
                "tensor `{name}` has shape {shape:?}, expected {want:?} by the model"
            ))
            .with_hint("the adapter was made for another vocabulary: merge it into its model"));
        }
        for pair in &self.pairs {
            binding.pair(pair)?;
        }
        let Binding { layers, output, bytes, .. } = binding;
        let terms = vec![(self.digest(of_file, dims.pairing), 1.0)];
        Ok(Adapter { layers, output, pairing: dims.pairing, terms, bytes })
    }
}

fn empty_layers(model: &Model) -> Vec<AdapterLayer> {
    let ffns = |ffn: &Ffn| match ffn {
        Ffn::Dense(_) => 1,
        Ffn::Experts { experts, .. } => experts.len(),
    };
    let layer =
        |ffn| AdapterLayer { ffns: vec![AdapterFfn::default(); ffns(ffn)], ..Default::default() };
    model.weights().layers.iter().map(|l| layer(&l.ffn)).collect()
}

struct Binding<'a> {
    model: &'a Model,
    /// The order that the rows of queries and keys are to be put in.
    turn: Option<Pairing>,
    layers: Vec<AdapterLayer>,
    output: Vec<LowRank>,
    bytes: u64,
}

impl Binding<'_> {
    fn pair(&mut self, pair: &Pair) -> Result<(), Error> {
        self.bytes += (pair.a.bytes.len() + pair.b.bytes.len()) as u64;
        let weights = self.model.weights();
        let Some((index, part)) = layer_of(&pair.name) else {
            return match pair.name.as_str() {
                "output.weight" => {
                    self.output.push(whole(pair, &weights.output)?);
                    Ok(())
                }
                "token_embd.weight" | "position_embd.weight" => Err(Error::adapter(format!(
                    "tensor `{}` adds to embeddings, expected to matrices of layers or to the output",
                    pair.a.name
                ))
                .with_hint("merge the adapter into the model")),
                _ => Err(nowhere(pair)),
            };
        };
        let base = weights.layers.get(index).ok_or_else(|| nowhere(pair))?;
        let Dims { h, g, k, f, .. } = *self.model.dims();
        let turn = self.turn;
        let layer = &mut self.layers[index];
        match (part, &base.ffn) {
            ("attn_q.weight", _) => layer.q.push(turned(whole(pair, &base.q)?, h, turn)?),
            ("attn_k.weight", _) => layer.k.push(turned(whole(pair, &base.k)?, g, turn)?),
            ("attn_v.weight", _) => layer.v.push(whole(pair, &base.v)?),
            ("attn_output.weight", _) => layer.o.push(whole(pair, &base.o)?),
            ("attn_qkv.weight", _) => {
                let all = matrices(pair, (h * k + 2 * g * k, base.q.weight.cols()))?;
                let part = |rows: Range<usize>| all.rows(rows);
                layer.q.push(turned(part(0..h * k), h, turn)?);
                layer.k.push(turned(part(h * k..h * k + g * k), g, turn)?);
                layer.v.push(part(h * k + g * k..h * k + 2 * g * k));
            }
            ("ffn_gate_inp.weight", Ffn::Experts { router, .. }) => {
                layer.router.push(whole(pair, router)?);
            }
            ("ffn_up.weight", Ffn::Dense(ffn)) if is_double(pair, f) && ffn.gate.is_some() => {
                let all = matrices(pair, (2 * f, ffn.up.weight.cols()))?;
                layer.ffns[0].gate.push(all.rows(0..f));
                layer.ffns[0].up.push(all.rows(f..2 * f));
            }
            (_, Ffn::Dense(ffn)) => {
                let to = ffn_part(&mut layer.ffns[0], ffn, part, "");
                let (list, base) = to.ok_or_else(|| nowhere(pair))?;
                list.push(whole(pair, base)?);
            }
            (_, Ffn::Experts { experts, .. }) => {
                for (e, one) in of_experts(pair, experts.len())? {
                    let to = ffn_part(&mut layer.ffns[e], &experts[e], part, "_exps");
                    let (list, base) = to.ok_or_else(|| nowhere(pair))?;
                    list.push(whole(&one, base)?);
                }
            }
        }
        Ok(())
    }
}

/// The list and the matrix of a part of a feed-forward part, whose name ends as said.
fn ffn_part<'a>(
    to: &'a mut AdapterFfn,
    base: &'a FeedForward,
    part: &str,
    end: &str,
) -> Option<(&'a mut Vec<LowRank>, &'a Linear)> {
    match part.strip_suffix(".weight")?.strip_suffix(end)? {
        "ffn_gate" => Some((&mut to.gate, base.gate.as_ref()?)),
        "ffn_up" => Some((&mut to.up, &base.up)),
        "ffn_down" => Some((&mut to.down, &base.down)),
        _ => None,
    }
}

/// Whether it adds to gate and way in at once.
fn is_double(pair: &Pair, f: usize) -> bool {
    pair.b.shape.first() == Some(&(2 * f))
}

/// The pairs of experts: the one that it is of, or those of all of them one after the other.
fn of_experts(pair: &Pair, count: usize) -> Result<Vec<(usize, Pair)>, Error> {
    let two = |tensor: &Tensor| tensor.shape.len() == 2;
    let copy = |a, b| Pair { name: pair.name.clone(), expert: None, a, b, factor: pair.factor };
    match pair.expert {
        Some(e) if e < count => Ok(vec![(e, copy(pair.a.clone(), pair.b.clone()))]),
        Some(_) => Err(nowhere(pair)),
        None if !two(&pair.a) && !two(&pair.b) => {
            let part = |tensor: &Tensor| tensor.experts(count);
            let (a, b) = (part(&pair.a)?, part(&pair.b)?);
            Ok(a.into_iter().zip(b).map(|(a, b)| copy(a, b)).enumerate().collect())
        }
        None => Err(shape(&pair.a, &format!("[{count}, rank, inputs]"))),
    }
}

/// The two matrices of a pair as they are in memory.
struct Matrices {
    a: Matrix,
    b: Matrix,
    factor: f32,
}

impl Matrices {
    /// Those that make some of the outputs.
    fn rows(&self, rows: Range<usize>) -> LowRank {
        LowRank { a: self.a.clone(), b: self.b.row_range(rows), factor: self.factor }
    }
}

/// The matrices of a pair that adds to one of `(outputs, inputs)`.
fn matrices(pair: &Pair, (outputs, inputs): (usize, usize)) -> Result<Matrices, Error> {
    let rank = pair.rank();
    for (tensor, want) in [(&pair.a, [rank, inputs]), (&pair.b, [outputs, rank])] {
        if tensor.shape != want {
            return Err(shape(tensor, &format!("{want:?} by the model")));
        }
    }
    let matrix = |tensor: &Tensor| tensor.clone().into_matrices().into_iter().next();
    match (matrix(&pair.a), matrix(&pair.b)) {
        (Some(a), Some(b)) => Ok(Matrices { a, b, factor: pair.factor }),
        _ => Err(nowhere(pair)),
    }
}

fn whole(pair: &Pair, base: &Linear) -> Result<LowRank, Error> {
    let outputs = base.weight.rows();
    Ok(matrices(pair, (outputs, base.weight.cols()))?.rows(0..outputs))
}

/// With the rows of each of `heads` heads in the order `to`, if there is one.
fn turned(low: LowRank, heads: usize, to: Option<Pairing>) -> Result<LowRank, Error> {
    let Some(to) = to else { return Ok(low) };
    let width = low.b.rows() / heads;
    if !width.is_multiple_of(2) {
        return Err(Error::adapter(format!("heads of `{width}` rows have no rotary pairs")));
    }
    // The halves of pair `j` are rows `j` and `width / 2 + j`, or rows `2 j` and `2 j + 1`.
    let from = |row: usize| match to {
        Pairing::Adjacent => row % 2 * (width / 2) + row / 2,
        Pairing::Halves => row % (width / 2) * 2 + row / (width / 2),
    };
    let rows = (0..heads).flat_map(|head| (0..width).map(move |row| head * width + from(row)));
    let b = low.b.with_rows(rows);
    Ok(LowRank { b, ..low })
}

fn nowhere(pair: &Pair) -> Error {
    let expert = pair.expert.map_or(String::new(), |e| format!(" of expert `{e}`"));
    Error::adapter(format!(
        "tensor `{}` adds to `{}`{expert}, which the model does not have",
        pair.a.name, pair.name
    ))
    .with_hint("the adapter was made for another model")
}

fn shape(tensor: &Tensor, want: &str) -> Error {
    Error::adapter(format!(
        "tensor `{}` has shape {:?}, expected {want}",
        tensor.name, tensor.shape
    ))
    .with_hint("the adapter was made for another model")
}
