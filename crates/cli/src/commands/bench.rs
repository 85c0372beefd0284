//! `bench`: prefill and decode, medians of several measurements.

use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use rushlight_engine::{Batch, Engine, Sequence};
use serde_json::json;

use crate::args::{Args, Bench};
use crate::{load, report};

/// One measured quantity.
struct Measured {
    what: &'static str,
    tokens: usize,
    depth: usize,
    /// Tokens per second, ascending.
    rates: Vec<f64>,
}

impl Measured {
    fn median(&self) -> f64 {
        let n = self.rates.len();
        let middle = |i: usize| self.rates.get(i).copied().unwrap_or_default();
        if n % 2 == 1 {
            middle(n / 2)
        } else {
            (middle(n / 2) + middle((n / 2).saturating_sub(1))) / 2.0
        }
    }
}

/// Measures a model.
pub(crate) fn bench(args: &Args, bench: &Bench) -> anyhow::Result<ExitCode> {
    let begin = Instant::now();
    let model = load::model(args, &bench.load)?;
    let mut engine = load::engine(&bench.load, model)?;
    let load_time = begin.elapsed();
    // The first pass maps the weights and wakes the threads.
    measure(&mut engine, 0, &[1; 16], 1)?;
    let mut all = Vec::new();
    for &depth in &bench.depth {
        for &tokens in bench.prompt.iter().filter(|n| **n > 0) {
            all.push(series("prefill", tokens, depth, bench.repeats, || {
                Ok(measure(&mut engine, depth, &filler(tokens), 0)?.0)
            })?);
        }
        for &tokens in bench.generate.iter().filter(|n| **n > 0) {
            all.push(series("decode", tokens, depth, bench.repeats, || {
                Ok(measure(&mut engine, depth, &[], tokens)?.1)
            })?);
        }
    }
    let mut out = std::io::stdout().lock();
    if bench.json {
        writeln!(out, "{}", to_json(&engine, &bench.load.model, load_time, &all))?;
    } else {
        writeln!(out, "{}", table(&engine, &bench.load.model, load_time, &all))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn series(
    what: &'static str,
    tokens: usize,
    depth: usize,
    repeats: usize,
    mut one: impl FnMut() -> anyhow::Result<Duration>,
) -> anyhow::Result<Measured> {
    let mut rates = Vec::new();
    for _ in 0..repeats.max(1) {
        rates.push(tokens as f64 / one()?.as_secs_f64());
    }
    rates.sort_by(f64::total_cmp);
    Ok(Measured { what, tokens, depth, rates })
}

/// The time of a prompt and of `generate` tokens after it, `depth` positions in.
fn measure(
    engine: &mut Engine,
    depth: usize,
    prompt: &[u32],
    generate: usize,
) -> anyhow::Result<(Duration, Duration)> {
    let sequence = engine.start();
    let result = timed(engine, sequence, depth, prompt, generate);
    engine.end(sequence);
    result
}

fn timed(
    engine: &mut Engine,
    sequence: Sequence,
    depth: usize,
    prompt: &[u32],
    generate: usize,
) -> anyhow::Result<(Duration, Duration)> {
    engine.prefill(sequence, &filler(depth))?;
    let begin = Instant::now();
    engine.prefill(sequence, prompt)?;
    let prefilled = begin.elapsed();
    for i in 0..generate {
        let mut batch = Batch::new();
        batch.extend(sequence, &filler(i + 2)[i + 1..], true);
        engine.forward(&batch)?;
    }
    Ok((prefilled, begin.elapsed() - prefilled))
}

/// Tokens to run: which ones does not matter for the time.
fn filler(n: usize) -> Vec<u32> {
    (0..n).map(|i| 10 + (i as u32 * 7) % 200).collect()
}

fn table(engine: &Engine, model: &str, load_time: Duration, all: &[Measured]) -> String {
    let peak = rushlight_host::peak_rss_bytes().map_or("-".to_owned(), report::size);
    let mut text = format!(
        "{model}: {} threads, {}, loaded in {:.0} ms, peak memory {peak}\n\n\
         | what | tokens | depth | tokens/s | least | most |\n|---|---|---|---|---|---|",
        engine.threads(),
        engine.row().name(),
        load_time.as_secs_f64() * 1e3,
    );
    for m in all {
        text += &format!(
            "\n| {} | {} | {} | {:.1} | {:.1} | {:.1} |",
            m.what,
            m.tokens,
            m.depth,
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
            "what": m.what,
            "tokens": m.tokens,
            "depth": m.depth,
            "median_tokens_per_second": m.median(),
            "tokens_per_second": m.rates,
        })
    };
    json!({
        "model": model,
        "threads": engine.threads(),
        "kernels": engine.row().name(),
        "load_ms": load_time.as_secs_f64() * 1e3,
        "peak_memory_bytes": rushlight_host::peak_rss_bytes(),
        "measured": all.iter().map(one).collect::<Vec<_>>(),
    })
}
