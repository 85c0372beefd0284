//! Made-up `/proc`, `/sys`, `/dev` and `/etc` trees, written from one text file each.
//!
//! A file in `testkit/trees` has one entry a line; `#` begins a comment, which says where the facts
//! come from:
//!
//! ```text
//! sys/class/thermal/thermal_zone0/temp = 41500
//! proc/device-tree/compatible = a,b\0c,d\0
//! sys/class/hwmon/hwmon{0..3}/name = nothing        # one entry for each number
//! sys/class/drm/card0/device/driver -> ../../../bus/drivers/i915
//! proc/meminfo <<
//! MemTotal:  8000000 kB
//! .
//! dev/dri/renderD128 =
//! sys/class/accel/
//! sys/class/powercap/intel-rapl:0/energy_uj !EACCES
//! ```
//!
//! That is a file with a line, one with zeros instead of an end of the line, several files, a link, a file with lines up to a dot alone, an empty file, an empty
//! directory, and a file that is there but may not be read: it is listed in `errors` at the root,
//! where the reader of a captured tree looks.

use std::fs;
use std::ops::RangeInclusive;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// The file at the root of a tree that lists what may not be read, `EACCES path` a line.
pub const ERRORS_FILE: &str = "errors";

/// The names of all trees in `testkit/trees`, sorted.
///
/// # Panics
///
/// If the folder is not there.
pub fn tree_names() -> Vec<String> {
    let folder = folder();
    let entries = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let names = entries.filter_map(|entry| {
        let name = entry.expect("an entry of the folder").file_name().into_string();
        Some(name.expect("a name of letters").strip_suffix(".tree")?.to_owned())
    });
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

/// Writes the tree `name` below `root`.
///
/// # Panics
///
/// If there is no such tree, its file is not as the module says, or it cannot be written.
pub fn write_tree(name: &str, root: &Path) {
    let path = folder().join(format!("{name}.tree"));
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    write_entries(&text, root);
}

/// Writes entries in the form of the module below `root`.
///
/// # Panics
///
/// If a line is not as the module says, or it cannot be written.
pub fn write_entries(text: &str, root: &Path) {
    let mut lines = text.lines();
    let mut errors = String::new();
    while let Some(line) = lines.next() {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(path) = line.strip_suffix(" <<") {
            let body: Vec<&str> = lines.by_ref().take_while(|line| *line != ".").collect();
            each(path, |path| file(root, path, &(body.join("\n") + "\n")));
        } else if let Some((path, target)) = line.split_once(" -> ") {
            each(path, |path| {
                let link = parent(root, path);
                symlink(target, &link).unwrap_or_else(|e| panic!("{line}: {e}"));
            });
        } else if let Some(path) = line.strip_suffix(" !EACCES") {
            each(path, |path| {
                file(root, path, "");
                errors += &format!("EACCES {path}\n");
            });
        } else if let Some(path) = line.strip_suffix(" =") {
            each(path, |path| file(root, path, ""));
        } else if let Some((path, value)) = line.split_once(" = ") {
            // Properties of a device tree end with zeros and nothing else; variables of firmware are
            // bytes.
            let content = match value.contains("\\0") {
                true => value.replace("\\0", "\0").replace("\\1", "\u{1}"),
                false => format!("{value}\n"),
            };
            each(path, |path| file(root, path, &content));
        } else if let Some(path) = line.strip_suffix('/') {
            each(path, |path| {
                fs::create_dir_all(root.join(path)).unwrap_or_else(|e| panic!("{line}: {e}"));
            });
        } else {
            panic!("`{line}` is no entry of a tree");
        }
    }
    if !errors.is_empty() {
        file(root, ERRORS_FILE, &errors);
    }
}

/// Does something for `path`, once for each number of the ranges `{a..b}` in it.
fn each(path: &str, mut work: impl FnMut(&str)) {
    fn expand(path: &str, work: &mut dyn FnMut(&str)) {
        match range(path) {
            None => work(path),
            Some((before, numbers, after)) => {
                numbers.for_each(|n| expand(&format!("{before}{n}{after}"), work));
            }
        }
    }
    expand(path, &mut work);
}

fn range(path: &str) -> Option<(&str, RangeInclusive<u32>, &str)> {
    let (before, rest) = path.split_once('{')?;
    let (inner, after) = rest.split_once('}')?;
    let (from, to) = inner.split_once("..")?;
    Some((before, from.parse().ok()?..=to.parse().ok()?, after))
}

fn file(root: &Path, path: &str, content: &str) {
    fs::write(parent(root, path), content).unwrap_or_else(|e| panic!("{path}: {e}"));
}

/// The path below `root`, of which the folder is made.
fn parent(root: &Path, path: &str) -> PathBuf {
    let path = root.join(path);
    let folder = path.parent().expect("it is below the root");
    fs::create_dir_all(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    path
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("trees")
}
