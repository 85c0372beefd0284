//! The weights of a model, assembled from checked tensors.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::panels::{self, PanelSource};
use crate::schema::Schema;
use crate::tensor::{Matrix, Tensor};
use crate::{Dims, Error};

/// A matrix and what is added to its product.
#[derive(Clone, Debug)]
pub struct Linear {
    /// `(outputs, inputs)`.
    pub weight: Matrix,
    /// One value per output.
    pub bias: Option<Vec<f32>>,
}

/// The learned part of a norm.
#[derive(Clone, Debug)]
pub struct Norm {
    /// Multiplies each value.
    pub weight: Vec<f32>,
    /// Added to each value.
    pub bias: Option<Vec<f32>>,
}

/// The feed-forward part of a layer, or one expert of it.
#[derive(Clone, Debug)]
pub struct FeedForward {
    /// Multiplies `up` after the non-linearity; without it the non-linearity is on `up`.
    pub gate: Option<Linear>,
    /// Into the feed-forward width.
    pub up: Linear,
    /// Out of it.
    pub down: Linear,
}

/// A layer's feed-forward part.
#[derive(Clone, Debug)]
pub enum Ffn {
    /// One for all tokens.
    Dense(FeedForward),
    /// Several, of which a router picks some for each token.
    Experts {
        /// `(experts, width)`.
        router: Linear,
        /// All of them.
        experts: Vec<FeedForward>,
    },
}

/// One layer.
#[derive(Clone, Debug)]
pub struct Layer {
    /// Before attention.
    pub attn_norm: Option<Norm>,
    /// Queries.
    pub q: Linear,
    /// Keys.
    pub k: Linear,
    /// Values.
    pub v: Linear,
    /// On queries: of head width, or of the width of all heads.
    pub q_norm: Option<Norm>,
    /// On keys.
    pub k_norm: Option<Norm>,
    /// Out of attention.
    pub o: Linear,
    /// On the output of attention, before it is added.
    pub post_attn_norm: Option<Norm>,
    /// On the sum after attention (BERT).
    pub attn_sum_norm: Option<Norm>,
    /// Before the feed-forward part.
    pub ffn_norm: Option<Norm>,
    /// The feed-forward part.
    pub ffn: Ffn,
    /// On its output, before it is added.
    pub post_ffn_norm: Option<Norm>,
    /// On the sum after it (BERT).
    pub ffn_sum_norm: Option<Norm>,
}

/// What turns the hidden state of a pair of texts into a score.
#[derive(Clone, Debug)]
pub struct Classifier {
    /// Before the output, followed by a hyperbolic tangent: BERT's pooler.
    pub dense: Option<Linear>,
    /// One logit; or those of `yes` and `no`.
    pub output: Linear,
}

/// All weights of a model.
#[derive(Clone, Debug)]
pub struct Weights {
    /// `(vocabulary, width)`.
    pub embedding: Matrix,
    /// One vector per position, added to embeddings.
    pub positions: Option<Matrix>,
    /// The vectors of segments (token types), added to embeddings; none where there are no segments.
    pub segments: Vec<Vec<f32>>,
    /// On embeddings.
    pub embedding_norm: Option<Norm>,
    /// The layers, first to last.
    pub layers: Vec<Layer>,
    /// After the last layer.
    pub output_norm: Option<Norm>,
    /// Logits; shares the embedding where the file has no own matrix.
    pub output: Linear,
    /// What turns a hidden state into a score.
    pub classifier: Option<Classifier>,
    /// What [`crate::Panels`] are made of.
    pub(crate) panel_sources: Vec<PanelSource>,
}

/// The tensors of a checkpoint under their GGUF names.
pub(crate) struct Tensors<'a> {
    dims: &'a Dims,
    map: BTreeMap<String, Tensor>,
}

impl<'a> Tensors<'a> {
    /// Checks every tensor against the schema.
    pub(crate) fn new(dims: &'a Dims, tensors: Vec<Tensor>) -> Result<Self, Error> {
        let schema = Schema::new(dims);
        let mut map = BTreeMap::new();
        for tensor in tensors {
            let Some(shapes) = schema.shapes(&tensor.name) else {
                return Err(Error::tensor(format!(
                    "tensor `{}` of shape {:?} is not one that any architecture here has",
                    tensor.name, tensor.shape
                )));
            };
            if !shapes.contains(&tensor.shape) {
                let or = shapes.iter().map(|s| format!("{s:?}")).collect::<Vec<_>>().join(" or ");
                return Err(Error::tensor(format!(
                    "tensor `{}` has shape {:?}, expected {or} by the metadata",
                    tensor.name, tensor.shape
                )));
            }
            if let Some(twice) = map.insert(tensor.name.clone(), tensor) {
                return Err(Error::tensor(format!("tensor `{}` is there twice", twice.name)));
            }
        }
        Ok(Self { dims, map })
    }

    /// Assembles them.
    pub(crate) fn assemble(mut self) -> Result<Weights, Error> {
        let panel_sources = panels::sources(self.map.values());
        let embedding = self.need_matrix("token_embd.weight")?;
        let output_bias = self.vector("output.bias")?;
        let output = self.matrix("output.weight").unwrap_or_else(|| embedding.clone());
        let layers =
            (0..self.dims.layers.len()).map(|i| self.layer(i)).collect::<Result<_, Error>>()?;
        let segments = match self.matrix("token_types.weight") {
            Some(types) => (0..types.rows()).map(|i| types.row_floats(i)).collect(),
            None => Vec::new(),
        };
        let dense = self.linear("cls")?;
        let classifier =
            self.linear("cls.output")?.map(|output| Classifier { dense: dense.clone(), output });
        if let (Some(_), None) = (dense, &classifier) {
            return Err(self.missing("cls.output.weight"));
        }
        let weights = Weights {
            positions: self.matrix("position_embd.weight"),
            segments,
            classifier,
            embedding_norm: self.norm("token_embd_norm")?,
            layers,
            output_norm: self.norm("output_norm")?,
            output: Linear { weight: output, bias: output_bias },
            embedding,
            panel_sources,
        };
        // The dimensions have read these already.
        self.map.retain(|name, _| !name.starts_with("rope_f"));
        match self.map.into_keys().next() {
            Some(name) => Err(Error::tensor(format!(
                "tensor `{name}` has no place beside the other tensors of this file"
            ))),
            None => Ok(weights),
        }
    }

    fn layer(&mut self, i: usize) -> Result<Layer, Error> {
        let at = |part: &str| format!("blk.{i}.{part}");
        let (q, k, v) = self.qkv(i)?;
        Ok(Layer {
            attn_norm: self.norm(&at("attn_norm"))?,
            q,
            k,
            v,
            q_norm: self.norm(&at("attn_q_norm"))?,
            k_norm: self.norm(&at("attn_k_norm"))?,
            o: self.need_linear(&at("attn_output"))?,
            post_attn_norm: self.norm(&at("post_attention_norm"))?,
            attn_sum_norm: self.norm(&at("attn_output_norm"))?,
            ffn_norm: self.norm(&at("ffn_norm"))?,
            ffn: self.ffn(i)?,
            post_ffn_norm: self.norm(&at("post_ffw_norm"))?,
            ffn_sum_norm: self.norm(&at("layer_output_norm"))?,
        })
    }

    fn qkv(&mut self, i: usize) -> Result<(Linear, Linear, Linear), Error> {
        let fused = format!("blk.{i}.attn_qkv");
        if !self.map.contains_key(&format!("{fused}.weight")) {
            let mut one = |part: &str| self.need_linear(&format!("blk.{i}.{part}"));
            return Ok((one("attn_q")?, one("attn_k")?, one("attn_v")?));
        }
        let all = self.need_linear(&fused)?;
        let (hk, gk) = (self.dims.h * self.dims.k, self.dims.g * self.dims.k);
        Ok((part(&all, 0..hk), part(&all, hk..hk + gk), part(&all, hk + gk..hk + 2 * gk)))
    }

    fn ffn(&mut self, i: usize) -> Result<Ffn, Error> {
        let at = |part: &str| format!("blk.{i}.{part}");
        if let Some(router) = self.linear(&at("ffn_gate_inp"))? {
            let gate = self.expert_matrices(&at("ffn_gate_exps.weight"))?;
            let up = self.expert_matrices(&at("ffn_up_exps.weight"))?;
            let down = self.expert_matrices(&at("ffn_down_exps.weight"))?;
            let plain = |weight| Linear { weight, bias: None };
            let experts = gate.into_iter().zip(up).zip(down).map(|((gate, up), down)| {
                FeedForward { gate: Some(plain(gate)), up: plain(up), down: plain(down) }
            });
            return Ok(Ffn::Experts { router, experts: experts.collect() });
        }
        let down = self.need_linear(&at("ffn_down"))?;
        let gate = self.linear(&at("ffn_gate"))?;
        let up = self.need_linear(&at("ffn_up"))?;
        let f = self.dims.f;
        if up.weight.rows() == 2 * f {
            if gate.is_some() {
                return Err(Error::tensor(format!(
                    "layer `{i}` has both a gate and a double-width `ffn_up`"
                )));
            }
            let gate = Some(part(&up, 0..f));
            return Ok(Ffn::Dense(FeedForward { gate, up: part(&up, f..2 * f), down }));
        }
        Ok(Ffn::Dense(FeedForward { gate, up, down }))
    }

    fn expert_matrices(&mut self, name: &str) -> Result<Vec<Matrix>, Error> {
        let tensor = self.map.remove(name).ok_or_else(|| self.missing(name))?;
        Ok(tensor.into_matrices())
    }

    fn matrix(&mut self, name: &str) -> Option<Matrix> {
        self.map.remove(name).and_then(|t| t.into_matrices().into_iter().next())
    }

    fn need_matrix(&mut self, name: &str) -> Result<Matrix, Error> {
        self.matrix(name).ok_or_else(|| self.missing(name))
    }

    fn linear(&mut self, module: &str) -> Result<Option<Linear>, Error> {
        let Some(weight) = self.matrix(&format!("{module}.weight")) else { return Ok(None) };
        Ok(Some(Linear { weight, bias: self.vector(&format!("{module}.bias"))? }))
    }

    fn need_linear(&mut self, module: &str) -> Result<Linear, Error> {
        match self.linear(module)? {
            Some(linear) => Ok(linear),
            None => Err(self.missing(&format!("{module}.weight"))),
        }
    }

    fn vector(&mut self, name: &str) -> Result<Option<Vec<f32>>, Error> {
        let Some(tensor) = self.map.remove(name) else { return Ok(None) };
        let values = tensor.to_floats();
        match values.iter().position(|x| !x.is_finite()) {
            Some(at) => Err(Error::tensor(format!(
                "tensor `{name}` has `{}` at `{at}`, expected a number",
                values[at]
            ))),
            None => Ok(Some(values)),
        }
    }

    fn norm(&mut self, module: &str) -> Result<Option<Norm>, Error> {
        let Some(weight) = self.vector(&format!("{module}.weight"))? else { return Ok(None) };
        Ok(Some(Norm { weight, bias: self.vector(&format!("{module}.bias"))? }))
    }

    fn missing(&self, name: &str) -> Error {
        let shapes = Schema::new(self.dims).shapes(name).unwrap_or_default();
        let shape = shapes.first().map_or(String::new(), |s| format!(" of shape {s:?}"));
        Error::tensor(format!("tensor `{name}`{shape} is missing"))
    }
}

/// Some outputs of a linear map.
fn part(all: &Linear, rows: Range<usize>) -> Linear {
    let bias = all.bias.as_ref().map(|b| b[rows.clone()].to_vec());
    Linear { weight: all.weight.row_range(rows), bias }
}
