//! Dimensions from the metadata of a GGUF file.
//!
//! Keys are those of the GGUF specification (`ggml/docs/gguf.md`) and of llama.cpp's
//! `llama-arch.cpp`; defaults are llama.cpp's.

use rushlight_formats::Gguf;

use super::{Dims, Experts, LayerKind, RopeUse, pattern};
use crate::rope::yarn_attention_factor;
use crate::{Arch, Error, NormKind, Pattern, Rope, Scaling};

/// The reader of `{arch}.…` keys.
struct Keys<'a, 'b> {
    gguf: &'a Gguf<'b>,
    arch: &'a str,
}

impl Keys<'_, '_> {
    fn name(&self, key: &str) -> String {
        format!("{}.{key}", self.arch)
    }

    fn size(&self, key: &str) -> Result<Option<usize>, Error> {
        Ok(self.gguf.u64(&self.name(key))?.map(|n| usize::try_from(n).unwrap_or(usize::MAX)))
    }

    fn need_size(&self, key: &str) -> Result<usize, Error> {
        self.size(key)?
            .ok_or_else(|| Error::dims(format!("metadata key `{}` is missing", self.name(key))))
    }

    fn float(&self, key: &str) -> Result<Option<f32>, Error> {
        Ok(self.gguf.f32(&self.name(key))?)
    }

    /// A list of floats that a tensor of the file holds.
    fn float_tensor(&self, name: &str) -> Result<Option<Vec<f32>>, Error> {
        let Some(info) = self.gguf.tensor(name) else { return Ok(None) };
        crate::tensor::floats(name, info.ty, self.gguf.data(info)).map(Some)
    }
}

impl Dims {
    /// The dimensions of a GGUF file of architecture `arch`.
    ///
    /// # Errors
    /// If a key is missing or of another type, or if the numbers are impossible together.
    pub(crate) fn from_gguf(arch: &Arch, gguf: &Gguf<'_>) -> Result<Dims, Error> {
        let keys = Keys { gguf, arch: arch.name };
        let causal = keys.name("attention.causal");
        if let Some(found) = gguf.bool(&causal)?
            && found == arch.bidirectional
        {
            return Err(Error::dims(format!(
                "`{causal}` is `{found}`, expected `{}` for this architecture",
                !found
            )));
        }
        let d = keys.need_size("embedding_length")?;
        let h = keys.need_size("attention.head_count")?;
        let g = keys.size("attention.head_count_kv")?.unwrap_or(h);
        let count = keys.need_size("block_count")?;
        let k = match keys.size("attention.key_length")? {
            Some(k) => k,
            None => d.checked_div(h).ok_or_else(|| Error::dims("`0` query heads"))?,
        };
        if let Some(value_width) = keys.size("attention.value_length")?
            && value_width != k
        {
            return Err(Error::dims(format!(
                "value heads of width `{value_width}`, expected that of key heads, `{k}`"
            )));
        }
        let v = vocabulary(&keys)?;
        let context = keys.need_size("context_length")?;
        let norm_eps = match arch.norm {
            NormKind::Rms => keys.float("attention.layer_norm_rms_epsilon")?,
            NormKind::Layer => keys.float("attention.layer_norm_epsilon")?,
        }
        .ok_or_else(|| Error::dims("metadata has no norm epsilon"))?;
        let rope = rope(&keys, arch, k, context)?;
        let window = window(&keys, arch)?;
        let local_rope = local_rope(&keys, arch, rope.as_ref())?;
        let experts = experts(&keys)?;
        let f = match experts {
            Some(_) => match keys.size("expert_feed_forward_length")? {
                Some(f) => f,
                None => keys.need_size("feed_forward_length")?,
            },
            None => keys.need_size("feed_forward_length")?,
        };
        let embedding_scale = match keys.float("embedding_scale")? {
            Some(scale) if scale != 0.0 => scale,
            _ if arch.scaled_embedding => (d as f32).sqrt(),
            _ => 1.0,
        };
        let nonzero = |x: Option<f32>| x.filter(|x| *x != 0.0);
        Dims {
            d,
            h,
            g,
            k,
            f,
            v,
            context,
            layers: layers(&keys, arch, count, window, local_rope.is_some())?,
            norm_eps,
            pairing: arch.pairing,
            rope,
            local_rope,
            experts,
            embedding_scale,
            residual_scale: nonzero(keys.float("residual_scale")?).unwrap_or(1.0),
            attention_scale: match nonzero(keys.float("attention.scale")?) {
                Some(scale) => scale,
                None => default_attention_scale(arch, count, d, h, k),
            },
            logit_scale: nonzero(keys.float("logit_scale")?).map_or(1.0, |s| 1.0 / s),
            attention_softcap: nonzero(keys.float("attn_logit_softcapping")?),
            logit_softcap: nonzero(keys.float("final_logit_softcapping")?),
        }
        .check()
    }
}

/// Rows of the embedding, which is the size of the vocabulary that the weights know.
fn vocabulary(keys: &Keys<'_, '_>) -> Result<usize, Error> {
    match keys.gguf.tensor("token_embd.weight").map(|t| t.shape) {
        Some(shape) if shape.len() == 2 => Ok(shape.first().copied().unwrap_or(0)),
        Some(shape) => Err(Error::tensor(format!(
            "`token_embd.weight` has shape {shape:?}, expected (vocabulary, width)"
        ))),
        None => Err(Error::tensor("`token_embd.weight` is missing")),
    }
}

/// The 27B models of Gemma 2 and 3 scale by the width per head, all others by the head width
/// (`query_pre_attn_scalar` in their `config.json`, which GGUF does not carry).
fn default_attention_scale(arch: &Arch, layers: usize, d: usize, h: usize, k: usize) -> f32 {
    let by_width = matches!((arch.name, layers), ("gemma2", 46) | ("gemma3", 62));
    let width = if by_width { d / h.max(1) } else { k };
    1.0 / (width as f32).sqrt()
}

/// The window. Phi-3's is left out, as llama.cpp does: converters wrote values that do not hold.
fn window(keys: &Keys<'_, '_>, arch: &Arch) -> Result<Option<usize>, Error> {
    let window = keys.size("attention.sliding_window")?.filter(|w| *w > 0);
    Ok(if arch.name == "phi3" { None } else { window })
}

fn layers(
    keys: &Keys<'_, '_>,
    arch: &Arch,
    count: usize,
    window: Option<usize>,
    local_rope: bool,
) -> Result<Vec<LayerKind>, Error> {
    let rope_off = keys.gguf.bool(&keys.name("rope.scaling.finetuned"))? == Some(false)
        && arch.name == "granite";
    let mut layers = pattern(arch, count, window, local_rope);
    if rope_off {
        layers.iter_mut().for_each(|layer| layer.rope = RopeUse::None);
    }
    Ok(layers)
}

/// Gemma 3's windowed layers turn with base 10,000 and without context extension.
fn local_rope(
    keys: &Keys<'_, '_>,
    arch: &Arch,
    rope: Option<&Rope>,
) -> Result<Option<Rope>, Error> {
    if arch.name != "gemma3" || !matches!(arch.pattern, Pattern::LastOfIsGlobal(_)) {
        return Ok(None);
    }
    let base = keys.float("rope.freq_base_swa")?.unwrap_or(10_000.0);
    Ok(rope.map(|rope| Rope { base, scaling: Scaling::None, ..rope.clone() }))
}

fn rope(keys: &Keys<'_, '_>, arch: &Arch, k: usize, context: usize) -> Result<Option<Rope>, Error> {
    if matches!(arch.name, "gpt2" | "bert") {
        return Ok(None);
    }
    let base = keys.float("rope.freq_base")?.unwrap_or(10_000.0);
    let rotated = keys.size("rope.dimension_count")?.unwrap_or(k);
    Ok(Some(Rope { base, rotated, scaling: scaling(keys, context)? }))
}

fn scaling(keys: &Keys<'_, '_>, context: usize) -> Result<Scaling, Error> {
    let original = keys.size("rope.scaling.original_context_length")?.unwrap_or(context);
    let attention_factor = keys.float("rope.scaling.attn_factor")?;
    let long = keys.float_tensor("rope_factors_long.weight")?;
    let short = keys.float_tensor("rope_factors_short.weight")?;
    if let (Some(long), Some(short)) = (long, short) {
        let attention_factor = attention_factor.unwrap_or(1.0);
        return Ok(Scaling::Long { short, long, original, attention_factor });
    }
    if let Some(factors) = keys.float_tensor("rope_freqs.weight")? {
        return Ok(Scaling::Factors { factors });
    }
    let factor = match keys.float("rope.scaling.factor")? {
        Some(factor) => Some(factor),
        None => keys.float("rope.scale_linear")?,
    }
    .filter(|f| *f != 0.0);
    let kind = keys.gguf.str(&keys.name("rope.scaling.type"))?;
    match (kind, factor) {
        (Some("none"), _) | (_, None) => Ok(Scaling::None),
        (Some("linear") | None, Some(factor)) => Ok(Scaling::Linear { factor }),
        (Some("yarn"), Some(factor)) => Ok(Scaling::Yarn {
            factor,
            beta_fast: keys.float("rope.scaling.yarn_beta_fast")?.unwrap_or(32.0),
            beta_slow: keys.float("rope.scaling.yarn_beta_slow")?.unwrap_or(1.0),
            original: original as f32,
            attention_factor: attention_factor.unwrap_or(1.0) * yarn_attention_factor(factor),
        }),
        (Some(other), _) => Err(Error::dims(format!(
            "rotary scaling `{other}`, expected `none`, `linear`, `yarn` or `longrope` with factors"
        ))),
    }
}

fn experts(keys: &Keys<'_, '_>) -> Result<Option<Experts>, Error> {
    let Some(count) = keys.size("expert_count")?.filter(|n| *n > 0) else { return Ok(None) };
    Ok(Some(Experts {
        count,
        used: keys.need_size("expert_used_count")?,
        normalized: keys.gguf.bool(&keys.name("expert_weights_norm"))?.unwrap_or(true),
        scale: keys.float("expert_weights_scale")?.filter(|s| *s != 0.0).unwrap_or(1.0),
    }))
}
