//! What engines print.

use super::engine::{Found, Work};
use super::figure::Kind;
use anyhow::{Context, Result};
use serde_json::Value;

/// Reads `rushlight bench --json`: the kernels that ran, and what it found of `group`.
pub(super) fn ours(text: &str, group: &[Kind]) -> Result<(String, Vec<Found>)> {
    let value: Value = serde_json::from_str(text).context("`rushlight bench` prints no JSON")?;
    let row = value["kernels"].as_str().context("no `kernels`")?.to_owned();
    let wanted = |kind: &Kind| match *kind {
        Kind::Prefill { tokens } => ("prefill", tokens, 0, 1),
        Kind::Decode { tokens, depth } => ("decode", tokens, depth, 1),
        Kind::Sequences { count, prompt, tokens } => ("decode", tokens, prompt, count),
    };
    let found = find(list(&value["measured"])?, group, |one, kind| {
        let (what, tokens, depth, sequences) = wanted(kind);
        let numbers = [("tokens", tokens), ("depth", depth), ("sequences", sequences)];
        if one["what"] != what || !numbers.iter().all(|(key, n)| is(one, key, *n)) {
            return None;
        }
        let all = (tokens * sequences) as f64;
        let bytes = one["read_bytes"].as_f64()? / all;
        let multiply_adds = one["multiply_adds"].as_f64()? / all;
        Some((rates(&one["tokens_per_second"])?, Some(Work { bytes, multiply_adds })))
    })?;
    Ok((row, found))
}

/// Reads `llama-bench -o json`: what it was built from, and what it found of `group`.
pub(super) fn llama_bench(text: &str, group: &[Kind]) -> Result<(String, Vec<Found>)> {
    // Some builds print talk before the list.
    let begin = text.find('[').unwrap_or(0);
    let value: Value = serde_json::from_str(&text[begin..]).context("it prints no JSON list")?;
    let all = list(&value)?;
    let first = all.first().context("its list is empty")?;
    let commit = first["build_commit"].as_str().context("no `build_commit`")?;
    let commit = match first["build_number"].as_u64() {
        Some(number) => format!("{commit} (build {number})"),
        None => commit.to_owned(),
    };
    let found = find(all, group, |one, kind| {
        let depth = one["n_depth"].as_u64();
        let (prompt, answer) = (one["n_prompt"].as_u64()?, one["n_gen"].as_u64()?);
        let fits = match *kind {
            Kind::Prefill { tokens } => (prompt, answer) == (tokens as u64, 0),
            Kind::Decode { tokens, depth: 0 } => (prompt, answer) == (0, tokens as u64),
            // With `-gp`, time and rate are of the answer alone.
            Kind::Decode { tokens, depth: wanted } => {
                let before = if depth.is_some() { depth? } else { prompt };
                (before, answer) == (wanted as u64, tokens as u64)
            }
            Kind::Sequences { .. } => false,
        };
        let is_deep = matches!(kind, Kind::Decode { depth: 1.., .. });
        let fits = fits && (is_deep || depth.unwrap_or(0) == 0);
        fits.then(|| Some((rates(&one["samples_ts"])?, None))).flatten()
    })?;
    Ok((commit, found))
}

/// Reads `llama-batched-bench`: lines of JSON, or its table where it knows no other form.
pub(super) fn batched(text: &str, group: &[Kind]) -> Result<Vec<Found>> {
    // PP, TG, B and generated tokens per second, all sequences together.
    let json = |line: &str| {
        let value: Value = serde_json::from_str(line).ok()?;
        let number = |key: &str| value[key].as_f64();
        Some([number("pp")?, number("tg")?, number("pl")?, number("speed_tg")?])
    };
    let table = |line: &str| {
        let line = line.trim().strip_prefix('|')?.strip_suffix('|')?;
        let cells: Option<Vec<f64>> =
            line.split('|').map(|cell| cell.trim().parse().ok()).collect();
        match *cells?.as_slice() {
            [pp, tg, pl, _, _, _, _, speed, ..] => Some([pp, tg, pl, speed]),
            _ => None,
        }
    };
    let lines: Vec<_> =
        text.lines().filter_map(|line| json(line).or_else(|| table(line))).collect();
    find(&lines, group, |[pp, tg, pl, speed], kind| match *kind {
        Kind::Sequences { count, prompt, tokens } => {
            let wanted = [prompt, tokens, count].map(|n| n as f64);
            ([*pp, *tg, *pl] == wanted).then(|| (vec![*speed], None))
        }
        _ => None,
    })
}

/// The compiler in what `--version` prints: `built with COMPILER for TARGET`.
pub(crate) fn compiler(text: &str) -> Option<String> {
    let line = text.lines().find_map(|line| line.trim().strip_prefix("built with "))?;
    Some(line.split(" for ").next().unwrap_or(line).to_owned())
}

/// The first of `all` that reads as each kind.
fn find<T>(
    all: &[T],
    group: &[Kind],
    read: impl Fn(&T, &Kind) -> Option<(Vec<f64>, Option<Work>)>,
) -> Result<Vec<Found>> {
    let one = |kind: &Kind| {
        let (rates, work) = all
            .iter()
            .find_map(|one| read(one, kind))
            .with_context(|| format!("it says nothing of `{kind}`"))?;
        Ok(Found { kind: *kind, rates, work })
    };
    group.iter().map(one).collect()
}

fn list(value: &Value) -> Result<&[Value]> {
    Ok(value.as_array().context("JSON, but not with a list where one was expected")?)
}

fn is(value: &Value, key: &str, expected: usize) -> bool {
    value[key].as_u64() == Some(expected as u64)
}

fn rates(value: &Value) -> Option<Vec<f64>> {
    value.as_array()?.iter().map(Value::as_f64).collect()
}

#[cfg(test)]
mod tests;
