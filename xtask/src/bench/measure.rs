//! Rounds of turns.

use super::engine::{self, Engine, Found, Work};
use super::figure::{Figure, Kind, Samples};
use super::machine::Machine;
use super::options::Options;
use super::peak::{self, Peaks};
use super::{OURS, Run, count};
use crate::setup;
use anyhow::Result;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Measures everything.
pub(super) fn measure(options: &Options) -> Result<Run> {
    let machine = Machine::read()?;
    let models = match options.model.is_empty() {
        true => vec![setup::model::model()?],
        false => options.model.clone(),
    };
    let engines = engine::all(options)?;
    let mut turns = Turns {
        machine: &machine,
        peak: peak::build()?,
        options,
        engines,
        peaks: BTreeMap::new(),
        collected: Vec::new(),
        missing: Vec::new(),
    };
    let rounds = options.rounds.max(1);
    for round in 0..rounds {
        turns.measure_peaks()?;
        for model in &models {
            for &threads in &options.threads {
                for group in options.groups() {
                    turns.each_engine(round, model, threads, &group)?;
                }
            }
        }
    }
    turns.measure_peaks()?;
    let row = turns.row();
    let figures = turns.figures(&row);
    let Turns { engines, peaks, missing, .. } = turns;
    let engines = engines.iter().map(Engine::about).collect();
    Ok(Run { machine, rounds, row, engines, peaks, figures, missing })
}

/// A run while it goes on.
struct Turns<'a> {
    machine: &'a Machine,
    /// The program that measures the machine.
    peak: PathBuf,
    options: &'a Options,
    engines: Vec<Engine>,
    peaks: BTreeMap<usize, Peaks>,
    /// Samples of every engine, in the order of measuring.
    collected: Vec<(Key, Option<Work>, Vec<Samples>)>,
    missing: Vec<String>,
}

/// What a figure is about.
#[derive(PartialEq)]
struct Key {
    model: String,
    threads: usize,
    kind: Kind,
}

impl Turns<'_> {
    fn measure_peaks(&mut self) -> Result<()> {
        for &threads in &self.options.threads {
            eprintln!("  the machine, {}", count(threads));
            self.machine.pin(threads)?;
            let found = peak::measure(&self.peak, threads)?;
            self.peaks.entry(threads).or_default().add(&found);
        }
        Ok(())
    }

    /// Every engine measures the things of one group, which each does in one call.
    fn each_engine(
        &mut self,
        round: usize,
        model: &Path,
        threads: usize,
        group: &[Kind],
    ) -> Result<()> {
        let name = model.file_name().unwrap_or(model.as_os_str()).to_string_lossy().into_owned();
        self.machine.pin(threads)?;
        for turn in 0..self.engines.len() {
            let index = (turn + round) % self.engines.len();
            let engine = &mut self.engines[index];
            eprintln!("  round {}, {name}, {}, {}", round + 1, count(threads), engine.name());
            match engine.measure(self.options, model, threads, group) {
                Ok(found) => self.collect(index, &name, threads, found),
                Err(error) if index == OURS => return Err(error),
                Err(error) => {
                    let kinds: Vec<_> = group.iter().map(ToString::to_string).collect();
                    let what = kinds.join(" and ");
                    let (engine, threads) = (engine.name(), count(threads));
                    let line = format!("{engine}, {name}, {threads}, {what}: {error:#}");
                    eprintln!("  not measured: {line}");
                    if !self.missing.contains(&line) {
                        self.missing.push(line);
                    }
                }
            }
        }
        Ok(())
    }

    fn collect(&mut self, index: usize, model: &str, threads: usize, found: Vec<Found>) {
        for Found { kind, rates, work } in found {
            let key = Key { model: model.to_owned(), threads, kind };
            let at = self.collected.iter().position(|(other, ..)| *other == key);
            let at = at.unwrap_or_else(|| {
                self.collected.push((key, None, vec![Samples::default(); self.engines.len()]));
                self.collected.len() - 1
            });
            let (_, its_work, samples) = &mut self.collected[at];
            *its_work = its_work.take().or(work);
            samples[index].add(&rates);
        }
    }

    /// The kernels that ours ran.
    fn row(&self) -> String {
        match self.engines.first() {
            Some(Engine::Ours(ours)) => ours.row.clone().unwrap_or_default(),
            _ => String::new(),
        }
    }

    /// What is alike stands together; otherwise the order is that of the command line.
    fn figures(&mut self, row: &str) -> Vec<Figure> {
        let collected = std::mem::take(&mut self.collected).into_iter();
        let figure = |(Key { model, threads, kind }, work, samples): (Key, Option<Work>, _)| {
            let ceiling = work.as_ref().zip(self.peaks.get(&threads));
            let ceiling = ceiling.and_then(|(work, peaks)| peaks.ceiling(work, row));
            Figure { model, threads, kind, samples, work, ceiling }
        };
        let mut figures: Vec<_> = collected.map(figure).collect();
        figures.sort_by_key(|figure| figure.kind);
        figures
    }
}
