//! Stores whose own files lie: somebody else may have written them.

use std::fs;

use rushlight_store::{Digest, ErrorKind, oci::media};
use serde_json::{Value, json};

use crate::models::{gguf, store};

type Change = fn(&mut Value);

/// A store with one model, whose index is then changed.
fn changed(change: impl Fn(&mut Value)) -> (tempfile::TempDir, rushlight_store::Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir.path().join("store"));
    let file = dir.path().join("a.gguf");
    fs::write(&file, gguf(1, 100)).unwrap();
    store.import(&file, None, &()).unwrap();
    let path = store.dir().join("index.json");
    let mut index: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    change(&mut index);
    fs::write(&path, index.to_string()).unwrap();
    (dir, store)
}

/// Puts a blob under its digest and points the index to it.
fn with_manifest(change: impl Fn(&mut Value)) -> (tempfile::TempDir, rushlight_store::Store) {
    let (dir, store) = changed(|_| ());
    let path = store.dir().join("index.json");
    let mut index: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let blobs = store.dir().join("blobs/sha256");
    let digest: Digest = index["manifests"][0]["digest"].as_str().unwrap().parse().unwrap();
    let mut manifest: Value =
        serde_json::from_slice(&fs::read(blobs.join(digest.hex())).unwrap()).unwrap();
    change(&mut manifest);
    let bytes = manifest.to_string().into_bytes();
    fs::write(blobs.join(Digest::of(&bytes).hex()), &bytes).unwrap();
    index["manifests"][0]["digest"] = Digest::of(&bytes).to_string().into();
    index["manifests"][0]["size"] = bytes.len().into();
    fs::write(&path, index.to_string()).unwrap();
    (dir, store)
}

#[test]
fn an_index_that_lies() {
    let mut failures = Vec::new();
    let cases: [(&str, Change, ErrorKind); 6] = [
        (
            "a digest that is a path",
            |index| index["manifests"][0]["digest"] = "sha256:../../../../etc/passwd".into(),
            ErrorKind::Layout,
        ),
        ("another size", |index| index["manifests"][0]["size"] = 5.into(), ErrorKind::Io),
        ("a huge size", |index| index["manifests"][0]["size"] = u64::MAX.into(), ErrorKind::Layout),
        ("another version", |index| index["schemaVersion"] = 1.into(), ErrorKind::Layout),
        ("no list", |index| index["manifests"] = 1.into(), ErrorKind::Layout),
        (
            "a missing manifest",
            |index| index["manifests"][0]["digest"] = Digest::of(b"none").to_string().into(),
            ErrorKind::Io,
        ),
    ];
    for (what, change, expected) in cases {
        let (_dir, store) = changed(change);
        match store.list() {
            Ok(_) => failures.push(format!("{what}: accepted")),
            Err(e) if what == "another size" && e.kind() == ErrorKind::Mismatch => {}
            Err(e) if e.kind() != expected => failures.push(format!("{what}: {:?} {e}", e.kind())),
            Err(_) => {}
        }
        if store.prune("panels").is_ok() {
            failures.push(format!("{what}: pruned without knowing what is needed"));
        }
    }
    assert_eq!(failures, [""; 0]);
}

#[test]
fn an_index_of_an_index_is_not_followed() {
    let (_dir, store) = changed(|index| {
        let kind = "application/vnd.oci.image.index.v1+json";
        index["manifests"][0]["mediaType"] = kind.into();
    });
    assert_eq!(store.list().unwrap(), []);
    assert_eq!(store.resolve("a", &()).unwrap_err().kind(), ErrorKind::NotFound);
    // What it refers to is not ours to throw away.
    assert_eq!(store.prune("panels").unwrap().blobs, 0);
}

#[test]
fn a_manifest_that_lies() {
    let mut failures = Vec::new();
    let cases: [(&str, Change); 5] = [
        ("a layer of another size", |m| m["layers"][0]["size"] = 5.into()),
        ("a layer that is not there", |m| {
            m["layers"][0]["digest"] = Digest::of(b"none").to_string().into();
        }),
        ("a path that leads out", |m| {
            m["layers"][0]["annotations"][media::FILE_PATH] = "../../../x.gguf".into();
        }),
        ("an unknown artifact", |m| m["artifactType"] = "application/x".into()),
        ("two files of one name", |m| {
            let mut twin = m["layers"][0].clone();
            twin["annotations"][media::FILE_PATH] = "A.GGUF".into();
            m["layers"] = json!([m["layers"][0], twin]);
        }),
    ];
    for (what, change) in cases {
        let (dir, store) = with_manifest(change);
        if let Ok(found) = store.resolve("a", &()) {
            failures.push(format!("{what}: {found:?}"));
        }
        let verified = store.verify(None, &()).unwrap();
        if verified.faults.is_empty() {
            failures.push(format!("{what}: verified"));
        }
        assert!(!dir.path().join("x.gguf").exists());
    }
    assert_eq!(failures, [""; 0]);
}

#[test]
fn a_manifest_that_is_not_what_its_digest_says() {
    let (_dir, store) = changed(|_| ());
    let digest = store.list().unwrap()[0].digest;
    let path = store.dir().join("blobs/sha256").join(digest.hex());
    let text = fs::read_to_string(&path).unwrap();
    fs::remove_file(&path).unwrap();
    fs::write(&path, text.replace("a.gguf", "b.gguf")).unwrap();
    assert_eq!(store.list().unwrap_err().kind(), ErrorKind::Mismatch);
    assert_eq!(store.verify(None, &()).unwrap().faults.len(), 1);
    // It can be taken away all the same.
    store.remove("a").unwrap();
    assert_eq!(store.list().unwrap(), []);
    store.prune("panels").unwrap();
}

#[test]
fn a_layout_of_another_version() {
    let dir = tempfile::tempdir().unwrap();
    for text in [r#"{"imageLayoutVersion": "2.0.0"}"#, "", "x"] {
        fs::write(dir.path().join("oci-layout"), text).unwrap();
        let error = rushlight_store::Store::open(dir.path()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Layout, "{text}");
    }
}
