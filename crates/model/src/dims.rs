//! How big everything in a model is, from a GGUF's metadata or from `config.json`.

mod gguf;
mod hf;

use crate::{Arch, Error, Pairing, Rope};

/// The numbers of one model.
///
/// The shape letters are those of the whole project: `d` width, `h` query heads, `g` key/value
/// heads, `k` head width, `f` feed-forward width, `v` vocabulary.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Dims {
    /// Width of the residual stream.
    pub d: usize,
    /// Query heads.
    pub h: usize,
    /// Key/value heads; divides `h`.
    pub g: usize,
    /// Width of one head.
    pub k: usize,
    /// Width of the feed-forward part; of one expert where there are experts.
    pub f: usize,
    /// Vocabulary.
    pub v: usize,
    /// Positions that the model was trained for.
    pub context: usize,
    /// One entry per layer.
    pub layers: Vec<LayerKind>,
    /// Epsilon of all norms.
    pub norm_eps: f32,
    /// Which head dimensions a rotary embedding turns together.
    pub pairing: Pairing,
    /// The rotary embedding; `None` where positions are learned vectors.
    pub rope: Option<Rope>,
    /// The rotary embedding of windowed layers, where it is another one.
    pub local_rope: Option<Rope>,
    /// Experts, where the feed-forward part has them.
    pub experts: Option<Experts>,
    /// Multiplies embeddings.
    pub embedding_scale: f32,
    /// Multiplies what a part adds to the residual stream.
    pub residual_scale: f32,
    /// Multiplies attention scores.
    pub attention_scale: f32,
    /// Multiplies logits.
    pub logit_scale: f32,
    /// `c * tanh(x / c)` on attention scores.
    pub attention_softcap: Option<f32>,
    /// `c * tanh(x / c)` on logits.
    pub logit_softcap: Option<f32>,
}

/// What distinguishes one layer from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LayerKind {
    /// Positions that a token sees, itself included; `None` is all.
    pub window: Option<usize>,
    /// Which rotary embedding it uses.
    pub rope: RopeUse,
}

/// Which rotary embedding a layer uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RopeUse {
    /// The model's.
    Global,
    /// That of windowed layers.
    Local,
    /// None.
    None,
}

/// A mixture of experts.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Experts {
    /// How many there are.
    pub count: usize,
    /// How many run for one token.
    pub used: usize,
    /// Whether the weights of the chosen ones are scaled to a sum of one.
    pub normalized: bool,
    /// Multiplies the weights after that.
    pub scale: f32,
}

/// Upper bounds that no real model reaches: they keep products of dimensions far from overflow.
const MAX_WIDTH: usize = 1 << 20;
const MAX_LAYERS: usize = 1 << 10;
const MAX_VOCABULARY: usize = 1 << 24;
const MAX_CONTEXT: usize = 1 << 28;

impl Dims {
    /// Checks that the numbers are possible together.
    pub(crate) fn check(self) -> Result<Self, Error> {
        let ranges = [
            ("width", self.d, MAX_WIDTH),
            ("query heads", self.h, MAX_WIDTH),
            ("key/value heads", self.g, MAX_WIDTH),
            ("head width", self.k, MAX_WIDTH),
            ("feed-forward width", self.f, MAX_WIDTH),
            ("vocabulary", self.v, MAX_VOCABULARY),
            ("context length", self.context, MAX_CONTEXT),
            ("layers", self.layers.len(), MAX_LAYERS),
        ];
        for (what, found, most) in ranges {
            if found == 0 || found > most {
                return Err(Error::dims(format!("{what} `{found}`, expected 1 to {most}")));
            }
        }
        if !self.h.is_multiple_of(self.g) {
            return Err(Error::dims(format!(
                "`{}` query heads are not a multiple of `{}` key/value heads",
                self.h, self.g
            )));
        }
        for rope in self.rope.iter().chain(&self.local_rope) {
            rope.check(self.k)?;
        }
        if let Some(e) = self.experts
            && (e.used == 0 || e.used > e.count || e.count > MAX_WIDTH)
        {
            return Err(Error::dims(format!("`{}` of `{}` experts", e.used, e.count)));
        }
        let floats = [
            ("norm epsilon", self.norm_eps),
            ("attention scale", self.attention_scale),
            ("embedding scale", self.embedding_scale),
            ("residual scale", self.residual_scale),
            ("logit scale", self.logit_scale),
        ];
        for (what, value) in floats {
            if !value.is_finite() {
                return Err(Error::dims(format!("{what} `{value}` is not a number")));
            }
        }
        let positive = [("attention scale", self.attention_scale), ("norm epsilon", self.norm_eps)];
        let caps = [self.attention_softcap, self.logit_softcap].into_iter().flatten();
        let caps = caps.map(|cap| ("softcap", cap));
        if let Some((what, found)) = positive.into_iter().chain(caps).find(|p| p.1 <= 0.0) {
            return Err(Error::dims(format!("{what} `{found}`, expected a positive number")));
        }
        Ok(self)
    }
}

/// The kinds of all layers, from the row's pattern and the window.
fn pattern(arch: &Arch, layers: usize, window: Option<usize>, local_rope: bool) -> Vec<LayerKind> {
    use crate::Pattern;
    let last_of = |i: usize, n: usize| (i + 1).is_multiple_of(n.max(1));
    (0..layers.min(MAX_LAYERS + 1))
        .map(|i| match arch.pattern {
            Pattern::Uniform => LayerKind { window, rope: RopeUse::Global },
            Pattern::LastOfHasNoRope(n) => {
                let rope = if last_of(i, n) { RopeUse::None } else { RopeUse::Global };
                LayerKind { window, rope }
            }
            Pattern::LastOfIsGlobal(n) if last_of(i, n) => {
                LayerKind { window: None, rope: RopeUse::Global }
            }
            Pattern::LastOfIsGlobal(_) => {
                let rope = if local_rope { RopeUse::Local } else { RopeUse::Global };
                LayerKind { window, rope }
            }
        })
        .collect()
}
