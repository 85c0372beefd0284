//! `tune` and the profiles that it keeps, by whole commands.
#![expect(clippy::unwrap_used, reason = "a test stops where something is not as expected")]

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use rushlight_testkit::tiny;
use serde_json::Value;

struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        tiny::write_gguf_q8_0(&tiny::case("llama2"), &dir.path().join("tiny.gguf"));
        Self { dir }
    }

    fn model(&self) -> String {
        self.dir.path().join("tiny.gguf").to_str().unwrap().to_owned()
    }

    /// Exit status, standard output and standard error.
    fn rushlight(&self, args: &[&str]) -> (Option<i32>, String, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_rushlight"))
            .args(args)
            .env("RUSHLIGHT_STORE", self.dir.path().join("store"))
            .env_remove("RUSHLIGHT_NO_PREPARE")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    }

    fn profiles(&self) -> Vec<PathBuf> {
        let files = fs::read_dir(self.dir.path().join("store/profiles")).into_iter().flatten();
        files.map(|file| file.unwrap().path()).collect()
    }

    /// Standard error of an answer, and how it ran.
    fn run(&self, more: &[&str]) -> (String, Value) {
        let model = self.model();
        let args = ["run", &model, "ab", "--raw", "-n", "2", "--json"];
        let (code, out, talk) = self.rushlight(&[&args, more].concat());
        assert_eq!(code, Some(0), "{talk}");
        (talk, serde_json::from_str(&out).unwrap())
    }
}

#[test]
fn a_profile_is_made_used_overruled_and_survived() {
    let place = Place::new();
    let model = place.model();
    let (talk, _) = place.run(&[]);
    assert!(!talk.contains("tuned") && !talk.contains("profile"), "{talk}");
    let (code, out, talk) = place.rushlight(&["tune", &model, "--budget", "2", "--json"]);
    assert_eq!(code, Some(0), "{talk}");
    let value: Value = serde_json::from_str(&out).unwrap();
    let settings = &value["profile"]["settings"];
    assert_eq!((&settings["backend"], &settings["kv"]), (&"cpu".into(), &"f16".into()), "{out}");
    let seconds = value["seconds"].as_f64().unwrap();
    assert!(seconds < 12.0, "{seconds} s of 2");
    let whats: Vec<_> =
        value["rankings"].as_array().unwrap().iter().map(|r| r["what"].as_str().unwrap()).collect();
    for what in ["threads for prompts", "threads for answers", "answers at once"] {
        assert!(whats.contains(&what), "{whats:?}");
    }
    let profiles = place.profiles();
    let [profile] = &profiles[..] else { panic!("one profile: {profiles:?}") };
    assert_eq!(value["kept"].as_str(), profile.to_str());

    // What it says is what runs.
    let mut edited: Value = serde_json::from_str(&fs::read_to_string(profile).unwrap()).unwrap();
    edited["settings"]["threads"] = 3.into();
    edited["settings"]["decode_threads"] = 2.into();
    edited["settings"]["chunk"] = 99.into();
    edited["settings"]["parallel"] = Value::Null;
    fs::write(profile, edited.to_string()).unwrap();
    let (talk, ran) = place.run(&[]);
    assert!(talk.contains("tuned: 3 threads for prompts, 2 for answers"), "{talk}");
    assert!(talk.contains("chunks of 99; 20"), "{talk}");
    assert_eq!((&ran["threads"], &ran["decode_threads"]), (&3.into(), &2.into()));
    let (talk, ran) = place.run(&["--threads", "1"]);
    assert!(talk.contains("tuned: ") && !talk.contains("threads for"), "{talk}");
    assert_eq!((&ran["threads"], &ran["decode_threads"]), (&1.into(), &1.into()));
    let (talk, ran) = place.run(&["--no-profile"]);
    assert!(!talk.contains("tuned"), "{talk}");
    assert_ne!(ran["threads"], 3);
    let (talk, ran) = place.run(&["--quiet"]);
    assert!(talk.is_empty() && ran["threads"] == 3, "{talk}");
    let bench = ["bench", &model, "-p", "8", "-n", "2", "--repeats", "1", "--json"];
    let (_, out, talk) = place.rushlight(&bench);
    let measured: Value = serde_json::from_str(&out).unwrap();
    assert!(talk.contains("tuned: 3 threads"), "{talk}");
    assert_eq!(measured["decode_threads"], 2);

    // Another model has none; a damaged one is no obstacle.
    tiny::write_gguf(&tiny::case("qwen3"), &place.dir.path().join("other.gguf"));
    let other = place.dir.path().join("other.gguf").to_str().unwrap().to_owned();
    let (code, _, talk) = place.rushlight(&["run", &other, "ab", "--raw", "-n", "2"]);
    assert!(code == Some(0) && !talk.contains("tuned") && !talk.contains("profile"), "{talk}");
    fs::write(profile, "{\"version\": 1, \"key\": [").unwrap();
    let (talk, _) = place.run(&[]);
    assert!(talk.contains("is not used: it is no JSON"), "{talk}");
    let mut elsewhere = edited.clone();
    elsewhere["key"]["limits"] = "0@1024 quota 0.5".into();
    fs::write(profile.with_file_name(renamed(profile)), elsewhere.to_string()).unwrap();
    fs::remove_file(profile).unwrap();
    let (talk, ran) = place.run(&[]);
    assert!(talk.contains("made under other limits on its processors"), "{talk}");
    assert_ne!(ran["threads"], 3);
}

/// Another name of a profile of the same model.
fn renamed(profile: &std::path::Path) -> String {
    let name = profile.file_name().unwrap().to_str().unwrap();
    let (model, _) = name.split_once('-').unwrap();
    format!("{model}-0000000000000000.json")
}

#[test]
fn every_combination_is_printed_and_nothing_kept_if_asked() {
    let place = Place::new();
    let args = ["--budget", "1", "--exhaustive", "--no-save", "--threads", "1", "--cores", "all"];
    let (code, out, talk) = place.rushlight(&[&["tune", &place.model()], &args[..]].concat());
    assert_eq!(code, Some(0), "{talk}");
    for words in ["| threads for answers |", "chosen: --cores all --threads 1", "% behind the best"]
    {
        assert!(out.contains(words), "{words}: {out}");
    }
    assert!(place.profiles().is_empty() && !out.contains("kept"), "{out}");
}

#[test]
fn what_cannot_be_tuned_is_said() {
    let place = Place::new();
    let model = place.model();
    tiny::write_gguf(&tiny::case("minilm"), &place.dir.path().join("minilm.gguf"));
    let embedder = place.dir.path().join("minilm.gguf").to_str().unwrap().to_owned();
    let cases: [(&[&str], i32, &str); 5] = [
        (&["tune", &embedder], 1, "writes no text"),
        (&["tune", &model, "--budget", "0"], 2, "--budget"),
        (&["tune", &model, "--watts=-1"], 2, "not a number above 0"),
        (&["tune", &model, "--memory", "0"], 1, "are free"),
        (&["tune", &model, "--kv", "f16", "--choose-kv"], 2, "--choose-kv"),
    ];
    for (args, code, words) in cases {
        let (found, _, talk) = place.rushlight(args);
        assert!(found == Some(code) && talk.contains(words), "{args:?}: {found:?} {talk}");
    }
    // Where there is a sensor energy is measured, where there is none it is said what was looked for.
    let args = ["tune", &model, "--budget", "1", "--objective", "energy", "--no-save"];
    let (code, out, talk) = place.rushlight(&args);
    match code {
        Some(0) => assert!(out.contains("J each"), "{out}"),
        _ => assert!(talk.contains("needs a power sensor"), "{talk}"),
    }
}
