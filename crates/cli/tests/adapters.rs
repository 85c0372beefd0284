//! `--lora`, and what `show` says of adapters.
#![expect(clippy::unwrap_used, reason = "a test stops where something is not as expected")]

use std::path::Path;
use std::process::{Command, Output, Stdio};

use rushlight_testkit::tiny;
use serde_json::Value;

fn rushlight(store: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_rushlight"))
        .args(args)
        .env("RUSHLIGHT_STORE", store)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn json(store: &Path, args: &[&str]) -> Value {
    let output = rushlight(store, args);
    assert!(output.status.success(), "{args:?}: {}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

struct Files {
    dir: tempfile::TempDir,
}

impl Files {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        tiny::write_gguf(&tiny::case("llama2"), &dir.path().join("tiny.gguf"));
        tiny::write_gguf(&tiny::case("qwen2"), &dir.path().join("other.gguf"));
        tiny::adapter("llama2").write_gguf(&dir.path().join("lora.gguf"));
        std::fs::create_dir(dir.path().join("peft")).unwrap();
        tiny::adapter("llama2").write_peft(&dir.path().join("peft"));
        Self { dir }
    }

    fn at(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }
}

#[test]
fn answers_are_those_of_the_adapters_that_are_asked_for() {
    let files = Files::new();
    let run = |loras: &[&str]| {
        let model = files.at("tiny.gguf");
        let mut args = vec!["run", &model, "some words", "--raw", "-n", "12", "--json"];
        args.extend(["--temperature", "0", "--logprobs", "1"]);
        let loras: Vec<String> = loras.iter().map(|name| files.at(name)).collect();
        loras.iter().for_each(|path| args.extend(["--lora", path]));
        let value = json(files.dir.path(), &args);
        let tokens = value["tokens"].as_array().unwrap().clone();
        // The second pass over the answer, for its log-probabilities, has the adapter, too.
        for (token, top) in tokens.iter().zip(value["top_logprobs"].as_array().unwrap()) {
            assert_eq!(token["id"], top[0]["id"]);
        }
        tokens.iter().map(|token| token["id"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    let (plain, adapted) = (run(&[]), run(&["lora.gguf"]));
    assert_ne!(plain, adapted);
    assert_eq!(run(&["peft"]), adapted);
    assert_eq!(run(&["lora.gguf:0"]), plain);
    assert_eq!(run(&["peft:0.25", "lora.gguf:0.75"]), adapted);
    assert_eq!(run(&["lora.gguf", "peft:-1"]), plain);
    let (model, lora) = (files.at("tiny.gguf"), files.at("lora.gguf"));
    let args = [
        "bench", &model, "--lora", &lora, "-p", "8", "-n", "2", "--ctx", "64", "-r", "1", "--json",
    ];
    assert_eq!(json(files.dir.path(), &args)["measured"].as_array().unwrap().len(), 2);
    let words = files.at("words.txt");
    std::fs::write(&words, "some words and some other words ".repeat(9)).unwrap();
    let perplexity = |more: &[&str]| {
        let args = [&["perplexity", &model, &words, "--window", "32", "--json"], more].concat();
        json(files.dir.path(), &args)["perplexity"].as_f64().unwrap()
    };
    assert_ne!(perplexity(&[]), perplexity(&["--lora", &lora]));
}

#[test]
fn an_adapter_says_what_it_is() {
    let files = Files::new();
    let value = json(files.dir.path(), &["show", &files.at("lora.gguf"), "--json"]);
    assert_eq!((&value["adapter"], &value["architecture"]), (&"GGUF".into(), &"llama".into()));
    assert_eq!((&value["greatest_rank"], &value["matrices"]["attn_q"]), (&4.into(), &3.into()));
    let output = rushlight(files.dir.path(), &["show", &files.at("peft")]);
    let said = text(&output.stdout);
    for part in ["as PEFT has it", "tiny", "rank          4\n", "attn_q x3", "output x1", "--lora"]
    {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn what_cannot_be_used_is_refused() {
    let files = Files::new();
    let (tiny, other, lora, peft) =
        (files.at("tiny.gguf"), files.at("other.gguf"), files.at("lora.gguf"), files.at("peft"));
    let cases: [(&[&str], i32, &[&str]); 7] = [
        (
            &["run", &other, "x", "--lora", &lora],
            1,
            &["cannot use the adapter", "`llama`", "`qwen2`"],
        ),
        (
            &["run", &other, "x", "--lora", &peft],
            1,
            &["cannot use the adapter", "expected", "hint: "],
        ),
        (
            &["run", &tiny, "x", "--lora", &tiny],
            1,
            &["cannot use the adapter", "no adapter", "hint: "],
        ),
        (&["run", &tiny, "x", "--lora", "/no/such"], 1, &["cannot use the adapter `/no/such`"]),
        (&["run", &tiny, "x", "--lora", "a:nan"], 2, &["a:nan", "such as a.gguf:0.5"]),
        (&["run", &lora, "x"], 1, &["adapter", "hint: ", "--lora"]),
        (&["run", &peft, "x"], 1, &["adapter", "hint: ", "--lora"]),
    ];
    let mut failures = Vec::new();
    for (args, code, wanted) in cases {
        let output = rushlight(files.dir.path(), args);
        let stderr = text(&output.stderr);
        let missing: Vec<_> = wanted.iter().filter(|w| !stderr.contains(**w)).collect();
        if output.status.code() != Some(code) || !missing.is_empty() || !output.stdout.is_empty() {
            failures.push(format!("{args:?}: {:?}, without {missing:?}: {stderr}", output.status));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
