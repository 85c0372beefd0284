//! Imports of files and directories, and what becomes of them.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rushlight_store::{Digest, ErrorKind, Kind, Means, Name, Pruned, Store};

use crate::models::{assert_clean, blobs, checkpoint, gguf, part, store};

struct Place {
    dir: tempfile::TempDir,
    store: Store,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = store(&dir.path().join("store"));
        Self { dir, store }
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    fn import(&self, path: &Path) -> rushlight_store::Added {
        self.store.import(path, None, &()).unwrap()
    }
}

#[test]
fn a_file_takes_no_second_copy() {
    let place = Place::new();
    let bytes = gguf(1, 10_000);
    let path = place.file("Tiny-1M-Q4_0.gguf", &bytes);
    let added = place.import(&path);
    assert_eq!(added.name.to_string(), "tiny:1m-q4_0");
    let found = place.store.resolve("tiny:1m-q4_0", &()).unwrap();
    assert_eq!(fs::read(&found.path).unwrap(), bytes);
    match added.files[0].means {
        Means::HardLink => {
            assert_eq!(
                fs::metadata(&found.path).unwrap().ino(),
                fs::metadata(&path).unwrap().ino()
            );
        }
        means => assert_eq!(means, Means::Reflink),
    }
    assert!(found.path.ends_with(format!("blobs/sha256/{}", Digest::of(&bytes).hex())));
    // The original may go.
    fs::remove_file(&path).unwrap();
    assert_clean(&place.store, 1);
    let layout = fs::read_to_string(place.store.dir().join("oci-layout")).unwrap();
    assert_eq!(layout, r#"{"imageLayoutVersion": "1.0.0"}"#);
}

#[test]
fn the_same_again_is_the_same() {
    let place = Place::new();
    let path = place.file("a.gguf", &gguf(1, 100));
    let first = place.import(&path);
    let copy = place.file("elsewhere/a.gguf", &gguf(1, 100));
    let second = place.import(&copy);
    assert_eq!((second.digest, &second.name), (first.digest, &first.name));
    assert_eq!(second.replaced, None);
    assert_clean(&place.store, 1);
    assert_eq!(blobs(&place.store), 3);
}

#[test]
fn names_that_are_taken() {
    let place = Place::new();
    let first = place.import(&place.file("a.gguf", &gguf(1, 100)));
    let second = place.import(&place.file("b/a.gguf", &gguf(2, 100)));
    assert_eq!(first.name.to_string(), "a:latest");
    assert_eq!(second.name.to_string(), format!("a:latest-{}", &second.digest.hex()[..8]));
    let error = place.store.resolve("b", &()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);

    let name: Name = "a:latest".parse().unwrap();
    let path = place.file("c.gguf", &gguf(3, 100));
    let third = place.store.import(&path, Some(&name), &()).unwrap();
    assert_eq!((third.name, third.replaced), (name, Some(first.digest)));
    assert_clean(&place.store, 2);
    assert_eq!(place.store.prune("panels").unwrap().blobs, 3);
    assert_clean(&place.store, 2);
    // By digest, in full.
    let found = place.store.resolve(&second.digest.to_string(), &()).unwrap();
    assert_eq!(found.name, Some(second.name));
}

#[test]
fn a_name_without_its_tag() {
    let place = Place::new();
    place.import(&place.file("tiny-1m-a.gguf", &gguf(1, 100)));
    place.store.resolve("tiny", &()).unwrap();
    place.import(&place.file("tiny-2m-a.gguf", &gguf(2, 100)));
    let error = place.store.resolve("tiny", &()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Ambiguous);
    assert_eq!(error.hint(), Some("name one of: tiny:1m-a, tiny:2m-a"));
}

#[test]
fn a_split_model_by_any_part() {
    let place = Place::new();
    let parts: Vec<_> = (1..=3)
        .map(|i| place.file(&format!("m-0000{i}-of-00003.gguf"), &part(1, i - 1, 3)))
        .collect();
    let added = place.import(&parts[1]);
    assert_eq!(added.files.len(), 3);
    let found = place.store.resolve(&added.name.to_string(), &()).unwrap();
    assert_eq!(found.files.len(), 3);
    // The parts find each other by their names.
    for (file, part) in found.files.iter().zip(&parts) {
        assert_eq!(file.file_name(), part.file_name());
        assert_eq!(fs::read(file).unwrap(), fs::read(part).unwrap());
    }
    assert_eq!(found.path, found.files[0]);
    // And the same by the path.
    let found = place.store.resolve(parts[2].to_str().unwrap(), &()).unwrap();
    assert_eq!((found.files, found.digest), (parts.clone(), None));

    fs::remove_file(&parts[0]).unwrap();
    let error = place.store.import(&parts[1], None, &()).unwrap_err();
    assert!(error.to_string().contains("part 1 of 3"), "{error}");
}

#[test]
fn parts_that_do_not_belong_together() {
    for (what, parts) in [
        ("one alone", vec![("m.gguf", part(1, 0, 2))]),
        (
            "twice the same",
            vec![
                ("m-00001-of-00002.gguf", part(1, 0, 2)),
                ("m-00002-of-00002.gguf", part(2, 0, 2)),
            ],
        ),
        (
            "another count",
            vec![
                ("m-00001-of-00002.gguf", part(1, 0, 3)),
                ("m-00002-of-00002.gguf", part(2, 1, 3)),
            ],
        ),
        (
            "no parts at all",
            vec![("m-00001-of-00002.gguf", gguf(1, 9)), ("m-00002-of-00002.gguf", gguf(2, 9))],
        ),
    ] {
        let place = Place::new();
        let files: Vec<_> = parts.iter().map(|(name, bytes)| place.file(name, bytes)).collect();
        let error = place.store.import(&files[0], None, &()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Model, "{what}: {error}");
        assert!(error.to_string().contains("the file says it is part"), "{what}: {error}");
        assert_clean(&place.store, 0);
    }
}

#[test]
fn a_directory() {
    let place = Place::new();
    for (name, bytes) in checkpoint() {
        place.file(&format!("Tiny-1M/{name}"), &bytes);
    }
    let dir = place.dir.path().join("Tiny-1M");
    let added = place.import(&dir);
    assert_eq!(added.name.to_string(), "tiny:1m");
    let found = place.store.resolve("tiny", &()).unwrap();
    assert_eq!(found.kind, Kind::HfDirectory);
    let mut names: Vec<_> =
        fs::read_dir(&found.path).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["README.md", "config.json", "model.safetensors", "tokenizer.json"]);
    assert_clean(&place.store, 1);

    let by_path = place.store.resolve(dir.to_str().unwrap(), &()).unwrap();
    assert_eq!((by_path.path, by_path.kind), (dir, Kind::HfDirectory));
}

#[test]
fn what_is_no_model() {
    let place = Place::new();
    place.file("empty/x.txt", b"");
    place.file("bad/config.json", b"{");
    place.file("bad/model.safetensors", &crate::models::safetensors());
    place.file("worse/config.json", b"{}");
    place.file("worse/model.safetensors", b"not that");
    let mut cut = gguf(1, 1000);
    cut.truncate(cut.len() - 1);
    let fifo = place.dir.path().join("fifo.gguf");
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::RUSR).unwrap();
    let mut failures = Vec::new();
    for (path, expected) in [
        (place.file("text.gguf", b"hello"), ErrorKind::Model),
        (place.file("cut.gguf", &cut), ErrorKind::Model),
        (place.file("w.safetensors", b""), ErrorKind::Model),
        (fifo, ErrorKind::Model),
        ("/dev/zero".into(), ErrorKind::Model),
        (place.dir.path().join("none"), ErrorKind::Io),
        (place.dir.path().join("empty"), ErrorKind::NotFound),
        (place.dir.path().join("bad"), ErrorKind::Model),
        (place.dir.path().join("worse"), ErrorKind::Model),
    ] {
        match place.store.import(&path, None, &()) {
            Ok(_) => failures.push(format!("{}: accepted", path.display())),
            Err(e) if e.kind() != expected => failures.push(format!("{:?}: {e}", e.kind())),
            Err(_) => {}
        }
    }
    assert_eq!(failures, [""; 0]);
    assert_eq!(blobs(&place.store), 0);
    assert_clean(&place.store, 0);
}

#[test]
fn damage_is_found_and_repaired() {
    let place = Place::new();
    let bytes = gguf(1, 1000);
    let path = place.file("a.gguf", &bytes);
    place.import(&path);
    // The store's own bytes from here on.
    fs::remove_file(&path).unwrap();
    let blob = place.store.resolve("a", &()).unwrap().path;
    let mut damaged = bytes.clone();
    damaged[500] ^= 1;
    fs::set_permissions(&blob, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(&blob, &damaged).unwrap();
    let verified = place.store.verify(Some("a"), &()).unwrap();
    assert_eq!(verified.faults.len(), 1);
    assert_eq!(verified.faults[0].error.kind(), ErrorKind::Mismatch);
    assert_eq!(verified.faults[0].path.as_ref().unwrap().as_str(), "a.gguf");

    // Another size is noticed without reading.
    fs::write(&blob, &bytes[..100]).unwrap();
    let error = place.store.resolve("a", &()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Mismatch);
    fs::remove_file(&blob).unwrap();
    let error = place.store.resolve("a", &()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Mismatch);
    assert_eq!(place.store.verify(None, &()).unwrap().faults.len(), 1);

    fs::write(&blob, &damaged).unwrap();
    place.import(&place.file("b/a.gguf", &bytes));
    assert_clean(&place.store, 1);
}

#[test]
fn many_imports_at_once_all_get_their_names() {
    let place = Place::new();
    let files: Vec<_> = (0..12).map(|i| place.file(&format!("m{i}.gguf"), &gguf(i, 500))).collect();
    std::thread::scope(|scope| {
        for file in &files {
            let store = place.store.clone();
            scope.spawn(move || {
                store.import(file, None, &()).unwrap();
                store.prune("panels").unwrap();
            });
        }
    });
    assert_clean(&place.store, 12);
}

#[test]
fn removing() {
    let place = Place::new();
    place.import(&place.file("a.gguf", &gguf(1, 100)));
    place.import(&place.file("b.gguf", &gguf(2, 100)));
    let removed = place.store.remove("a").unwrap();
    assert_eq!(removed.name.to_string(), "a:latest");
    assert_eq!(removed.size_bytes, gguf(1, 100).len() as u64);
    assert_eq!(place.store.remove("a").unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(blobs(&place.store), 6);
    assert_eq!(place.store.prune("panels").unwrap().blobs, 3);
    assert_clean(&place.store, 1);
    place.store.resolve("b", &()).unwrap();
}

#[test]
fn looking_makes_nothing() {
    let place = Place::new();
    assert_eq!(place.store.list().unwrap(), []);
    assert_eq!(place.store.prune("panels").unwrap().blobs, 0);
    place.store.resolve("a", &()).unwrap_err();
    let path = place.file("a.gguf", &gguf(1, 100));
    place.store.resolve(path.to_str().unwrap(), &()).unwrap();
    assert!(!place.store.dir().exists());
}

#[test]
fn a_store_that_is_being_made_is_pruned_of_nothing() {
    let place = Place::new();
    let blob = place.store.dir().join("blobs/sha256").join("0".repeat(64));
    fs::create_dir_all(blob.parent().unwrap()).unwrap();
    assert_eq!(place.store.prune("panels").unwrap(), Pruned::default());
    fs::write(&blob, [0; 100]).unwrap();
    assert_eq!(
        place.store.prune("panels").unwrap().blobs,
        1,
        "with some directories still missing"
    );
}

#[test]
fn prepared_weights_go_with_their_model_or_their_layout() {
    let place = Place::new();
    let store = &place.store;
    let added = place.import(&place.file("tiny.gguf", &gguf(1, 10)));
    let write = |layout: &str, hex: &str| {
        let path = store.dir().join("prepared").join(layout).join(hex);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, [0; 100]).unwrap();
        path
    };
    let hex = added.digest.hex();
    let kept = write("panels", &hex);
    assert_eq!(kept, store.prepared(&added.digest, "panels"));
    let partial = write("panels", &format!("{hex}.partial"));
    let gone = [
        write("panels-before", &hex),
        write("panels", &"0".repeat(64)),
        write("panels", &format!("{}.partial", "0".repeat(64))),
        write("panels", "not-a-digest"),
    ];
    let busy = write("panels-before", &format!("{hex}.partial"));
    let lock = fs::File::open(&busy).unwrap();
    lock.lock().unwrap();
    assert_eq!(store.prepared_bytes(&added.digest), 400);
    let pruned = store.prune("panels").unwrap();
    assert_eq!((pruned.prepared, pruned.freed_bytes), (4, 400));
    assert!(gone.iter().all(|path| !path.exists()));
    assert!(kept.exists() && partial.exists() && busy.exists());
    drop(lock);

    store.remove(&added.name.to_string()).unwrap();
    assert!(!kept.exists() && !partial.exists() && !busy.exists());
    assert_eq!(store.prepared_bytes(&added.digest), 0);
}
