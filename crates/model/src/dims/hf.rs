//! Dimensions from the `config.json` of a Hugging Face checkpoint.
//!
//! Keys and defaults are those of transformers (`configuration_*.py`).

use rushlight_formats::HfConfig;

use super::{Dims, Experts, LayerKind, RopeUse, pattern};
use crate::rope::yarn_attention_factor;
use crate::{Arch, Error, Pairing, Rope, Scaling};

/// Reads keys, the first name that is there: GPT-2 names its own.
struct Keys<'a>(&'a HfConfig);

impl Keys<'_> {
    fn size(&self, names: &[&str]) -> Result<Option<usize>, Error> {
        for name in names {
            if let Some(n) = self.0.u64(name)? {
                return Ok(Some(usize::try_from(n).unwrap_or(usize::MAX)));
            }
        }
        Ok(None)
    }

    fn need_size(&self, names: &[&str]) -> Result<usize, Error> {
        self.size(names)?
            .ok_or_else(|| Error::dims(format!("`config.json` has no `{}`", names.join("` or `"))))
    }

    fn float(&self, names: &[&str]) -> Result<Option<f32>, Error> {
        for name in names {
            if let Some(x) = self.0.f32(name)? {
                return Ok(Some(x));
            }
        }
        Ok(None)
    }
}

impl Dims {
    /// The dimensions in the `config.json` of a checkpoint of architecture `arch`.
    ///
    /// # Errors
    /// If a key is missing or of another type, or if the numbers are impossible together.
    pub(crate) fn from_config(arch: &Arch, config: &HfConfig) -> Result<Dims, Error> {
        let keys = Keys(config);
        if config.bool("use_bidirectional_attention")? == Some(true) && !arch.bidirectional {
            return Err(Error::dims(
                "`use_bidirectional_attention` is `true`, expected `false` for this architecture",
            ));
        }
        let d = keys.need_size(&["hidden_size", "n_embd"])?;
        let h = keys.need_size(&["num_attention_heads", "n_head"])?;
        let count = keys.need_size(&["num_hidden_layers", "n_layer"])?;
        let k = match keys.size(&["head_dim"])? {
            Some(k) => k,
            None => d.checked_div(h).ok_or_else(|| Error::dims("`0` query heads"))?,
        };
        let context = keys.size(&["max_position_embeddings", "n_positions"])?.unwrap_or(2048);
        let experts = experts(&keys)?;
        let f = match keys.size(&["moe_intermediate_size"])?.filter(|_| experts.is_some()) {
            Some(f) => f,
            None => match keys.size(&["intermediate_size", "n_inner"])? {
                Some(f) => f,
                None => d.saturating_mul(4),
            },
        };
        let rope = rope(&keys, arch, k, context)?;
        let local_base = keys
            .float(&["rope_local_base_freq"])?
            .or(nested_base(config, "sliding_attention")?)
            .or((arch.name == "gemma3").then_some(10_000.0));
        let local_rope = local_base
            .and_then(|base| rope.clone().map(|r| Rope { base, scaling: Scaling::None, ..r }));
        let attention_scale = match keys.float(&["attention_multiplier"])? {
            Some(scale) => scale,
            None => {
                let width = keys.float(&["query_pre_attn_scalar"])?.unwrap_or(k as f32);
                1.0 / width.sqrt()
            }
        };
        let scaled = if arch.scaled_embedding { (d as f32).sqrt() } else { 1.0 };
        Dims {
            d,
            h,
            g: keys.size(&["num_key_value_heads"])?.unwrap_or(h),
            k,
            f,
            v: keys.need_size(&["vocab_size"])?,
            context,
            layers: layers(&keys, arch, count, local_rope.is_some())?,
            norm_eps: keys
                .float(&["rms_norm_eps", "layer_norm_eps", "layer_norm_epsilon", "norm_epsilon"])?
                .unwrap_or(1e-5),
            pairing: Pairing::Halves,
            rope,
            local_rope,
            experts,
            embedding_scale: keys.float(&["embedding_multiplier"])?.unwrap_or(scaled),
            residual_scale: keys.float(&["residual_multiplier"])?.unwrap_or(1.0),
            attention_scale,
            logit_scale: keys.float(&["logits_scaling"])?.map_or(1.0, |s| 1.0 / s),
            attention_softcap: keys.float(&["attn_logit_softcapping"])?,
            logit_softcap: keys.float(&["final_logit_softcapping"])?,
        }
        .check()
    }
}

fn experts(keys: &Keys<'_>) -> Result<Option<Experts>, Error> {
    let Some(count) = keys.size(&["num_local_experts", "num_experts"])? else { return Ok(None) };
    Ok(Some(Experts {
        count,
        used: keys.need_size(&["num_experts_per_tok"])?,
        normalized: keys.0.bool("norm_topk_prob")?.unwrap_or(true),
        scale: 1.0,
    }))
}

fn layers(
    keys: &Keys<'_>,
    arch: &Arch,
    count: usize,
    local_rope: bool,
) -> Result<Vec<LayerKind>, Error> {
    let config = keys.0;
    let off = config.bool("use_sliding_window")? == Some(false);
    let window = keys.size(&["sliding_window"])?.filter(|w| *w > 0 && !off);
    let mut layers = pattern(arch, count, window, local_rope);
    if let Some(types) = config.strings("layer_types")? {
        same_count("layer_types", types.len(), count)?;
        for (layer, kind) in layers.iter_mut().zip(&types) {
            let (window, rope) = match *kind {
                "full_attention" => (None, RopeUse::Global),
                "sliding_attention" if local_rope => (window, RopeUse::Local),
                "sliding_attention" => (window, RopeUse::Global),
                other => {
                    return Err(Error::dims(format!(
                        "layer type `{other}`, expected `full_attention` or `sliding_attention`"
                    )));
                }
            };
            let rope = if layer.rope == RopeUse::None { RopeUse::None } else { rope };
            *layer = LayerKind { window, rope };
        }
    }
    if let Some(uses) = config.u32s("no_rope_layers")? {
        same_count("no_rope_layers", uses.len(), count)?;
        for (layer, uses) in layers.iter_mut().zip(uses) {
            layer.rope = if uses == 0 { RopeUse::None } else { RopeUse::Global };
        }
    }
    Ok(layers)
}

fn same_count(key: &str, found: usize, layers: usize) -> Result<(), Error> {
    if found == layers {
        return Ok(());
    }
    Err(Error::dims(format!("`{key}` has `{found}` entries, expected one per layer: `{layers}`")))
}

/// The rotary scaling: an object of its own, in newer files together with the base.
fn scaling_object(config: &HfConfig) -> Result<Option<HfConfig>, Error> {
    for key in ["rope_scaling", "rope_parameters"] {
        if let Some(object) = config.object(key)? {
            return Ok(Some(object.object("full_attention")?.unwrap_or(object)));
        }
    }
    Ok(None)
}

/// A base that newer files keep per kind of layer.
fn nested_base(config: &HfConfig, kind: &str) -> Result<Option<f32>, Error> {
    let Some(parameters) = config.object("rope_parameters")? else { return Ok(None) };
    match parameters.object(kind)? {
        Some(object) => Ok(object.f32("rope_theta")?),
        None => Ok(None),
    }
}

fn rope(keys: &Keys<'_>, arch: &Arch, k: usize, context: usize) -> Result<Option<Rope>, Error> {
    if matches!(arch.name, "gpt2" | "bert") {
        return Ok(None);
    }
    let object = scaling_object(keys.0)?;
    let nested = |key: &str| -> Result<Option<f32>, Error> {
        match &object {
            Some(object) => Ok(object.f32(key)?),
            None => Ok(None),
        }
    };
    let base = keys.float(&["rope_theta"])?.or(nested("rope_theta")?).unwrap_or(10_000.0);
    let partial =
        keys.float(&["partial_rotary_factor"])?.or(nested("partial_rotary_factor")?).unwrap_or(1.0);
    let rotated = (k as f32 * partial) as usize;
    let scaling = match &object {
        Some(object) => scaling(keys, object, context)?,
        None => Scaling::None,
    };
    Ok(Some(Rope { base, rotated, scaling }))
}

fn scaling(keys: &Keys<'_>, object: &HfConfig, context: usize) -> Result<Scaling, Error> {
    let kind = match object.str("rope_type")? {
        Some(kind) => kind,
        None => object.str("type")?.unwrap_or("default"),
    };
    let need = |key: &str| -> Result<f32, Error> {
        object.f32(key)?.ok_or_else(|| {
            Error::dims(format!("rotary scaling `{kind}` in `config.json` has no `{key}`"))
        })
    };
    let original = match object.f32("original_max_position_embeddings")? {
        Some(original) => Some(original),
        None => keys.float(&["original_max_position_embeddings"])?,
    };
    match kind {
        "default" => Ok(Scaling::None),
        "linear" => Ok(Scaling::Linear { factor: need("factor")? }),
        "llama3" => Ok(Scaling::Llama3 {
            factor: need("factor")?,
            low: need("low_freq_factor")?,
            high: need("high_freq_factor")?,
            original: original.unwrap_or(context as f32),
        }),
        "yarn" => {
            let factor = need("factor")?;
            let recommended = yarn_attention_factor(factor);
            Ok(Scaling::Yarn {
                factor,
                beta_fast: object.f32("beta_fast")?.unwrap_or(32.0),
                beta_slow: object.f32("beta_slow")?.unwrap_or(1.0),
                original: original.unwrap_or(context as f32),
                attention_factor: object.f32("attention_factor")?.unwrap_or(recommended),
            })
        }
        "longrope" | "su" => {
            let original = original.unwrap_or(context as f32);
            let factor = object.f32("factor")?.unwrap_or(context as f32 / original);
            let recommended =
                if factor <= 1.0 { 1.0 } else { (1.0 + factor.ln() / original.ln()).sqrt() };
            let list = |key: &str| -> Result<Vec<f32>, Error> {
                object.f32s(key)?.ok_or_else(|| {
                    Error::dims(format!("rotary scaling `{kind}` in `config.json` has no `{key}`"))
                })
            };
            Ok(Scaling::Long {
                short: list("short_factor")?,
                long: list("long_factor")?,
                original: original as usize,
                attention_factor: object.f32("attention_factor")?.unwrap_or(recommended),
            })
        }
        other => Err(Error::dims(format!(
            "rotary scaling `{other}`, expected `linear`, `llama3`, `yarn` or `longrope`"
        ))),
    }
}
