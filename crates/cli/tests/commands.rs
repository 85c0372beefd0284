//! Whole commands: exit status, standard output, standard error.
#![expect(clippy::unwrap_used, reason = "a test stops where something is not as expected")]

use std::path::Path;
use std::process::{Command, Output, Stdio};

use rushlight_testkit::{model_path, tiny};
use serde_json::Value;

/// Runs the binary with a store of its own.
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

/// Runs and gives standard output; the command must succeed.
fn succeed(store: &Path, args: &[&str]) -> String {
    let output = rushlight(store, args);
    assert!(output.status.success(), "{args:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

#[test]
fn errors_say_what_and_where_and_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(at("v1.gguf"), b"GGUF\x01\0\0\0\0\0\0\0\0\0\0\0").unwrap();
    std::fs::write(at("text.gguf"), b"this is not a model").unwrap();
    std::fs::create_dir(at("empty")).unwrap();
    tiny::write_gguf(&tiny::case("llama2"), Path::new(&at("tiny.gguf")));
    let whole = std::fs::read(at("tiny.gguf")).unwrap();
    std::fs::write(at("cut.gguf"), &whole[..whole.len() / 2]).unwrap();
    let tiny = at("tiny.gguf");
    let cases: [(&[&str], i32, &[&str]); 9] = [
        (&["run", "no/such.gguf", "x"], 1, &["error: cannot find the model `no/such.gguf`"]),
        (&["run", &at("v1.gguf"), "x"], 1, &["error: cannot load", "version"]),
        (&["run", &at("text.gguf"), "x"], 1, &["error: cannot load", "GGUF"]),
        (&["run", &at("cut.gguf"), "x"], 1, &["error: cannot load", "cut.gguf"]),
        (&["run", &at("empty"), "x"], 1, &["config.json"]),
        (&["run", &tiny, "x", "--kernels", "mmx"], 1, &["kernels `mmx`", "`scalar`"]),
        (&["run", &tiny, "x", "--ctx", "999999"], 1, &["a context of `999999`", "hint: "]),
        (
            &["run", &tiny, "x", "--memory", "0"],
            1,
            &["the model's files", "0 B are free", "hint: "],
        ),
        (&["run", &tiny, "x", "--logit-bias", "3"], 2, &["TOKEN=X"]),
    ];
    let mut failures = Vec::new();
    for (args, code, wanted) in cases {
        let output = rushlight(dir.path(), args);
        let stderr = text(&output.stderr);
        let missing: Vec<_> = wanted.iter().filter(|w| !stderr.contains(**w)).collect();
        if output.status.code() != Some(code) || !missing.is_empty() || !output.stdout.is_empty() {
            failures.push(format!("{args:?}: {:?}, without {missing:?}: {stderr}", output.status));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn every_architecture_writes_text_from_both_kinds_of_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    for name in tiny::names() {
        let case = tiny::case(&name);
        let (hf, gguf) = (dir.path().join(&name), dir.path().join(format!("{name}.gguf")));
        std::fs::create_dir(&hf).unwrap();
        tiny::write_hf(&case, &hf);
        tiny::write_gguf(&case, &gguf);
        for path in [hf, gguf] {
            let args = ["run", path.to_str().unwrap(), "ab", "--raw", "-n", "4", "--json"];
            let output = rushlight(dir.path(), &args);
            let embedder = case.output == tiny::Output::Hidden;
            assert_eq!(output.status.success(), !embedder, "{args:?}: {}", text(&output.stderr));
        }
    }
}

#[test]
fn texts_are_embedded_and_held_against_a_query() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(format!("{name}.gguf")).to_str().unwrap().to_owned();
    for name in ["minilm", "reranker", "qwen3"] {
        tiny::write_gguf(&tiny::case(name), Path::new(&at(name)));
    }
    let lines = |args: &[&str]| -> Vec<Value> {
        let out = succeed(dir.path(), args);
        out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let file = dir.path().join("texts");
    std::fs::write(&file, "a b c\n\nd e\n").unwrap();
    for model in ["minilm", "qwen3"] {
        let args = ["embed", &at(model), "--file", file.to_str().unwrap(), "--json"];
        // The tiny model that writes puts no tokens around a text.
        if model == "qwen3" {
            let output = rushlight(dir.path(), &args);
            assert!(text(&output.stderr).contains("text `1` has no tokens"), "{output:?}");
            std::fs::write(&file, "a b c\nd e\n").unwrap();
        }
        let all = lines(&args);
        assert_eq!(all.len(), if model == "minilm" { 3 } else { 2 });
        for one in all {
            let values = one["embedding"].as_array().unwrap();
            let square: f64 = values.iter().map(|x| x.as_f64().unwrap().powi(2)).sum();
            assert!((square - 1.0).abs() < 1e-5 && values.len() == 64, "{one}");
        }
    }
    let short = lines(&["embed", &at("minilm"), "a", "b", "--dimensions", "3", "--json"]);
    assert_eq!(short[1]["embedding"].as_array().map(Vec::len), Some(3));
    for model in ["minilm", "reranker"] {
        let scored = lines(&["embed", &at(model), "--query", "a b", "a b", "c", "--json"]);
        let score = |i: usize| scored[i]["score"].as_f64().unwrap();
        assert!((-1.0..=1.0001).contains(&score(1)), "{scored:?}");
        assert!(model != "minilm" || (score(0) - 1.0).abs() < 1e-4, "{scored:?}");
    }
    assert!(succeed(dir.path(), &["embed", &at("minilm"), "a b"]).contains("… of 64  a b"));
    let none = rushlight(dir.path(), &["embed", &at("reranker"), "a"]);
    assert!(!none.status.success() && text(&none.stderr).contains("`--query`"), "{none:?}");
    let show = succeed(dir.path(), &["show", &at("reranker"), "--json"]);
    let show: Value = serde_json::from_str(&show).unwrap();
    assert_eq!((&show["purpose"], &show["pooling"]), (&"rerank".into(), &"cls".into()));
}

#[test]
fn the_store_takes_lists_proves_and_forgets() {
    let dir = tempfile::tempdir().unwrap();
    let model = dir.path().join("Tiny-Llama.F32.gguf");
    tiny::write_gguf(&tiny::case("llama2"), &model);
    let store = dir.path().join("store");
    let name = succeed(&store, &["import", model.to_str().unwrap()]);
    let name = name.trim();
    let list: Value = serde_json::from_str(&succeed(&store, &["list", "--json"])).unwrap();
    assert_eq!(list[0]["name"], name);
    let show: Value = serde_json::from_str(&succeed(&store, &["show", name, "--json"])).unwrap();
    assert_eq!(show["architecture"], "llama");
    assert!(show["memory_bytes"]["q8_0"].as_u64() < show["memory_bytes"]["f16"].as_u64());
    assert!(succeed(&store, &["verify"]).contains("1 models"));
    succeed(&store, &["run", name, "ab", "--raw", "-n", "2", "-q"]);
    let told = rushlight(&store, &["run", name, "ab", "-n", "2"]);
    assert!(told.status.success() && text(&told.stderr).contains("no chat template"));
    succeed(&store, &["remove", name]);
    assert!(succeed(&store, &["prune"]).contains("freed"));
    assert_eq!(succeed(&store, &["list"]), "");
}

#[test]
fn bench_measures_each_depth_and_number_of_sequences() {
    let dir = tempfile::tempdir().unwrap();
    let model = dir.path().join("tiny.gguf");
    tiny::write_gguf(&tiny::case("llama2"), &model);
    let args = "-p 3 -n 2 -d 0,4 --sequences 1,3 -r 2 -t 1 --json".split(' ');
    let args: Vec<_> = ["bench", model.to_str().unwrap()].into_iter().chain(args).collect();
    let found: Value = serde_json::from_str(&succeed(dir.path(), &args)).unwrap();
    let measured = found["measured"].as_array().unwrap();
    let number = |m: &Value, key: &str| m[key].as_u64().unwrap();
    let what: Vec<_> = measured
        .iter()
        .map(|m| (number(m, "sequences"), number(m, "depth"), m["what"].as_str().unwrap()))
        .collect();
    let wanted = [1, 3].into_iter().flat_map(|sequences| {
        [0, 4].into_iter().flat_map(move |depth| {
            ["prefill", "decode"].into_iter().map(move |what| (sequences, depth, what))
        })
    });
    assert_eq!(what, wanted.collect::<Vec<_>>());
    for m in measured {
        assert_eq!(m["tokens_per_second"].as_array().unwrap().len(), 2, "{m}");
    }
    // Weights are read once for all sequences, the cache once for each.
    let read = |i: usize| number(&measured[i], "read_bytes");
    let cache = read(3) - read(1);
    assert!(cache > 0);
    assert!(read(5) < 2 * read(1));
    assert_eq!(read(7) - read(5), 3 * cache);
    let work = |i: usize| number(&measured[i], "multiply_adds");
    assert_eq!((work(5), work(7)), (3 * work(1), 3 * work(3)));
    // Of 3 layers with width 64, 4 heads of 16 and 4 of keys and values, feed-forward parts of 96, and 288 tokens.
    let keys_and_values = 2 * 64 * 64;
    let rest = 2 * 64 * 64 + 3 * 64 * 96;
    let (layers, output) = (3 * (keys_and_values + rest), 64 * 288);
    assert_eq!(work(1), 2 * (layers + output));
    // The last layer makes the rest of the last token alone.
    assert_eq!(work(0), 3 * layers - 2 * rest + output);
    assert_eq!(work(4), 3 * work(0));
}

#[test]
fn guesses_do_not_change_an_answer() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(format!("{name}.gguf")).to_str().unwrap().to_owned();
    for name in ["llama2", "minilm"] {
        tiny::write_gguf(&tiny::case(name), Path::new(&at(name)));
    }
    let (model, other) = (at("llama2"), at("minilm"));
    let args = ["run", &model, "abc abc abc", "--raw", "-n", "40", "--seed", "1", "--json"];
    let run = |more: &[&str]| -> Value {
        let found = succeed(dir.path(), &[&args[..], more].concat());
        serde_json::from_str(&found).unwrap()
    };
    let plain = run(&["--speculate", "off"]);
    assert_eq!(plain["speculation"]["drafted_tokens"], 0);
    let guessing: [&[&str]; 3] =
        [&[], &["--speculate", "always"], &["--speculate", "always", "--draft", &model]];
    for more in guessing {
        assert_eq!(run(more)["tokens"], plain["tokens"], "{more:?}");
    }
    let counts = run(guessing[2])["speculation"].clone();
    let count = |key: &str| counts[key].as_u64().unwrap();
    assert!(count("accepted_tokens") > 0, "{counts}");
    assert!(count("drafted_tokens") >= count("accepted_tokens"), "{counts}");
    let refused = rushlight(dir.path(), &[&args[..], &["--draft", &other]].concat());
    let told = text(&refused.stderr);
    assert!(told.contains("cannot draft for") && told.contains("hint: "), "{told}");
}

#[test]
fn the_real_model_answers() {
    let Some(model) = model_path() else { return };
    let (dir, model) = (tempfile::tempdir().unwrap(), model.to_str().unwrap().to_owned());
    let run = |more: &[&str]| {
        let args = [&["run", model.as_str()], more, &["-q", "-n", "12"]].concat();
        succeed(dir.path(), &args)
    };
    let greedy = ["The capital of France is", "--raw", "--temperature", "0"];
    let plain = run(&greedy);
    assert!(plain.contains("Paris"), "{plain}");
    // The same text through the smaller cache, in pieces, and by the plainest kernels.
    assert!(run(&[&greedy[..], &["--kv", "q8_0"]].concat()).contains("Paris"));
    assert_eq!(run(&[&greedy[..], &["--chunk", "2"]].concat()), plain);
    assert!(run(&[&greedy[..], &["--stop", "is"]].concat()).len() < plain.len());
    // Guessed tokens are computed as others are, to the bit.
    for bits in ["8", "16"] {
        let repeat = "one two three four, one two three four, one two";
        let args = [repeat, "--raw", "--seed", "1", "--activations", bits, "--json", "--speculate"];
        let tokens = |when| {
            let found: Value = serde_json::from_str(&run(&[&args[..], &[when]].concat())).unwrap();
            (found["tokens"].clone(), found["speculation"]["accepted_tokens"].as_u64().unwrap())
        };
        let ((guessed, right), (plain, _)) = (tokens("always"), tokens("off"));
        assert!(guessed == plain && right > 0, "{right}: {guessed}");
    }
    // A near-tie, which int8 activations alone decide otherwise than F32 does.
    assert!(run(&["What is the capital of France?", "--temperature", "0"]).contains("Paris"));
    let seeded = ["Tell me a story.", "--seed", "7", "--temperature", "1"];
    assert_eq!(run(&seeded), run(&seeded));
    assert_ne!(run(&seeded), run(&["Tell me a story.", "--seed", "8", "--temperature", "1"]));
}

#[test]
fn shells_and_manuals_know_every_command() {
    let dir = tempfile::tempdir().unwrap();
    let bash = succeed(dir.path(), &["completions", "bash"]);
    succeed(dir.path(), &["man", dir.path().join("man").to_str().unwrap()]);
    let commands = [
        "run",
        "bench",
        "perplexity",
        "pull",
        "import",
        "list",
        "show",
        "verify",
        "remove",
        "prune",
        "doctor",
    ];
    for command in commands {
        assert!(bash.contains(command), "{command}");
        assert!(dir.path().join(format!("man/rushlight-{command}.1")).exists(), "{command}");
    }
}
