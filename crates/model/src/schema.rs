//! The tensors that a model may have, and their shapes: one list for all architectures.
//!
//! Names are those of GGUF; checkpoints of transformers are renamed to them when read. What is
//! there says what is computed: a bias is added if there is one, a norm applied if there is one.

use crate::Dims;

/// A dimension by its letter.
#[derive(Clone, Copy)]
enum L {
    D,
    Hk,
    Gk,
    K,
    Qkv,
    F,
    F2,
    V,
    Experts,
    Context,
    One,
    Two,
    Pairs,
}
use L::{Context, D, Experts, F, F2, Gk, Hk, K, One, Pairs, Qkv, Two, V};

/// Name and the shapes that it may have, outermost dimension first.
type Slot = (&'static str, &'static [&'static [L]]);

/// Tensors of the model.
const MODEL: &[Slot] = &[
    ("token_embd.weight", &[&[V, D]]),
    ("token_embd_norm.weight", &[&[D]]),
    ("token_embd_norm.bias", &[&[D]]),
    ("token_types.weight", &[&[Two, D]]),
    ("position_embd.weight", &[&[Context, D]]),
    ("output_norm.weight", &[&[D]]),
    ("output_norm.bias", &[&[D]]),
    ("output.weight", &[&[V, D]]),
    ("output.bias", &[&[V]]),
    ("cls.weight", &[&[D, D]]),
    ("cls.bias", &[&[D]]),
    ("cls.output.weight", &[&[One, D], &[Two, D]]),
    ("cls.output.bias", &[&[One], &[Two]]),
    ("rope_freqs.weight", &[&[Pairs]]),
    ("rope_factors_long.weight", &[&[Pairs]]),
    ("rope_factors_short.weight", &[&[Pairs]]),
];

/// Tensors of one layer, without `blk.N.`.
const LAYER: &[Slot] = &[
    ("attn_norm.weight", &[&[D]]),
    ("attn_norm.bias", &[&[D]]),
    ("attn_q.weight", &[&[Hk, D]]),
    ("attn_q.bias", &[&[Hk]]),
    ("attn_k.weight", &[&[Gk, D]]),
    ("attn_k.bias", &[&[Gk]]),
    ("attn_v.weight", &[&[Gk, D]]),
    ("attn_v.bias", &[&[Gk]]),
    ("attn_qkv.weight", &[&[Qkv, D]]),
    ("attn_qkv.bias", &[&[Qkv]]),
    ("attn_q_norm.weight", &[&[K], &[Hk]]),
    ("attn_k_norm.weight", &[&[K], &[Gk]]),
    ("attn_output.weight", &[&[D, Hk]]),
    ("attn_output.bias", &[&[D]]),
    ("attn_output_norm.weight", &[&[D]]),
    ("attn_output_norm.bias", &[&[D]]),
    ("post_attention_norm.weight", &[&[D]]),
    ("ffn_norm.weight", &[&[D]]),
    ("ffn_norm.bias", &[&[D]]),
    ("ffn_gate.weight", &[&[F, D]]),
    ("ffn_gate.bias", &[&[F]]),
    ("ffn_up.weight", &[&[F, D], &[F2, D]]),
    ("ffn_up.bias", &[&[F], &[F2]]),
    ("ffn_down.weight", &[&[D, F]]),
    ("ffn_down.bias", &[&[D]]),
    ("ffn_gate_inp.weight", &[&[Experts, D]]),
    ("ffn_gate_exps.weight", &[&[Experts, F, D]]),
    ("ffn_up_exps.weight", &[&[Experts, F, D]]),
    ("ffn_down_exps.weight", &[&[Experts, D, F]]),
    ("post_ffw_norm.weight", &[&[D]]),
    ("layer_output_norm.weight", &[&[D]]),
    ("layer_output_norm.bias", &[&[D]]),
];

/// The tensors of a model of certain dimensions.
#[derive(Clone, Copy, Debug)]
pub struct Schema<'a> {
    dims: &'a Dims,
}

impl<'a> Schema<'a> {
    /// The schema of `dims`.
    pub fn new(dims: &'a Dims) -> Self {
        Self { dims }
    }

    /// The shapes that a tensor of this name may have, outermost dimension first; `None` when no
    /// model has such a tensor.
    pub fn shapes(&self, name: &str) -> Option<Vec<Vec<usize>>> {
        let slots = match layer_of(name) {
            Some((layer, rest)) if layer < self.dims.layers.len() => {
                LAYER.iter().find(|slot| slot.0 == rest)
            }
            Some(_) => None,
            None => MODEL.iter().find(|slot| slot.0 == name),
        };
        let sized = |shape: &[L]| shape.iter().map(|l| self.length(*l)).collect();
        slots.map(|(_, shapes)| shapes.iter().map(|s| sized(s)).collect())
    }

    /// Every name that a model of these dimensions may have.
    pub fn names(&self) -> Vec<String> {
        let layers = 0..self.dims.layers.len();
        let of_layer = |i: usize| LAYER.iter().map(move |slot| format!("blk.{i}.{}", slot.0));
        MODEL.iter().map(|slot| slot.0.to_owned()).chain(layers.flat_map(of_layer)).collect()
    }

    fn length(&self, letter: L) -> usize {
        let dims = self.dims;
        let (hk, gk) = (dims.h * dims.k, dims.g * dims.k);
        match letter {
            D => dims.d,
            Hk => hk,
            Gk => gk,
            K => dims.k,
            Qkv => hk + 2 * gk,
            F => dims.f,
            F2 => 2 * dims.f,
            V => dims.v,
            Experts => dims.experts.map_or(0, |e| e.count),
            Context => dims.context,
            One => 1,
            Two => 2,
            Pairs => dims.rope.as_ref().map_or(0, |r| r.rotated / 2),
        }
    }
}

/// Splits `blk.N.rest` into `N` and `rest`.
pub(crate) fn layer_of(name: &str) -> Option<(usize, &str)> {
    let (index, rest) = name.strip_prefix("blk.")?.split_once('.')?;
    Some((index.parse().ok()?, rest))
}
