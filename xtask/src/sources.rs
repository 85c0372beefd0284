//! The repository's own Rust files.

use anyhow::{Context, Result};
use std::path::{Path, PathBuf};

/// The folders that hold them.
const FOLDERS: [&str; 4] = ["crates", "testkit", "xtask", "fuzz"];
/// Folders below these that hold something else.
const SKIPPED: [&str; 4] = ["target", "corpus", "artifacts", "seeds"];

/// A Rust file.
pub(crate) struct Source {
    /// From the repository's root.
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

impl Source {
    /// Whether it is a test, a bench or an example of its crate, not a part of it.
    pub(crate) fn is_beside(&self) -> bool {
        let beside = |name: &std::ffi::OsStr| {
            ["tests", "benches", "examples", "golden"].iter().any(|folder| name == *folder)
        };
        self.path.iter().any(beside) || self.path.file_name().is_some_and(|n| n == "tests.rs")
    }

    /// The lines before the tests.
    pub(crate) fn body(&self) -> impl Iterator<Item = &str> {
        body(&self.text)
    }
}

/// The lines of `text` before its `#[cfg(test)] mod name {`.
pub(crate) fn body(text: &str) -> impl Iterator<Item = &str> {
    let lines: Vec<&str> = text.lines().collect();
    let starts_tests = |at: usize| {
        let after = lines[at + 1..].iter().find(|line| !line.starts_with("#["));
        lines[at] == "#[cfg(test)]"
            && after.is_some_and(|line| line.starts_with("mod ") && line.ends_with('{'))
    };
    let end = (0..lines.len()).find(|at| starts_tests(*at)).unwrap_or(lines.len());
    lines.into_iter().take(end)
}

/// Every Rust file, sorted by path.
pub(crate) fn sources() -> Result<Vec<Source>> {
    let mut paths = Vec::new();
    for folder in FOLDERS {
        if Path::new(folder).is_dir() {
            collect(Path::new(folder), &mut paths)?;
        }
    }
    paths.sort();
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("`{}` cannot be read", path.display()))?;
        Ok(Source { path, text })
    };
    paths.into_iter().map(read).collect()
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) -> Result<()> {
    for entry in folder.read_dir().with_context(|| format!("`{}`", folder.display()))? {
        let path = entry?.path();
        let skipped = SKIPPED.iter().any(|name| path.file_name().is_some_and(|n| n == *name));
        if path.is_dir() && !skipped {
            collect(&path, paths)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::body;

    #[test]
    fn the_body_ends_where_the_test_module_begins() {
        let cases = [
            ("a\n#[cfg(test)]\nmod tests {\nb\n}\n", 1),
            ("a\n#[cfg(test)]\n#[expect(x)]\nmod tests {\nb\n}\n", 1),
            ("#[cfg(test)]\nmod helper;\na\nb\n", 4),
            ("#[cfg(test)]\nfn helper() {}\na\n", 3),
            ("a\n    #[cfg(test)]\n    mod tests {\n", 3),
            ("", 0),
        ];
        let wrong: Vec<_> =
            cases.iter().filter(|(text, lines)| body(text).count() != *lines).collect();
        assert!(wrong.is_empty(), "{wrong:?}");
    }
}
