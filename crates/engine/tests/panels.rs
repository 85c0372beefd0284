//! Weights in the layout of the kernels give what the file's own layout gives.
#![expect(clippy::unwrap_used, reason = "a test stops where something is not as expected")]

use std::path::Path;
use std::sync::Arc;

use rushlight_engine::{Activations, Batch, Engine, EngineOptions};
use rushlight_kernels::{Row, rows};
use rushlight_model::{Made, Model, Prepared, WeightsFrom};
use rushlight_testkit::tiny::{Case, case, names, write_gguf_q8_0};

/// Largest difference, as a share of the largest logit: sums in another order move activations over
/// the edges of their rounding. With 8 bits that is rare, most models differ by 1e-7, but one such step
/// moves a logit by up to 1e-2; steps of 16 bits are small. A panel in a wrong place is far beyond.
const BOUNDS: [(Activations, f32); 2] = [(Activations::Int16, 1e-3), (Activations::Mixed, 3e-2)];

/// What a model gives, in chunks, some of which take the way of few tokens.
fn outputs(
    model: Model,
    case: &Case,
    row: &'static Row,
    in_memory: bool,
    activations: Activations,
) -> Vec<f32> {
    let mut options = EngineOptions::default();
    options.context = Some(model.dims().context.min(256));
    options.threads = Some(2);
    options.row = Some(row);
    options.panels_in_memory = in_memory;
    options.activations = activations;
    let model = Arc::new(model);
    let mut engine = Engine::new(model.clone(), &options).unwrap();
    if in_memory {
        let taken = |s: &rushlight_model::PanelSource| row.takes_panels(s.format(), s.cols());
        let any = model.panel_sources().iter().any(taken);
        assert_eq!(model.weights_from() == WeightsFrom::Memory, any, "{}", row.name());
    }
    let sequence = engine.start();
    let (head, tail) = case.ids.split_at(case.ids.len() - 3);
    let bidirectional = model.arch().bidirectional;
    let chunks = if bidirectional { vec![&*case.ids] } else { vec![head, &tail[..1], &tail[1..]] };
    let mut all = Vec::new();
    for ids in chunks {
        let mut batch = Batch::new();
        match bidirectional {
            true => batch.extend_states(sequence, ids, &[], 0..ids.len()),
            false => batch.extend_all(sequence, ids),
        }
        engine.forward(&batch).unwrap();
        let row = |i| if bidirectional { engine.state(i) } else { engine.output(i) };
        all.extend((0..ids.len()).flat_map(|i| row(i).unwrap().to_vec()));
    }
    all
}

fn difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    let most = a.iter().fold(0f32, |most, x| most.max(x.abs()));
    a.iter().zip(b).fold(0f32, |worst, (x, y)| worst.max((x - y).abs())) / most
}

#[test]
fn every_architecture_gives_the_same_from_panels() {
    let dir = tempfile::tempdir().unwrap();
    let mut failures = Vec::new();
    for name in names() {
        let case = case(&name);
        let file = dir.path().join(format!("{name}.gguf"));
        write_gguf_q8_0(&case, &file);
        let open = || Model::open(&file).unwrap();
        let prepared_path = dir.path().join(&name);
        for (row, (activations, bound)) in rows().iter().flat_map(|r| BOUNDS.map(|b| (*r, b))) {
            let plain = outputs(open(), &case, row, false, activations);
            let packed = outputs(open(), &case, row, true, activations);
            let model = prepared(open(), &prepared_path);
            let mapped = outputs(model, &case, row, false, activations);
            let worst = difference(&plain, &packed);
            if worst.is_nan() || worst > bound || packed != mapped {
                let (row, same) = (row.name(), packed == mapped);
                failures.push(format!("{name} on {row}, {activations:?}: {worst:.2e}, {same}"));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn prepared(model: Model, path: &Path) -> Model {
    let prepared = Prepared::new(&model, "the model", path);
    assert_eq!(prepared.make(None, &|| false).unwrap(), Made::Whole);
    assert!(prepared.attach().unwrap());
    model
}

#[test]
fn the_plan_counts_each_matrix_once() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tiny.gguf");
    write_gguf_q8_0(&case("llama2"), &file);
    let open = || Model::open(&file).unwrap();
    let plan = |model: &Model| {
        rushlight_engine::Plan::new(model, rushlight_engine::CacheType::F16, 64, 16)
    };
    let (plain, packed) = (open(), open());
    packed.pack_panels(|_| true);
    let mapped = prepared(open(), &dir.path().join("prepared"));
    let sources = plain.panel_sources();
    let read: usize = sources.iter().map(|s| s.packed_bytes()).sum();
    let idle: usize = sources.iter().map(|s| s.file_bytes()).sum();
    let [plain, packed, mapped] = [&plain, &packed, &mapped].map(plan);
    assert_eq!(plain.prepared_bytes + plain.packed_bytes, 0);
    assert_eq!((packed.prepared_bytes, packed.packed_bytes), (0, read as u64));
    assert_eq!((mapped.prepared_bytes, mapped.packed_bytes), (read as u64, 0));
    // This model has an output matrix of its own, so its embeddings are no source.
    assert_eq!(packed.weights_bytes, plain.weights_bytes - idle as u64);
    assert_eq!(packed.weights_bytes, mapped.weights_bytes);
    assert_eq!(packed.total_bytes() - plain.total_bytes(), (read - idle) as u64);
}
