//! Adapters in GGUF, as llama.cpp's `convert_lora_to_gguf.py` writes them: `NAME.lora_a` and
//! `NAME.lora_b` for the tensor `NAME` of the model, and one alpha for all.

use std::path::Path;

use rushlight_formats::Gguf;

use super::file::{AdapterFile, Half, Halves};
use crate::Error;
use crate::checkpoint::{open_mapped, tensors};

/// The token sequences from which on an activated adapter works.
const INVOCATION: &str = "adapter.alora.invocation_tokens";

pub(super) fn is_at(path: &Path) -> bool {
    let Ok(mapping) = open_mapped(path) else { return false };
    Gguf::parse(&mapping).is_ok_and(|gguf| says_adapter(&gguf))
}

/// Whether a file is an adapter, and no model.
pub(crate) fn says_adapter(gguf: &Gguf<'_>) -> bool {
    gguf.str("general.type").is_ok_and(|ty| ty == Some("adapter"))
}

pub(super) fn read(path: &Path) -> Result<AdapterFile, Error> {
    let mapping = open_mapped(path)?;
    let gguf = Gguf::parse(&mapping)?;
    if !says_adapter(&gguf) {
        return Err(Error::adapter("the file is no adapter: `general.type` is not `adapter`")
            .with_hint("an adapter is made by llama.cpp's `convert_lora_to_gguf.py`, or is a directory of PEFT"));
    }
    let kind = gguf.need_str("adapter.type")?;
    if kind != "lora" {
        return Err(Error::adapter(format!("an adapter of type `{kind}`, expected `lora`")));
    }
    if gguf.get(INVOCATION).is_some() {
        return Err(Error::adapter(format!(
            "an adapter with `{INVOCATION}`, which begins to work in the middle of a text"
        ))
        .with_hint("only adapters that work from the first token on run here"));
    }
    let alpha = gguf.need_f32("adapter.lora.alpha")?;
    let mut halves = Halves::default();
    for tensor in tensors(&gguf, &mapping)? {
        let whole = tensor.name.clone();
        let suffixes = [(".lora_a", Half::A), (".lora_b", Half::B)];
        let found = suffixes.into_iter().find_map(|(s, half)| Some((whole.strip_suffix(s)?, half)));
        let Some((name, half)) = found else {
            return Err(Error::adapter(format!(
                "tensor `{whole}`, expected a name that ends with `.lora_a` or `.lora_b`"
            ))
            .with_hint("the adapter replaces a part of the model: merge it into the model"));
        };
        halves.put(name.to_owned(), None, half, &tensor)?;
    }
    // Without an alpha llama.cpp adds the product itself (`llama_adapter_lora_weight::get_scale`).
    let factor = |_: &str, rank: usize| Ok(if alpha == 0.0 { 1.0 } else { alpha / rank as f32 });
    Ok(AdapterFile {
        kind: "GGUF",
        architecture: Some(gguf.need_str("general.architecture")?.to_owned()),
        base: gguf.str("general.base_model.0.name")?.map(str::to_owned),
        pairs: halves.pairs(factor)?,
        head: None,
        file_bytes: mapping.len() as u64,
    })
}
