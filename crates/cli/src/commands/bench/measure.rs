//! One measurement of an engine.

use std::time::Instant;

use rushlight_engine::{Batch, Engine, Sequence};
use rushlight_host::PowerMeter;

use super::work::{Total, total};
use crate::args::Load;
use crate::energy::{self, Spent};
use crate::load;

/// What is timed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum What {
    /// Tokens of prompts, as many at once as a chunk has.
    #[default]
    Prefill,
    /// Tokens of answers, one of each sequence at once.
    Decode,
}

impl What {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Prefill => "prefill",
            Self::Decode => "decode",
        }
    }
}

/// One measured quantity.
#[derive(Debug)]
pub(super) struct Measured {
    pub(super) what: What,
    /// Of each sequence.
    pub(super) tokens: usize,
    /// Positions that each sequence has before.
    pub(super) depth: usize,
    pub(super) sequences: usize,
    /// Tokens per second of all sequences, ascending.
    pub(super) rates: Vec<f64>,
    /// What each repetition asks of the machine.
    pub(super) work: Total,
    /// The energy of all repetitions together, where there is a sensor.
    pub(super) energy: Spent,
}

impl Default for Measured {
    fn default() -> Self {
        let (what, work) = (What::default(), Total::default());
        let (rates, energy) = (Vec::new(), None);
        Self { what, tokens: 1, depth: 0, sequences: 1, rates, work, energy }
    }
}

impl Measured {
    /// The tokens of all repetitions.
    pub(super) fn counted(&self) -> usize {
        self.tokens * self.sequences * self.rates.len()
    }

    /// Why the energy is not known or may be wrong.
    pub(super) fn caveat(&self) -> Option<&str> {
        match self.energy.as_ref()? {
            Ok(energy) => energy.caveat.as_deref(),
            Err(absent) => Some(&absent.detail),
        }
    }

    pub(super) fn median(&self) -> f64 {
        let n = self.rates.len();
        let middle = |i: usize| self.rates.get(i).copied().unwrap_or_default();
        if n % 2 == 1 {
            middle(n / 2)
        } else {
            (middle(n / 2) + middle((n / 2).saturating_sub(1))) / 2.0
        }
    }
}

/// Fills in the rates and the work of `what`.
pub(super) fn measure(
    engine: &mut Engine,
    load: &Load,
    meter: &PowerMeter,
    mut what: Measured,
    repeats: usize,
) -> anyhow::Result<Measured> {
    let adapter = load::asked(engine);
    let start = |_| engine.start_with(adapter.clone());
    let sequences: Vec<Sequence> = (0..what.sequences).map(start).collect::<Result<_, _>>()?;
    let measured = rates(engine, &sequences, meter, &what, repeats.max(1));
    sequences.into_iter().for_each(|sequence| engine.end(sequence));
    (what.rates, what.energy) = measured?;
    what.rates.sort_by(f64::total_cmp);
    what.work = total(engine, load, &what);
    Ok(what)
}

fn rates(
    engine: &mut Engine,
    sequences: &[Sequence],
    meter: &PowerMeter,
    what: &Measured,
    repeats: usize,
) -> anyhow::Result<(Vec<f64>, Spent)> {
    let tokens = filler(what.depth.max(what.tokens), engine.model().dims().v);
    let (before, tokens) = (&tokens[..what.depth], &tokens[..what.tokens]);
    for &sequence in sequences {
        engine.prefill(sequence, before)?;
    }
    let mut rates = Vec::with_capacity(repeats);
    let mut energy = None;
    for _ in 0..repeats {
        let measurement = meter.start();
        let begin = Instant::now();
        match what.what {
            What::Prefill => {
                for &sequence in sequences {
                    engine.prefill(sequence, tokens)?;
                }
            }
            What::Decode => {
                for token in tokens.chunks(1) {
                    let mut batch = Batch::new();
                    sequences.iter().for_each(|sequence| batch.extend(*sequence, token, true));
                    engine.forward(&batch)?;
                }
            }
        }
        let seconds = begin.elapsed().as_secs_f64();
        energy = sum(energy, energy::end(measurement));
        rates.push((sequences.len() * tokens.len()) as f64 / seconds);
        sequences.iter().for_each(|sequence| engine.truncate(*sequence, what.depth));
    }
    Ok((rates, energy))
}

/// The energy of both together.
fn sum(all: Spent, one: Spent) -> Spent {
    match (all, one) {
        (Some(Ok(mut all)), Some(Ok(one))) => {
            all.joules += one.joules;
            all.seconds += one.seconds;
            all.caveat = one.caveat.or(all.caveat);
            Some(Ok(all))
        }
        (Some(Err(why)), _) | (_, Some(Err(why))) => Some(Err(why)),
        (None, one) | (one, None) => one,
    }
}

/// Tokens to run: which ones does not matter for the time.
fn filler(n: usize, vocabulary: usize) -> Vec<u32> {
    (0..n).map(|i| ((10 + (i * 7) % 200) % vocabulary) as u32).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use clap::Parser as _;
    use rushlight_engine::EngineOptions;
    use rushlight_host::probe::Tree;
    use rushlight_model::Model;
    use rushlight_testkit::{made_up::write_entries, tiny};

    use super::*;
    use crate::args::{Args, Command};

    const COUNTER: &str = "sys/class/powercap/intel-rapl:0/energy_uj";

    #[test]
    fn a_counter_that_goes_on_while_it_is_measured_gives_joules_for_each_token() {
        let dir = tempfile::tempdir().unwrap();
        write_entries(
            "sys/class/powercap/intel-rapl:0/name = package-0\n\
             sys/class/powercap/intel-rapl:0/energy_uj = 0\n\
             sys/class/powercap/intel-rapl:0/max_energy_range_uj = 262143328850\n",
            dir.path(),
        );
        let meter = PowerMeter::open(&Tree::new(dir.path()));
        let file = dir.path().join("tiny.gguf");
        tiny::write_gguf(&tiny::case("llama2"), &file);
        let mut options = EngineOptions::default();
        (options.threads, options.pin) = (Some(1), false);
        let model = Arc::new(Model::open(&file).unwrap());
        let mut engine = Engine::new(model, &options).unwrap();
        let args = Args::parse_from(["rushlight", "bench", "tiny"]);
        let Command::Bench(bench) = &args.command else { panic!("it is another command") };

        // 20 W, counted once in a millisecond as the kernel does.
        let stop = AtomicBool::new(false);
        let (root, stopped) = (dir.path(), &stop);
        let count = move || {
            let begin = Instant::now();
            while !stopped.load(Ordering::Relaxed) {
                let joules = 20.0 * begin.elapsed().as_secs_f64();
                std::fs::write(root.join("new"), format!("{}\n", (joules * 1e6) as u64)).unwrap();
                std::fs::rename(root.join("new"), root.join(COUNTER)).unwrap();
                std::thread::sleep(Duration::from_millis(1));
            }
        };
        std::thread::scope(|scope| {
            scope.spawn(count);
            let what = Measured { what: What::Decode, tokens: 400, ..Measured::default() };
            let measured = measure(&mut engine, &bench.load, &meter, what, 3).unwrap();
            stop.store(true, Ordering::Relaxed);
            let energy = measured.energy.as_ref().unwrap().as_ref().unwrap();
            assert_eq!(measured.caveat(), None);
            assert_eq!(measured.counted(), 1200);
            assert!((energy.watts() - 20.0).abs() < 8.0, "{energy:?}");
            let each = energy.joules / measured.counted() as f64;
            let want = 20.0 / measured.median();
            assert!(each > want * 0.5 && each < want * 2.0, "{each} and not some {want}");
        });
        let none = PowerMeter::open(&Tree::new(dir.path().join("none")));
        let what = Measured { what: What::Decode, tokens: 2, ..Measured::default() };
        let measured = measure(&mut engine, &bench.load, &none, what, 1).unwrap();
        assert!(measured.energy.is_none() && measured.caveat().is_none());
    }
}
