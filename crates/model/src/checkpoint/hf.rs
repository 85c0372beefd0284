//! Hugging Face directories: `config.json`, safetensors, tokenizer files.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use rushlight_formats::{HfConfig, Index, SafeTensors};
use rushlight_host::Mapping;
use rushlight_kernels::Format;
use rushlight_text::Tokenizer;

use super::Checkpoint;
use crate::embedding::Embedding;
use crate::names::{Change, Traits, rename};
use crate::tensor::{Bytes, Tensor, format_of};
use crate::weights::Tensors;
use crate::{AdapterFile, Arch, Dims, Error, ErrorKind};

/// No configuration or tokenizer is larger than this.
const MAX_JSON_BYTES: u64 = 64 << 20;

/// Reads a directory as `save_pretrained` writes it.
pub(crate) fn read_directory(path: &Path) -> Result<Checkpoint, Error> {
    if AdapterFile::is_at(path) {
        return Err(super::no_model().at(path));
    }
    let config_path = path.join("config.json");
    let bytes = read(&config_path)?.ok_or_else(|| {
        Error::new(ErrorKind::Read, "there is no `config.json`")
            .with_hint("a model is a GGUF file or a Hugging Face directory with `config.json`")
            .at(path)
    })?;
    let config = HfConfig::parse(&bytes).map_err(|e| Error::from(e).at(&config_path))?;
    let config = text_part(config).map_err(|e| e.at(&config_path))?;
    let name = config.need_str("model_type").map_err(|e| Error::from(e).at(&config_path))?;
    let arch = Arch::by_model_type(name)
        .ok_or_else(|| super::unknown(name, |a| a.hf.to_vec()).at(&config_path))?;
    let dims = Dims::from_config(arch, &config).map_err(|e| e.at(&config_path))?;
    let files = weight_files(path)?;
    let mut total = 0;
    let mut tensors = Vec::new();
    for file in &files {
        let mapping = super::gguf::open(file)?;
        total += mapping.len() as u64;
        read_tensors(&mapping, &mut tensors).map_err(|e| e.at(file))?;
    }
    let tensors = canonical(arch, tensors).map_err(|e| e.at(path))?;
    let mut weights =
        Tensors::new(&dims, tensors).and_then(Tensors::assemble).map_err(|e| e.at(path))?;
    let embedding = Embedding::from_directory(path, &dims)?;
    let embedding = embedding.settle(arch, &mut weights).map_err(|e| e.at(path))?;
    let (tokenizer, template) = tokenizer(path)?;
    if let Some(tokenizer) = &tokenizer {
        super::check_vocabulary(tokenizer, &dims).map_err(|e| e.at(path))?;
    }
    Ok(Checkpoint {
        arch,
        dims,
        weights,
        tokenizer,
        template,
        embedding,
        name: path.file_name().map(|n| n.to_string_lossy().into_owned()),
        license: None,
        bytes: total,
    })
}

/// The language model's part of a configuration that describes several.
fn text_part(config: HfConfig) -> Result<HfConfig, Error> {
    Ok(config.object("text_config")?.unwrap_or(config))
}

/// A whole small file; `None` when there is none.
pub(crate) fn read(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    let fail = |e: std::io::Error| {
        Error::new(ErrorKind::Read, "the file cannot be read").because(e).at(path)
    };
    let size = match std::fs::metadata(path) {
        Ok(meta) => meta.len(),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(fail(e)),
    };
    if size > MAX_JSON_BYTES {
        return Err(Error::new(
            ErrorKind::Format,
            format!("the file has `{size}` bytes, expected at most `{MAX_JSON_BYTES}`"),
        )
        .at(path));
    }
    std::fs::read(path).map(Some).map_err(fail)
}

fn weight_files(dir: &Path) -> Result<Vec<std::path::PathBuf>, Error> {
    let index_path = dir.join("model.safetensors.index.json");
    if let Some(bytes) = read(&index_path)? {
        let index = Index::parse(&bytes).map_err(|e| Error::from(e).at(&index_path))?;
        return Ok(index.files().iter().map(|name| dir.join(name)).collect());
    }
    let single = dir.join("model.safetensors");
    if single.exists() {
        return Ok(vec![single]);
    }
    Err(Error::new(
        ErrorKind::Read,
        "there is neither `model.safetensors` nor `model.safetensors.index.json`",
    )
    .with_hint(
        "weights as PyTorch pickles can run code when read, and are not: convert to safetensors",
    )
    .at(dir))
}

pub(crate) fn read_tensors(mapping: &Arc<Mapping>, out: &mut Vec<Tensor>) -> Result<(), Error> {
    let view = SafeTensors::parse(mapping)?;
    for info in view.tensors() {
        // Whole numbers are indices or masks; what is computed with is named and checked later.
        let Ok(format) = format_of(info.name, info.ty) else { continue };
        let mut bytes = Bytes::mapped(mapping, info.range.clone());
        // The format aligns nothing, the kernels read F32 as such.
        if format == Format::F32 && !bytes.as_ptr().addr().is_multiple_of(align_of::<f32>()) {
            bytes = Bytes::owned(bytes.to_vec());
        }
        out.push(Tensor::new(info.name, format, info.shape.to_vec(), bytes)?);
    }
    Ok(())
}

/// Renames to GGUF's names, and does what the converter to GGUF would do to the values.
fn canonical(arch: &Arch, tensors: Vec<Tensor>) -> Result<Vec<Tensor>, Error> {
    let traits = Traits::of(tensors.iter().map(|t| t.name.as_str()));
    let mut out = Vec::new();
    let mut experts: BTreeMap<String, BTreeMap<usize, Tensor>> = BTreeMap::new();
    for tensor in tensors {
        let to = match rename(&tensor.name, traits) {
            Ok(Some(to)) => to,
            Ok(None) => continue,
            Err(()) => {
                return Err(Error::tensor(format!(
                    "tensor `{}` is not one that any architecture here has",
                    tensor.name
                )));
            }
        };
        let mut tensor = if to.change == Change::Transpose { transposed(&tensor)? } else { tensor };
        // Gemma stores `weight - 1` of its norms (transformers, `GemmaRMSNorm`).
        if arch.scaled_embedding && to.name.ends_with("norm.weight") {
            tensor = plus_one(&tensor)?;
        }
        tensor.name.clone_from(&to.name);
        match to.expert {
            Some(expert) => drop(experts.entry(to.name).or_default().insert(expert, tensor)),
            None => out.push(tensor),
        }
    }
    for (name, parts) in experts {
        out.push(stacked(&name, parts.into_values())?);
    }
    Ok(out)
}

fn owned(name: &str, shape: Vec<usize>, values: &[f32]) -> Result<Tensor, Error> {
    let bytes = values.iter().flat_map(|x| x.to_le_bytes()).collect();
    Tensor::new(name, Format::F32, shape, Bytes::owned(bytes))
}

fn transposed(tensor: &Tensor) -> Result<Tensor, Error> {
    let [inputs, outputs] = *tensor.shape.as_slice() else {
        return Err(Error::tensor(format!(
            "tensor `{}` has shape {:?}, expected a matrix",
            tensor.name, tensor.shape
        )));
    };
    let from = tensor.to_floats();
    let at = |o: usize, i: usize| from[i * outputs + o];
    let values: Vec<f32> = (0..outputs)
        .flat_map(|o| (0..inputs).map(move |i| (o, i)))
        .map(|(o, i)| at(o, i))
        .collect();
    owned(&tensor.name, vec![outputs, inputs], &values)
}

fn plus_one(tensor: &Tensor) -> Result<Tensor, Error> {
    let values: Vec<f32> = tensor.to_floats().into_iter().map(|x| x + 1.0).collect();
    owned(&tensor.name, tensor.shape.clone(), &values)
}

/// Expert matrices one after the other, as GGUF holds them.
fn stacked(name: &str, parts: impl Iterator<Item = Tensor>) -> Result<Tensor, Error> {
    let parts: Vec<Tensor> = parts.collect();
    let first = parts.first().expect("an entry has at least one part");
    if parts.iter().any(|p| p.shape != first.shape || p.format != first.format) {
        return Err(Error::tensor(format!("the experts of `{name}` differ in shape or type")));
    }
    let shape = [&[parts.len()], first.shape.as_slice()].concat();
    let bytes = parts.iter().flat_map(|p| p.bytes.iter().copied()).collect();
    Tensor::new(name, first.format, shape, Bytes::owned(bytes))
}

/// The tokenizer and the chat template, which may lie in a file of its own.
fn tokenizer(dir: &Path) -> Result<(Option<Tokenizer>, Option<String>), Error> {
    let path = dir.join("tokenizer.json");
    let config = read(&dir.join("tokenizer_config.json"))?;
    let tokenizer = match read(&path)? {
        Some(json) => Some(Tokenizer::from_json(&json, config.as_deref()).map_err(|e| {
            Error::new(ErrorKind::Tokenizer, "the tokenizer is broken").because(e).at(&path)
        })?),
        None => None,
    };
    let template = match read(&dir.join("chat_template.jinja"))? {
        Some(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
        None => match &config {
            Some(bytes) => default_template(HfConfig::parse(bytes)?.chat_templates()?),
            None => None,
        },
    };
    Ok((tokenizer, template))
}

/// Of several templates the one for plain chats.
fn default_template(mut templates: Vec<(String, String)>) -> Option<String> {
    let at = templates.iter().position(|(name, _)| name == "default").unwrap_or(0);
    (at < templates.len()).then(|| templates.swap_remove(at).1)
}
