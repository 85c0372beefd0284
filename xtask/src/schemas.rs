//! `cargo xtask schemas`: answers to many JSON schemas, judged by another program.
//!
//! Schemas of a folder, chosen by a seed, are asked of a running server. An answer that ends by itself must be JSON and valid, as Python's `jsonschema`
//! finds it; a schema that is refused must be refused with its place. A server's error or a cut
//! connection ends the run.

mod ask;
mod judge;
mod options;
mod report;

use crate::serving::{self, Served};
use crate::setup;
use anyhow::{Context, Result, bail};
use clap::Parser;
use options::Options;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// A schema of a file.
#[derive(Clone, Debug)]
struct Schema {
    /// The path within its folder.
    name: String,
    value: Value,
}

/// Asks for what `arguments` say; an error when an answer is wrong.
pub(crate) fn schemas(arguments: &[String]) -> Result<()> {
    let program = "cargo xtask schemas".to_owned();
    let options = match Options::try_parse_from([&program].into_iter().chain(arguments)) {
        Ok(options) => options,
        Err(error) if error.use_stderr() => bail!("{error}"),
        Err(help) => return Ok(help.print()?),
    };
    let mut all = shuffled(read(&options.data)?, options.seed);
    eprintln!("  {} schemas in `{}`", all.len(), options.data.display());
    all.truncate(options.count);
    let packages = setup::schemas::packages()?;
    let program = serving::program(options.program.as_deref())?;
    let model = setup::model::model()?;
    let folder = PathBuf::from("target/schemas");
    fs::create_dir_all(&folder).with_context(|| format!("`{}`", folder.display()))?;
    let flags: Vec<_> = options.flags.split_whitespace().map(str::to_owned).collect();
    let served = Served::ours(&program, &model, &flags, &folder.join("serve.log"))?;
    let asked = ask::all(&served.address, &all, &options)?;
    let judged = judge::all(&packages, &asked)?;
    drop(served);
    let report = report::write(&judged);
    println!("{report}");
    fs::write(folder.join("report.md"), &report)?;
    fs::write(folder.join("answers.jsonl"), report::lines(&judged))?;
    report::hold(&judged)
}

/// Every JSON file below `folder`, by name.
fn read(folder: &Path) -> Result<Vec<Schema>> {
    let mut paths = Vec::new();
    find(folder, &mut paths)?;
    paths.sort();
    let schema = |path: PathBuf| {
        let text = fs::read(&path).with_context(|| format!("`{}`", path.display()))?;
        let value =
            serde_json::from_slice(&text).with_context(|| format!("`{}`", path.display()))?;
        let name = path.strip_prefix(folder).unwrap_or(&path).display().to_string();
        Ok(Schema { name, value })
    };
    paths.into_iter().map(schema).collect()
}

fn find(folder: &Path, paths: &mut Vec<PathBuf>) -> Result<()> {
    for entry in folder.read_dir().with_context(|| format!("`{}`", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            find(&path, paths)?;
        } else if path.extension().is_some_and(|extension| extension == "json") {
            paths.push(path);
        }
    }
    Ok(())
}

/// In an order that `seed` gives (Fisher and Yates).
fn shuffled(mut all: Vec<Schema>, seed: u64) -> Vec<Schema> {
    let mut random = serving::random::Random::new(seed);
    for end in (1..all.len()).rev() {
        all.swap(end, random.below(end + 1));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seed_gives_the_order() {
        let all: Vec<_> =
            (0..50).map(|n| Schema { name: n.to_string(), value: Value::Null }).collect();
        let names = |seed| -> Vec<String> {
            shuffled(all.clone(), seed).into_iter().map(|schema| schema.name).collect()
        };
        assert_eq!(names(1), names(1));
        assert_ne!(names(1), names(2));
        let mut sorted: Vec<u32> = names(1).iter().map(|name| name.parse().unwrap()).collect();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..50).collect::<Vec<_>>());
    }
}
