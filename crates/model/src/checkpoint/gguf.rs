//! GGUF files, one or several shards.

use std::path::Path;
use std::sync::Arc;

use rushlight_formats::Gguf;
use rushlight_formats::gguf::{check_shards, split_paths};
use rushlight_host::Mapping;
use rushlight_text::{Tokenizer, VocabKind, VocabParts};

use super::Checkpoint;
use crate::adapter::says_adapter;
use crate::embedding::Embedding;
use crate::tensor::{Bytes, Tensor, format_of};
use crate::weights::Tensors;
use crate::{Arch, Dims, Error, ErrorKind};

pub(crate) fn open(path: &Path) -> Result<Arc<Mapping>, Error> {
    Mapping::open_guarded(path)
        .map(Arc::new)
        .map_err(|e| Error::new(ErrorKind::Read, "the file cannot be read").because(e).at(path))
}

/// Reads a GGUF file; of a split one, any shard's path names them all.
pub(crate) fn read_gguf(path: &Path) -> Result<Checkpoint, Error> {
    let first = open(path)?;
    let gguf = Gguf::parse(&first).map_err(|e| Error::from(e).at(path))?;
    if gguf.split().is_none() {
        return checkpoint(&gguf, tensors(&gguf, &first)?, first.len()).map_err(|e| e.at(path));
    }
    let paths = split_paths(path).map_err(|e| Error::from(e).at(path))?;
    let shards = paths.iter().map(|p| open(p)).collect::<Result<Vec<_>, _>>()?;
    let views = shards
        .iter()
        .zip(&paths)
        .map(|(shard, path)| Gguf::parse(shard).map_err(|e| Error::from(e).at(path)))
        .collect::<Result<Vec<_>, _>>()?;
    check_shards(&views).map_err(|e| Error::from(e).at(path))?;
    let mut all = Vec::new();
    for ((view, shard), path) in views.iter().zip(&shards).zip(&paths) {
        all.extend(tensors(view, shard).map_err(|e| e.at(path))?);
    }
    let head = views.first().expect("a split has at least one shard");
    let bytes = shards.iter().map(|s| s.len()).sum();
    checkpoint(head, all, bytes).map_err(|e| e.at(path))
}

pub(crate) fn tensors(gguf: &Gguf<'_>, mapping: &Arc<Mapping>) -> Result<Vec<Tensor>, Error> {
    let tensor = |info: &rushlight_formats::TensorInfo<'_>| {
        let format = format_of(info.name, info.ty)?;
        let bytes = Bytes::mapped(mapping, info.range.clone());
        Tensor::new(info.name, format, info.shape.to_vec(), bytes)
    };
    gguf.tensors().iter().map(tensor).collect()
}

fn checkpoint(gguf: &Gguf<'_>, tensors: Vec<Tensor>, bytes: usize) -> Result<Checkpoint, Error> {
    if says_adapter(gguf) {
        return Err(super::no_model());
    }
    let name = gguf.need_str("general.architecture")?;
    let arch = Arch::by_name(name).ok_or_else(|| super::unknown(name, |a| vec![a.name]))?;
    let dims = Dims::from_gguf(arch, gguf)?;
    let mut weights = Tensors::new(&dims, tensors)?.assemble()?;
    let embedding = Embedding::from_gguf(arch, gguf)?.settle(arch, &mut weights)?;
    let tokenizer = match gguf.get("tokenizer.ggml.model") {
        Some(_) => Some(tokenizer(gguf)?),
        None => None,
    };
    if let Some(tokenizer) = &tokenizer {
        super::check_vocabulary(tokenizer, &dims)?;
    }
    Ok(Checkpoint {
        arch,
        weights,
        dims,
        tokenizer,
        template: gguf.str("tokenizer.chat_template")?.map(str::to_owned),
        embedding,
        name: gguf.str("general.name")?.map(str::to_owned),
        license: gguf.str("general.license")?.map(str::to_owned),
        bytes: bytes as u64,
    })
}

/// The tokenizer that a GGUF file's metadata describes.
///
/// # Errors
/// If a key is missing, of another type, or makes no tokenizer.
pub fn tokenizer(gguf: &Gguf<'_>) -> Result<Tokenizer, Error> {
    let key = |name: &str| format!("tokenizer.ggml.{name}");
    let id = |name: &str| gguf.u32(&key(name));
    let flag = |name: &str| gguf.bool(&key(name));
    let broken = |e| Error::new(ErrorKind::Tokenizer, "the tokenizer is broken").because(e);
    let parts = VocabParts {
        kind: VocabKind::from_ggml(gguf.need_str("tokenizer.ggml.model")?).map_err(broken)?,
        tokens: gguf.need_strings("tokenizer.ggml.tokens")?,
        scores: gguf.f32s("tokenizer.ggml.scores")?.unwrap_or_default(),
        token_types: gguf.i32s("tokenizer.ggml.token_type")?.unwrap_or_default(),
        merges: gguf.strings("tokenizer.ggml.merges")?.unwrap_or_default(),
        pre: gguf.str("tokenizer.ggml.pre")?,
        bos: id("bos_token_id")?,
        eos: id("eos_token_id")?,
        eot: id("eot_token_id")?,
        eom: id("eom_token_id")?,
        unk: id("unknown_token_id")?,
        sep: id("seperator_token_id")?,
        pad: id("padding_token_id")?,
        cls: id("cls_token_id")?,
        mask: id("mask_token_id")?,
        add_bos: flag("add_bos_token")?,
        add_eos: flag("add_eos_token")?,
        add_space_prefix: flag("add_space_prefix")?,
        remove_extra_whitespaces: flag("remove_extra_whitespaces")?,
        lowercase: flag("normalizer.lowercase")?,
        strip_accents: flag("normalizer.strip_accents")?,
    };
    Tokenizer::from_parts(parts).map_err(broken)
}
