//! `bench`: prefill and decode, medians of several measurements.

mod measure;
mod work;

use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use rushlight_engine::Engine;
use rushlight_host::PowerMeter;
use rushlight_kernels::PAGE;
use rushlight_model::Model;
use serde_json::json;

use crate::args::{Args, Bench, Load};
use crate::{energy, load, prepare, report};
use measure::{Measured, What, measure};

/// How long the machine rests before and while it is measured what it takes then.
const SETTLE: Duration = Duration::from_millis(500);
const REST: Duration = Duration::from_secs(2);

/// What measures energy, and what the machine takes at rest, in watts.
struct Power {
    meter: PowerMeter,
    idle_watts: Option<f64>,
}

/// Measures a model.
pub(crate) fn bench(args: &Args, bench: &Bench) -> anyhow::Result<ExitCode> {
    let meter = energy::meter(bench.estimate)?;
    let begin = Instant::now();
    let opened = load::tuned(args, &bench.load, bench.profile)?;
    let load::Opened { model, unprepared, load, profile } = opened;
    profile.say(None);
    let ctx = load.ctx.or_else(|| context(bench, &model));
    let load = Load { ctx, ..load };
    let wanted = wanted(bench, &model);
    let decodes = !model.arch().bidirectional;
    let adapters = load::adapters(&model, &bench.adapters)?;
    let mut engine = load::engine(args, &load, model, adapters, load::ToCome::default())?;
    let load_time = begin.elapsed();
    let idle_watts = energy::idle_watts(&meter, SETTLE, REST);
    let power = Power { meter, idle_watts };
    // The first passes map the weights and wake the threads.
    let kinds = [What::Prefill, What::Decode];
    for what in kinds.into_iter().filter(|what| decodes || *what == What::Prefill) {
        let few = Measured { what, tokens: 16, ..Measured::default() };
        measure(&mut engine, &load, &power.meter, few, 1)?;
    }
    let mut all = Vec::new();
    for one in wanted {
        all.push(measure(&mut engine, &load, &power.meter, one, bench.repeats)?);
    }
    let mut out = std::io::stdout().lock();
    if bench.json {
        writeln!(out, "{}", to_json(&engine, &load.model, load_time, &power, &all))?;
    } else {
        writeln!(out, "{}", table(&engine, &load.model, load_time, &power, &all))?;
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

fn table(
    engine: &Engine,
    model: &str,
    load_time: Duration,
    power: &Power,
    all: &[Measured],
) -> String {
    let peak = rushlight_host::peak_rss_bytes().map_or("-".to_owned(), report::size);
    let measures = power.meter.source().is_ok();
    let mut text = format!(
        "{model}: {} threads, {}, weights from {}, loaded in {:.0} ms, peak memory {peak}\n\
         energy: {}{}\n\n\
         | what | tokens | depth | sequences | tokens/s | least | most |{}\n\
         |---|---|---|---|---|---|---|{}",
        engine.threads(),
        engine.row().name(),
        engine.model().weights_from().name(),
        load_time.as_secs_f64() * 1e3,
        energy::source(&power.meter),
        power.idle_text(),
        if measures { " J/token | above idle | W |" } else { "" },
        if measures { "---|---|---|" } else { "" },
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
        if measures {
            text += &energy_cells(m, power);
        }
    }
    if let Some(why) = all.iter().find_map(Measured::caveat) {
        text += &format!("\n\nnote: energy: {why}");
    }
    text
}

impl Power {
    fn idle_text(&self) -> String {
        match self.idle_watts {
            Some(watts) if self.meter.source().is_ok_and(|source| !source.estimated) => {
                format!(", {} W at rest", energy::short(watts))
            }
            _ => String::new(),
        }
    }
}

/// Joules for each token, those above what the machine takes at rest, and watts.
fn energy_cells(m: &Measured, power: &Power) -> String {
    let Some(Ok(energy)) = &m.energy else { return " - | - | - |".to_owned() };
    let tokens = m.counted() as f64;
    let above = power.idle_watts.map(|idle| energy::short(energy.above(idle) / tokens));
    format!(
        " {} | {} | {} |",
        energy::short(energy.joules / tokens),
        above.as_deref().unwrap_or("-"),
        energy::short(energy.watts()),
    )
}

fn to_json(
    engine: &Engine,
    model: &str,
    load_time: Duration,
    power: &Power,
    all: &[Measured],
) -> serde_json::Value {
    let one = |m: &Measured| {
        let tokens = m.counted() as f64;
        let energy = m.energy.as_ref().and_then(|energy| energy.as_ref().ok());
        let above = energy.zip(power.idle_watts).map(|(energy, idle)| energy.above(idle) / tokens);
        json!({
            "what": m.what.name(),
            "tokens": m.tokens,
            "depth": m.depth,
            "sequences": m.sequences,
            "median_tokens_per_second": m.median(),
            "tokens_per_second": m.rates,
            "read_bytes": m.work.bytes,
            "multiply_adds": m.work.multiply_adds,
            "joules_per_token": energy.map(|energy| energy.joules / tokens),
            "above_idle_joules_per_token": above,
            "watts": energy.map(rushlight_host::Energy::watts),
            "energy_caveat": m.caveat(),
        })
    };
    let mut source = energy::source_json(&power.meter);
    source["idle_watts"] = json!(power.idle_watts);
    json!({
        "model": model,
        "threads": engine.threads(),
        "decode_threads": engine.decode_threads(),
        "kernels": engine.row().name(),
        "weights": engine.model().weights_from().name(),
        "load_ms": load_time.as_secs_f64() * 1e3,
        "peak_memory_bytes": rushlight_host::peak_rss_bytes(),
        "energy": source,
        "measured": all.iter().map(one).collect::<Vec<_>>(),
    })
}
