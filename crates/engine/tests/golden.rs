//! Every architecture against outputs of transformers, from both kinds of checkpoint.
//!
//! The tiny models and their outputs are made as `testkit/golden/README.md` says.
#![expect(clippy::unwrap_used, reason = "a test stops where something is not as expected")]

use std::path::Path;
use std::sync::Arc;

use rushlight_engine::{Batch, CacheType, Engine, EngineOptions};
use rushlight_kernels::{Row, rows};
use rushlight_model::Model;
use rushlight_testkit::tiny::{Case, Output, case, names, write_gguf, write_hf};

/// Largest error, as a share of the largest logit. The f16 cache alone moves these models by up to
/// 8e-3; the smallest change of any setting moves them by 2e-2.
const BOUND: f32 = 1e-2;

/// The rows that a case asks for.
fn outputs(
    path: &Path,
    case: &Case,
    row: &'static Row,
    chunk: usize,
    cache: CacheType,
) -> Result<Vec<Vec<f32>>, String> {
    let model = Arc::new(Model::open(path).map_err(|e| format!("{e:?}"))?);
    let mut options = EngineOptions::default();
    options.context = Some(model.dims().context.min(256));
    options.threads = Some(2);
    options.row = Some(row);
    options.cache = cache;
    let mut engine = Engine::new(model, &options).unwrap();
    let sequence = engine.start();
    let mut all = Vec::new();
    for ids in case.ids.chunks(chunk) {
        let mut batch = Batch::new();
        match case.output {
            Output::Logits => batch.extend_all(sequence, ids),
            Output::Hidden => batch.extend_states(sequence, ids, &[], 0..ids.len()),
        }
        engine.forward(&batch).unwrap();
        let row = |i| match case.output {
            Output::Logits => engine.output(i),
            Output::Hidden => engine.state(i),
        };
        all.extend((0..ids.len()).map(|i| row(i).unwrap().to_vec()));
    }
    Ok(case.positions.iter().map(|p| all[*p].clone()).collect())
}

/// Collects the failures of all cases in both forms.
fn check(cases: &[String], row: &'static Row, cache: CacheType, bound: f32) {
    let dir = tempfile::tempdir().unwrap();
    let mut failures = Vec::new();
    for name in cases {
        let case = case(name);
        let (hf, gguf) = (dir.path().join(name), dir.path().join(format!("{name}.gguf")));
        std::fs::create_dir_all(&hf).unwrap();
        write_hf(&case, &hf);
        write_gguf(&case, &gguf);
        // An embedder sees everything at once; the others also in pieces over the cache.
        let whole = case.ids.len();
        let chunks: &[usize] = if case.output == Output::Hidden { &[whole] } else { &[whole, 7] };
        for &chunk in chunks {
            for (form, path) in [("hf", &hf), ("gguf", &gguf)] {
                let place = format!("{name} {form} in chunks of {chunk}");
                let found = match outputs(path, &case, row, chunk, cache) {
                    Ok(found) => found,
                    Err(error) => {
                        failures.push(format!("{place}: {error}"));
                        continue;
                    }
                };
                let error = match form {
                    "hf" => case.difference(&found),
                    _ => case.gguf_difference(&found),
                };
                if error.is_nan() || error > bound {
                    failures.push(format!("{place}: {error:.2e}"));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{}:\n{}", row.name(), failures.join("\n"));
}

#[test]
fn every_architecture_agrees_with_transformers_on_every_row() {
    for row in rows() {
        check(&names(), row, CacheType::F16, BOUND);
    }
}

#[test]
fn an_8_bit_cache_stays_close() {
    // Models whose random weights do not amplify the rounding: the f16 cache moves them by 6e-4.
    let calm = ["gemma3", "gpt2", "granite", "olmo2", "qwen3"].map(str::to_owned);
    check(&calm, rushlight_kernels::best(), CacheType::Q8_0, 5e-2);
}
