//! Prepared weights: made, broken off, damaged, made by two at once.
#![expect(clippy::unwrap_used, reason = "a test stops where something is not as expected")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use rushlight_model::{ErrorKind, Made, Model, Prepared, WeightsFrom};
use rushlight_testkit::tiny;

/// So many that a tiny model has several to a tensor.
const CHUNK: usize = 2000;

struct Place {
    dir: tempfile::TempDir,
    model: Model,
    path: PathBuf,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("tiny.gguf");
        tiny::write_gguf_q8_0(&tiny::case("qwen2"), &file);
        let model = Model::open(&file).unwrap();
        assert!(model.panel_sources().len() > 7, "{:?}", model.panel_sources());
        let path = dir.path().join("prepared/layout/model");
        Self { model, path, dir }
    }

    fn prepared(&self) -> Prepared<'_> {
        Prepared::new(&self.model, "sha256:of-the-model", &self.path).with_chunks_of(CHUNK)
    }

    fn partial(&self) -> PathBuf {
        self.path.with_extension("partial")
    }

    /// The model opened again.
    fn reopened(&self) -> Model {
        Model::open(&self.dir.path().join("tiny.gguf")).unwrap()
    }

    fn make_whole(&self) {
        assert_eq!(self.prepared().make(None, &|| false).unwrap(), Made::Whole);
        assert!(self.prepared().compare().unwrap());
        assert!(!self.partial().exists());
        assert_eq!(fs::metadata(&self.path).unwrap().len(), self.prepared().size_bytes());
    }

    /// Breaks off after so many chunks.
    fn make_some(&self, chunks: usize) -> Made {
        let asked = AtomicUsize::new(0);
        let stop = || asked.fetch_add(1, Ordering::Relaxed) >= chunks;
        self.prepared().make(Some(2), &stop).unwrap()
    }
}

/// Writes over a file that is read-only by now.
fn overwrite(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::remove_file(path).unwrap();
    fs::write(path, bytes).unwrap();
}

#[test]
fn made_once_and_mapped() {
    let place = Place::new();
    let prepared = place.prepared();
    assert!(!prepared.attach().unwrap());
    assert!(!prepared.compare().unwrap());
    assert_eq!(place.model.weights_from(), WeightsFrom::File);
    place.make_whole();
    place.make_whole();
    assert!(prepared.attach().unwrap());
    assert_eq!(place.model.weights_from(), WeightsFrom::Prepared);

    // The same panels as those that are made in memory.
    let other = place.reopened();
    other.pack_panels(|_| true);
    assert_eq!(other.weights_from(), WeightsFrom::Memory);
    let of = |model: &Model| {
        let layer = &model.weights().layers[0];
        let all = [&layer.q, &layer.k, &layer.o].map(|l| &l.weight);
        all.map(|m| m.panels(0..m.rows()).unwrap().to_vec())
    };
    assert_eq!(of(&place.model), of(&other));
    let of_one = of(&other).concat();
    assert!(of_one.iter().any(|b| *b != 0));
}

#[test]
fn broken_off_anywhere_it_goes_on_and_comes_to_the_same() {
    let place = Place::new();
    place.make_whole();
    let whole = fs::read(&place.path).unwrap();
    for step in [1, 3, 10] {
        fs::remove_file(&place.path).unwrap();
        let (mut calls, mut before) = (0, 0);
        loop {
            calls += 1;
            assert!(calls < 1000, "steps of {step} do not come to an end");
            match place.make_some(step) {
                Made::Whole => break,
                Made::Stopped { done_bytes } => {
                    assert!(done_bytes >= before, "{before} -> {done_bytes}");
                    before = done_bytes;
                    assert!(!place.path.exists());
                }
                other => panic!("{other:?}"),
            }
        }
        assert!(calls > 1, "steps of {step}");
        assert_eq!(fs::read(&place.path).unwrap(), whole, "steps of {step}");
    }
}

#[test]
fn a_damaged_beginning_does_not_survive() {
    let place = Place::new();
    place.make_whole();
    let whole = fs::read(&place.path).unwrap();
    let len = whole.len();
    type Damage = (&'static str, Box<dyn Fn(&mut Vec<u8>)>);
    let damages: [Damage; 8] = [
        ("header", Box::new(|b| b[9] ^= 1)),
        ("first panel", Box::new(|b| b[4096 + 5] ^= 1)),
        ("panels", Box::new(move |b| b[4096..len].fill(0))),
        ("chunk size", Box::new(move |b| b[len] ^= 1)),
        ("records", Box::new(move |b| b[len + 8..].fill(1))),
        ("cut", Box::new(move |b| b.truncate(len / 2))),
        ("longer", Box::new(|b| b.push(0))),
        ("empty", Box::new(Vec::clear)),
    ];
    for (name, damage) in damages {
        fs::remove_file(&place.path).unwrap();
        assert!(matches!(place.make_some(12), Made::Stopped { done_bytes: 1.. }));
        overwrite(&place.partial(), |bytes| damage(bytes));
        place.make_whole();
        assert_eq!(fs::read(&place.path).unwrap(), whole, "{name}");
    }
}

#[test]
fn a_file_that_is_not_this_models_is_never_used() {
    let place = Place::new();
    place.make_whole();
    let whole = fs::read(&place.path).unwrap();
    type Damage = (&'static str, Box<dyn Fn(&mut Vec<u8>)>);
    let len = whole.len();
    let damages: [Damage; 5] = [
        ("magic", Box::new(|b| b[0] ^= 1)),
        ("layout", Box::new(|b| b[16] ^= 1)),
        ("cut", Box::new(move |b| b.truncate(len - 64))),
        ("empty", Box::new(Vec::clear)),
        ("longer", Box::new(|b| b.extend([0; 64]))),
    ];
    for (name, damage) in damages {
        overwrite(&place.path, |bytes| damage(bytes));
        let model = place.reopened();
        let error = Prepared::new(&model, "sha256:of-the-model", &place.path).attach();
        assert_eq!(error.unwrap_err().kind(), ErrorKind::Prepared, "{name}");
        assert_eq!(model.weights_from(), WeightsFrom::File, "{name}");
        overwrite(&place.path, |bytes| bytes.clone_from(&whole));
    }
    let model = place.reopened();
    let other = Prepared::new(&model, "sha256:of-another", &place.path).attach().unwrap_err();
    assert_eq!(other.kind(), ErrorKind::Prepared);
    assert!(other.to_string().contains("sha256:of-another"), "{other}");
    let file = place.dir.path().join("other.gguf");
    tiny::write_gguf_q8_0(&tiny::case("llama2"), &file);
    let model = Model::open(&file).unwrap();
    let other = Prepared::new(&model, "sha256:of-the-model", &place.path).attach().unwrap_err();
    assert_eq!(other.kind(), ErrorKind::Prepared, "{other}");

    // A change of the panels alone is what a comparison is for.
    overwrite(&place.path, |bytes| bytes[len - 1] ^= 1);
    assert_eq!(place.prepared().compare().unwrap_err().kind(), ErrorKind::Prepared);
}

#[test]
fn what_others_can_write_is_not_used() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = Place::new();
    place.make_whole();
    fs::set_permissions(&place.path, fs::Permissions::from_mode(0o666)).unwrap();
    assert_eq!(place.prepared().attach().unwrap_err().kind(), ErrorKind::Read);
}

#[test]
fn one_of_two_makes_it() {
    let place = Place::new();
    let inside = || {
        // While this one works, another finds it locked.
        let other = place.prepared().make(None, &|| false).unwrap();
        assert_eq!(other, Made::Busy);
        false
    };
    assert_eq!(place.prepared().make(Some(2), &inside).unwrap(), Made::Whole);
    for _ in 0..20 {
        fs::remove_file(&place.path).unwrap();
        std::thread::scope(|scope| {
            let make = || place.prepared().make(Some(1), &|| false).unwrap();
            let all = [scope.spawn(make), scope.spawn(make), scope.spawn(make)];
            let all = all.map(|thread| thread.join().unwrap());
            assert!(all.contains(&Made::Whole), "{all:?}");
        });
        assert!(place.prepared().compare().unwrap());
        assert!(!place.partial().exists());
    }
}

/// What the test below runs as another process: makes some chunks, says so, and never ends.
#[test]
fn a_process_that_hangs() {
    let Some(dir) = std::env::var_os(HANGS) else { return };
    let dir = Path::new(&dir);
    let model = Model::open(&dir.join("tiny.gguf")).unwrap();
    let path = dir.join("prepared/layout/model");
    let prepared = Prepared::new(&model, "sha256:of-the-model", &path).with_chunks_of(CHUNK);
    let asked = AtomicUsize::new(0);
    let stop = || {
        if asked.fetch_add(1, Ordering::Relaxed) == 20 {
            fs::write(dir.join("hangs"), "").unwrap();
            std::thread::sleep(std::time::Duration::from_secs(60));
        }
        false
    };
    prepared.make(Some(1), &stop).unwrap();
}

const HANGS: &str = "RUSHLIGHT_TEST_HANGS";

#[test]
fn after_kill_9_it_goes_on() {
    let place = Place::new();
    place.make_whole();
    let whole = fs::read(&place.path).unwrap();
    fs::remove_file(&place.path).unwrap();
    let mut child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_process_that_hangs"])
        .env(HANGS, place.dir.path())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    while !place.dir.path().join("hangs").exists() {
        assert!(child.try_wait().unwrap().is_none(), "the other process has ended");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    assert_eq!(place.prepared().make(None, &|| false).unwrap(), Made::Busy);
    child.kill().unwrap();
    child.wait().unwrap();
    // What it had recorded is there, and nothing is at the file's own name.
    assert!(!place.path.exists());
    let Made::Stopped { done_bytes } = place.make_some(0) else {
        panic!("made nothing, yet whole")
    };
    assert!(done_bytes > 0);
    place.make_whole();
    assert_eq!(fs::read(&place.path).unwrap(), whole);
}
