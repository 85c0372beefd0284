//! Directions between crates, from `cargo metadata`.

use super::{DEVELOPMENT, LEVELS, LIBRARIES};
use anyhow::{Context, Result};
use serde_json::Value;

/// A crate of the workspace and what it depends on.
#[derive(Debug, Default)]
pub(super) struct Package {
    name: String,
    /// The name of its folder.
    folder: String,
    dependencies: Vec<Dependency>,
}

#[derive(Debug)]
struct Dependency {
    name: String,
    /// Only tests, benches and examples see it.
    dev: bool,
    /// It is a folder of this repository.
    ours: bool,
}

/// Reads the output of `cargo metadata --no-deps`.
pub(super) fn packages(metadata: &str) -> Result<Vec<Package>> {
    let metadata: Value = serde_json::from_str(metadata)?;
    list(&metadata, "packages")?.iter().map(package).collect()
}

fn package(value: &Value) -> Result<Package> {
    let manifest = text(value, "manifest_path")?;
    let folder = manifest.rsplit('/').nth(1).context("a manifest lies in a folder")?.to_owned();
    let dependencies = list(value, "dependencies")?.iter().map(dependency);
    Ok(Package {
        name: text(value, "name")?,
        folder,
        dependencies: dependencies.collect::<Result<_>>()?,
    })
}

fn dependency(value: &Value) -> Result<Dependency> {
    let dev = value["kind"].as_str() == Some("dev");
    Ok(Dependency { name: text(value, "name")?, dev, ours: value["path"].is_string() })
}

fn list<'a>(value: &'a Value, key: &str) -> Result<&'a Vec<Value>> {
    value[key].as_array().with_context(|| format!("`{key}` is not a list"))
}

fn text(value: &Value, key: &str) -> Result<String> {
    Ok(value[key].as_str().with_context(|| format!("`{key}` is not text"))?.to_owned())
}

/// One line for each dependency that should not be.
pub(super) fn check(packages: &[Package]) -> Vec<String> {
    let mut wrong = Vec::new();
    for package in packages.iter().filter(|package| !is_development(&package.name)) {
        let Some(level) = level(&package.name) else {
            wrong.push(format!("`{}` has no level in `xtask/src/layers.rs`", package.name));
            continue;
        };
        for dependency in &package.dependencies {
            let breach = if dependency.ours {
                direction(level, dependency)
            } else {
                library(&package.folder, &dependency.name)
            };
            let say = |breach| format!("`{}` uses `{}`: {breach}", package.name, dependency.name);
            wrong.extend(breach.map(say));
        }
    }
    wrong
}

fn direction(level: u8, dependency: &Dependency) -> Option<String> {
    if is_development(&dependency.name) {
        return (!dependency.dev).then(|| "it is for development only".to_owned());
    }
    match self::level(&dependency.name) {
        None => Some("it has no level".to_owned()),
        Some(below) if below < level || (dependency.dev && below == level) => None,
        Some(below) => Some(format!("level {level} may not depend on level {below}")),
    }
}

fn library(folder: &str, name: &str) -> Option<String> {
    let (_, allowed) = LIBRARIES.iter().find(|(library, _)| *library == name)?;
    let breach = || format!("only {} may", allowed.join(", "));
    (!allowed.contains(&folder)).then(breach)
}

fn is_development(name: &str) -> bool {
    DEVELOPMENT.contains(&name)
}

fn level(name: &str) -> Option<u8> {
    LEVELS.iter().find(|(crate_name, _)| *crate_name == name).map(|(_, level)| *level)
}

#[cfg(test)]
mod tests {
    use super::{check, packages};

    fn breaches(name: &str, folder: &str, dependency: &str, kind: &str, ours: bool) -> usize {
        let path = if ours { r#""/somewhere""# } else { "null" };
        let metadata = format!(
            r#"{{"packages": [{{"name": "{name}", "manifest_path": "/r/{folder}/Cargo.toml",
            "dependencies": [{{"name": "{dependency}", "kind": {kind}, "path": {path}}}]}}]}}"#
        );
        check(&packages(&metadata).expect("it is like cargo's")).len()
    }

    #[test]
    fn only_allowed_directions_pass() {
        let ours = [
            ("rushlight-model", "rushlight-kernels", "null", 0),
            ("rushlight-engine", "rushlight-text", "null", 0),
            ("rushlight-kernels", "rushlight-model", "null", 1),
            ("rushlight-model", "rushlight-store", "null", 1),
            ("rushlight-model", "rushlight-store", r#""dev""#, 0),
            ("rushlight-model", "rushlight-engine", r#""dev""#, 1),
            ("rushlight-formats", "rushlight-text", r#""build""#, 1),
            ("rushlight-engine", "rushlight", "null", 1),
            ("rushlight-text", "rushlight-testkit", r#""dev""#, 0),
            ("rushlight-text", "rushlight-testkit", "null", 1),
            ("rushlight-model", "rushlight-novelty", "null", 1),
            ("rushlight-novelty", "rushlight-kernels", "null", 1),
            ("rushlight-testkit", "rushlight-formats", "null", 0),
        ];
        let libraries = [
            ("rushlight", "cli", "anyhow", 0),
            ("rushlight-engine", "engine", "anyhow", 1),
            ("rushlight-engine", "engine", "tokio", 1),
            ("rushlight-store", "store", "tokio", 0),
            ("rushlight-engine", "engine", "serde", 0),
            ("xtask", "xtask", "anyhow", 0),
        ];
        let ours = ours
            .into_iter()
            .map(|(name, other, kind, n)| (name, other, breaches(name, "x", other, kind, true), n));
        let libraries = libraries.into_iter().map(|(name, folder, other, n)| {
            (name, other, breaches(name, folder, other, "null", false), n)
        });
        let wrong: Vec<_> =
            ours.chain(libraries).filter(|(_, _, found, expected)| found != expected).collect();
        assert!(wrong.is_empty(), "(crate, dependency, found, expected): {wrong:?}");
    }
}
