//! A device, a load and who governs it.

use std::collections::VecDeque;
use std::time::Duration;

use super::engine::{Engine, Work};
use super::kernel::StepWise;
use super::power::watts;
use super::thermal::Temperatures;
use super::{Device, Load, Random};
use crate::governor::{self, Event, Governor, Ladder, Limits, Observed, Setting};

/// Seconds of a step of the physics.
const STEP: f64 = 0.1;
/// Steps between two of the governor's: one second.
const STEPS: usize = 10;
/// Seconds over which watts are averaged where a limit is judged.
const MEAN: usize = 10;

/// Who sees to it that the device stays cool.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Policy {
    /// Nobody: full speed whatever the heat; a hard shutdown does not happen.
    Nobody,
    /// The kernel, from its own trip point.
    Kernel,
    /// The kernel with its trip point at the limit of heat.
    KernelAtLimit,
    /// Our governor, which may set these shares of the highest clock, with the kernel behind it.
    Governor {
        /// Shares of the highest clock, falling; none where the kernel does not let us.
        clocks: &'static [f64],
    },
}

/// What is played.
pub struct Scenario {
    /// The device.
    pub device: Device,
    /// What it has to do.
    pub load: Load,
    /// For how long, in seconds.
    pub seconds: f64,
    /// What everything random is made of.
    pub seed: u64,
    /// What is to be held.
    pub limits: Limits,
    /// Seconds that a pass takes that is not made smaller; 0 has passes and pauses run into one.
    pub pass_seconds: f64,
    /// °C of the air at a time.
    pub air: fn(f64) -> f64,
    /// Whether the device starts as warm as full load makes it at the limit, not at rest.
    pub is_warm: bool,
    /// What becomes of the readings at a time, for broken sensors, batteries and nights.
    pub spoil: fn(f64, &mut Observed),
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Tokens read and written.
    pub tokens: f64,
    /// Tokens read.
    pub prompt_tokens: f64,
    /// Tokens written.
    pub answer_tokens: f64,
    /// Tokens of requests that somebody waited for.
    pub interactive_tokens: f64,
    /// Joules of the whole device.
    pub joules: f64,
    /// Seconds in which the chip was hotter than the limit.
    pub seconds_too_hot: f64,
    /// Seconds at which the mean watts of the last ten were above the limit.
    pub seconds_too_much: f64,
    /// °C that the chip was hotter than the limit at most; negative if never.
    pub most_too_hot: f64,
    /// Share of the limit that the mean watts of ten seconds were above it at most; negative if never.
    pub most_too_much: f64,
    /// Moves of the governor.
    pub events: Vec<Event>,
    /// Mean seconds of answers that somebody waited for, of those that ended.
    pub wait_seconds: f64,
    /// Requests that were refused.
    pub refused: usize,
    /// What each second was like.
    pub trace: Vec<Trace>,
}

/// A second.
#[derive(Clone, Copy, Debug)]
pub struct Trace {
    /// Since the beginning.
    pub second: f64,
    /// °C of the chip.
    pub celsius: f64,
    /// Watts of the device.
    pub watts: f64,
    /// Tokens read and written.
    pub tokens: f64,
    /// The governor's position.
    pub position: usize,
    /// Clock steps that the kernel takes away.
    pub throttled: usize,
}

impl Outcome {
    /// Tokens for each joule.
    pub fn tokens_per_joule(&self) -> f64 {
        self.tokens / self.joules.max(1e-9)
    }

    /// How often the governor turned round in the busiest `seconds`.
    pub fn most_turns(&self, seconds: u64) -> usize {
        let mut turns = Vec::new();
        for two in self.events.windows(2) {
            if (two[0].to > two[0].from) != (two[1].to > two[1].from) {
                turns.push(two[1].time);
            }
        }
        let window = Duration::from_secs(seconds);
        let within =
            |from: Duration| turns.iter().filter(move |t| **t >= from && **t - from < window);
        turns.iter().map(|from| within(*from).count()).max().unwrap_or(0)
    }
}

/// Plays a scenario.
pub fn run(scenario: &Scenario, policy: Policy) -> Outcome {
    let mut random = Random::new(scenario.seed);
    let jobs = scenario.load.jobs(scenario.seconds, &mut random);
    let mut world = World::new(scenario, policy, random);
    let mut next = jobs.iter().peekable();
    let steps = (scenario.seconds / STEP) as usize;
    for step in 0..steps {
        let now = step as f64 * STEP;
        while let Some(job) = next.next_if(|job| job.at <= now) {
            world.engine.submit(*job, &world.setting);
        }
        world.step(now);
        if (step + 1) % STEPS == 0 {
            world.second(now + STEP);
        }
    }
    let (engine, mut outcome) = (world.engine, world.outcome);
    outcome.prompt_tokens = engine.prompt_tokens;
    outcome.answer_tokens = engine.answer_tokens;
    outcome.tokens = engine.prompt_tokens + engine.answer_tokens;
    outcome.interactive_tokens = engine.interactive_tokens;
    outcome.refused = engine.refused;
    let ended = engine.waited.len().max(1) as f64;
    outcome.wait_seconds = engine.waited.iter().sum::<f64>() / ended;
    outcome
}

struct World<'a> {
    scenario: &'a Scenario,
    /// Where the kernel throttles; nowhere without it.
    trip: f64,
    governor: Option<Governor>,
    setting: Setting,
    reading_clock: f64,
    kernel: StepWise,
    engine: Engine,
    at: Temperatures,
    random: Random,
    second: Second,
    means: VecDeque<f64>,
    outcome: Outcome,
    pulse: Pulse,
}

/// A pass and the pause after it.
#[derive(Clone, Copy, Debug, Default)]
struct Pulse {
    /// Seconds that the pass takes, and that are left of it.
    pass: f64,
    left: f64,
    /// Seconds of pause so far.
    paused: f64,
}

impl Pulse {
    /// The longest pause that passes are made small for, in seconds, as the server does.
    const PAUSE: f64 = 4.0;

    /// The share of the next moment in which a pass runs.
    fn step(&mut self, pass: f64, duty: f64) -> f64 {
        if pass <= 0.0 {
            return duty;
        }
        let pauses = 1.0 / duty.clamp(0.01, 1.0) - 1.0;
        // What is said during a pause counts at once.
        if self.left <= 0.0 && self.paused >= self.pass * pauses {
            self.pass = if pauses > 0.0 { pass.min(Self::PAUSE / pauses) } else { pass };
            (self.left, self.paused) = (self.pass, 0.0);
        }
        let run = self.left.clamp(0.0, STEP);
        self.left -= run;
        self.paused += STEP - run;
        run / STEP
    }
}

/// What is added up for the governor.
#[derive(Default)]
struct Second {
    joules: f64,
    busy: f64,
    running: f64,
    prompts: f64,
    tokens: f64,
}

impl<'a> World<'a> {
    fn new(scenario: &'a Scenario, policy: Policy, random: Random) -> Self {
        let device = &scenario.device;
        let limit = scenario.limits.max_celsius;
        let mut shape = device.shape();
        let mut trip = device.trip_celsius;
        let mut governor = None;
        match policy {
            Policy::Nobody => trip = f64::INFINITY,
            Policy::Kernel => {}
            Policy::KernelAtLimit => trip = limit.unwrap_or(trip),
            Policy::Governor { clocks } => {
                shape.clocks = clocks.to_vec();
                governor = Some(Governor::new(scenario.limits.clone(), Ladder::new(&shape)));
            }
        }
        let setting = Ladder::new(&shape).at(0).setting;
        let air = (scenario.air)(0.0);
        let mut at = device.thermal.settled(device.board_watts * device.board_heats, air);
        if let (true, Some(limit)) = (scenario.is_warm, limit) {
            // As after a long time of as much as the limit allows.
            let resistances = device.thermal.chip_resistance + device.thermal.sink_resistance;
            let watts = ((limit - 3.0 - air) / resistances).max(0.0);
            at.sink = device.thermal.settled(watts, air).sink;
            at.chip = at.sink;
        }
        let (most_too_hot, most_too_much) = (f64::NEG_INFINITY, f64::NEG_INFINITY);
        Self {
            scenario,
            trip,
            governor,
            setting,
            reading_clock: 1.0,
            kernel: StepWise::new(device),
            engine: Engine::default(),
            at,
            random,
            second: Second::default(),
            means: VecDeque::new(),
            pulse: Pulse::default(),
            outcome: Outcome { most_too_hot, most_too_much, ..Outcome::default() },
        }
    }

    /// A step of the physics.
    fn step(&mut self, now: f64) {
        let device = &self.scenario.device;
        self.kernel.look(now, self.at.chip, self.trip, device);
        // Whoever begins to read goes to the clock for that at once.
        let is_reading = self.engine.is_reading();
        let share = if is_reading { self.reading_clock } else { self.setting.clock };
        let wanted = device.fast.top().0 * share + 1e-9;
        let set =
            device.fast.clocks.iter().filter(|(clock, _)| *clock <= wanted).count().max(1) - 1;
        let clock = set.min(device.fast.clocks.len() - 1 - self.kernel.state);
        let duty = self.pulse.step(self.scenario.pass_seconds, self.setting.duty);
        let setting = Setting { duty, ..self.setting };
        let work = self.engine.step(device, &setting, clock, (now, STEP));
        if !work.is_busy {
            self.pulse = Pulse::default();
        }
        let (chip, all) = self.draws(&work, clock, duty);
        self.at = device.thermal.step(self.at, chip, (self.scenario.air)(now), STEP);
        self.second.joules += all * STEP;
        self.second.busy += if work.is_busy { STEP } else { 0.0 };
        self.second.running += if work.is_busy { STEP * duty } else { 0.0 };
        self.second.prompts += work.prompts * STEP;
        self.second.tokens += work.tokens;
        self.outcome.joules += all * STEP;
        if let Some(limit) = self.scenario.limits.max_celsius {
            let over = self.at.chip - limit;
            self.outcome.most_too_hot = self.outcome.most_too_hot.max(over);
            self.outcome.seconds_too_hot += if over > 0.0 { STEP } else { 0.0 };
        }
    }

    /// Watts that warm the chip, and those of the whole device.
    fn draws(&self, work: &Work, clock: usize, duty: f64) -> (f64, f64) {
        let device = &self.scenario.device;
        let run = if work.is_busy { duty } else { 0.0 };
        let active = (self.setting.threads, run, work.arithmetic);
        let none = (0, 0.0, 0.0);
        let (fast, little) =
            if self.setting.is_efficient { (none, active) } else { (active, none) };
        let celsius = self.at.chip;
        let mut cores = watts(&device.fast, clock, fast, celsius);
        if let Some(efficient) = &device.efficient {
            let clock = clock.min(efficient.clocks.len() - 1);
            cores += watts(efficient, clock, little, celsius);
        }
        let memory = work.gigabytes * duty * device.memory.joules;
        let rest = device.board_watts + memory;
        (cores + rest * device.board_heats, cores + rest)
    }

    /// A second has passed.
    fn second(&mut self, now: f64) {
        let second = std::mem::take(&mut self.second);
        self.means.push_back(second.joules);
        if self.means.len() > MEAN {
            self.means.pop_front();
        }
        let limit = self.scenario.limits.watts;
        if let Some(limit) = limit.filter(|_| self.means.len() == MEAN) {
            let mean = self.means.iter().sum::<f64>() / MEAN as f64;
            let over = mean / limit - 1.0;
            self.outcome.most_too_much = self.outcome.most_too_much.max(over);
            self.outcome.seconds_too_much += if over > 0.0 { 1.0 } else { 0.0 };
        }
        let mut trace = Trace {
            second: now,
            celsius: self.at.chip,
            watts: second.joules,
            tokens: second.tokens,
            position: 0,
            throttled: self.kernel.state,
        };
        if self.governor.is_some() {
            let observed = self.observe(now, &second);
            if let Some(governor) = &mut self.governor {
                let decision = governor.step(Duration::from_secs_f64(now), &observed);
                (self.setting, self.reading_clock) = (decision.setting, decision.reading_clock);
                trace.position = decision.position;
                self.outcome.events.extend(decision.event);
            }
        }
        self.outcome.trace.push(trace);
    }

    /// What sensors say: noise, and steps of half a degree as chips have them.
    fn observe(&mut self, now: f64, second: &Second) -> Observed {
        let celsius = self.at.chip + self.random.noise(0.2);
        let share = if second.busy > 0.0 { second.prompts / second.busy } else { 0.0 };
        let work = Work { prompts: share, ..Work::default() };
        let mut observed = Observed {
            local_minute: 12 * 60,
            watts: Some(second.joules * (1.0 + self.random.noise(0.01))),
            celsius: Some((celsius * 2.0).round() / 2.0),
            trip_celsius: Some(self.scenario.device.trip_celsius),
            battery: None,
            load: governor::Load {
                busy: second.busy,
                running: Some(second.running),
                phase: work.phase(),
                tokens_per_second: second.tokens,
                wrote: (second.prompts == 0.0 && second.running > 0.0)
                    .then_some((second.tokens, second.running)),
                users: self.engine.running(),
                queued: self.engine.queued(),
                is_interactive: self.engine.is_interactive(),
            },
        };
        (self.scenario.spoil)(now, &mut observed);
        observed
    }
}
