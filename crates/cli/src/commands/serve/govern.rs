//! Holds the server to a limit of watts and heat: a thread that looks at the sensors once a second, asks
//! the governor, and has the engines work accordingly.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rushlight_engine::Pace;
use rushlight_host::probe::Tree;
use rushlight_host::{Clocks, PowerMeter, Topology};
use rushlight_monitor::governor::{
    Batch, Decision, Governor, Ladder, Load, OVERSHOOT_WATTS_SHARE, Observed, Phase, Senses,
    Setting, Shape,
};
use rushlight_server::{Governed, Throttle, Throttling, WorkDone};

use super::say;
use crate::args::{Govern, Serve, Speculate};

/// How often sensors are looked at.
const PERIOD: Duration = Duration::from_secs(1);
/// How long the server goes on as it was told when nothing more is heard from here: a sensor may hang.
const SILENCE: Duration = Duration::from_secs(10);
/// A look at which so much of the time was work tells what full speed draws.
const WORKS: f64 = 0.9;
/// How long the end waits for this thread.
const PATIENCE: Duration = Duration::from_secs(3);
/// Clocks that are set, as shares of what they were.
const CLOCKS: [f64; 5] = [0.9, 0.8, 0.7, 0.6, 0.5];

/// The thread; dropping it ends it, and puts the clocks back.
pub(super) struct Governing {
    end: Option<Sender<()>>,
    /// Disconnected once the thread has ended.
    ended: Receiver<()>,
    clocks: SharedClocks,
}

/// The clocks, which are put back even while a sensor holds the thread.
type SharedClocks = Arc<Mutex<Option<Clocks>>>;

/// Begins to hold the limits that were asked for; `None` if there are none.
pub(super) fn start(
    serve: &Serve,
    variants: Vec<f64>,
    meter: Option<&PowerMeter>,
) -> anyhow::Result<Option<(Throttle, Governing)>> {
    let govern = &serve.govern;
    let limits = govern.limits();
    let tree = Tree::new(&govern.root);
    if let Err(absent) = Clocks::recover(&tree, &govern.clocks_journal) {
        say(&format!("clocks that an earlier server lowered are not put back: {absent}"));
    }
    if limits.is_empty() && !govern.set_clocks {
        return Ok(None);
    }
    let meter = meter.filter(|_| tree.is_this_machine()).cloned();
    let meter = meter.unwrap_or_else(|| PowerMeter::open(&tree));
    let senses = Senses::open(&tree, &meter, &limits)?;
    let clocks = match govern.set_clocks {
        true => Some(
            Clocks::open(&tree, &govern.clocks_journal)
                .map_err(|absent| anyhow::anyhow!("{absent}"))
                .context("the clocks cannot be set")?,
        ),
        false => None,
    };
    let mut shape = shape(serve, clocks.as_ref());
    shape.variants = variants;
    say(&format!("governor: {}", told(govern, &senses, clocks.as_ref())));
    let throttle = Throttle::watched(SILENCE);
    let (end, asked_to_end) = channel();
    let (alive, ended) = channel();
    let clocks = Arc::new(Mutex::new(clocks));
    let for_prompts = Arc::new(Mutex::new((1.0, held(limits.watts))));
    let (to_read, wanted) = (clocks.clone(), for_prompts.clone());
    throttle.on_reading(move || {
        let (share, watts) = *wanted.lock().unwrap_or_else(PoisonError::into_inner);
        let mut clocks = to_read.lock().unwrap_or_else(PoisonError::into_inner);
        // The governor's next look says what is wrong with them.
        let _ = clocks.as_mut().map(|clocks| clocks.set(share, watts));
    });
    let mut hand = Hand {
        governor: Governor::new(limits, Ladder::new(&shape)),
        shape,
        senses,
        clocks: clocks.clone(),
        for_prompts,
        throttle: throttle.clone(),
        start: Instant::now(),
        last: (Instant::now(), throttle.work()),
        phase: Phase::Mixed,
    };
    let thread = std::thread::Builder::new().name("governor".to_owned()).spawn(move || {
        let _alive: Sender<()> = alive;
        // Watts of a moment would be none.
        while asked_to_end.recv_timeout(PERIOD) == Err(RecvTimeoutError::Timeout) {
            hand.turn();
        }
    });
    thread.context("the governor's thread cannot be started")?;
    Ok(Some((throttle, Governing { end: Some(end), ended, clocks })))
}

impl Drop for Governing {
    fn drop(&mut self) {
        drop(self.end.take());
        // It ends within moments, unless a sensor does not answer.
        let _ = self.ended.recv_timeout(PATIENCE);
        drop(self.clocks.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

/// Watts that the kernel holds the processors to: as much above the limit as the governor may come for a
/// while, so that it finds for itself how to run within it.
fn held(limit: Option<f64>) -> Option<f64> {
    limit.map(|watts| watts * (1.0 + OVERSHOOT_WATTS_SHARE))
}

/// What the server and this device can do.
fn shape(serve: &Serve, clocks: Option<&Clocks>) -> Shape {
    let topology = Topology::read("/".as_ref());
    let threads = serve.load.threads.unwrap_or_else(|| topology.default_threads());
    let mut shape = Shape::new(threads, serve.load.chunk());
    let fast = topology.fast_cores().len();
    let slow = topology.cores.get(fast..).unwrap_or_default();
    if let (Some(first), Some(fastest), false) =
        (slow.first(), topology.cores.first(), serve.load.no_pin)
    {
        let speed = f64::from(first.speed) / f64::from(fastest.speed.max(1));
        shape.efficient = Some((slow.len(), speed));
    }
    shape.drafts = !matches!(serve.speculate, Speculate::Off);
    let lowest = clocks.map_or(1.0, Clocks::lowest);
    shape.clocks =
        CLOCKS.into_iter().filter(|share| *share >= lowest && clocks.is_some()).collect();
    shape
}

/// What is held, and by which sensors.
fn told(govern: &Govern, senses: &Senses, clocks: Option<&Clocks>) -> String {
    let watts = govern.watts.map(|watts| format!("at most {watts} W"));
    let by = senses.watts_source().map(|source| format!("by {source}"));
    let celsius = govern.max_celsius.map(|celsius| {
        format!("at most {celsius} °C of `{}`", senses.celsius_source().unwrap_or_default())
    });
    let quiet = (!govern.quiet_hours.is_empty()).then(|| "quiet hours".to_owned());
    let battery = govern.battery.map(|battery| format!("less below {} % charge", battery.percent));
    let set = clocks.map(|clocks| match clocks.are_of_power() {
        true => "clocks as the work needs them, by the power that processors may draw".to_owned(),
        false => "clocks as the work needs them".to_owned(),
    });
    let held = clocks.filter(|clocks| clocks.bound_power() && govern.limits().needs_watts());
    let held = held.map(|_| "the kernel holds processors to the watts while they work".to_owned());
    let all = [watts, by, celsius, quiet, battery, set, held];
    all.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// What the thread has in hand.
struct Hand {
    governor: Governor,
    shape: Shape,
    senses: Senses,
    clocks: SharedClocks,
    /// The clock for prompts, and the watts that the kernel holds meanwhile.
    for_prompts: Arc<Mutex<(f64, Option<f64>)>>,
    throttle: Throttle,
    start: Instant,
    /// When the work was last looked at, and what it was.
    last: (Instant, WorkDone),
    /// What the engines did last.
    phase: Phase,
}

impl Hand {
    /// Looks, asks, and has it done.
    fn turn(&mut self) {
        let mut observed = self.senses.look();
        observed.load = self.load();
        self.reshape();
        let mut decision = self.governor.step(self.start.elapsed(), &observed);
        let watts = held(decision.watts);
        *self.for_prompts.lock().unwrap_or_else(PoisonError::into_inner) =
            (decision.reading_clock, watts);
        let mut clocks = self.clocks.lock().unwrap_or_else(PoisonError::into_inner);
        let clock = match self.throttle.work().is_reading {
            true => decision.reading_clock,
            false => decision.setting.clock,
        };
        if let Some(clocks) = clocks.as_mut() {
            let busy = observed.load.busy;
            clocks.look(Instant::now(), busy >= WORKS);
            // What others do meanwhile is not ours to bound.
            if let Err(absent) = clocks.set(clock, watts.filter(|_| busy > 0.0)) {
                decision.faults.push(format!("clocks: {absent}"));
            }
        }
        drop(clocks);
        if let Some(event) = &decision.event {
            say(&format!("governor: {event}"));
        }
        let governed = self.governed(&decision, &observed);
        self.throttle.set(throttling(&decision.setting), governed);
    }

    /// Makes the ladder one of what the engine was loaded with, which a profile may say.
    fn reshape(&mut self) {
        let (_, work) = &self.last;
        let (threads, chunk) = (work.threads, work.rows);
        if threads == 0 || (threads, chunk) == (self.shape.threads, self.shape.chunk) {
            return;
        }
        (self.shape.threads, self.shape.chunk) = (threads, chunk);
        self.governor.set_ladder(Ladder::new(&self.shape));
    }

    /// What the engines did since the last time.
    fn load(&mut self) -> Load {
        let (now, work) = (Instant::now(), self.throttle.work());
        let (then, before) = std::mem::replace(&mut self.last, (now, work));
        let seconds = (now - then).as_secs_f64().max(1e-3);
        let passes = work.passes.saturating_sub(before.passes).as_secs_f64();
        let reading = work.reading.saturating_sub(before.reading).as_secs_f64();
        // A pass is known to read once it has ended.
        if passes > 0.0 {
            self.phase = match reading / passes {
                share if share > 0.8 => Phase::Prompts,
                share if share < 0.2 => Phase::Answers,
                _ => Phase::Mixed,
            };
        }
        let running = work.passing.saturating_sub(before.passing).as_secs_f64();
        // One that has just come is known before its first pass has ended.
        if work.is_reading {
            self.phase = Phase::Prompts;
        }
        let writing = work.writing.saturating_sub(before.writing).as_secs_f64();
        // Nothing else ran.
        let wrote = writing > 0.0 && writing >= passes && !work.is_reading;
        let written = (work.written.saturating_sub(before.written) as f64, writing);
        Load {
            running: Some((running / seconds).min(1.0)),
            busy: (work.busy.saturating_sub(before.busy).as_secs_f64() / seconds).min(1.0),
            phase: self.phase,
            tokens_per_second: work.tokens.saturating_sub(before.tokens) as f64 / seconds,
            wrote: wrote.then_some(written),
            users: work.running,
            queued: work.queued,
            is_interactive: work.is_interactive,
        }
    }

    /// What is told.
    fn governed(&self, decision: &Decision, observed: &Observed) -> Governed {
        let (position, limits) = (self.governor.position(), self.governor.limits());
        let mut governed = Governed::default();
        governed.step = decision.position;
        governed.rung = position.rung.name();
        governed.setting.clone_from(&position.name);
        governed.limited_by.clone_from(&decision.limited_by);
        governed.faults.clone_from(&decision.faults);
        (governed.limit_watts, governed.limit_celsius) = (limits.watts, limits.max_celsius);
        (governed.watts, governed.celsius) = (observed.watts, observed.celsius);
        governed.watts_source = self.senses.watts_source().map(str::to_owned);
        governed.celsius_source = self.senses.celsius_source().map(str::to_owned);
        governed
    }
}

/// A setting as the server takes it.
fn throttling(setting: &Setting) -> Throttling {
    let mut pace = Pace::default();
    (pace.threads, pace.efficient) = (setting.threads, setting.is_efficient);
    (pace.prompt_rows, pace.guesses) = (setting.chunk, setting.drafts);
    pace.batch_waits = setting.batch >= Batch::Behind;
    let mut throttling = Throttling::default();
    (throttling.pace, throttling.duty) = (pace, setting.duty);
    (throttling.refuses_batch, throttling.queue) = (setting.batch == Batch::Refused, setting.queue);
    throttling.variant = setting.variant;
    throttling
}
