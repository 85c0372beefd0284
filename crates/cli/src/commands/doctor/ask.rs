//! Asks programs of this machine for their version, where no file tells it.

use std::io::Read as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rushlight_host::probe::software::Engine;
use rushlight_host::probe::{Reading, Tree, Unit};
use rustix::fs::{OFlags, fcntl_setfl};

/// How long one may take; they are asked at the same time.
const LIMIT: Duration = Duration::from_millis(500);
/// How often it is looked whether it is done.
const STEP: Duration = Duration::from_millis(2);
/// Programs that answer to `--version` at once and touch nothing.
const ASKED: [&str; 6] = ["docker", "podman", "k3s", "containerd", "runc", "crun"];

/// Fills in the versions that no file tells. Of another machine's tree nothing is started.
pub(crate) fn versions(tree: &Tree, engines: &mut [Engine]) {
    if !tree.is_this_machine() {
        return;
    }
    std::thread::scope(|scope| {
        for engine in engines {
            if engine.version.get().is_none() && ASKED.contains(&engine.name.as_str()) {
                scope.spawn(|| {
                    let program = tree.path(&engine.version.source);
                    if let Some(version) = version(&program) {
                        let source = format!("{} --version", program.display());
                        engine.version = Reading::new(version, Unit::None, source);
                    }
                });
            }
        }
    });
}

fn version(program: &Path) -> Option<String> {
    let mut command = Command::new(program);
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().ok()?;
    let text = finish(&mut child);
    if text.is_none() {
        // It may be gone already.
        let _ = child.kill();
        let _ = crate::commands::probe::ended(&mut child);
    }
    number_in(&text?)
}

/// What a program writes, if it ends in time and well. What fits in a pipe is enough.
fn finish(child: &mut Child) -> Option<String> {
    let began = Instant::now();
    while began.elapsed() < LIMIT {
        if let Some(status) = child.try_wait().ok()? {
            let mut out = child.stdout.take()?;
            // A program that it left behind may hold the pipe open.
            fcntl_setfl(&out, OFlags::NONBLOCK).ok()?;
            let mut bytes = [0; 1024];
            let length = out.read(&mut bytes).ok()?;
            let text = String::from_utf8_lossy(bytes.get(..length)?).into_owned();
            return status.success().then_some(text);
        }
        std::thread::sleep(STEP);
    }
    None
}

/// The first word that is a version: `Docker version 27.3.1, build ce12230`, `k3s version v1.30.4+k3s1`.
fn number_in(text: &str) -> Option<String> {
    let words = text.split([' ', ',', '\n', '\t']).map(|word| word.trim_start_matches('v'));
    let mut versions = words.filter(|word| {
        word.contains('.') && word.starts_with(|c: char| c.is_ascii_digit()) && word.len() < 40
    });
    versions.next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn versions_among_words() {
        for (text, version) in [
            ("Docker version 27.3.1, build ce12230\n", Some("27.3.1")),
            ("k3s version v1.30.4+k3s1 (98262b5d)\ngo version go1.22", Some("1.30.4+k3s1")),
            ("crun version 1.14.1\ncommit: x", Some("1.14.1")),
            ("containerd github.com/containerd/containerd v1.7.22 7f7fdf5", Some("1.7.22")),
            ("no version here", None),
        ] {
            assert_eq!(number_in(text).as_deref(), version, "{text}");
        }
    }

    #[test]
    fn a_program_that_hangs_or_floods_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let program = |name: &str, script: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
            version(&path)
        };
        let began = Instant::now();
        assert_eq!(program("good", "echo x version 1.2.3").as_deref(), Some("1.2.3"));
        assert_eq!(program("hangs", "exec sleep 60"), None);
        assert_eq!(program("floods", "while :; do echo 1.2.3; done"), None);
        assert_eq!(program("fails", "echo 1.2.3; exit 1"), None);
        assert_eq!(program("leaves", "sleep 5 & exit 0"), None);
        assert_eq!(version(&dir.path().join("none")), None);
        assert!(began.elapsed() < 6 * LIMIT, "{:?}", began.elapsed());
    }
}
