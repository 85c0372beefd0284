//! Adapters against outputs of PEFT, against the same merged into the weights, and beside each other.
//!
//! The tiny adapters and their outputs are made as `testkit/golden/README.md` says.
#![expect(clippy::unwrap_used, reason = "a test stops where something is not as expected")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rushlight_engine::{Batch, Engine, EngineOptions, ErrorKind, Sequence};
use rushlight_formats::gguf::Writer;
use rushlight_formats::{SafeTensors, TensorType};
use rushlight_kernels::{Row, best, rows};
use rushlight_model::{Adapter, Model};
use rushlight_testkit::raw_safetensors;
use rushlight_testkit::tiny::{
    AdapterCase, Case, adapter, adapter_names, case, weights, write_gguf, write_hf,
};

/// Largest error, as a share of the largest logit: that of the models themselves (`golden.rs`).
const BOUND: f32 = 1e-2;

/// A tiny model and its adapter in each form.
struct Files {
    dir: tempfile::TempDir,
    adapter: AdapterCase,
}

impl Files {
    fn new(name: &str) -> Self {
        let (dir, adapter) = (tempfile::tempdir().unwrap(), adapter(name));
        for folder in ["hf", "peft"] {
            fs::create_dir(dir.path().join(folder)).unwrap();
        }
        write_hf(&adapter.case, &dir.path().join("hf"));
        write_gguf(&adapter.case, &dir.path().join("hf.gguf"));
        adapter.write_peft(&dir.path().join("peft"));
        if adapter.has_gguf() {
            adapter.write_gguf(&dir.path().join("peft.gguf"));
        }
        Self { dir, adapter }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn adapters(&self) -> Vec<&'static str> {
        if self.adapter.has_gguf() { vec!["peft", "peft.gguf"] } else { vec!["peft"] }
    }

    /// An engine over the model in GGUF, and the adapter.
    fn engine(&self) -> (Engine, Arc<Adapter>) {
        let engine = engine(&self.path("hf.gguf"), best());
        let adapter = Adapter::open(&self.path("peft"), engine.model()).unwrap();
        (engine, Arc::new(adapter))
    }
}

fn engine(path: &Path, row: &'static Row) -> Engine {
    let model = Arc::new(Model::open(path).unwrap_or_else(|e| panic!("{e:?}")));
    let mut options = EngineOptions::default();
    options.context = Some(model.dims().context.min(256));
    options.positions = Some(2048);
    options.threads = Some(2);
    options.row = Some(row);
    Engine::new(model, &options).unwrap()
}

/// The rows that a case asks for, run in pieces.
fn outputs(engine: &mut Engine, sequence: Sequence, case: &Case, chunk: usize) -> Vec<Vec<f32>> {
    let mut all = Vec::new();
    for ids in case.ids.chunks(chunk) {
        let mut batch = Batch::new();
        batch.extend_all(sequence, ids);
        engine.forward(&batch).unwrap();
        all.extend((0..ids.len()).map(|i| engine.output(i).unwrap().to_vec()));
    }
    case.positions.iter().map(|p| all[*p].clone()).collect()
}

#[test]
fn every_adapter_agrees_with_peft_in_every_form() {
    let mut failures = Vec::new();
    let ends: Vec<_> = [rows()[0], best()].into_iter().collect();
    for name in adapter_names() {
        let files = Files::new(&name);
        let case = &files.adapter.case;
        for model in ["hf", "hf.gguf"] {
            for &row in &ends {
                let mut engine = engine(&files.path(model), row);
                for form in files.adapters() {
                    let place = format!("{name}: {form} on {model}, {}", row.name());
                    let adapter = match Adapter::open(&files.path(form), engine.model()) {
                        Ok(adapter) => Arc::new(adapter),
                        Err(error) => {
                            failures.push(format!("{place}: {error}"));
                            continue;
                        }
                    };
                    for chunk in [case.ids.len(), 7, 1] {
                        let sequence = engine.start_with(Some(adapter.clone())).unwrap();
                        let found = outputs(&mut engine, sequence, case, chunk);
                        engine.end(sequence);
                        let error = case.difference(&found);
                        if error.is_nan() || error > BOUND {
                            failures.push(format!("{place} in chunks of {chunk}: {error:.2e}"));
                        }
                    }
                }
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Tensors of a file in F32: name, shape, values.
type Tensors = Vec<(String, Vec<usize>, Vec<f32>)>;

fn read(path: &Path) -> Tensors {
    let bytes = fs::read(path).unwrap();
    let file = SafeTensors::parse(&bytes).unwrap();
    let values = |data: &[u8]| data.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
    let tensors = file.tensors().iter();
    tensors.map(|t| (t.name.to_owned(), t.shape.to_vec(), values(file.data(t)))).collect()
}

/// Adds `factor * B A` to the matrices of a checkpoint.
fn merge(checkpoint: &Path, adapter: &Tensors, factor: f32) {
    let mut tensors = read(checkpoint);
    let mut merged = 0;
    for (name, shape, a) in adapter {
        let Some(module) = name.strip_suffix(".lora_A.weight") else { continue };
        let other = format!("{module}.lora_B.weight");
        let (_, _, b) = adapter.iter().find(|tensor| tensor.0 == other).unwrap();
        let target = format!("{}.weight", module.strip_prefix("base_model.model.").unwrap());
        let weight = &mut tensors.iter_mut().find(|tensor| tensor.0 == target).unwrap().2;
        let (rank, inputs) = (shape[0], shape[1]);
        for (row, b) in weight.chunks_exact_mut(inputs).zip(b.chunks_exact(rank)) {
            for (j, b) in b.iter().enumerate() {
                let a = &a[j * inputs..][..inputs];
                row.iter_mut().zip(a).for_each(|(w, a)| *w += factor * b * a);
            }
        }
        merged += 1;
    }
    assert!(merged > 0);
    fs::write(checkpoint, raw_safetensors(&tensors)).unwrap();
}

#[test]
fn beside_the_weights_is_as_within_them() {
    let files = Files::new("llama2");
    let case = &files.adapter.case;
    let (mut plain, adapter) = files.engine();
    let sequence = plain.start_with(Some(adapter)).unwrap();
    let beside = outputs(&mut plain, sequence, case, 9);
    // Rank 4, alpha 8.
    let tensors = read(&files.path("peft/adapter_model.safetensors"));
    merge(&files.path("hf/model.safetensors"), &tensors, 2.0);
    let mut merged = engine(&files.path("hf"), best());
    let sequence = merged.start();
    let within = outputs(&mut merged, sequence, case, 9);
    let case = Case { rows: within, ..case.clone() };
    let error = case.difference(&beside);
    assert!(error < BOUND, "{error:.2e}");
}

#[test]
fn threads_share_what_is_too_much_for_one() {
    let files = Files::new("llama2");
    let (mut engine, _) = files.engine();
    let mut tensors = Tensors::new();
    for module in ["q_proj", "k_proj", "v_proj"] {
        for part in ["A", "B"] {
            let name = format!("model.layers.1.self_attn.{module}.lora_{part}.weight");
            let values = weights::values(&name, 64 * 64, 0.0, 0.1);
            tensors.push((name, vec![64, 64], values));
        }
    }
    fs::write(files.path("peft/adapter_model.safetensors"), raw_safetensors(&tensors)).unwrap();
    let config = r#"{"peft_type": "LORA", "r": 64, "lora_alpha": 64, "lora_bias": false}"#;
    fs::write(files.path("peft/adapter_config.json"), config).unwrap();
    let adapter = Arc::new(Adapter::open(&files.path("peft"), engine.model()).unwrap());
    let mut run = |adapter: Option<&Arc<Adapter>>, chunk| {
        let sequence = engine.start_with(adapter.cloned()).unwrap();
        let rows = outputs(&mut engine, sequence, &files.adapter.case, chunk);
        Case { rows, ..files.adapter.case.clone() }
    };
    // One token is little for a thread, 15 are shared by the rows of A, 40 by tokens.
    let (one, none) = (run(Some(&adapter), 1), run(None, 1));
    assert!(one.difference(&none.rows) > 0.1);
    for chunk in [15, 40] {
        let error = one.difference(&run(Some(&adapter), chunk).rows);
        assert!(error < BOUND / 4.0, "in chunks of {chunk}: {error:.2e}");
    }
}

/// An adapter of router, experts and values of each layer, in the names of PEFT.
fn of_experts(layers: usize, experts: usize, d: usize, f: usize) -> Tensors {
    let mut all = Tensors::new();
    let mut pair = |module: String, outputs: usize, inputs: usize| {
        for (part, shape, spread) in [("A", [3, inputs], 0.2), ("B", [outputs, 3], 0.2)] {
            let name = format!("base_model.model.{module}.lora_{part}.weight");
            let values = weights::values(&name, shape[0] * shape[1], 0.0, spread);
            all.push((name, shape.to_vec(), values));
        }
    };
    for layer in 0..layers {
        let block = format!("model.layers.{layer}.block_sparse_moe");
        pair(format!("{block}.gate"), experts, d);
        pair(format!("model.layers.{layer}.self_attn.v_proj"), d / 2, d);
        for e in 0..experts {
            pair(format!("{block}.experts.{e}.w1"), f, d);
            pair(format!("{block}.experts.{e}.w2"), d, f);
            pair(format!("{block}.experts.{e}.w3"), f, d);
        }
    }
    all
}

/// The same as llama.cpp has it: the experts of a layer one after the other.
fn stacked(tensors: &Tensors, layers: usize, experts: usize) -> Vec<u8> {
    let mut all = Tensors::new();
    for layer in 0..layers {
        for (part, half) in [("A", "a"), ("B", "b")] {
            let named = |module: &str| {
                let name =
                    format!("base_model.model.model.layers.{layer}.{module}.lora_{part}.weight");
                tensors.iter().find(|tensor| tensor.0 == name).unwrap()
            };
            let mut put = |to: &str, shape, values| {
                all.push((format!("blk.{layer}.{to}.weight.lora_{half}"), shape, values));
            };
            for (from, to) in
                [("block_sparse_moe.gate", "ffn_gate_inp"), ("self_attn.v_proj", "attn_v")]
            {
                let (_, shape, values) = named(from).clone();
                put(to, shape, values);
            }
            for (from, to) in
                [("w1", "ffn_gate_exps"), ("w2", "ffn_down_exps"), ("w3", "ffn_up_exps")]
            {
                let one = |e| named(&format!("block_sparse_moe.experts.{e}.{from}"));
                let shape = [&[experts], &*one(0).1].concat();
                put(to, shape, (0..experts).flat_map(|e| one(e).2.clone()).collect());
            }
        }
    }
    let mut writer = Writer::new();
    let texts =
        [("general.architecture", "llama"), ("general.type", "adapter"), ("adapter.type", "lora")];
    texts.iter().for_each(|(key, value)| writer.set(key, *value).unwrap());
    writer.set("adapter.lora.alpha", 6.0f32).unwrap();
    all.iter().for_each(|(name, shape, _)| writer.tensor(name, shape, TensorType::F32).unwrap());
    let mut data = writer.begin(Vec::new()).unwrap();
    for (name, _, values) in &all {
        let bytes: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        data.push(name, &bytes).unwrap();
    }
    data.finish().unwrap()
}

#[test]
fn experts_and_their_router_have_adapters() {
    let dir = tempfile::tempdir().unwrap();
    let plain = case("mixtral");
    let [hf, merged, peft] = ["hf", "merged", "peft"].map(|name| dir.path().join(name));
    [&hf, &merged, &peft].into_iter().for_each(|path| fs::create_dir(path).unwrap());
    write_hf(&plain, &hf);
    write_hf(&plain, &merged);
    let tensors = of_experts(3, 4, 64, 96);
    fs::write(peft.join("adapter_model.safetensors"), raw_safetensors(&tensors)).unwrap();
    let config = r#"{"peft_type": "LORA", "r": 3, "lora_alpha": 6}"#;
    fs::write(peft.join("adapter_config.json"), config).unwrap();
    let gguf = dir.path().join("adapter.gguf");
    fs::write(&gguf, stacked(&tensors, 3, 4)).unwrap();
    merge(&merged.join("model.safetensors"), &tensors, 2.0);

    let mut within = engine(&merged, best());
    let sequence = within.start();
    let rows = outputs(&mut within, sequence, &plain, 11);
    assert!(plain.difference(&rows) > 0.3, "{}", plain.difference(&rows));
    let within = Case { rows, ..plain };
    let mut beside = engine(&hf, best());
    for path in [peft, gguf] {
        let adapter = Arc::new(Adapter::open(&path, beside.model()).unwrap());
        let sequence = beside.start_with(Some(adapter)).unwrap();
        let found = outputs(&mut beside, sequence, &within, 11);
        let error = within.difference(&found);
        assert!(error < BOUND, "{}: {error:.2e}", path.display());
    }
}

#[test]
fn two_adapters_and_none_in_one_batch_are_as_each_alone() {
    let files = Files::new("smollm3");
    let (mut engine, adapter) = files.engine();
    let half = Arc::new(adapter.scaled(0.5).unwrap());
    let ids = files.adapter.case.ids.clone();
    let kinds = [Some(&adapter), None, Some(&half), None, Some(&adapter)];
    let prompt = |i: usize| &ids[i..i + 9 + 4 * i];
    let start = |engine: &mut Engine, i: usize| engine.start_with(kinds[i].cloned()).unwrap();

    // The prompts together, then a token of each together.
    let together: Vec<Sequence> = (0..5).map(|i| start(&mut engine, i)).collect();
    let mut batch = Batch::new();
    (0..5).for_each(|i| batch.extend(together[i], prompt(i), true));
    engine.forward(&batch).unwrap();
    let prompts: Vec<Vec<f32>> = (0..5).map(|i| engine.output(i).unwrap().to_vec()).collect();
    let mut alone = Vec::new();
    for i in 0..5 {
        let sequence = start(&mut engine, i);
        let mut batch = Batch::new();
        batch.extend(sequence, prompt(i), true);
        engine.forward(&batch).unwrap();
        alone.push((sequence, engine.output(0).unwrap().to_vec()));
    }
    let like = |rows: Vec<Vec<f32>>| Case { rows, ..files.adapter.case.clone() };
    let want = like(alone.iter().map(|one| one.1.clone()).collect());
    let error = want.difference(&prompts);
    assert!(error < BOUND / 4.0, "{error:.2e}");
    // What the last layer leaves out of a prompt changes nothing, with and without adapters.
    let mut whole = Vec::new();
    for i in 0..5 {
        let sequence = start(&mut engine, i);
        let mut batch = Batch::new();
        batch.extend_all(sequence, prompt(i));
        engine.forward(&batch).unwrap();
        whole.push(engine.output(prompt(i).len() - 1).unwrap().to_vec());
        engine.end(sequence);
    }
    let error = want.difference(&whole);
    assert!(error < BOUND / 4.0, "{error:.2e}");
    // Each is another answer.
    for other in [[0, 1], [0, 2], [1, 2]] {
        let [a, b] = other.map(|i| like(vec![prompts[i].clone()]));
        assert!(a.difference(&b.rows) > 0.1, "{other:?}");
    }

    // Of so few rows each is computed as it would be alone, to the bit.
    let sequences: Vec<Sequence> = alone.iter().map(|one| one.0).collect();
    let mut batch = Batch::new();
    sequences.iter().for_each(|sequence| batch.extend(*sequence, &[7], true));
    engine.forward(&batch).unwrap();
    let steps: Vec<Vec<f32>> = (0..5).map(|i| engine.output(i).unwrap().to_vec()).collect();
    for (i, sequence) in sequences.into_iter().enumerate() {
        engine.truncate(sequence, prompt(i).len());
        let mut batch = Batch::new();
        batch.extend(sequence, &[7], true);
        engine.forward(&batch).unwrap();
        assert!(engine.output(0).unwrap() == steps[i], "row {i}");
    }
}

#[test]
fn a_scale_of_nothing_is_the_model_and_parts_sum_to_the_whole() {
    let files = Files::new("phi3_short");
    let (mut engine, adapter) = files.engine();
    let ids = files.adapter.case.ids.clone();
    let mut run = |adapter: Option<Adapter>| {
        let sequence = engine.start_with(adapter.map(Arc::new)).unwrap();
        engine.prefill(sequence, &ids).unwrap();
        engine.end(sequence);
        engine.output(0).unwrap().to_vec()
    };
    let scaled = |scale| adapter.scaled(scale).unwrap();
    let plain = run(None);
    assert!(run(Some(scaled(0.0))) == plain);
    let whole = run(Some((*adapter).clone()));
    let sum = Adapter::sum(&[scaled(0.25), scaled(0.75)]).unwrap().unwrap();
    assert_eq!((sum.rank(), sum.bytes()), (2 * adapter.rank(), 2 * adapter.bytes()));
    let want = Case { rows: vec![whole], ..files.adapter.case.clone() };
    let error = want.difference(&[run(Some(sum.clone()))]);
    assert!(error < BOUND / 4.0, "{error:.2e}");
    assert!(want.difference(&[plain]) > 0.3);
    assert!(Adapter::sum(&[]).unwrap().is_none());
    assert!(adapter.scaled(f32::INFINITY).is_err());

    let identity = |adapter: &Adapter| adapter.identity();
    assert_eq!(identity(&scaled(1.0)), identity(&adapter));
    assert_ne!(identity(&scaled(0.5)), identity(&adapter));
    assert_ne!(identity(&sum), identity(&adapter));
}

#[test]
fn an_engine_knows_its_adapters_and_refuses_others() {
    let (files, others) = (Files::new("llama2"), Files::new("qwen2"));
    let (engine, adapter) = files.engine();
    let (mut other, foreign) = others.engine();
    assert_eq!(other.start_with(Some(adapter.clone())).unwrap_err().kind(), ErrorKind::Option);
    let model = engine.model().clone();
    let with = |adapters: &[(&str, &Arc<Adapter>)], memory| {
        let mut options = EngineOptions::default();
        let own =
            |(name, adapter): &(&str, &Arc<Adapter>)| ((*name).to_owned(), (*adapter).clone());
        options.adapters = adapters.iter().map(own).collect();
        (options.context, options.threads, options.memory_bytes) = (Some(64), Some(1), memory);
        Engine::new(model.clone(), &options)
    };
    let kind =
        |result: Result<Engine, _>| result.map(drop).map_err(|e: rushlight_engine::Error| e.kind());
    assert_eq!(kind(with(&[("a", &foreign)], None)), Err(ErrorKind::Option));
    assert_eq!(kind(with(&[("a", &adapter), ("a", &adapter)], None)), Err(ErrorKind::Option));
    let engine = with(&[("a", &adapter), ("b", &adapter)], None).unwrap();
    assert_eq!(engine.adapters().map(|(name, _)| name).collect::<Vec<_>>(), ["a", "b"]);
    assert!(engine.adapter("b").is_some() && engine.adapter("c").is_none());
    assert_eq!(engine.plan().adapters_bytes, 2 * adapter.bytes());

    // They count.
    let needed = engine.plan().total_bytes();
    assert!(with(&[("a", &adapter), ("b", &adapter)], Some(needed)).is_ok());
    let refused = with(&[("a", &adapter), ("b", &adapter)], Some(needed - 1)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Memory);
    assert!(refused.to_string().contains("adapters"), "{refused}");
    assert!(with(&[("a", &adapter)], Some(needed - 1)).is_ok());
}
