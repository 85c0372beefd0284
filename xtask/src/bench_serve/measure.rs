//! Rounds of turns.

use super::Run;
use super::engine::{self, Engine, Places};
use super::figure::{Figure, Metric, Scene, quantile};
use super::load::{Prompts, asked, at_once, disturbed};
use super::options::Options;
use crate::bench::figure::Samples;
use crate::bench::machine::Machine;
use crate::serving::Served;
use crate::serving::stream::{Streamed, milliseconds};
use crate::setup;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

/// Users who are answered when a long prompt comes, and the tokens of their answers.
const WRITING: (usize, usize) = (4, 256);
/// Tokens of the answer to a long prompt: some tokens have no text.
const AFTER_LONG: usize = 16;
/// Questions after one long beginning, the first of which finds nothing read.
const QUESTIONS: usize = 3;

/// Measures everything.
pub(super) fn measure(options: &Options) -> Result<Run> {
    let machine = Machine::read()?;
    let model = match &options.model {
        Some(path) => path.clone(),
        None => setup::model::model()?,
    };
    let engines = engine::all(options)?;
    let folder = PathBuf::from("target/bench-serve");
    std::fs::create_dir_all(&folder).with_context(|| format!("`{}`", folder.display()))?;
    let mut turns = Turns { options, engines, figures: Vec::new() };
    let users = options.users.iter().copied().max().unwrap_or(0);
    let each = options.chats.iter().map(|(words, tokens)| 64 + words + words / 2 + tokens).max();
    if let (1.., Some(each)) = (users, each) {
        let servers = turns.start(&model, Places { count: users, each }, &folder)?;
        turns.rounds(&servers, Turns::users)?;
    }
    if options.long > 0 {
        let each = 64 + options.long + options.long / 2 + WRITING.1;
        let places = Places { count: 2 * WRITING.0, each };
        let servers = turns.start(&model, places, &folder)?;
        turns.rounds(&servers, Turns::long)?;
    }
    let Turns { engines, figures, .. } = turns;
    let name = model.file_name().unwrap_or(model.as_os_str()).to_string_lossy().into_owned();
    let (threads, rounds) = (options.threads, options.rounds.max(1));
    Ok(Run { machine, model: name, threads, rounds, engines, figures })
}

/// A run while it goes on.
struct Turns<'a> {
    options: &'a Options,
    engines: Vec<Engine>,
    figures: Vec<Figure>,
}

impl Turns<'_> {
    /// All servers; those whose turn it is not do nothing.
    fn start(&self, model: &Path, places: Places, folder: &Path) -> Result<Vec<Served>> {
        let start = |engine: &Engine| {
            eprintln!("  starts {} for {} of {} tokens", engine.name, places.count, places.each);
            let served = engine.start(model, self.options.threads, places, folder)?;
            // What is made at the first request is made now.
            at_once(&served.address, &[asked(&Prompts::new(0).words(40), 16)], 16)?;
            Ok(served)
        };
        self.engines.iter().map(start).collect()
    }

    /// `turn` with each server in each round; the server that begins changes.
    fn rounds(
        &mut self,
        servers: &[Served],
        turn: fn(&mut Self, usize, &str, &mut Prompts) -> Result<()>,
    ) -> Result<()> {
        for round in 0..self.options.rounds.max(1) {
            for place in 0..servers.len() {
                let index = (round + place) % servers.len();
                eprintln!("  round {}, {}", round + 1, self.engines[index].name);
                // All are asked the same.
                let mut prompts = Prompts::new(round as u64 + 1);
                turn(self, index, &servers[index].address, &mut prompts)
                    .with_context(|| format!("the server `{}`", self.engines[index].name))?;
            }
        }
        Ok(())
    }

    fn users(&mut self, engine: usize, address: &str, prompts: &mut Prompts) -> Result<()> {
        for &(words, tokens) in &self.options.chats {
            for &count in &self.options.users {
                let bodies: Vec<_> =
                    (0..count).map(|_| asked(&prompts.words(words), tokens)).collect();
                let answers = at_once(address, &bodies, tokens)?;
                let prompt = mean(answers.iter().map(|answer| answer.prompt_tokens));
                let begin = answers.iter().map(|a| a.sent).min().context("nobody asked")?;
                let end = answers.iter().map(|a| a.ended).max().context("nobody asked")?;
                let rate = (count * tokens) as f64 / milliseconds(begin, end) * 1e3;
                let mut first: Vec<_> = answers.iter().filter_map(Streamed::first_ms).collect();
                let mut gaps: Vec<_> = answers.iter().flat_map(Streamed::gaps_ms).collect();
                let scene = Scene::Users { count, tokens };
                let mut add = |metric, value| self.add(engine, scene, prompt, metric, value);
                add(Metric::Rate, Some(rate));
                for q in [0.5, 0.99] {
                    add(Metric::First(q), quantile(&mut first, q));
                }
                for q in [0.5, 0.99] {
                    add(Metric::Gap(q), quantile(&mut gaps, q));
                }
                rest();
            }
        }
        Ok(())
    }

    fn long(&mut self, engine: usize, address: &str, prompts: &mut Prompts) -> Result<()> {
        let (count, tokens) = WRITING;
        let bodies: Vec<_> = (0..count).map(|_| asked(&prompts.words(6), tokens)).collect();
        let late = asked(&prompts.words(self.options.long), AFTER_LONG);
        let found = disturbed(address, &bodies, tokens, &late)?;
        let scene = Scene::Disturbed { count };
        let prompt = found.late.prompt_tokens;
        self.add(engine, scene, prompt, Metric::First(1.0), found.late.first_ms());
        let gap = found.longest_gap_ms();
        self.add(engine, scene, prompt, Metric::Gap(1.0), gap);
        rest();
        let beginning = prompts.words(self.options.long);
        for question in 0..QUESTIONS {
            let body = asked(&format!("{beginning}\n{}", prompts.words(6)), AFTER_LONG);
            let answers = at_once(address, &[body], AFTER_LONG)?;
            let scene = if question == 0 { Scene::Cold } else { Scene::Warm };
            for answer in &answers {
                let (prompt, first) = (answer.prompt_tokens, answer.first_ms());
                self.add(engine, scene, prompt, Metric::First(1.0), first);
            }
            rest();
        }
        Ok(())
    }

    fn add(
        &mut self,
        engine: usize,
        scene: Scene,
        prompt: usize,
        metric: Metric,
        value: Option<f64>,
    ) {
        let at = self.figures.iter().position(|f| (f.scene, f.metric) == (scene, metric));
        let at = at.unwrap_or_else(|| {
            let samples = vec![Samples::default(); self.engines.len()];
            self.figures.push(Figure { scene, prompt, metric, samples });
            self.figures.len() - 1
        });
        if engine == 0 {
            self.figures[at].prompt = prompt;
        }
        self.figures[at].samples[engine].add(value.as_slice());
    }
}

/// What a server does after an answer is done before the next.
fn rest() {
    thread::sleep(Duration::from_millis(500));
}

fn mean(counts: impl ExactSizeIterator<Item = usize>) -> usize {
    let number = counts.len().max(1);
    counts.sum::<usize>() / number
}
