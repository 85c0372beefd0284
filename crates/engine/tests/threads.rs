//! Results do not depend on who computes them.
#![expect(clippy::unwrap_used, reason = "a test stops where something is not as expected")]

use std::path::Path;
use std::sync::Arc;

use rushlight_engine::{Batch, CacheType, Engine, EngineOptions};
use rushlight_model::Model;
use rushlight_testkit::tiny::{case, write_gguf};

/// Positions before the tokens that are compared: several parts of a context and a bit.
const DEPTH: usize = 450;

/// Logits of three tokens behind a long text, one by one and then together.
fn logits(file: &Path, threads: usize, cache: CacheType) -> Vec<Vec<f32>> {
    let mut options = EngineOptions::default();
    (options.threads, options.cache) = (Some(threads), cache);
    logits_with(file, options, |_| {})
}

/// The same, where `before` may change the engine before each of the last passes.
fn logits_with(
    file: &Path,
    mut options: EngineOptions,
    mut before: impl FnMut(&mut Engine),
) -> Vec<Vec<f32>> {
    options.context = Some(512);
    let mut engine = Engine::new(Arc::new(Model::open(file).unwrap()), &options).unwrap();
    let words = engine.model().dims().v as u32;
    let text: Vec<u32> = (0..DEPTH as u32).map(|i| (i * i + 7 * i) % words).collect();
    let sequence = engine.start();
    for ids in text.chunks(500) {
        let mut batch = Batch::new();
        batch.extend(sequence, ids, false);
        engine.forward(&batch).unwrap();
    }
    let mut out = Vec::new();
    for ids in [&[1][..], &[2], &[3]] {
        let mut batch = Batch::new();
        batch.extend_all(sequence, ids);
        before(&mut engine);
        engine.forward(&batch).unwrap();
        out.push(engine.output(0).unwrap().to_vec());
    }
    engine.truncate(sequence, DEPTH);
    let mut batch = Batch::new();
    batch.extend_all(sequence, &[1, 2, 3]);
    engine.forward(&batch).unwrap();
    out.extend((0..3).map(|i| engine.output(i).unwrap().to_vec()));
    out
}

#[test]
fn a_long_context_is_the_same_on_any_number_of_threads() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["llama2", "gemma3"] {
        let file = dir.path().join(format!("{name}.gguf"));
        write_gguf(&case(name), &file);
        for cache in [CacheType::F16, CacheType::Q8_0] {
            let one = logits(&file, 1, cache);
            assert_eq!(one[..3], one[3..], "{name} {cache:?}: one by one and together");
            for threads in [2, 5] {
                assert_eq!(logits(&file, threads, cache), one, "{name} {cache:?} on {threads}");
            }
        }
    }
}

#[test]
fn fewer_threads_for_a_while_and_for_few_rows_change_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("llama2.gguf");
    write_gguf(&case("llama2"), &file);
    let expected = logits(&file, 1, CacheType::F16);
    let mut options = EngineOptions::default();
    (options.threads, options.decode_threads) = (Some(2), Some(4));
    let mut limits = [1, 3, 9].into_iter();
    let found = logits_with(&file, options.clone(), |engine| {
        let limit = limits.next().unwrap();
        engine.limit_threads(limit);
        let expected = (limit.min(2), limit.min(4));
        assert_eq!((engine.threads(), engine.decode_threads()), expected);
    });
    assert_eq!(found, expected);
    options.decode_threads = Some(0);
    let model = Arc::new(Model::open(&file).unwrap());
    let error = Engine::new(model, &options).unwrap_err();
    assert_eq!(error.kind(), rushlight_engine::ErrorKind::Option);
}
