//! What is said of a model that does not fit, and which other one of the store would.

use anyhow::anyhow;
use rushlight_engine::{EngineOptions, Error, Plan};
use rushlight_host::Mapping;
use rushlight_model::Model;
use rushlight_store::{Resolved, Store};

use crate::args::{Args, Beside, Load};
use crate::load;
use crate::report::size;

/// Names that are told, at most.
const MOST_NAMES: usize = 3;
/// Models of the store that are looked at, at most: each is opened.
const MOST_LOOKED_AT: usize = 16;
/// A variant that is to spare power has at most this share of the model's bytes.
const WORTH_IT: f64 = 0.85;

/// A model does not fit.
#[derive(Debug)]
pub(crate) struct NoRoom {
    message: String,
    hint: String,
}

impl NoRoom {
    pub(crate) fn hint(&self) -> &str {
        &self.hint
    }
}

impl std::fmt::Display for NoRoom {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for NoRoom {}

/// Refuses a model whose files alone are more than there is, before one of them is opened: those that
/// others may write are copied into memory.
pub(crate) fn check_files(args: &Args, load: &Load, resolved: &Resolved) -> anyhow::Result<()> {
    let process = if load.beside == Beside::Process { Plan::PROCESS_BYTES } else { 0 };
    let (files, most) = (bytes(resolved), load::memory_bytes(load));
    if files.saturating_add(process) <= most {
        return Ok(());
    }
    let beside = match process {
        0 => String::new(),
        bytes => format!(", and the process needs {} beside", size(bytes)),
    };
    let message =
        format!("the model's files have {}{beside}, but {} are free", size(files), size(most));
    let fits = |other: &Resolved, _: &Model| bytes(other).saturating_add(process) <= most;
    let others = smaller(args, &name_of(&load.model, resolved), files, &fits).unwrap_or_default();
    let others: Vec<String> = others.into_iter().map(|(name, _)| name).collect();
    let hint = hint("take a smaller quantisation of the model".to_owned(), &others);
    Err(anyhow!(NoRoom { message, hint }).context(format!("cannot run `{}`", load.model)))
}

/// What is said of a model that an engine has no memory for: the numbers, what would fit, and what the
/// store has of it that would.
pub(crate) fn refused(
    args: &Args,
    load: &Load,
    model: &Model,
    options: &EngineOptions,
    error: Error,
) -> anyhow::Error {
    let others = || -> anyhow::Result<Vec<String>> {
        let resolved = load::resolve(args, &load.model)?;
        let fits = |_: &Resolved, other: &Model| {
            let mut options = options.clone();
            options.adapters.clear();
            alike(model, other) && options.plan(other).is_ok()
        };
        let found = smaller(args, &name_of(&load.model, &resolved), bytes(&resolved), &fits)?;
        Ok(found.into_iter().map(|(name, _)| name).collect())
    };
    let hint = hint(error.hint().unwrap_or_default().to_owned(), &others().unwrap_or_default());
    NoRoom { message: error.to_string(), hint }.into()
}

fn hint(mut hint: String, others: &[String]) -> String {
    let commands: Vec<_> = others.iter().map(|name| format!("`rushlight run {name}`")).collect();
    if !commands.is_empty() {
        hint += &format!("; the store has the model smaller: {}", commands.join(", "));
    }
    hint
}

/// Whether two models differ in nothing but how their weights are stored, as far as their shapes say.
fn alike(model: &Model, other: &Model) -> bool {
    let (a, b) = (model.dims(), other.dims());
    model.arch().name == other.arch().name
        && (a.d, a.h, a.g, a.k, a.f, a.v) == (b.d, b.h, b.g, b.k, b.f, b.v)
        && a.layers.len() == b.layers.len()
}

/// Models of the store that are the same as the one asked for but for a smaller quantisation: their names,
/// and their sizes as shares of its. Only what is there is looked at: nothing is pulled.
pub(crate) fn variants(args: &Args, asked: &str) -> anyhow::Result<Vec<(String, f64)>> {
    let Some(resolved) = load::store(args)?.resolve_local(asked)? else { return Ok(Vec::new()) };
    // To look at one that is copied takes the memory that it will need.
    if copied_bytes(&resolved) > 0 {
        return Ok(Vec::new());
    }
    let (model, name) = (Model::open(&resolved.path)?, name_of(asked, &resolved));
    let bytes = bytes(&resolved);
    let most = (bytes as f64 * WORTH_IT) as u64;
    let found = smaller(args, &name, most, &|_, other| alike(&model, other))?;
    Ok(found.into_iter().map(|(name, size)| (name, size as f64 / bytes.max(1) as f64)).collect())
}

/// Models of the store whose names begin like this one's, that have fewer bytes and that `fit`, with
/// their bytes; the largest first.
fn smaller(
    args: &Args,
    name: &str,
    most_bytes: u64,
    fit: &dyn Fn(&Resolved, &Model) -> bool,
) -> anyhow::Result<Vec<(String, u64)>> {
    let store: Store = load::store(args)?;
    let mut entries = store.list()?;
    entries.retain(|entry| {
        entry.size_bytes < most_bytes && stem(&entry.name.to_string()) == stem(name)
    });
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.size_bytes));
    let mut found = Vec::new();
    for entry in entries.iter().take(MOST_LOOKED_AT) {
        let spec = entry.name.to_string();
        let Ok(resolved) = store.resolve(&spec, &()) else { continue };
        let Ok(model) = Model::open(&resolved.path) else { continue };
        if fit(&resolved, &model) {
            found.push((spec, entry.size_bytes));
        }
        if found.len() == MOST_NAMES {
            break;
        }
    }
    Ok(found)
}

/// Bytes of a model's files.
fn bytes(resolved: &Resolved) -> u64 {
    let len = |path| std::fs::metadata(path).map_or(0, |meta| meta.len());
    resolved.files.iter().map(len).fold(0, u64::saturating_add)
}

/// Bytes of a model's files that are copied when it is opened.
pub(crate) fn copied_bytes(resolved: &Resolved) -> u64 {
    resolved.files.iter().map(|path| Mapping::copied_bytes(path)).fold(0, u64::saturating_add)
}

/// What a model is called: in the store, else as its file is.
fn name_of(asked: &str, resolved: &Resolved) -> String {
    match &resolved.name {
        Some(name) => name.to_string(),
        None => {
            let path = resolved.path.file_stem();
            path.map_or_else(|| asked.to_owned(), |name| name.to_string_lossy().into_owned())
        }
    }
}

/// A name without what says how it is quantised and which version it is: letters and digits up to the
/// first part that begins like the name of a format.
fn stem(name: &str) -> String {
    let name = name.rsplit('/').next().unwrap_or(name).to_ascii_lowercase();
    let parts = name.split(|c: char| !c.is_ascii_alphanumeric());
    let is_format = |part: &&str| {
        let rest = part.strip_prefix("iq").or_else(|| part.strip_prefix('q'));
        rest.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
            || matches!(*part, "f16" | "bf16" | "f32" | "fp16" | "gguf" | "latest")
    };
    parts.take_while(|part| !is_format(part)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_begin_alike_whatever_the_quantisation() {
        for name in [
            "smollm2-135m-instruct-q4_1",
            "SmolLM2-135M-Instruct.Q8_0.gguf",
            "org/smollm2-135m-instruct:F16",
            "smollm2_135m_instruct",
            "smollm2-135m-instruct:latest",
            "smollm2-135m-instruct-iq4_nl",
        ] {
            assert_eq!(stem(name), "smollm2135minstruct", "{name}");
        }
        assert_ne!(stem("qwen3-0.6b-q4_0"), stem("qwen3-1.7b-q4_0"));
        assert_eq!(stem("qwen3-0.6b"), "qwen306b");
    }
}
