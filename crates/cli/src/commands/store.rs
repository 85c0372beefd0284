//! The commands on the store: `pull`, `import`, `list`, `verify`, `remove`, `prune`.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use rushlight_kernels::PANEL_LAYOUT;
use rushlight_store::{Added, Entry, Kind, Means, Name, Source, Store};
use serde_json::{Value, json};

use crate::args::{Args, NoPrepare};
use crate::progress::Bars;
use crate::report::{self, size};
use crate::{load, prepare};

fn name_of(name: Option<&str>) -> anyhow::Result<Option<Name>> {
    Ok(name.map(str::parse).transpose()?)
}

/// Fetches a model.
pub(crate) fn pull(
    args: &Args,
    source: &str,
    name: Option<&str>,
    no_prepare: NoPrepare,
) -> anyhow::Result<ExitCode> {
    let (source, name) = (Source::parse(source)?, name_of(name)?);
    let bars = Bars::default();
    let added = load::store(args)?.pull(&source, name.as_ref(), &bars);
    bars.finish();
    told(args, &added.with_context(|| format!("cannot pull `{source}`"))?, no_prepare)
}

/// Takes a model from disk.
pub(crate) fn import(
    args: &Args,
    path: &Path,
    name: Option<&str>,
    no_prepare: NoPrepare,
) -> anyhow::Result<ExitCode> {
    let name = name_of(name)?;
    let bars = Bars::default();
    let added = load::store(args)?.import(path, name.as_ref(), &bars);
    bars.finish();
    let added = added.with_context(|| format!("cannot import `{}`", path.display()))?;
    told(args, &added, no_prepare)
}

/// Says what came in, the name on standard output, how on standard error; then prepares it.
fn told(args: &Args, added: &Added, no_prepare: NoPrepare) -> anyhow::Result<ExitCode> {
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
    if !no_prepare.no_prepare {
        prepare::in_full(args, &added.name);
    }
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
pub(super) fn to_json(store: &Store, entry: &Entry) -> Value {
    json!({
        "name": entry.name.to_string(),
        "digest": entry.digest.to_string(),
        "format": kind(entry.kind),
        "size_bytes": entry.size_bytes,
        "prepared_bytes": store.prepared_bytes(&entry.digest),
        "source": entry.source,
        "license": entry.license,
    })
}

/// Lists the models.
pub(crate) fn list(args: &Args, as_json: bool) -> anyhow::Result<ExitCode> {
    let store = load::store(args)?;
    let entries = store.list()?;
    let mut out = std::io::stdout().lock();
    if as_json {
        let all: Vec<Value> = entries.iter().map(|e| to_json(&store, e)).collect();
        writeln!(out, "{}", Value::Array(all))?;
        return Ok(ExitCode::SUCCESS);
    }
    let width = entries.iter().map(|e| e.name.to_string().len()).max().unwrap_or(0).max(4);
    if !entries.is_empty() {
        writeln!(
            out,
            "{:width$}  {:>10}  {:>10}  {:12}  {:12}  SOURCE",
            "NAME", "SIZE", "PREPARED", "DIGEST", "LICENCE"
        )?;
    }
    for e in &entries {
        let digest: String = e.digest.hex().chars().take(12).collect();
        writeln!(
            out,
            "{:width$}  {:>10}  {:>10}  {digest:12}  {:12}  {}",
            e.name.to_string(),
            size(e.size_bytes),
            match store.prepared_bytes(&e.digest) {
                0 => "-".to_owned(),
                bytes => size(bytes),
            },
            e.license.as_deref().unwrap_or("-"),
            e.source.as_deref().unwrap_or("-"),
        )?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Reads models again, and compares prepared weights with them.
pub(crate) fn verify(args: &Args, model: Option<&str>) -> anyhow::Result<ExitCode> {
    let store = load::store(args)?;
    let bars = Bars::default();
    let verified = store.verify(model, &bars);
    bars.finish();
    let verified = verified?;
    let damaged: Vec<Name> = verified.faults.iter().map(|fault| fault.name.clone()).collect();
    for fault in verified.faults {
        let place = fault.path.map(|p| format!(" {p}")).unwrap_or_default();
        let error = anyhow::Error::new(fault.error).context(format!("`{}`{place}", fault.name));
        report::error(&error);
    }
    let (mut sound, mut prepared) = (damaged.is_empty(), 0);
    // What cannot be listed is among the faults already.
    for entry in store.list().unwrap_or_default() {
        let asked = match model {
            Some(model) => store.show(model)?.entry.digest == entry.digest,
            None => true,
        };
        // What damaged files would be prepared as says nothing.
        if !asked || damaged.contains(&entry.name) {
            continue;
        }
        match prepare::verify(&store, &entry.name) {
            Ok(there) => prepared += usize::from(there),
            Err(error) => {
                sound = false;
                report::error(&error.context(format!("`{}`", entry.name)));
            }
        }
    }
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{} models, {} files, {} read, {prepared} prepared weights compared",
        verified.models,
        verified.files,
        size(verified.read_bytes)
    )?;
    Ok(if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
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
    let pruned = load::store(args)?.prune(PANEL_LAYOUT)?;
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{} freed: {} blobs, {} prepared weights, {} leftovers",
        size(pruned.freed_bytes),
        pruned.blobs,
        pruned.prepared,
        pruned.leftovers
    )?;
    Ok(ExitCode::SUCCESS)
}
