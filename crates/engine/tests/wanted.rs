//! What is wanted of a token does not depend on what is wanted of those beside it.
#![expect(clippy::unwrap_used, reason = "a test stops where something is not as expected")]

use std::path::Path;
use std::sync::Arc;

use rushlight_engine::{Activations, Batch, Engine, EngineOptions};
use rushlight_kernels::{Row, rows};
use rushlight_model::{Model, Pooling};
use rushlight_testkit::tiny::{Case, case, names, write_gguf, write_gguf_q8_0};

/// Largest difference, as a share of the largest value: few tokens have their sums in another order,
/// which moves activations over the edges of their rounding (`panels.rs` has the same bounds).
const BOUNDS: [(Activations, f32); 2] = [(Activations::Int16, 1e-3), (Activations::Int8, 3e-2)];

/// What is wanted of the tokens of a prompt.
#[derive(Clone, Copy, Debug)]
enum Of {
    All,
    Last,
    First,
    None,
}

/// Runs three texts in one batch, which are the case's tokens cut at different lengths, then one more
/// token of each, of which its output is wanted. The outputs of the batch, then those.
fn outputs(
    file: &Path,
    case: &Case,
    (row, activations): (&'static Row, Activations),
    of: [Of; 3],
) -> Vec<Vec<f32>> {
    let mut options = EngineOptions::default();
    let model = Model::open(file).unwrap();
    options.context = Some(model.dims().context.min(256));
    (options.threads, options.row, options.activations) = (Some(2), Some(row), activations);
    options.positions = options.context.map(|context| 3 * context.next_multiple_of(32));
    let bidirectional = model.arch().bidirectional;
    let mut engine = Engine::new(Arc::new(model), &options).unwrap();
    let sequences = [0; 3].map(|_| engine.start());
    let mut batch = Batch::new();
    for ((sequence, of), cut) in sequences.into_iter().zip(of).zip([1, 3, 2]) {
        let ids = &case.ids[..case.ids.len() - cut];
        let wanted = match of {
            Of::All => 0..ids.len(),
            Of::Last => ids.len() - 1..ids.len(),
            Of::First => 0..1,
            Of::None => 0..0,
        };
        if bidirectional {
            batch.extend_states(sequence, ids, &[], wanted);
        } else {
            batch.extend(sequence, &ids[..wanted.start], false);
            batch.extend_all(sequence, &ids[wanted.clone()]);
            batch.extend(sequence, &ids[wanted.end..], false);
        }
    }
    let mut all = Vec::new();
    let mut take = |engine: &Engine| {
        let row = |i| if bidirectional { engine.state(i) } else { engine.output(i) };
        all.extend((0..).map_while(row).map(<[f32]>::to_vec));
    };
    engine.forward(&batch).unwrap();
    take(&engine);
    if !bidirectional {
        let mut batch = Batch::new();
        sequences.iter().for_each(|&sequence| batch.extend_all(sequence, &case.ids[..1]));
        engine.forward(&batch).unwrap();
        take(&engine);
    }
    all
}

/// Of `all`, where every output was wanted, the rows that `of` asks for, and the rows after the batch.
fn chosen(all: &[Vec<f32>], length: usize, of: [Of; 3]) -> Vec<Vec<f32>> {
    let (mut out, mut rest) = (Vec::new(), all);
    for (of, cut) in of.into_iter().zip([1, 3, 2]) {
        let (own, after) = rest.split_at(length - cut);
        rest = after;
        match of {
            Of::All => out.extend_from_slice(own),
            Of::Last => out.extend(own.last().cloned()),
            Of::First => out.extend(own.first().cloned()),
            Of::None => {}
        }
    }
    out.extend_from_slice(rest);
    out
}

/// How many values differ by more than `bound` times the largest.
fn different(a: &[f32], b: &[f32], bound: f32) -> usize {
    assert_eq!(a.len(), b.len());
    let most = a.iter().fold(0f32, |most, x| most.max(x.abs()));
    a.iter().zip(b).filter(|(x, y)| (*x - *y).abs() > bound * most || (*x - *y).is_nan()).count()
}

#[test]
fn an_output_does_not_depend_on_what_else_is_wanted() {
    let dir = tempfile::tempdir().unwrap();
    let mut failures = Vec::new();
    for name in names() {
        let case = case(&name);
        let file = dir.path().join(format!("{name}.gguf"));
        write_gguf_q8_0(&case, &file);
        for (row, (activations, bound)) in rows().iter().flat_map(|r| BOUNDS.map(|b| (*r, b))) {
            let with = (row, activations);
            let all = outputs(&file, &case, with, [Of::All; 3]);
            for of in
                [[Of::Last, Of::None, Of::All], [Of::First, Of::Last, Of::None], [Of::None; 3]]
            {
                let found = outputs(&file, &case, with, of).concat();
                let expected = chosen(&all, case.ids.len(), of).concat();
                let count = different(&expected, &found, bound);
                if count > 0 {
                    let row = row.name();
                    failures.push(format!("{name} on {row}, {activations:?}, {of:?}: {count}"));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn tokens_far_apart_in_a_long_text_are_as_among_all() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["llama2", "gemma3"] {
        let file = dir.path().join(format!("{name}.gguf"));
        write_gguf(&case(name), &file);
        let mut options = EngineOptions::default();
        (options.threads, options.context) = (Some(2), Some(512));
        let mut engine = Engine::new(Arc::new(Model::open(&file).unwrap()), &options).unwrap();
        let words = engine.model().dims().v as u32;
        let text: Vec<u32> = (0..450).map(|i| (i * i + 7 * i) % words).collect();
        let wanted = [0, 1, 130, 300, 449];
        let mut run = |each: &dyn Fn(usize) -> bool| {
            let sequence = engine.start();
            let mut batch = Batch::new();
            for (t, token) in text.iter().enumerate() {
                batch.extend(sequence, &[*token], each(t));
            }
            engine.forward(&batch).unwrap();
            engine.end(sequence);
            (0..).map_while(|i| engine.output(i)).map(<[f32]>::to_vec).collect::<Vec<_>>()
        };
        let all = run(&|_| true);
        let some = run(&|t| wanted.contains(&t));
        assert_eq!((all.len(), some.len()), (text.len(), wanted.len()));
        for (found, t) in some.iter().zip(wanted) {
            assert_eq!(different(&all[t], found, 1e-4), 0, "{name}, token {t}");
        }
    }
}

/// Of mixed activations the end of a prompt is fine, its beginning is not, and both may be wanted: the
/// last layer then has tokens of both kinds.
#[test]
fn the_end_of_a_prompt_stays_fine_beside_its_beginning() {
    let dir = tempfile::tempdir().unwrap();
    let (case, file) = (case("llama2"), dir.path().join("llama2.gguf"));
    write_gguf_q8_0(&case, &file);
    for row in rows() {
        // Tokens up to `cut` run before the others.
        let run = |activations, cut: usize, wanted: &[usize]| {
            let mut options = EngineOptions::default();
            options.activations = activations;
            (options.threads, options.row) = (Some(2), Some(*row));
            let mut engine = Engine::new(Arc::new(Model::open(&file).unwrap()), &options).unwrap();
            let words = engine.model().dims().v as u32;
            let sequence = engine.start();
            for tokens in [0..cut, cut..40] {
                let mut batch = Batch::new();
                for t in tokens {
                    batch.extend(sequence, &[(t * t + 7 * t) as u32 % words], wanted.contains(&t));
                }
                engine.forward(&batch).unwrap();
            }
            engine.output(wanted.len() - 1).unwrap().to_vec()
        };
        // The last 16 are fine: all of the second batch, or some of the only one.
        let apart = run(Activations::Mixed, 24, &[39]);
        let name = row.name();
        for wanted in [&[0, 39][..], &[0, 1, 2, 39], &[39]] {
            let found = run(Activations::Mixed, 0, wanted);
            // A last layer of 8 bits differs by 0.01.
            assert_eq!(different(&apart, &found, 5e-3), 0, "{name}, wanted {wanted:?}");
        }
    }
}

#[test]
fn a_text_read_whole_leaves_the_states_that_its_pooling_takes() {
    let dir = tempfile::tempdir().unwrap();
    let mut seen = Vec::new();
    for name in names() {
        let (case, file) = (case(&name), dir.path().join(format!("{name}.gguf")));
        write_gguf_q8_0(&case, &file);
        let model = Model::open(&file).unwrap();
        if !model.arch().bidirectional {
            continue;
        }
        let pooling = model.pooling();
        let mut options = EngineOptions::default();
        options.threads = Some(1);
        let mut engine = Engine::new(Arc::new(model), &options).unwrap();
        let sequence = engine.start();
        engine.prefill(sequence, &case.ids).unwrap();
        let states = (0..).map_while(|i| engine.state(i)).count();
        let expected = if pooling == Pooling::Mean { case.ids.len() } else { 1 };
        assert_eq!(states, expected, "{name}, {pooling:?}");
        seen.push(pooling);
    }
    assert!(seen.contains(&Pooling::Mean) && seen.contains(&Pooling::Cls), "{seen:?}");
}
