//! `show` of an adapter.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;
use rushlight_model::AdapterFile;
use serde_json::json;

use crate::args::Show;
use crate::report::size;

/// Shows an adapter.
pub(super) fn show(show: &Show) -> anyhow::Result<ExitCode> {
    let file = AdapterFile::open(show.model.as_ref())
        .with_context(|| format!("cannot use the adapter `{}`", show.model))?;
    let mut parts: BTreeMap<&str, usize> = BTreeMap::new();
    for (name, ..) in file.pairs() {
        *parts.entry(part(name)).or_default() += 1;
    }
    let ranks = || file.pairs().map(|(_, rank, _)| rank);
    let (least, most) = (ranks().min().unwrap_or(0), ranks().max().unwrap_or(0));
    let mut out = std::io::stdout().lock();
    if show.json {
        let value = json!({
            "adapter": file.kind(),
            "architecture": file.architecture(),
            "base": file.base(),
            "least_rank": least,
            "greatest_rank": most,
            "matrices": parts,
            "file_bytes": file.file_bytes(),
        });
        writeln!(out, "{value}")?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut line = |what: &str, value: String| writeln!(out, "{what:14}{value}");
    line("adapter", format!("low-rank, as {} has it", file.kind()))?;
    line("architecture", file.architecture().unwrap_or("not stated").to_owned())?;
    line("made for", file.base().unwrap_or("not stated").to_owned())?;
    let rank = if least == most { most.to_string() } else { format!("{least} to {most}") };
    line("rank", rank)?;
    let parts: Vec<_> = parts.iter().map(|(part, count)| format!("{part} x{count}")).collect();
    line("adds to", parts.join(", "))?;
    line("size", size(file.file_bytes()))?;
    line("use", format!("rushlight run MODEL --lora {}", show.model))?;
    Ok(ExitCode::SUCCESS)
}

/// The part of a layer, or the tensor, without what all have.
fn part(name: &str) -> &str {
    let name = name.strip_suffix(".weight").unwrap_or(name);
    name.strip_prefix("blk.").and_then(|rest| rest.split_once('.')).map_or(name, |(_, part)| part)
}
