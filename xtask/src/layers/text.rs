//! What a crate's own text may hold.

use super::{PARSERS, TALKS, UNSAFE};
use crate::sources::body;
use std::path::Path;

/// One line for each thing in `text` that its crate may not hold. A file `beside` its crate (a
/// test, a bench, an example) may print.
pub(super) fn check(path: &Path, text: &str, beside: bool) -> Vec<String> {
    let mut parts = path.iter().map(|part| part.to_string_lossy());
    if parts.next().as_deref() != Some("crates") {
        return Vec::new();
    }
    let folder = parts.next().unwrap_or_default();
    let mut wrong = Vec::new();
    let mut say = |line: usize, breach: &str| {
        wrong.push(format!("{}:{line}: {breach}", path.display()));
    };
    if !UNSAFE.contains(&&*folder) {
        for (line, _) in code(text).filter(|(_, code)| opens_unsafe(code)) {
            say(line, &format!("`unsafe` belongs to {}", UNSAFE.join(", ")));
        }
    }
    if folder != TALKS && !beside {
        let body = body(text).collect::<Vec<_>>().join("\n");
        for (line, _) in code(&body).filter(|(_, code)| prints(code)) {
            say(line, &format!("printing belongs to {TALKS}"));
        }
    }
    let is_root = path == Path::new("crates").join(&*folder).join("src/lib.rs");
    if is_root && PARSERS.contains(&&*folder) && !text.contains("#![forbid(unsafe_code)]") {
        say(1, "this crate reads hostile bytes and must say `#![forbid(unsafe_code)]`");
    }
    wrong
}

/// Lines that are not comments, with their numbers.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim_start()));
    lines.filter(|(_, line)| !line.starts_with("//"))
}

fn opens_unsafe(code: &str) -> bool {
    ["expect(unsafe_code", "allow(unsafe_code", "warn(unsafe_code"]
        .iter()
        .any(|attribute| code.contains(attribute))
}

fn prints(code: &str) -> bool {
    ["print", "println", "eprint", "eprintln", "dbg"].iter().any(|name| {
        let call = format!("{name}!(");
        code.match_indices(&call).any(|(at, _)| {
            let before = code[..at].chars().next_back();
            !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
        })
    })
}

#[cfg(test)]
mod tests {
    use super::check;
    use std::path::Path;

    #[test]
    fn each_breach_is_found_and_nothing_else() {
        let forbid = "#![forbid(unsafe_code)]\n";
        let cases = [
            ("crates/model/src/a.rs", "println!(\"x\");\n", false, 1),
            ("crates/model/src/a.rs", "x; eprintln!(\"x\");\n", false, 1),
            ("crates/model/src/a.rs", "    dbg!(x);\n", false, 1),
            ("crates/model/src/a.rs", "my_println!(x);\n", false, 0),
            ("crates/model/src/a.rs", "/// println!(x);\n", false, 0),
            ("crates/model/src/a.rs", "#[cfg(test)]\nmod tests {\nprintln!(x);\n}\n", false, 0),
            ("crates/model/tests/a.rs", "println!(x);\n", true, 0),
            ("crates/cli/src/a.rs", "println!(x);\n", false, 0),
            ("xtask/src/a.rs", "println!(x);\n", false, 0),
            ("crates/model/src/a.rs", "#![expect(unsafe_code, reason = \"\")]\n", false, 1),
            ("crates/cli/src/a.rs", "#[allow(unsafe_code)]\n", false, 1),
            ("crates/host/src/a.rs", "#![expect(unsafe_code, reason = \"\")]\n", false, 0),
            ("crates/kernels/src/a.rs", "#![expect(unsafe_code, reason = \"\")]\n", false, 0),
            ("crates/formats/src/lib.rs", "//! Views.\n", false, 1),
            ("crates/formats/src/lib.rs", forbid, false, 0),
            ("crates/formats/src/gguf.rs", "", false, 0),
            ("crates/model/src/lib.rs", "", false, 0),
        ];
        let wrong: Vec<_> = cases
            .iter()
            .map(|(path, text, beside, expected)| {
                (path, text, check(Path::new(path), text, *beside).len(), expected)
            })
            .filter(|(_, _, found, expected)| found != *expected)
            .collect();
        assert!(wrong.is_empty(), "(path, text, found, expected): {wrong:?}");
    }
}
