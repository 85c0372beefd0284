//! The device at hand.
//!
//! Weights are loaded once for each layout; engines that differ in anything else share them. An engine
//! is started with all threads that a team on its cores can have, and works with some of them.

mod engines;

use std::time::{Duration, Instant};

use rushlight_engine::{Batch, Engine, EngineOptions, Sequence};
use rushlight_host::{Cores, PowerMeter};
use rushlight_kernels::PAGE;

use super::{Device, Point, Sample, Setting, Shelf, Space, Task};
use crate::args::Load;
use engines::{Engines, Running};

/// How many measurements a search makes at least, if its time is to suffice.
const MEASUREMENTS: f64 = 300.0;
/// How long one takes, so that it is not all noise, and no longer than tells more; in seconds.
const SECONDS: (f64, f64) = (0.03, 0.4);
/// The same where joules are measured: most sensors change some times a second.
const SECONDS_WITH_POWER: (f64, f64) = (1.0, 2.0);
/// The part of the budget that a single long measurement may take.
const LONG_SHARE: f64 = 1.0 / 40.0;

/// Sizes of measurements, by how fast the device is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sizes {
    /// Tokens of a prompt.
    pub(crate) prompt: usize,
    /// Tokens of a prompt with which sizes of chunks are compared.
    pub(crate) long: usize,
    /// Tokens of an answer.
    pub(crate) answer: usize,
    /// Positions before an answer at depth.
    pub(crate) deep: usize,
}

impl Sizes {
    /// For so many tokens per second of prompts and of answers, and a model of such a context.
    fn new(rates: (f64, f64), context: usize, budget: Duration, has_power: bool) -> Self {
        let (least, most) = if has_power { SECONDS_WITH_POWER } else { SECONDS };
        let seconds = (budget.as_secs_f64() / MEASUREMENTS).clamp(least, most);
        let long = rates.0 * budget.as_secs_f64() * LONG_SHARE;
        // What is there before an answer and its tokens must fit as well.
        let most = (context / 2).max(1);
        let tokens = |n: f64, least: usize, largest: usize| (n as usize).clamp(least, largest);
        Self {
            prompt: tokens(rates.0 * seconds, 16, 512).min(most),
            long: tokens(long, 16, 2048).min(most),
            answer: tokens(rates.1 * seconds, 2, 256).min(most),
            deep: tokens(2.0 * long, 64, 2048).min(most),
        }
    }
}

/// Measures engines.
pub(crate) struct Measuring {
    engines: Engines,
    begin: Instant,
    meter: Option<PowerMeter>,
    sizes: Sizes,
    context: usize,
}

impl Measuring {
    /// Prepares to measure the kernels and layouts of `space`, which are on the shelf, and looks how
    /// fast the usual setting is, by which the sizes of all measurements are chosen. `begin` is when
    /// the time began that `budget` limits. With a meter each sample has joules.
    pub(crate) fn new(
        load: &Load,
        shelf: Shelf,
        space: &Space,
        meter: Option<PowerMeter>,
        begin: Instant,
        budget: Duration,
    ) -> anyhow::Result<Self> {
        let most = |cores| {
            let teams = space.teams.iter().chain(&space.decode_teams);
            let on = teams.filter(|team| space.is_on(**team, cores));
            on.map(|team| team.1).max().unwrap_or(1)
        };
        let context = shelf.context();
        let (usual, has_power) = (space.usual, meter.is_some());
        let sizes = Sizes { prompt: 16.min(context / 2), long: 0, answer: 2, deep: 0 };
        let engines = Engines::new(load, shelf, Cores::EACH.map(most), usual.chunk);
        let mut measuring = Self { engines, begin, meter, sizes, context };
        let mut rates = [1.0; 2];
        // The first passes map the weights and wake the threads.
        for _ in 0..2 {
            for (rate, task) in rates.iter_mut().zip([Task::Prompt, Task::Answer]) {
                if let Some(sample) = measuring.sample(&usual.point(task))? {
                    *rate = sample.tokens_per_second;
                }
            }
        }
        // A prompt of few tokens is read far more slowly than a long one: again with more of them, of a
        // tenth of a second.
        measuring.sizes.prompt = ((rates[0] / 10.0) as usize).clamp(16, 128).min(context / 2);
        measuring.engines.clear();
        for _ in 0..2 {
            if let Some(sample) = measuring.sample(&usual.point(Task::Prompt))? {
                rates[0] = sample.tokens_per_second;
            }
        }
        measuring.sizes = Sizes::new((rates[0], rates[1]), context, budget, has_power);
        // It was made for small measurements.
        measuring.engines.clear();
        Ok(measuring)
    }

    pub(crate) fn sizes(&self) -> Sizes {
        self.sizes
    }

    /// Makes long prompts at least so long, if the model can have them.
    pub(crate) fn lengthen(&mut self, long: usize) {
        self.sizes.long = self.sizes.long.max(long.min(self.context / 2));
        self.engines.clear();
    }
}

impl Device for Measuring {
    fn sample(&mut self, point: &Point) -> anyhow::Result<Option<Sample>> {
        let sizes = self.sizes;
        let meter = self.meter.clone();
        let Some(running) = self.engines.of(point, sizes)? else { return Ok(None) };
        running.engine.limit_threads(usize::MAX);
        let time = Timed { meter, threads: point.threads };
        let sample = match point.task {
            Task::Prompt => prompt(&mut running.engine, sizes.prompt, time)?,
            Task::LongPrompt => prompt(&mut running.engine, sizes.long, time)?,
            Task::Answer => answer(running, sizes.prompt, sizes.answer, time)?,
            Task::DeepAnswer => answer(running, sizes.deep, sizes.answer, time)?,
            Task::Users(count) => users(&mut running.engine, count, sizes.answer, time)?,
        };
        Ok(sample)
    }

    fn elapsed(&self) -> Duration {
        self.begin.elapsed()
    }

    fn memory_bytes(&self, setting: &Setting) -> u64 {
        self.engines.shelf().total_bytes(setting).unwrap_or(u64::MAX)
    }
}

/// What is read while an engine works.
struct Timed {
    meter: Option<PowerMeter>,
    threads: usize,
}

impl Timed {
    /// Runs `work`, which is of so many tokens. `None` where there is a meter that does not tell.
    fn run(
        self,
        engine: &mut Engine,
        tokens: usize,
        work: impl FnOnce(&mut Engine) -> Result<(), rushlight_engine::Error>,
    ) -> anyhow::Result<Option<Sample>> {
        engine.limit_threads(self.threads);
        let power = self.meter.as_ref().map(PowerMeter::start);
        let begin = Instant::now();
        work(engine)?;
        let seconds = begin.elapsed().as_secs_f64();
        let joules = match power {
            None => None,
            Some(measurement) => match measurement.map(|m| m.energy()) {
                // Its own time has what was waited for the sensor in it.
                Some(Ok(energy)) => Some(energy.watts() * seconds),
                _ => return Ok(None),
            },
        };
        let tokens = tokens as f64;
        Ok(Some(Sample {
            tokens_per_second: tokens / seconds,
            joules_per_token: joules.map(|joules| joules / tokens),
        }))
    }
}

/// Tokens to run: which ones does not matter for the time.
fn filler(engine: &Engine, n: usize) -> Vec<u32> {
    let vocabulary = engine.model().dims().v;
    (0..n).map(|i| ((10 + (i * 7) % 200) % vocabulary) as u32).collect()
}

/// A new engine's first passes find nothing in the caches and wait for memory.
fn warm(engine: &mut Engine) -> anyhow::Result<()> {
    let sequence = engine.start();
    let tokens = filler(engine, EngineOptions::FEW_ROWS + 1);
    engine.prefill(sequence, &tokens)?;
    engine.prefill(sequence, &tokens[..1])?;
    engine.end(sequence);
    Ok(())
}

fn prompt(engine: &mut Engine, n: usize, time: Timed) -> anyhow::Result<Option<Sample>> {
    let tokens = filler(engine, n);
    let sequence = engine.start();
    let sample = time.run(engine, n, |engine| engine.prefill(sequence, &tokens));
    engine.end(sequence);
    sample
}

fn answer(
    running: &mut Running,
    depth: usize,
    n: usize,
    time: Timed,
) -> anyhow::Result<Option<Sample>> {
    if running.answer.is_none_or(|(_, before)| before != depth) {
        running.end_answer();
    }
    let Running { engine, answer, .. } = running;
    if answer.is_none() {
        let sequence = engine.start();
        engine.prefill(sequence, &filler(engine, depth))?;
        *answer = Some((sequence, depth));
    }
    let Some((sequence, _)) = *answer else { return Ok(None) };
    let tokens = filler(engine, n);
    let sample = time.run(engine, n, |engine| {
        tokens.chunks(1).try_for_each(|token| engine.prefill(sequence, token))
    });
    engine.truncate(sequence, depth);
    sample
}

fn users(
    engine: &mut Engine,
    count: usize,
    n: usize,
    time: Timed,
) -> anyhow::Result<Option<Sample>> {
    let sequences: Vec<Sequence> = (0..count).map(|_| engine.start()).collect();
    // A page of each.
    let n = (n / count).clamp(2, PAGE);
    let tokens = filler(engine, n);
    let sample = time.run(engine, n * count, |engine| {
        tokens.chunks(1).try_for_each(|token| {
            let mut batch = Batch::new();
            sequences.iter().for_each(|sequence| batch.extend(*sequence, token, true));
            engine.forward(&batch)
        })
    });
    sequences.into_iter().for_each(|sequence| engine.end(sequence));
    sample
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_follow_the_speed_and_the_time() {
        let minute = Duration::from_secs(60);
        let fast = Sizes::new((1000.0, 100.0), 8192, minute, false);
        assert_eq!(fast, Sizes { prompt: 200, long: 1500, answer: 20, deep: 2048 });
        let slow = Sizes::new((10.0, 2.0), 8192, minute, false);
        assert_eq!(slow, Sizes { prompt: 16, long: 16, answer: 2, deep: 64 });
        let short = Sizes::new((1e5, 1e4), 64, minute, false);
        assert_eq!(short, Sizes { prompt: 32, long: 32, answer: 32, deep: 32 });
        let power = Sizes::new((100.0, 10.0), 8192, minute, true);
        assert_eq!((power.prompt, power.answer), (100, 10));
    }
}
