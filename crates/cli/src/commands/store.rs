//! The commands on the store: `pull`, `import`, `list`, `verify`, `remove`, `prune`.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use rushlight_store::{Added, Entry, Kind, Means, Name, Source};
use serde_json::{Value, json};

use crate::args::Args;
use crate::load;
use crate::progress::Bars;
use crate::report::{self, size};

fn name_of(name: Option<&str>) -> anyhow::Result<Option<Name>> {
    Ok(name.map(str::parse).transpose()?)
}

/// Fetches a model.
pub(crate) fn pull(args: &Args, source: &str, name: Option<&str>) -> anyhow::Result<ExitCode> {
    let (source, name) = (Source::parse(source)?, name_of(name)?);
    let bars = Bars::default();
    let added = load::store(args)?.pull(&source, name.as_ref(), &bars);
    bars.finish();
    told(&added.with_context(|| format!("cannot pull `{source}`"))?)
}

/// Takes a model from disk.
pub(crate) fn import(args: &Args, path: &Path, name: Option<&str>) -> anyhow::Result<ExitCode> {
    let name = name_of(name)?;
    let bars = Bars::default();
    let added = load::store(args)?.import(path, name.as_ref(), &bars);
    bars.finish();
    told(&added.with_context(|| format!("cannot import `{}`", path.display()))?)
}

/// Says what came in: the name on standard output, how on standard error.
fn told(added: &Added) -> anyhow::Result<ExitCode> {
    for file in &added.files {
        let means = match file.means {
            Means::Reflink => "shared blocks",
            Means::HardLink => "hard link",
            Means::Copy => "copied",
            Means::Present => "already there",
            _ => "fetched",
        };
        eprintln!("{} {} ({means})", file.path, size(file.size_bytes));
    }
    if let Some(old) = &added.replaced {
        eprintln!("the name was another model's before: {old}");
    }
    writeln!(std::io::stdout(), "{}", added.name)?;
    Ok(ExitCode::SUCCESS)
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Gguf => "gguf",
        Kind::HfDirectory => "safetensors",
        _ => "unknown",
    }
}

/// An entry as JSON.
pub(super) fn to_json(entry: &Entry) -> Value {
    json!({
        "name": entry.name.to_string(),
        "digest": entry.digest.to_string(),
        "format": kind(entry.kind),
        "size_bytes": entry.size_bytes,
        "source": entry.source,
        "license": entry.license,
    })
}

/// Lists the models.
pub(crate) fn list(args: &Args, as_json: bool) -> anyhow::Result<ExitCode> {
    let entries = load::store(args)?.list()?;
    let mut out = std::io::stdout().lock();
    if as_json {
        let all: Vec<Value> = entries.iter().map(to_json).collect();
        writeln!(out, "{}", Value::Array(all))?;
        return Ok(ExitCode::SUCCESS);
    }
    let width = entries.iter().map(|e| e.name.to_string().len()).max().unwrap_or(0).max(4);
    if !entries.is_empty() {
        writeln!(
            out,
            "{:width$}  {:>10}  {:12}  {:12}  SOURCE",
            "NAME", "SIZE", "DIGEST", "LICENCE"
        )?;
    }
    for e in &entries {
        let digest: String = e.digest.hex().chars().take(12).collect();
        writeln!(
            out,
            "{:width$}  {:>10}  {digest:12}  {:12}  {}",
            e.name.to_string(),
            size(e.size_bytes),
            e.license.as_deref().unwrap_or("-"),
            e.source.as_deref().unwrap_or("-"),
        )?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Reads models again.
pub(crate) fn verify(args: &Args, model: Option<&str>) -> anyhow::Result<ExitCode> {
    let bars = Bars::default();
    let verified = load::store(args)?.verify(model, &bars);
    bars.finish();
    let verified = verified?;
    let code = if verified.faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    for fault in verified.faults {
        let place = fault.path.map(|p| format!(" {p}")).unwrap_or_default();
        let error = anyhow::Error::new(fault.error).context(format!("`{}`{place}", fault.name));
        report::error(&error);
    }
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{} models, {} files, {} read",
        verified.models,
        verified.files,
        size(verified.read_bytes)
    )?;
    Ok(code)
}

/// Takes a name away.
pub(crate) fn remove(args: &Args, model: &str) -> anyhow::Result<ExitCode> {
    let removed = load::store(args)?.remove(model)?;
    eprintln!(
        "`{}` is removed; `rushlight prune` frees its {}",
        removed.name,
        size(removed.size_bytes)
    );
    Ok(ExitCode::SUCCESS)
}

/// Frees space.
pub(crate) fn prune(args: &Args) -> anyhow::Result<ExitCode> {
    let pruned = load::store(args)?.prune()?;
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{} freed: {} blobs, {} leftovers",
        size(pruned.freed_bytes),
        pruned.blobs,
        pruned.leftovers
    )?;
    Ok(ExitCode::SUCCESS)
}
