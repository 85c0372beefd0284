//! Adapters that do not fit, or lie: an error that says which tensor or key, never a panic.
#![expect(clippy::unwrap_used, reason = "a test stops where something is not as expected")]

use std::fs;
use std::path::{Path, PathBuf};

use rushlight_model::{Adapter, AdapterFile, ErrorKind, Model};
use rushlight_testkit::raw_gguf::{array, string};
use rushlight_testkit::{RawGguf, raw_safetensors, tiny};

const F32: u32 = 0;
const TEXT: u32 = 8;
const FLOAT: u32 = 6;
const ARRAY: u32 = 9;
const U32: u32 = 4;

/// A tensor's name, its shape and how many values it has.
type Entry<'a> = (&'a str, &'a [usize], usize);

/// A tiny model, 64 wide, 4 heads of 16, 96 between, and files beside it.
struct Place {
    dir: tempfile::TempDir,
    model: Model,
}

impl Place {
    fn new(name: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("tiny.gguf");
        tiny::write_gguf(&tiny::case(name), &file);
        Self { model: Model::open(&file).unwrap(), dir }
    }

    fn open(&self, path: &Path) -> Result<Adapter, String> {
        Adapter::open(path, &self.model).map_err(|error| {
            let source = std::error::Error::source(&error).map(ToString::to_string);
            let hint = error.hint().unwrap_or_default();
            format!("{error}: {}: {hint}", source.unwrap_or_default())
        })
    }

    fn gguf(&self, file: &[u8]) -> Result<Adapter, String> {
        let path = self.dir.path().join("adapter.gguf");
        fs::write(&path, file).unwrap();
        self.open(&path)
    }

    /// A directory of PEFT with these keys beside those that are needed.
    fn peft(&self, keys: &str, tensors: &[Entry<'_>]) -> Result<Adapter, String> {
        self.open(&self.write_peft(keys, tensors))
    }

    fn write_peft(&self, keys: &str, tensors: &[Entry<'_>]) -> PathBuf {
        let dir = self.dir.path().join("peft");
        fs::create_dir_all(&dir).unwrap();
        let config = format!("{{{keys}}}");
        fs::write(dir.join("adapter_config.json"), config).unwrap();
        let tensor = |(name, shape, count): &(&str, &[usize], usize)| {
            ((*name).to_owned(), shape.to_vec(), vec![0.5; *count])
        };
        let tensors: Vec<_> = tensors.iter().map(tensor).collect();
        fs::write(dir.join("adapter_model.safetensors"), raw_safetensors(&tensors)).unwrap();
        dir
    }
}

/// The head of a GGUF adapter.
fn head(alpha: f32) -> RawGguf {
    RawGguf::default()
        .pair("general.architecture", TEXT, &string(b"llama"))
        .pair("general.type", TEXT, &string(b"adapter"))
        .pair("adapter.type", TEXT, &string(b"lora"))
        .pair("adapter.lora.alpha", FLOAT, &alpha.to_le_bytes())
}

/// With tensors of F32 one after the other, the contiguous length first, all values the same.
fn with(mut file: RawGguf, tensors: &[(&str, [u64; 2])], value: f32) -> Vec<u8> {
    let mut data = Vec::new();
    for (name, lengths) in tensors {
        file = file.tensor(name, lengths, F32, data.len() as u64);
        let count = (lengths[0] * lengths[1]) as usize;
        data.extend((0..count).flat_map(|_| value.to_le_bytes()));
        data.resize(data.len().next_multiple_of(32), 0);
    }
    file.data(&data).build()
}

const A: (&str, [u64; 2]) = ("blk.0.attn_q.weight.lora_a", [64, 4]);
const B: (&str, [u64; 2]) = ("blk.0.attn_q.weight.lora_b", [4, 64]);

#[test]
fn a_gguf_adapter_that_does_not_fit_is_refused_by_name() {
    let place = Place::new("llama2");
    assert!(place.gguf(&with(head(8.0), &[A, B], 0.5)).is_ok());
    let qwen = RawGguf::default().pair("general.architecture", TEXT, &string(b"qwen2"));
    let typed =
        |architecture: RawGguf| architecture.pair("general.type", TEXT, &string(b"adapter"));
    let lora = |file: RawGguf| file.pair("adapter.type", TEXT, &string(b"lora"));
    let alpha = |file: RawGguf| file.pair("adapter.lora.alpha", FLOAT, &8f32.to_le_bytes());
    let llama = || RawGguf::default().pair("general.architecture", TEXT, &string(b"llama"));
    let invoked = head(8.0).pair(
        "adapter.alora.invocation_tokens",
        ARRAY,
        &array(U32, 1, &7u32.to_le_bytes()),
    );
    let other = |name: &'static str, lengths| (name, lengths);
    let cases: [(&str, Vec<u8>, &[&str]); 25] = [
        ("a model", with(llama(), &[A, B], 0.5), &["no adapter", "general.type"]),
        (
            "another architecture",
            with(alpha(lora(typed(qwen))), &[A, B], 0.5),
            &["`qwen2`", "`llama`"],
        ),
        ("no alpha", with(lora(typed(llama())), &[A, B], 0.5), &["adapter.lora.alpha"]),
        (
            "another type",
            with(alpha(typed(llama()).pair("adapter.type", TEXT, &string(b"ia3"))), &[A, B], 0.5),
            &["`ia3`", "expected `lora`"],
        ),
        ("no type", with(alpha(typed(llama())), &[A, B], 0.5), &["adapter.type"]),
        ("an activated one", with(invoked, &[A, B], 0.5), &["adapter.alora.invocation_tokens"]),
        ("alpha no number", with(head(f32::NAN), &[A, B], 0.5), &["adapter.lora.alpha"]),
        ("alpha infinite", with(head(f32::INFINITY), &[A, B], 0.5), &["adapter.lora.alpha"]),
        ("no tensors", head(8.0).build(), &["adds to no matrix"]),
        ("A alone", with(head(8.0), &[A], 0.5), &["blk.0.attn_q.weight.lora_a", "stands alone"]),
        ("B alone", with(head(8.0), &[B], 0.5), &["blk.0.attn_q.weight.lora_b", "stands alone"]),
        (
            "a NaN",
            with(head(8.0), &[A, B], f32::NAN),
            &["blk.0.attn_q.weight.lora_a", "NaN", "`0`"],
        ),
        (
            "two ranks",
            with(head(8.0), &[A, other("blk.0.attn_q.weight.lora_b", [5, 64])], 0.5),
            &["lora_a", "`4`", "lora_b", "`5`"],
        ),
        (
            "a rank above both lengths",
            with(
                head(8.0),
                &[
                    other("blk.0.attn_q.weight.lora_a", [64, 65]),
                    other("blk.0.attn_q.weight.lora_b", [65, 64]),
                ],
                0.5,
            ),
            &["`65`", "1 to `64`"],
        ),
        (
            "other inputs",
            with(head(8.0), &[other("blk.0.attn_q.weight.lora_a", [32, 4]), B], 0.5),
            &["blk.0.attn_q.weight.lora_a", "[4, 32]", "[4, 64]"],
        ),
        (
            "other outputs",
            with(head(8.0), &[A, other("blk.0.attn_q.weight.lora_b", [4, 96])], 0.5),
            &["blk.0.attn_q.weight.lora_b", "[96, 4]", "[64, 4]"],
        ),
        (
            "a layer beyond",
            with(
                head(8.0),
                &[
                    other("blk.3.attn_q.weight.lora_a", [64, 4]),
                    other("blk.3.attn_q.weight.lora_b", [4, 64]),
                ],
                0.5,
            ),
            &["blk.3.attn_q.weight", "does not have"],
        ),
        (
            "a norm",
            with(
                head(8.0),
                &[
                    other("blk.0.attn_norm.weight.lora_a", [64, 4]),
                    other("blk.0.attn_norm.weight.lora_b", [4, 64]),
                ],
                0.5,
            ),
            &["blk.0.attn_norm.weight", "does not have"],
        ),
        (
            "experts of a model without",
            with(
                head(8.0),
                &[
                    other("blk.0.ffn_up_exps.weight.lora_a", [64, 4]),
                    other("blk.0.ffn_up_exps.weight.lora_b", [4, 96]),
                ],
                0.5,
            ),
            &["blk.0.ffn_up_exps.weight", "does not have"],
        ),
        (
            "embeddings",
            with(
                head(8.0),
                &[
                    other("token_embd.weight.lora_a", [4, 64]),
                    other("token_embd.weight.lora_b", [4, 64]),
                ],
                0.5,
            ),
            &["token_embd.weight"],
        ),
        (
            "a replaced norm",
            with(head(8.0), &[A, B, other("blk.0.attn_norm.weight", [64, 1])], 0.5),
            &["blk.0.attn_norm.weight", "`.lora_a`"],
        ),
        (
            "a claimed size",
            head(8.0).tensor(A.0, &[1 << 40, 1 << 20], F32, 0).build(),
            &["blk.0.attn_q.weight.lora_a"],
        ),
        (
            "a rank of nothing",
            head(8.0).tensor(A.0, &[64, 0], F32, 0).tensor(B.0, &[0, 64], F32, 0).build(),
            &["blk.0.attn_q.weight.lora_"],
        ),
        ("a count of tensors", head(8.0).tensor_count(1 << 60).build(), &["tensors"]),
        ("half a file", with(head(8.0), &[A, B], 0.5)[..300].to_vec(), &["adapter.gguf"]),
    ];
    let mut failures = Vec::new();
    for (what, file, wanted) in cases {
        match place.gguf(&file) {
            Ok(_) => failures.push(format!("{what} is taken")),
            Err(error) if wanted.iter().all(|part| error.contains(part)) => {}
            Err(error) => failures.push(format!("{what}: {error}, expected {wanted:?}")),
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn no_damage_makes_it_panic() {
    let place = Place::new("llama2");
    let whole =
        tiny::adapter("llama2").write_as(Vec::new(), |name| name.contains("blk.1")).unwrap();
    assert!(place.gguf(&whole).is_ok());
    let (mut refused, step) = (0, 11);
    for at in (0..whole.len().min(2500)).step_by(step) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x40;
        refused += usize::from(place.gguf(&bytes).is_err());
        bytes.truncate(at);
        assert!(place.gguf(&bytes).is_err(), "cut at {at}");
    }
    assert!(refused > 80, "{refused}");
}

const NEEDED: &str = r#""peft_type": "LORA", "r": 4, "lora_alpha": 8"#;
const Q_A: (&str, &[usize], usize) =
    ("base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight", &[4, 64], 256);
const Q_B: (&str, &[usize], usize) =
    ("base_model.model.model.layers.0.self_attn.q_proj.lora_B.default.weight", &[64, 4], 256);

#[test]
fn a_peft_adapter_that_cannot_run_is_refused_by_name() {
    let place = Place::new("llama2");
    assert!(place.peft(NEEDED, &[Q_A, Q_B]).is_ok());
    let pair: &[Entry<'_>] = &[Q_A, Q_B];
    let with = |key: &str| format!("{NEEDED}, {key}");
    // Not one of them says anything.
    let quiet = r#""use_dora": false, "bias": "none", "modules_to_save": null, "rank_pattern": {},
        "alpha_pattern": null, "lora_bias": false, "target_parameters": [], "init_lora_weights": "gaussian",
        "layer_replication": null, "fan_in_fan_out": true, "unknown": 3"#;
    assert!(place.peft(&with(quiet), pair).is_ok());
    let third =
        |name: &'static str, shape: &'static [usize], count| [Q_A, Q_B, (name, shape, count)];
    let magnitude =
        third("base_model.model.model.layers.0.self_attn.q_proj.lora_magnitude_vector", &[64], 64);
    let embedding = third("base_model.model.model.embed_tokens.lora_embedding_A", &[4, 288], 1152);
    let bias = third("base_model.model.model.layers.0.self_attn.q_proj.lora_B.bias", &[64], 64);
    let whole = third("base_model.model.lm_head.weight", &[288, 64], 288 * 64);
    let head = third("base_model.model.lm_head.base_layer.weight", &[290, 64], 290 * 64);
    let stranger =
        third("base_model.model.model.layers.0.mixer.in_proj.lora_A.weight", &[4, 64], 256);
    let cases: [(&str, String, &[Entry<'_>], &[&str]); 28] = [
        ("DoRA", with(r#""use_dora": true"#), pair, &["`use_dora`", "`true`", "merge"]),
        ("QALoRA", with(r#""use_qalora": true"#), pair, &["`use_qalora`"]),
        ("a bias", with(r#""bias": "lora_only""#), pair, &["`bias`", "`lora_only`"]),
        ("bias of B", with(r#""lora_bias": true"#), pair, &["`lora_bias`"]),
        (
            "modules",
            with(r#""modules_to_save": ["lm_head"]"#),
            pair,
            &["`modules_to_save`", "lm_head"],
        ),
        ("tokens", with(r#""trainable_token_indices": [1]"#), pair, &["`trainable_token_indices`"]),
        ("layers", with(r#""layer_replication": [[0, 2]]"#), pair, &["`layer_replication`"]),
        (
            "invoked",
            with(r#""alora_invocation_tokens": [1]"#),
            pair,
            &["`alora_invocation_tokens`"],
        ),
        (
            "PiSSA",
            with(r#""init_lora_weights": "pissa_niter_4""#),
            pair,
            &["`init_lora_weights`", "pissa", "path_initial"],
        ),
        (
            "another type",
            r#""peft_type": "IA3", "r": 4, "lora_alpha": 8"#.to_owned(),
            pair,
            &["`IA3`", "`LORA`"],
        ),
        ("no type", r#""r": 4, "lora_alpha": 8"#.to_owned(), pair, &["peft_type"]),
        ("no rank", r#""peft_type": "LORA", "lora_alpha": 8"#.to_owned(), pair, &["`r`"]),
        ("no alpha", r#""peft_type": "LORA", "r": 4"#.to_owned(), pair, &["`lora_alpha`"]),
        (
            "an alpha in words",
            r#""peft_type": "LORA", "r": 4, "lora_alpha": "8""#.to_owned(),
            pair,
            &["`lora_alpha`"],
        ),
        (
            "an alpha of NaN",
            r#""peft_type": "LORA", "r": 4, "lora_alpha": NaN"#.to_owned(),
            pair,
            &["line"],
        ),
        (
            "alpha too large",
            r#""peft_type": "LORA", "r": 4, "lora_alpha": 1e39"#.to_owned(),
            pair,
            &["`lora_alpha`"],
        ),
        (
            "another rank",
            r#""peft_type": "LORA", "r": 8, "lora_alpha": 8"#.to_owned(),
            pair,
            &["q_proj", "`4`", "`8`"],
        ),
        (
            "a rank by pattern",
            with(r#""rank_pattern": {"q_.*": 2}"#),
            pair,
            &["q_proj", "`4`", "`2`"],
        ),
        (
            "a pattern",
            with(r#""alpha_pattern": {"(q_proj": 2}"#),
            pair,
            &["`alpha_pattern`", "`(q_proj`"],
        ),
        (
            "a large pattern",
            with(r#""alpha_pattern": {"(a{9999}){999}": 2}"#),
            pair,
            &["`alpha_pattern`"],
        ),
        ("a magnitude", NEEDED.to_owned(), &magnitude, &["lora_magnitude_vector"]),
        ("embeddings", NEEDED.to_owned(), &embedding, &["lora_embedding_A", "embeddings"]),
        ("B's bias", NEEDED.to_owned(), &bias, &["lora_B.bias"]),
        ("a whole matrix", NEEDED.to_owned(), &whole, &["lm_head.weight"]),
        ("another vocabulary", NEEDED.to_owned(), &head, &["base_layer", "[290, 64]", "[288, 64]"]),
        ("a strange module", NEEDED.to_owned(), &stranger, &["mixer.in_proj"]),
        ("A alone", NEEDED.to_owned(), &pair[..1], &["q_proj.lora_A", "stands alone"]),
        ("nothing", NEEDED.to_owned(), &[], &["adds to no matrix"]),
    ];
    let mut failures = Vec::new();
    for (what, keys, tensors, wanted) in cases {
        match place.peft(&keys, tensors) {
            Ok(_) => failures.push(format!("{what} is taken")),
            Err(error) if wanted.iter().all(|part| error.contains(part)) => {}
            Err(error) => failures.push(format!("{what}: {error}, expected {wanted:?}")),
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn patterns_choose_ranks_and_factors_as_in_peft() {
    let place = Place::new("llama2");
    let keys = format!(
        r#"{NEEDED}, "use_rslora": true, "rank_pattern": {{"layers.0.self_attn.q_proj": 4, "k_proj": 9}},
        "alpha_pattern": {{"xq_proj": 1, "layers.1": 2, "^q_proj": 3, "self_attn.(q|v)_proj": 6, "q_proj": 5}}"#
    );
    let file = AdapterFile::open(&place.write_peft(&keys, &[Q_A, Q_B])).unwrap();
    assert_eq!((file.kind(), file.architecture(), file.base()), ("PEFT", None, None));
    // The fourth pattern is the first that the end of the name fits: 6 / sqrt(4).
    assert_eq!(file.pairs().collect::<Vec<_>>(), [("blk.0.attn_q.weight", 4, 3.0)]);
}

/// The same numbers in the other order of rotary pairs add something else.
#[test]
fn who_has_its_rows_put_in_another_order_is_another() {
    for (name, architecture, same) in [("llama2", &b"llama"[..], false), ("qwen2", b"qwen2", true)]
    {
        let place = Place::new(name);
        let gguf = RawGguf::default()
            .pair("general.architecture", TEXT, &string(architecture))
            .pair("general.type", TEXT, &string(b"adapter"))
            .pair("adapter.type", TEXT, &string(b"lora"))
            .pair("adapter.lora.alpha", FLOAT, &8f32.to_le_bytes());
        let gguf = place.gguf(&with(gguf, &[A, B], 0.5)).unwrap();
        let peft = place.peft(NEEDED, &[Q_A, Q_B]).unwrap();
        assert_eq!(gguf.identity() == peft.identity(), same, "{name}");
    }
}

#[test]
fn adapters_and_models_are_not_taken_for_each_other() {
    let place = Place::new("llama2");
    let peft = place.write_peft(NEEDED, &[Q_A, Q_B]);
    let gguf = place.dir.path().join("adapter.gguf");
    tiny::adapter("llama2").write_gguf(&gguf);
    for path in [&peft, &gguf] {
        assert!(AdapterFile::is_at(path));
        let error = Model::open(path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Format);
        assert!(error.to_string().contains("adapter") && error.hint().unwrap().contains("--lora"));
    }
    let model = place.dir.path().join("tiny.gguf");
    assert!(!AdapterFile::is_at(&model) && !AdapterFile::is_at(place.dir.path()));
    assert!(!AdapterFile::is_at(Path::new("/no/such/file")));
    let error = Adapter::open(&model, &place.model).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Adapter);
    let error = Adapter::open(place.dir.path(), &place.model).unwrap_err();
    assert!(error.to_string().contains("adapter_config.json"), "{error}");
    fs::remove_file(peft.join("adapter_model.safetensors")).unwrap();
    let error = Adapter::open(&peft, &place.model).unwrap_err();
    assert!(error.hint().unwrap().contains("safetensors"), "{error}");
}
