//! Devices that are made up, with noise: what a search finds on them is known.

use std::time::Duration;

use rushlight_host::Cores;

use super::exhaustive::settings;
use super::search::search;
use super::space::Team;
use super::*;
use crate::args::KvType;

/// What a made-up device does without noise: tokens per second and watts.
type Truth = fn(&Point) -> (f64, f64);

struct MadeUp {
    truth: Truth,
    clock: f64,
    random: u64,
    /// Relative deviation of a sample.
    noise: f64,
    samples: usize,
    longest: f64,
}

impl MadeUp {
    fn new(truth: Truth, seed: u64, noise: f64) -> Self {
        let random = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        Self { truth, clock: 0.0, random, noise, samples: 0, longest: 0.0 }
    }

    /// Uniform in 0..1 (SplitMix64, Steele, Lea and Flood 2014).
    fn uniform(&mut self) -> f64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) as f64 / u64::MAX as f64
    }
}

impl Device for MadeUp {
    fn sample(&mut self, point: &Point) -> anyhow::Result<Option<Sample>> {
        let (rate, watts) = (self.truth)(point);
        if rate == 0.0 {
            return Ok(None);
        }
        let tokens = match point.task {
            Task::Prompt => 64.0,
            Task::LongPrompt => 512.0,
            Task::Answer | Task::DeepAnswer => 6.0,
            Task::Users(count) => 2.0 * count as f64,
        };
        // Normal, nearly; a clock that sinks and rises for all; and now and then a neighbour.
        let normal: f64 = (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0;
        let drift = 1.0 + 0.05 * (self.clock / 7.0).sin();
        let neighbour = if self.uniform() < 0.03 { 0.6 } else { 1.0 };
        let measured = rate * (1.0 + self.noise * normal).max(0.2) * drift * neighbour;
        self.samples += 1;
        self.clock += tokens / measured;
        self.longest = self.longest.max(tokens / measured);
        Ok(Some(Sample { tokens_per_second: measured, joules_per_token: Some(watts / measured) }))
    }

    fn elapsed(&self) -> Duration {
        Duration::from_secs_f64(self.clock)
    }

    fn memory_bytes(&self, setting: &Setting) -> u64 {
        let kv = if setting.kv == KvType::F16 { 200 } else { 106 };
        let weights = if setting.machine.weights == Weights::Memory { 160 } else { 100 };
        kv + weights + setting.chunk as u64 / 16
    }
}

/// Four fast cores and four at a third of their speed: work is split evenly, so all of them together
/// are as fast as eight slow ones, with the memory's limit on answers.
fn big_little(point: &Point) -> (f64, f64) {
    let (fast, slow) = match (point.cores, point.threads) {
        (Cores::Slow, n) => (0, n),
        (_, n) => (n.min(4), n.saturating_sub(4)),
    };
    let speed = match (fast, slow) {
        (0, n) => n as f64 / 3.0,
        (n, 0) => n as f64,
        // The slow ones hold the others up.
        (n, m) => (n + m) as f64 * 0.42,
    };
    let chunk = chunk_factor(point);
    let weights = weights_factor(point);
    let rate = match point.task {
        Task::Prompt | Task::LongPrompt => 100.0 * speed * chunk * weights,
        Task::Users(count) => (12.0 * speed * count as f64).min(90.0 * speed),
        _ => (12.0 * speed * weights).min(30.0),
    };
    (rate, 1.0 + 1.2 * fast as f64 + 0.25 * slow as f64)
}

/// Four cores with two threads each, which help prompts by a fifth and hold up answers.
fn two_threads(point: &Point) -> (f64, f64) {
    let cores = point.threads.min(4) as f64;
    let siblings = point.threads.saturating_sub(4) as f64;
    let rate = match point.task {
        Task::Prompt | Task::LongPrompt => {
            150.0 * (cores + 0.2 * siblings) * chunk_factor(point) * weights_factor(point)
        }
        Task::Users(count) => (20.0 * cores * count as f64).min(130.0 * cores),
        _ => 20.0 * (cores - 0.3 * siblings).max(0.5),
    };
    (rate, 5.0 + 4.0 * cores + siblings)
}

/// Eight cores whose memory feeds two.
fn narrow(point: &Point) -> (f64, f64) {
    let n = point.threads as f64;
    let rate = match point.task {
        Task::Prompt | Task::LongPrompt => 80.0 * n * chunk_factor(point),
        Task::Users(count) => (10.0 * n.min(2.0) * count as f64).min(18.0 * n),
        _ => 10.0 * n.min(2.0) - 0.05 * n,
    };
    (rate, 2.0 + 2.0 * n)
}

fn chunk_factor(point: &Point) -> f64 {
    match point.chunk {
        Some(128) => 0.85,
        Some(256) => 0.97,
        Some(1024) => 0.93,
        _ => 1.0,
    }
}

fn weights_factor(point: &Point) -> f64 {
    if point.machine.weights == Weights::File { 0.7 } else { 1.0 }
}

fn space(teams: Vec<Team>, fast_cores: usize) -> Space {
    let machine = |weights| Machine { backend: Backend::Cpu, kernels: "avx2", weights };
    let usual = Setting {
        machine: machine(Weights::File),
        cores: Cores::All,
        threads: fast_cores,
        decode_threads: fast_cores,
        kv: KvType::F16,
        chunk: 512,
    };
    Space {
        machines: vec![machine(Weights::File), machine(Weights::Memory)],
        decode_teams: teams.clone(),
        teams,
        kv: vec![KvType::F16],
        spare_kv: vec![KvType::Q8_0],
        chunks: vec![128, 256, 512, 1024],
        users: vec![1, 2, 4, 8, 16],
        usual,
        fast_cores,
    }
}

fn all(n: usize) -> Vec<Team> {
    (1..=n).map(|n| (Cores::All, n)).collect()
}

fn devices() -> Vec<(&'static str, Truth, Space)> {
    let slow = (1..=4).map(|n| (Cores::Slow, n));
    let big_little_teams = slow.chain(all(8)).collect();
    vec![
        ("big and little", big_little, space(big_little_teams, 4)),
        ("two threads per core", two_threads, space(all(8), 4)),
        ("narrow memory", narrow, space(all(8), 8)),
    ]
}

/// What a setting costs without noise.
fn cost(truth: Truth, goal: &Goal, setting: &Setting) -> f64 {
    let part = |task| {
        let (rate, watts) = truth(&setting.point(task));
        (task, Sample { tokens_per_second: rate, joules_per_token: Some(watts / rate) })
    };
    goal.cost(&[part(Task::LongPrompt), part(Task::Answer)]).unwrap()
}

/// How much more the pick costs than the best of all, for each seed.
fn behind(truth: Truth, space: &Space, goal: &Goal, noise: f64, seeds: u64) -> Vec<f64> {
    let every = settings(&MadeUp::new(truth, 0, 0.0), space, goal);
    let allowed = |s: &&Setting| {
        let watts = [Task::LongPrompt, Task::Answer].map(|task| truth(&s.point(task)).1);
        goal.most_watts.is_none_or(|most| watts.iter().all(|watts| *watts <= most))
    };
    let costs = every.iter().filter(allowed).map(|setting| cost(truth, goal, setting));
    let best = costs.min_by(f64::total_cmp).unwrap();
    let one = |seed| {
        let mut device = MadeUp::new(truth, seed, noise);
        let mut table = Table::default();
        let budget = Duration::from_secs(60);
        let found = search(&mut device, &mut table, space, goal, budget).unwrap();
        let over = device.clock - budget.as_secs_f64();
        assert!(over <= device.longest, "{over} s over the budget");
        cost(truth, goal, &found.setting) / best - 1.0
    };
    (1..=seeds).map(one).collect()
}

#[test]
fn picks_are_within_5_per_cent_of_the_best_of_all() {
    for (name, truth, space) in devices() {
        for objective in [Objective::Speed, Objective::Energy, Objective::Balanced] {
            let goal = Goal { objective, ..Goal::default() };
            for noise in [0.01, 0.04] {
                let mut behind = behind(truth, &space, &goal, noise, 200);
                behind.sort_by(f64::total_cmp);
                let within = behind.iter().filter(|b| **b <= 0.05).count();
                let (median, most) = (behind[100], behind[199]);
                println!(
                    "{name}, {}, noise {noise}: {within} of 200, median {median:.4}, most {most:.4}",
                    objective.name(),
                );
                assert!(within >= 190, "{name}, {objective:?}, noise {noise}: {within} of 200");
            }
        }
    }
}

fn found(truth: Truth, space: &Space, goal: &Goal) -> Found {
    let mut device = MadeUp::new(truth, 7, 0.01);
    search(&mut device, &mut Table::default(), space, goal, Duration::from_secs(60)).unwrap()
}

#[test]
fn each_device_gets_what_suits_it() {
    let goal = Goal::default();
    let [big_little, two_threads, narrow] = &devices()[..] else { panic!("three") };
    let setting = found(big_little.1, &big_little.2, &goal).setting;
    assert_eq!((setting.cores, setting.threads), (Cores::All, 4), "the big ones alone");
    assert_eq!(setting.machine.weights, Weights::Memory);
    assert_eq!(setting.decode_threads, 3, "a third one reaches the memory's limit");
    let setting = found(two_threads.1, &two_threads.2, &goal).setting;
    assert_eq!((setting.threads, setting.decode_threads), (8, 4));
    let found_narrow = found(narrow.1, &narrow.2, &goal);
    let setting = found_narrow.setting;
    assert_eq!((setting.threads, setting.decode_threads, setting.chunk), (8, 2, 512));
    assert_eq!(setting.machine.weights, Weights::File, "of two that are as good the first");
    assert_eq!(found_narrow.parallel, Some(8), "eight threads are busy with eight rows");
    let energy = Goal { objective: Objective::Energy, ..goal };
    let setting = found(big_little.1, &big_little.2, &energy).setting;
    assert_eq!(setting.cores, Cores::Slow);
}

#[test]
fn a_cache_that_rounds_is_only_taken_if_it_is_allowed_or_nothing_else_fits() {
    /// Twice as fast at depth.
    fn truth(point: &Point) -> (f64, f64) {
        let (rate, watts) = narrow(point);
        let faster = point.kv == KvType::Q8_0 && point.task == Task::DeepAnswer;
        (if faster { 2.0 * rate } else { rate }, watts)
    }
    let mut space = devices()[2].2.clone();
    let goal = Goal::default();
    let kept = found(truth, &space, &goal);
    assert_eq!((kept.setting.kv, kept.kv_for_memory), (KvType::F16, false));
    let last = kept.rankings.last().unwrap();
    assert_eq!((last.outcome.candidates.len(), last.best), (2, Some(0)), "it is shown");
    // 332 bytes with f16, 238 with q8_0.
    let small = Goal { memory_bytes: Some(300), ..goal };
    let taken = found(truth, &space, &small);
    assert_eq!((taken.setting.kv, taken.kv_for_memory), (KvType::Q8_0, true));
    assert_eq!(taken.setting.machine.weights, Weights::File, "the other does not fit");
    let tiny = Goal { memory_bytes: Some(50), ..goal };
    let mut device = MadeUp::new(truth, 1, 0.0);
    let budget = Duration::from_secs(60);
    let none = search(&mut device, &mut Table::default(), &space, &tiny, budget).unwrap_err();
    assert!(none.to_string().contains("no setting fits"), "{none}");
    assert_eq!(device.samples, 0);
    space.kv = vec![KvType::F16, KvType::Q8_0];
    space.spare_kv.clear();
    let asked = found(truth, &space, &goal);
    assert_eq!((asked.setting.kv, asked.kv_for_memory), (KvType::Q8_0, false));
}

#[test]
fn watts_are_kept_below_the_limit() {
    let (_, truth, space) = &devices()[0];
    let goal = Goal { most_watts: Some(4.0), ..Goal::default() };
    let setting = found(*truth, space, &goal).setting;
    for task in [Task::Prompt, Task::Answer] {
        let (_, watts) = truth(&setting.point(task));
        assert!(watts <= 4.0, "{watts} W with {setting:?}");
    }
    let within = behind(*truth, space, &goal, 0.01, 50).iter().filter(|b| **b <= 0.05).count();
    assert!(within >= 45, "{within} of 50");
    let none = Goal { most_watts: Some(1.0), ..goal };
    let mut device = MadeUp::new(*truth, 1, 0.0);
    let budget = Duration::from_secs(60);
    let error = search(&mut device, &mut Table::default(), space, &none, budget).unwrap_err();
    assert!(error.to_string().contains("more than `1` watts"), "{error}");
}

#[test]
fn without_time_the_usual_setting_stays_and_the_rest_is_named() {
    let (_, truth, space) = &devices()[1];
    for seconds in [0.0, 0.5, 2.0, 8.0, 60.0] {
        let mut device = MadeUp::new(*truth, 3, 0.01);
        let budget = Duration::from_secs_f64(seconds);
        let goal = Goal::default();
        let found = search(&mut device, &mut Table::default(), space, &goal, budget).unwrap();
        assert!(device.clock <= seconds + device.longest, "{} of {seconds} s", device.clock);
        let fates = found.rankings.iter().flat_map(|ranking| &ranking.outcome.fates);
        let untried = fates.filter(|fate| **fate == Fate::Untried).count();
        assert_eq!(untried == 0, seconds > 20.0, "{seconds} s: {untried} untried");
        if seconds == 0.0 {
            assert_eq!(found.setting, space.usual);
        }
    }
}

#[test]
fn what_cannot_run_is_not_chosen() {
    fn truth(point: &Point) -> (f64, f64) {
        match point.machine.weights {
            Weights::Memory => (0.0, 0.0),
            _ => narrow(point),
        }
    }
    let setting = found(truth, &devices()[2].2, &Goal::default()).setting;
    assert_eq!(setting.machine.weights, Weights::File);
}
