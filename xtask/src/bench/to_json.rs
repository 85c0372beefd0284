//! Everything, for another program.

use super::Run;
use super::engine::About;
use super::figure::{Figure, Kind, Spread};
use serde_json::{Map, Value, json};

pub(super) fn write(run: &Run) -> Value {
    let machine = &run.machine;
    let peaks = run.peaks.iter().map(|(threads, peaks)| {
        let all: Map<_, _> = peaks.all().map(|(key, s)| (key.to_owned(), spread(s))).collect();
        (threads.to_string(), Value::Object(all))
    });
    json!({
        "date": machine.date,
        "commit": machine.commit,
        "processor": machine.processor,
        "system": machine.system,
        "compiler": machine.compiler,
        "load_average": machine.load,
        "rounds": run.rounds,
        "kernels": run.row,
        "engines": run.engines.iter().map(about).collect::<Vec<_>>(),
        "machine_by_threads": peaks.collect::<Map<_, _>>(),
        "figures": run.figures.iter().map(|f| figure(run, f)).collect::<Vec<_>>(),
        "not_measured": run.missing,
    })
}

fn about(about: &About) -> Value {
    json!({
        "name": about.name,
        "commit": about.commit,
        "compiler": about.compiler,
        "flags": about.flags,
        "batched_flags": about.batched_flags,
    })
}

fn figure(run: &Run, figure: &Figure) -> Value {
    let (what, tokens, depth, sequences) = match figure.kind {
        Kind::Prefill { tokens } => ("prefill", tokens, 0, 1),
        Kind::Decode { tokens, depth } => ("decode", tokens, depth, 1),
        Kind::Sequences { count, prompt, tokens } => ("sequences", tokens, prompt, count),
    };
    let engines = run.engines.iter().enumerate().map(|(index, about)| {
        let value = json!({
            "tokens_per_second": figure.of(index).map(spread),
            "samples": figure.samples.get(index).map(|samples| samples.all()),
            "of_ceiling": figure.fraction(index).map(spread),
            "kept_of_no_depth": figure.kept(&run.figures, index).map(spread),
        });
        (about.name.clone(), value)
    });
    let best = figure.best_peer().and_then(|(index, _)| run.engines.get(index));
    json!({
        "file": figure.model,
        "threads": figure.threads,
        "what": what,
        "tokens": tokens,
        "depth": depth,
        "sequences": sequences,
        "bytes_per_token": figure.work.map(|work| work.bytes),
        "multiply_adds_per_token": figure.work.map(|work| work.multiply_adds),
        "ceiling_tokens_per_second": figure.ceiling.map(spread),
        "best_peer": best.map(|about| &about.name),
        "ratio_to_best_peer": figure.ratio().map(spread),
        "engines": engines.collect::<Map<_, _>>(),
    })
}

fn spread(spread: Spread) -> Value {
    json!({ "median": spread.median, "least": spread.low, "most": spread.high })
}

#[cfg(test)]
mod tests {
    use super::super::OURS;
    use super::super::tests::run;
    use super::write;

    #[test]
    fn figures_are_whole() {
        let found = write(&run());
        let [prefill, _, deep, many] = found["figures"].as_array().unwrap().as_slice() else {
            panic!("four figures: {found}");
        };
        assert_eq!(found["engines"][OURS]["name"], "rushlight");
        assert_eq!(prefill["best_peer"], "a-peer");
        assert_eq!(prefill["ratio_to_best_peer"]["median"], 2.4);
        assert_eq!(prefill["engines"]["a-peer"]["samples"][1], 450.0);
        assert_eq!(deep["engines"]["rushlight"]["kept_of_no_depth"]["median"], 0.5);
        assert_eq!((&many["sequences"], &many["depth"]), (&4.into(), &128.into()));
        assert!(many["best_peer"].is_null() && many["ratio_to_best_peer"].is_null());
    }
}
