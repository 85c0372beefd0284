//! `tune`: the settings that this device runs a model best with, measured and kept.

mod choices;
mod print;

use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{anyhow, bail};
use rushlight_host::PowerMeter;
use rushlight_host::probe::Tree;

use crate::args::{Args, KvType, Tune};
use crate::profile::{self, Figures, Profile, Settings};
use crate::tune::{Goal, Measuring, Table, Task, exhaustive, search};
use crate::{load, report};
use choices::Choices;
use print::Report;

/// Tokens of the prompts by which every combination is compared, at least.
const EXHAUSTIVE_PROMPT: usize = 512;

/// Measures a model in many settings.
pub(crate) fn tune(args: &Args, tune: &Tune) -> anyhow::Result<ExitCode> {
    let (begin, budget) = (Instant::now(), Duration::from_secs(tune.budget));
    let goal =
        Goal { objective: tune.objective, most_watts: tune.watts, memory_bytes: tune.load.memory };
    let meter = meter(tune, &goal)?;
    let source = meter.as_ref().and_then(|meter| Some(meter.source().ok()?.name.clone()));
    let Choices { key, shelf, mut space } = choices::choices(args, tune)?;
    eprintln!("measuring for {} s at most …", tune.budget);
    let mut device = Measuring::new(&tune.load, shelf, &space, meter, begin, budget)?;
    let mut untried = choices::chunks(&mut space, &tune.load, device.sizes());
    let mut table = Table::default();
    let found = search(&mut device, &mut table, &space, &goal, budget)?;
    let took = begin.elapsed();
    untried.extend(print::untried(&found));
    let mut whole = None;
    if tune.exhaustive {
        eprintln!("measuring every combination …");
        device.lengthen(EXHAUSTIVE_PROMPT);
        if tune.load.chunk.is_none() {
            choices::chunks(&mut space, &tune.load, device.sizes());
        }
        whole = Some(exhaustive(&mut device, &space, &goal)?);
    }
    let mut settings = Settings::of(&found.setting, found.parallel);
    if found.kv_for_memory {
        // It would change what is written where there is memory.
        settings.kv = KvType::F16.name().to_owned();
    }
    let mut profile = Profile::new(key, goal.objective.name(), settings);
    let figures = |task| table.rates(&found.setting.point(task)).as_ref().map(Figures::of);
    (profile.prompt, profile.answer) = (figures(Task::Prompt), figures(Task::Answer));
    let mut kept = None;
    if !tune.no_save {
        // What was found is worth printing even if it cannot be kept.
        match load::store(args).and_then(|store| profile::write(store.dir(), &profile)) {
            Ok(path) => kept = Some(path),
            Err(error) => report::note("nothing is kept", &error),
        }
    }
    let report = Report {
        model: &tune.load.model,
        budget,
        took,
        goal: &goal,
        source,
        found: &found,
        table: &table,
        profile: &profile,
        kept,
        untried,
        whole: whole.as_ref(),
    };
    let mut out = std::io::stdout().lock();
    match tune.json {
        true => writeln!(out, "{}", report.to_json())?,
        false => write!(out, "{}", report.text())?,
    }
    Ok(ExitCode::SUCCESS)
}

/// What measures joules, where they are needed.
fn meter(tune: &Tune, goal: &Goal) -> anyhow::Result<Option<PowerMeter>> {
    if !goal.needs_power() {
        return Ok(None);
    }
    let meter = PowerMeter::open(&Tree::this_machine());
    let Err(why) = meter.source() else { return Ok(Some(meter)) };
    let flag = match tune.watts {
        Some(_) => "--watts".to_owned(),
        None => format!("--objective {}", goal.objective.name()),
    };
    let looked = meter.candidates().iter().map(|candidate| {
        let why = candidate.absent.as_ref().map_or("", |absent| &absent.detail);
        format!("{}: {why}", candidate.source.name)
    });
    let looked: Vec<String> = looked.collect();
    let mut error = anyhow!("{}", why.detail);
    if !looked.is_empty() {
        error = error.context(format!("looked for {}", looked.join("; ")));
    }
    if let Some(hint) = meter.hint() {
        error = error.context(hint);
    }
    bail!(
        error.context(format!("`{flag}` needs a power sensor, and there is none that can be read"))
    )
}
