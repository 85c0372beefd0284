//! What files say about pooling is followed or refused by name.
#![expect(clippy::unwrap_used, reason = "a test stops where something is not as expected")]

use std::path::Path;

use rushlight_model::{Model, Pooling};
use rushlight_testkit::tiny::{case, write_gguf_with, write_hf};

/// An error and what it is because of.
fn chain(error: &dyn std::error::Error) -> String {
    let source = error.source().map(|e| format!(": {}", chain(e))).unwrap_or_default();
    format!("{error}{source}")
}

/// A directory with these modules, and a configuration of `1_Pooling`.
fn directory(dir: &Path, modules: &str, pooling: &str) -> Result<Model, String> {
    std::fs::write(dir.join("modules.json"), modules).unwrap();
    std::fs::write(dir.join("1_Pooling/config.json"), pooling).unwrap();
    Model::open(dir).map_err(|e| chain(&e))
}

const POOLING: &str = r#"[{"path": "", "type": "sentence_transformers.models.Transformer"},
    {"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}]"#;

#[test]
fn directories_of_sentence_transformers() {
    let dir = tempfile::tempdir().unwrap();
    write_hf(&case("minilm"), dir.path());
    let good = [
        (r#"{"pooling_mode_mean_tokens": true, "pooling_mode_cls_token": false}"#, Pooling::Mean),
        (r#"{"pooling_mode_cls_token": true, "word_embedding_dimension": 64}"#, Pooling::Cls),
        (r#"{"pooling_mode_lasttoken": true, "include_prompt": true}"#, Pooling::Last),
        (r#"{"pooling_mode": "cls"}"#, Pooling::Cls),
    ];
    for (pooling, want) in good {
        let model = directory(dir.path(), POOLING, pooling).unwrap();
        assert_eq!((model.pooling(), model.embeds()), (want, true), "{pooling}");
    }
    let mean = r#"{"pooling_mode_mean_tokens": true}"#;
    let bad = [
        (POOLING, r#"{"pooling_mode_max_tokens": true}"#, "pooling by `max_tokens`, expected"),
        (
            POOLING,
            r#"{"pooling_mode_mean_tokens": true, "pooling_mode_cls_token": true}"#,
            "pooling by `mean_tokens` and `cls_token`",
        ),
        (POOLING, "{}", "pooling by ``"),
        (
            POOLING,
            r#"{"pooling_mode_mean_tokens": true, "word_embedding_dimension": 65}"#,
            "`word_embedding_dimension` is `65`, expected the width of the model, `64`",
        ),
        (
            r#"[{"path": "2_Dense", "type": "sentence_transformers.models.Dense"}]"#,
            mean,
            "module `sentence_transformers.models.Dense`, expected `Transformer`, `Pooling`",
        ),
        (
            r#"[{"path": "../1_Pooling", "type": "sentence_transformers.models.Pooling"}]"#,
            mean,
            "path `../1_Pooling`, expected one inside the model",
        ),
        (
            r#"[{"path": "3_Pooling", "type": "sentence_transformers.models.Pooling"}]"#,
            mean,
            "3_Pooling/config.json`: there is no such file",
        ),
        ("{}", mean, "not an array"),
    ];
    for (modules, pooling, want) in bad {
        let error = directory(dir.path(), modules, pooling).unwrap_err();
        assert!(error.contains(want), "{modules} {pooling}: {error}");
    }
}

#[test]
fn gguf_files() {
    let dir = tempfile::tempdir().unwrap();
    let open = |name: &str, numbers: &[(&str, u32)]| {
        let path = dir.path().join("tiny.gguf");
        write_gguf_with(&case(name), &path, numbers);
        Model::open(&path).map_err(|e| chain(&e))
    };
    let plain = open("qwen3", &[]).unwrap();
    assert_eq!((plain.pooling(), plain.embeds(), plain.writes()), (Pooling::Last, false, true));
    // It leaves open how.
    let none = open("qwen3", &[("qwen3.pooling_type", 0)]).unwrap();
    assert_eq!((none.embeds(), none.writes()), (false, true));
    let mean = open("qwen3", &[("qwen3.pooling_type", 1)]).unwrap();
    assert_eq!((mean.pooling(), mean.embeds(), mean.writes()), (Pooling::Mean, true, false));
    let error = open("qwen3", &[("qwen3.pooling_type", 5)]).unwrap_err();
    assert!(error.contains("`qwen3.pooling_type` is `5`, expected `0` to `4`"), "{error}");
    let error = open("qwen3", &[("qwen3.pooling_type", 4)]).unwrap_err();
    assert!(error.contains("`cls.output.weight` is missing"), "{error}");
    let ranks = open("reranker", &[]).unwrap();
    assert!(ranks.ranks() && !ranks.embeds() && !ranks.writes());
    assert_eq!(ranks.pooling(), Pooling::Cls);
    let pair = ranks.encode_pair("a", "b c [SEP]").unwrap();
    let again = ranks.encode_pair("a", "b c").unwrap();
    assert_eq!(again.ids.len(), 6);
    assert_eq!(again.segments, [0, 0, 0, 1, 1, 1]);
    // What a text spells stays text: only the tokenizer's own marks are there.
    let sep = ranks.tokenizer().unwrap().sep().unwrap();
    assert_eq!(pair.ids.iter().filter(|id| **id == sep).count(), 2);
}
