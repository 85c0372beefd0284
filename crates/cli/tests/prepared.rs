//! Prepared weights by whole commands: made, used, left out, damaged, removed.
#![expect(clippy::unwrap_used, reason = "a test stops where something is not as expected")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use rushlight_testkit::tiny;
use serde_json::Value;

struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        tiny::write_gguf_q8_0(&tiny::case("llama2"), &dir.path().join("Tiny-Q8_0.gguf"));
        Self { dir }
    }

    fn model(&self) -> String {
        self.dir.path().join("Tiny-Q8_0.gguf").to_str().unwrap().to_owned()
    }

    fn store(&self) -> PathBuf {
        self.dir.path().join("store")
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("RUSHLIGHT_STORE", self.store()).env_remove("RUSHLIGHT_NO_PREPARE");
        command.stdin(Stdio::null());
        command
    }

    fn output(&self, args: &[&str]) -> Output {
        self.command(env!("CARGO_BIN_EXE_rushlight")).args(args).output().unwrap()
    }

    fn succeed(&self, args: &[&str]) -> (String, String) {
        let output = self.output(args);
        let [out, talk] = [&output.stdout, &output.stderr].map(|b| text(b));
        assert!(output.status.success(), "{args:?}: {talk}");
        (out.trim().to_owned(), talk)
    }

    /// Where the weights of an answer were read, and its text.
    fn run(&self, model: &str, more: &[&str]) -> (String, String) {
        let args = ["run", model, "ab", "--raw", "-n", "8", "--temperature", "0", "--json"];
        let value: Value = serde_json::from_str(&self.succeed(&[&args, more].concat()).0).unwrap();
        let of = |key: &str| value[key].as_str().unwrap().to_owned();
        (of("weights"), of("text"))
    }

    /// The files of prepared weights, whole or not.
    fn files(&self) -> Vec<PathBuf> {
        let layouts = fs::read_dir(self.store().join("prepared")).into_iter().flatten().flatten();
        let files = layouts.flat_map(|layout| fs::read_dir(layout.path()).unwrap());
        files.map(|file| file.unwrap().path()).collect()
    }

    /// The only one.
    fn file(&self) -> PathBuf {
        let files = self.files();
        let [file] = &*files else { panic!("one file: {files:?}") };
        file.clone()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Whether this processor's kernels take other layouts at all.
fn taken() -> bool {
    rushlight_kernels::best().takes_panels(rushlight_kernels::Format::Q8_0, 64)
}

fn damage(file: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(file).unwrap();
    change(&mut bytes);
    fs::remove_file(file).unwrap();
    fs::write(file, bytes).unwrap();
}

#[test]
fn import_prepares_and_what_runs_uses_it() {
    if !taken() {
        return;
    }
    let place = Place::new();
    let (name, talk) = place.succeed(&["import", &place.model()]);
    assert!(talk.contains("preparing weights for this processor … "), "{talk}");
    let file = place.file();
    let bytes = fs::metadata(&file).unwrap().len();

    let (from, prepared) = place.run(&name, &[]);
    assert_eq!(from, "prepared");
    for (model, more, wanted) in [
        (&name, &["--no-prepare"][..], "file"),
        (&name, &["--prepare", "never"], "file"),
        (&name, &["--prepare", "memory"], "memory"),
        (&name, &["--prepare", "memory", "--kernels", "scalar"], "file"),
        (&name, &["--kernels", "scalar"], "file"),
        (&place.model(), &[], "file"),
        (&place.model(), &["--prepare", "memory"], "memory"),
    ] {
        let (from, text) = place.run(model, more);
        assert_eq!(from, wanted, "{model} {more:?}");
        assert_eq!(text, prepared, "{model} {more:?}");
    }
    let bench = ["bench", &name, "-p", "2", "-n", "2", "-r", "1", "--json"];
    let bench: Value = serde_json::from_str(&place.succeed(&bench).0).unwrap();
    assert_eq!(bench["weights"], "prepared");

    let list: Value = serde_json::from_str(&place.succeed(&["list", "--json"]).0).unwrap();
    assert_eq!(list[0]["prepared_bytes"], bytes);
    assert!(place.succeed(&["show", &name]).0.contains("prepared"));
    assert!(place.succeed(&["verify"]).0.contains("1 prepared weights compared"));
    place.succeed(&["prune"]);
    assert_eq!(place.file(), file);
    place.succeed(&["remove", &name]);
    assert!(place.files().is_empty());
}

#[test]
fn what_is_not_there_is_made_after_the_answer() {
    if !taken() {
        return;
    }
    let place = Place::new();
    let (name, _) = place.succeed(&["import", &place.model(), "--no-prepare"]);
    let (from, before) = place.run(&name, &["--no-prepare"]);
    assert_eq!((&*from, place.files().len()), ("file", 0));
    assert_eq!(place.run(&name, &[]), ("file".to_owned(), before.clone()));
    assert_eq!(place.run(&name, &[]), ("prepared".to_owned(), before));
    let file = place.file();
    assert_eq!(file.extension(), None);

    // What is broken in sight is made again, what is broken out of sight is found by `verify`.
    let changes: [fn(&mut Vec<u8>); 2] = [|b| b.truncate(5000), |b| b[20] ^= 1];
    for change in changes {
        damage(&file, change);
        let told = place.output(&["run", &name, "ab", "--raw", "-n", "2", "-q"]);
        assert!(told.status.success(), "{}", text(&told.stderr));
        assert!(text(&told.stderr).contains("the model's own file is used"));
        assert_eq!(place.run(&name, &[]).0, "prepared");
    }
    damage(&file, |bytes| *bytes.last_mut().unwrap() ^= 1);
    let told = place.output(&["verify"]);
    assert_eq!(told.status.code(), Some(1));
    assert!(text(&told.stderr).contains("the prepared weights are damaged"));
    assert!(place.files().is_empty());
    place.succeed(&["verify"]);
}

#[test]
fn the_disk_stays_clean_when_asked() {
    let place = Place::new();
    let (name, _) = place.succeed(&["import", &place.model(), "--no-prepare"]);
    place.run(&name, &["--no-prepare"]);
    place.run(&place.model(), &[]);
    place.run(&place.model(), &["--prepare", "memory"]);
    place.succeed(&["bench", &name, "-p", "2", "-n", "2", "-r", "1", "--prepare", "never"]);
    let mut command = place.command(env!("CARGO_BIN_EXE_rushlight"));
    command.args(["run", &name, "ab", "--raw", "-n", "2"]).env("RUSHLIGHT_NO_PREPARE", "1");
    assert!(command.output().unwrap().status.success());
    assert!(place.files().is_empty());
    assert!(!place.store().join("prepared").exists());
}

#[test]
fn without_space_a_model_comes_in_all_the_same() {
    if !taken() {
        return;
    }
    let place = Place::new();
    // No file may be larger than a few KiB; what would be is refused with an error, not a signal.
    let script = "trap '' XFSZ; ulimit -f 16; exec \"$0\" \"$@\"";
    let rushlight = env!("CARGO_BIN_EXE_rushlight");
    let mut command = place.command("sh");
    command.args(["-c", script, rushlight, "import", &place.model()]);
    let told = command.output().unwrap();
    let talk = text(&told.stderr);
    assert!(told.status.success(), "{talk}");
    assert!(talk.contains("note: the weights are not prepared: "), "{talk}");
    assert!(place.files().is_empty(), "{:?}", place.files());
    let name = text(&told.stdout).trim().to_owned();
    assert_eq!(place.run(&name, &["--no-prepare"]).0, "file");
}

#[test]
fn two_at_once() {
    if !taken() {
        return;
    }
    let place = Place::new();
    let (name, _) = place.succeed(&["import", &place.model(), "--no-prepare"]);
    for _ in 0..5 {
        let begin = || {
            let mut command = place.command(env!("CARGO_BIN_EXE_rushlight"));
            command.args(["run", &name, "ab", "--raw", "-n", "2", "-q"]);
            command.stdout(Stdio::null()).spawn().unwrap()
        };
        for mut child in [begin(), begin(), begin()] {
            assert!(child.wait().unwrap().success());
        }
        assert_eq!(place.run(&name, &[]).0, "prepared");
        assert!(place.succeed(&["verify"]).0.contains("1 prepared weights compared"));
        fs::remove_file(place.file()).unwrap();
    }
}
