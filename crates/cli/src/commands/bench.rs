//! `bench`: prefill and decode, medians of several measurements.

mod measure;
mod work;

use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use rushlight_engine::Engine;
use rushlight_kernels::PAGE;
use rushlight_model::Model;
use serde_json::json;

use crate::args::{Args, Bench, Load};
use crate::{load, prepare, report};
use measure::{Measured, What, measure};

/// Measures a model.
pub(crate) fn bench(args: &Args, bench: &Bench) -> anyhow::Result<ExitCode> {
    let begin = Instant::now();
    let (model, unprepared) = load::model(args, &bench.load)?;
    let ctx = bench.load.ctx.or_else(|| context(bench, &model));
    let load = Load { ctx, ..bench.load.clone() };
    let wanted = wanted(bench, &model);
    let decodes = !model.arch().bidirectional;
    let adapters = load::adapters(&model, &bench.adapters)?;
    let mut engine = load::engine(args, &load, model, adapters)?;
    let load_time = begin.elapsed();
    // The first passes map the weights and wake the threads.
    let kinds = [What::Prefill, What::Decode];
    for what in kinds.into_iter().filter(|what| decodes || *what == What::Prefill) {
        measure(&mut engine, &load, Measured { what, tokens: 16, ..Measured::default() }, 1)?;
    }
    let mut all = Vec::new();
    for one in wanted {
        all.push(measure(&mut engine, &load, one, bench.repeats)?);
    }
    let mut out = std::io::stdout().lock();
    if bench.json {
        writeln!(out, "{}", to_json(&engine, &load.model, load_time, &all))?;
    } else {
        writeln!(out, "{}", table(&engine, &load.model, load_time, &all))?;
    }
    out.flush()?;
    prepare::afterwards(unprepared, &|| false);
    Ok(ExitCode::SUCCESS)
}

/// What is to be measured: of a model that sees a whole text at once only that.
fn wanted(bench: &Bench, model: &Model) -> Vec<Measured> {
    let mut all = Vec::new();
    if model.arch().bidirectional {
        for (&sequences, &tokens) in
            bench.sequences.iter().flat_map(|n| bench.prompt.iter().map(move |t| (n, t)))
        {
            if sequences > 0 && tokens > 0 {
                all.push(Measured { tokens, sequences, ..Measured::default() });
            }
        }
        return all;
    }
    for &sequences in bench.sequences.iter().filter(|n| **n > 0) {
        for &depth in &bench.depth {
            for (what, counts) in [(What::Prefill, &bench.prompt), (What::Decode, &bench.generate)]
            {
                for &tokens in counts.iter().filter(|n| **n > 0) {
                    all.push(Measured { what, tokens, depth, sequences, ..Measured::default() });
                }
            }
        }
    }
    all
}

/// The context that all of it needs, where that is more than an engine takes by itself.
fn context(bench: &Bench, model: &Model) -> Option<usize> {
    let positions = |m: &Measured| match m.sequences {
        1 => m.depth + m.tokens,
        // Every sequence has pages of its own.
        many => many * (m.depth + m.tokens).next_multiple_of(PAGE),
    };
    let most = wanted(bench, model).iter().map(positions).max()?;
    let usual = model.dims().context.min(rushlight_engine::EngineOptions::DEFAULT_CONTEXT);
    (most > usual).then_some(most)
}

fn table(engine: &Engine, model: &str, load_time: Duration, all: &[Measured]) -> String {
    let peak = rushlight_host::peak_rss_bytes().map_or("-".to_owned(), report::size);
    let mut text = format!(
        "{model}: {} threads, {}, weights from {}, loaded in {:.0} ms, peak memory {peak}\n\n\
         | what | tokens | depth | sequences | tokens/s | least | most |\n\
         |---|---|---|---|---|---|---|",
        engine.threads(),
        engine.row().name(),
        engine.model().weights_from().name(),
        load_time.as_secs_f64() * 1e3,
    );
    for m in all {
        text += &format!(
            "\n| {} | {} | {} | {} | {:.1} | {:.1} | {:.1} |",
            m.what.name(),
            m.tokens,
            m.depth,
            m.sequences,
            m.median(),
            m.rates.first().copied().unwrap_or_default(),
            m.rates.last().copied().unwrap_or_default(),
        );
    }
    text
}

fn to_json(
    engine: &Engine,
    model: &str,
    load_time: Duration,
    all: &[Measured],
) -> serde_json::Value {
    let one = |m: &Measured| {
        json!({
            "what": m.what.name(),
            "tokens": m.tokens,
            "depth": m.depth,
            "sequences": m.sequences,
            "median_tokens_per_second": m.median(),
            "tokens_per_second": m.rates,
            "read_bytes": m.work.bytes,
            "multiply_adds": m.work.multiply_adds,
        })
    };
    json!({
        "model": model,
        "threads": engine.threads(),
        "decode_threads": engine.decode_threads(),
        "kernels": engine.row().name(),
        "weights": engine.model().weights_from().name(),
        "load_ms": load_time.as_secs_f64() * 1e3,
        "peak_memory_bytes": rushlight_host::peak_rss_bytes(),
        "measured": all.iter().map(one).collect::<Vec<_>>(),
    })
}
