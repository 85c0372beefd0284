//! The names of transformers' checkpoints in the terms of GGUF.
//!
//! Names are those that `modeling_*.py` of transformers give their modules.

/// What has to be done to a tensor on its way in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    None,
    /// Stored as `(inputs, outputs)`: GPT-2's `Conv1D`.
    Transpose,
}

/// Modules of one layer, after `layers.N.`.
const LAYER: &[(&str, &str)] = &[
    ("self_attn.q_proj", "attn_q"),
    ("self_attn.k_proj", "attn_k"),
    ("self_attn.v_proj", "attn_v"),
    ("self_attn.qkv_proj", "attn_qkv"),
    ("self_attn.o_proj", "attn_output"),
    ("self_attn.q_norm", "attn_q_norm"),
    ("self_attn.k_norm", "attn_k_norm"),
    ("mlp.gate_proj", "ffn_gate"),
    ("mlp.up_proj", "ffn_up"),
    ("mlp.gate_up_proj", "ffn_up"),
    ("mlp.down_proj", "ffn_down"),
    ("mlp.c_fc", "ffn_up"),
    ("mlp.c_proj", "ffn_down"),
    ("mlp.gate", "ffn_gate_inp"),
    ("block_sparse_moe.gate", "ffn_gate_inp"),
    ("input_layernorm", "attn_norm"),
    ("pre_feedforward_layernorm", "ffn_norm"),
    ("post_feedforward_layernorm", "post_ffw_norm"),
    ("ln_1", "attn_norm"),
    ("ln_2", "ffn_norm"),
    ("attn.c_attn", "attn_qkv"),
    ("attn.c_proj", "attn_output"),
    ("attention.self.query", "attn_q"),
    ("attention.self.key", "attn_k"),
    ("attention.self.value", "attn_v"),
    ("attention.output.dense", "attn_output"),
    ("attention.output.LayerNorm", "attn_output_norm"),
    ("intermediate.dense", "ffn_up"),
    ("output.dense", "ffn_down"),
    ("output.LayerNorm", "layer_output_norm"),
];

/// Modules of the model.
const MODEL: &[(&str, &str)] = &[
    ("embed_tokens", "token_embd"),
    ("wte", "token_embd"),
    ("embeddings.word_embeddings", "token_embd"),
    ("wpe", "position_embd"),
    ("embeddings.position_embeddings", "position_embd"),
    ("embeddings.token_type_embeddings", "token_types"),
    ("embeddings.LayerNorm", "token_embd_norm"),
    ("norm", "output_norm"),
    ("ln_f", "output_norm"),
    ("lm_head", "output"),
    ("pooler.dense", "cls"),
    ("classifier", "cls.output"),
];

/// The matrices of one expert, by either naming.
const EXPERT: &[(&str, &str)] = &[
    ("gate_proj", "ffn_gate_exps"),
    ("up_proj", "ffn_up_exps"),
    ("down_proj", "ffn_down_exps"),
    ("w1", "ffn_gate_exps"),
    ("w3", "ffn_up_exps"),
    ("w2", "ffn_down_exps"),
];

/// Tensors that hold nothing which is computed with: tables that transformers builds itself.
const UNUSED: &[&str] =
    &["rotary_emb.inv_freq", "attn.bias", "attn.masked_bias", "embeddings.position_ids"];

/// Encoders are saved with this, but only a classifier reads it.
const POOLER: &str = "pooler.dense.";

/// What the names of all tensors of a checkpoint tell about each.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Traits {
    /// The output of each part is normalised too, which decides what `post_attention_layernorm` means.
    pub(crate) post_norms: bool,
    /// There is a classifier.
    pub(crate) classifies: bool,
}

impl Traits {
    /// Those of a checkpoint with tensors of these names.
    pub(crate) fn of<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        let mut traits = Self::default();
        for name in names {
            traits.post_norms |= name.contains("post_feedforward_layernorm");
            traits.classifies |= name == "classifier.weight";
        }
        traits
    }
}

/// A renamed tensor.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Renamed {
    /// The GGUF name.
    pub(crate) name: String,
    /// Which expert's part of it this is.
    pub(crate) expert: Option<usize>,
    pub(crate) change: Change,
}

/// The GGUF name of a tensor; `Ok(None)` for one that is not computed with, `Err` for an unknown.
pub(crate) fn rename(name: &str, traits: Traits) -> Result<Option<Renamed>, ()> {
    let bare =
        ["model.language_model.", "language_model.model.", "model.", "transformer.", "bert."]
            .iter()
            .find_map(|prefix| name.strip_prefix(prefix))
            .unwrap_or(name);
    if UNUSED.iter().any(|unused| bare == *unused || bare.ends_with(&format!(".{unused}"))) {
        return Ok(None);
    }
    if bare.starts_with(POOLER) && !traits.classifies {
        return Ok(None);
    }
    let (module, leaf) = bare.rsplit_once('.').ok_or(())?;
    if !matches!(leaf, "weight" | "bias") {
        return Err(());
    }
    let layer = ["layers.", "h.", "encoder.layer."].iter().find_map(|p| module.strip_prefix(p));
    let Some((index, module)) = layer.and_then(|rest| rest.split_once('.')) else {
        let to = find(MODEL, module).ok_or(())?;
        return Ok(Some(plain(format!("{to}.{leaf}"))));
    };
    let index: usize = index.parse().map_err(|_| ())?;
    let experts = ["mlp.experts.", "block_sparse_moe.experts."];
    if let Some(rest) = experts.iter().find_map(|prefix| module.strip_prefix(prefix)) {
        let (expert, part) = rest.split_once('.').ok_or(())?;
        let to = find(EXPERT, part).ok_or(())?;
        let expert = Some(expert.parse().map_err(|_| ())?);
        return Ok(Some(Renamed { expert, ..plain(format!("blk.{index}.{to}.{leaf}")) }));
    }
    let to = match module {
        "post_attention_layernorm" if traits.post_norms => "post_attention_norm",
        "post_attention_layernorm" => "ffn_norm",
        _ => find(LAYER, module).ok_or(())?,
    };
    let conv = bare.starts_with("h.") && leaf == "weight" && module.contains("c_");
    let change = if conv { Change::Transpose } else { Change::None };
    Ok(Some(Renamed { change, ..plain(format!("blk.{index}.{to}.{leaf}")) }))
}

fn find(table: &[(&'static str, &'static str)], from: &str) -> Option<&'static str> {
    table.iter().find(|row| row.0 == from).map(|row| row.1)
}

fn plain(name: String) -> Renamed {
    Renamed { name, expert: None, change: Change::None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_each_family() {
        let cases = [
            ("model.layers.3.self_attn.q_proj.weight", "blk.3.attn_q.weight", None),
            ("model.layers.0.post_attention_layernorm.weight", "blk.0.ffn_norm.weight", None),
            ("model.embed_tokens.weight", "token_embd.weight", None),
            ("lm_head.weight", "output.weight", None),
            ("transformer.h.1.ln_1.bias", "blk.1.attn_norm.bias", None),
            ("encoder.layer.2.output.LayerNorm.bias", "blk.2.layer_output_norm.bias", None),
            (
                "model.layers.1.mlp.experts.7.down_proj.weight",
                "blk.1.ffn_down_exps.weight",
                Some(7),
            ),
            (
                "model.layers.1.block_sparse_moe.experts.0.w3.weight",
                "blk.1.ffn_up_exps.weight",
                Some(0),
            ),
        ];
        for (from, to, expert) in cases {
            let found = rename(from, Traits::default()).unwrap().unwrap();
            assert_eq!((found.name.as_str(), found.expert), (to, expert), "{from}");
        }
        assert_eq!(rename("h.0.attn.bias", Traits::default()), Ok(None));
        assert_eq!(rename("model.layers.0.self_attn.sinks", Traits::default()), Err(()));
        let conv = rename("h.0.mlp.c_fc.weight", Traits::default()).unwrap().unwrap();
        assert_eq!(conv.change, Change::Transpose);
        let post = rename(
            "model.layers.0.post_attention_layernorm.weight",
            Traits { post_norms: true, ..Traits::default() },
        )
        .unwrap()
        .unwrap();
        assert_eq!(post.name, "blk.0.post_attention_norm.weight");
        let classifier = Traits::of(["bert.pooler.dense.bias", "classifier.weight"].into_iter());
        for (from, to) in
            [("classifier.bias", "cls.output.bias"), ("bert.pooler.dense.bias", "cls.bias")]
        {
            assert_eq!(rename(from, classifier).unwrap().unwrap().name, to, "{from}");
        }
        assert_eq!(rename("bert.pooler.dense.bias", Traits::default()), Ok(None));
    }
}
