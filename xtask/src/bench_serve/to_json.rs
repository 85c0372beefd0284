//! Everything, for another program.

use super::Run;
use super::figure::Figure;
use crate::bench::figure::Spread;
use serde_json::{Map, Value, json};

pub(super) fn write(run: &Run) -> Value {
    let machine = &run.machine;
    let servers = run.engines.iter().map(
        |engine| json!({ "name": engine.name, "version": engine.version, "flags": engine.flags }),
    );
    json!({
        "date": machine.date,
        "commit": machine.commit,
        "processor": machine.processor,
        "system": machine.system,
        "load_average": machine.load,
        "file": run.model,
        "threads": run.threads,
        "rounds": run.rounds,
        "servers": servers.collect::<Vec<_>>(),
        "figures": run.figures.iter().map(|f| figure(run, f)).collect::<Vec<_>>(),
    })
}

fn figure(run: &Run, figure: &Figure) -> Value {
    let servers = run.engines.iter().enumerate().map(|(index, engine)| {
        let samples = figure.samples.get(index).map(|samples| samples.all());
        let value = json!({ "spread": figure.of(index).map(spread), "samples": samples });
        (engine.name.clone(), value)
    });
    let peers = run.engines.iter().enumerate().skip(1);
    let ratios =
        peers.map(|(index, peer)| (peer.name.clone(), json!(figure.ratio(index).map(spread))));
    json!({
        "what": figure.scene.to_string(),
        "prompt_tokens": figure.prompt,
        "metric": figure.metric.to_string(),
        "servers": servers.collect::<Map<_, _>>(),
        "ratios": ratios.collect::<Map<_, _>>(),
    })
}

fn spread(spread: Spread) -> Value {
    json!({ "median": spread.median, "least": spread.low, "most": spread.high })
}
