//! The JSON files of a Hugging Face checkpoint.

use rushlight_formats::{ErrorKind, HfConfig};

const CONFIG: &str = r#"{
  "architectures": ["LlamaForCausalLM"], "hidden_size": 576, "rms_norm_eps": 1e-05,
  "rope_theta": 100000, "tie_word_embeddings": true, "sliding_window": null,
  "rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low": -1},
  "eos_token_id": [1, 2], "bos_token_id": 7, "huge": 4294967296, "wide": 1e300,
  "bos_token": "<s>", "eos_token": {"content": "</s>", "lstrip": false},
  "chat_template": [{"name": "default", "template": "a"}, {"name": "tool_use", "template": "b"}]
}"#;

#[test]
fn typed_getters() {
    let config = HfConfig::parse(CONFIG.as_bytes()).unwrap();
    assert_eq!(config.keys().next(), Some("architectures"));
    assert_eq!(config.need_strings("architectures").unwrap(), ["LlamaForCausalLM"]);
    assert_eq!(config.need_u32("hidden_size").unwrap(), 576);
    assert_eq!(config.need_f32("rms_norm_eps").unwrap(), 1e-5);
    assert_eq!(config.need_f32("rope_theta").unwrap(), 100_000.0);
    assert_eq!(config.bool("tie_word_embeddings").unwrap(), Some(true));
    assert_eq!(config.u32("sliding_window").unwrap(), None);
    assert_eq!(config.ids("eos_token_id").unwrap(), Some(vec![1, 2]));
    assert_eq!(config.ids("bos_token_id").unwrap(), Some(vec![7]));
    assert_eq!(config.token("bos_token").unwrap(), Some("<s>"));
    assert_eq!(config.token("eos_token").unwrap(), Some("</s>"));
    let templates = config.chat_templates().unwrap();
    assert_eq!(
        templates.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
        ["default", "tool_use"]
    );
    let scaling = config.object("rope_scaling").unwrap().unwrap();
    assert_eq!(scaling.need_f32("factor").unwrap(), 8.0);
    for (error, text) in [
        (
            scaling.u32("low").unwrap_err(),
            "key `rope_scaling.low`: found `-1`, expected an integer from `0` to `2^32 - 1`",
        ),
        (
            config.u32("huge").unwrap_err(),
            "key `huge`: found `4294967296`, expected an integer from `0` to `2^32 - 1`",
        ),
        (config.f32("wide").unwrap_err(), "key `wide`: found `1e+300`, expected a number"),
        (
            config.object("architectures").unwrap_err(),
            "key `architectures`: found an array of `1`, expected an object",
        ),
        (
            config.need_str("model_type").unwrap_err(),
            "key `model_type`: found nothing, expected a text",
        ),
    ] {
        assert_eq!(error.to_string(), text);
    }
}

#[test]
fn a_list_of_objects() {
    let modules = HfConfig::parse_list(br#"[{"path": ""}, {"path": 1}]"#).unwrap();
    assert_eq!(modules[0].need_str("path").unwrap(), "");
    let error = modules[1].need_str("path").unwrap_err();
    assert_eq!(error.to_string(), "key `1.path`: found `1`, expected a text");
    for bad in ["{}", "[1]", r#"[{"a": 1, "a": 2}]"#, "[{}", ""] {
        assert!(HfConfig::parse_list(bad.as_bytes()).is_err(), "{bad}");
    }
}

#[test]
fn what_is_no_config_is_refused() {
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let long = format!("{{\"a\":\"{}\"}}", " ".repeat(17 << 20));
    let many = format!("{{\"a\":[{}0]}}", "0,".repeat(2 << 20));
    let cases: [(&str, &[u8], ErrorKind); 10] = [
        ("many values", many.as_bytes(), ErrorKind::Value),
        ("empty", b"", ErrorKind::Syntax),
        ("not an object", b"[1]", ErrorKind::Value),
        ("not UTF-8", b"{\"a\":\"\xff\"}", ErrorKind::Encoding),
        ("a key twice", b"{\"a\":1,\"a\":2}", ErrorKind::Value),
        ("a key twice, deep", b"{\"b\":[{\"a\":1,\"\\u0061\":2}]}", ErrorKind::Value),
        ("trailing text", b"{} {}", ErrorKind::Syntax),
        ("infinite", b"{\"a\":1e999}", ErrorKind::Syntax),
        ("deep", deep.as_bytes(), ErrorKind::Syntax),
        ("long", long.as_bytes(), ErrorKind::Limit),
    ];
    let mut failures = Vec::new();
    for (name, bytes, kind) in cases {
        match HfConfig::parse(bytes) {
            Err(error) if error.kind() == kind => {}
            other => failures.push(format!("{name}: {other:?}")),
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}
