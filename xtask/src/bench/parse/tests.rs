//! Shortened output of real programs.

use super::*;

const PREFILL: Kind = Kind::Prefill { tokens: 32 };
const DECODE: Kind = Kind::Decode { tokens: 4, depth: 0 };
const DEEP: Kind = Kind::Decode { tokens: 4, depth: 64 };

fn many(count: usize) -> Kind {
    Kind::Sequences { count, prompt: 32, tokens: 4 }
}

fn speeds(found: &[Found]) -> Vec<f64> {
    found.iter().flat_map(|one| one.rates.clone()).collect()
}

#[test]
fn ours_is_found_by_depth_and_sequences() {
    let one = |what: &str, tokens: usize, depth: usize, sequences: usize, rate: f64| {
        format!(
            r#"{{"what": "{what}", "tokens": {tokens}, "depth": {depth}, "sequences": {sequences},
            "tokens_per_second": [{rate}], "read_bytes": 4000, "multiply_adds": 800}}"#
        )
    };
    let all = [
        one("prefill", 32, 0, 1, 80.0),
        one("decode", 4, 0, 1, 20.0),
        one("decode", 4, 64, 1, 19.0),
        one("decode", 4, 32, 4, 60.0),
    ];
    let text = format!(r#"{{"kernels": "avx512", "measured": [{}]}}"#, all.join(","));
    let (row, found) = ours(&text, &[many(4), DEEP, DECODE, PREFILL]).unwrap();
    assert_eq!((row.as_str(), speeds(&found)), ("avx512", vec![60.0, 19.0, 20.0, 80.0]));
    assert_eq!(found[2].work, Some(Work { bytes: 1000.0, multiply_adds: 200.0 }));
    assert_eq!(found[0].work, Some(Work { bytes: 250.0, multiply_adds: 50.0 }));
    let error = ours(&text, &[many(2)]).unwrap_err();
    assert!(error.to_string().contains("2 at once"), "{error}");
}

#[test]
fn llama_bench_with_depths() {
    let one = |prompt: usize, answer: usize, depth: usize, rate: f64| {
        format!(
            r#"{{"build_commit": "0c1e570", "build_number": 7, "n_prompt": {prompt},
            "n_gen": {answer}, "n_depth": {depth}, "samples_ns": [1, 2],
            "avg_ts": 1.0, "samples_ts": [{rate}, {rate}]}}"#
        )
    };
    let all = [one(32, 0, 64, 79.0), one(0, 4, 64, 24.0), one(32, 0, 0, 80.0), one(0, 4, 0, 25.0)];
    let text = format!("[{}]", all.join(","));
    let (commit, found) = llama_bench(&text, &[PREFILL, DECODE, DEEP]).unwrap();
    assert_eq!(commit, "0c1e570 (build 7)");
    assert_eq!(speeds(&found), [80.0, 80.0, 25.0, 25.0, 24.0, 24.0]);
}

#[test]
fn llama_bench_without_depths() {
    let one = |prompt: usize, answer: usize, rate: f64| {
        format!(
            r#"{{"build_commit": "8337e4cd3", "n_prompt": {prompt}, "n_gen": {answer},
            "samples_ts": [{rate}]}}"#
        )
    };
    let text = format!("talk\n[{},{},{}]", one(32, 0, 287.6), one(0, 4, 30.5), one(64, 4, 30.9));
    let (commit, found) = llama_bench(&text, &[PREFILL, DECODE, DEEP]).unwrap();
    assert_eq!((commit.as_str(), speeds(&found)), ("8337e4cd3", vec![287.6, 30.5, 30.9]));
    for broken in ["", "[]", "[{}]", "{}", "error: no such file"] {
        assert!(llama_bench(broken, &[PREFILL]).is_err(), "{broken}");
    }
}

#[test]
fn batched_as_lines_and_as_a_table() {
    let lines = r#"
{"n_kv_max": 1024, "pp": 32, "tg": 4, "pl": 1, "n_kv": 36, "speed_pp": 84.2, "speed_tg": 25.5}
{"n_kv_max": 1024, "pp": 32, "tg": 4, "pl": 4, "n_kv": 144, "speed_pp": 91.5, "speed_tg": 55.3}
"#;
    let table = "
main: n_kv_max = 1024, n_batch = 2048

|    PP |     TG |    B |   N_KV |   T_PP s | S_PP t/s |   T_TG s | S_TG t/s |      T s |    S t/s |
|-------|--------|------|--------|----------|----------|----------|----------|----------|----------|
|    32 |      4 |    1 |     36 |    0.115 |   278.75 |    0.131 |    25.50 |    0.245 |   146.76 |
|    32 |      4 |    4 |    144 |    0.344 |   371.72 |    0.211 |    55.30 |    0.555 |   259.44 |
";
    for text in [lines, table] {
        let found = batched(text, &[many(4), many(1)]).unwrap();
        assert_eq!(speeds(&found), [55.3, 25.5], "{text}");
        assert!(batched(text, &[many(16)]).is_err());
    }
}

#[test]
fn the_compiler_is_in_the_version() {
    let cases = [
        ("version: 1 (a)\nbuilt with GNU 12.2.0 for Linux x86_64\n", Some("GNU 12.2.0")),
        (
            "built with cc (Debian 12.2.0-14) 12.2.0 for x86_64-linux-gnu",
            Some("cc (Debian 12.2.0-14) 12.2.0"),
        ),
        ("usage: llama-bench", None),
    ];
    for (text, expected) in cases {
        assert_eq!(compiler(text).as_deref(), expected);
    }
}
