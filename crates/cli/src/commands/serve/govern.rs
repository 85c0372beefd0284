//! Holds the server to a limit of watts and heat: a thread that looks at the sensors once a second, asks
//! the governor, and has the engines work accordingly.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rushlight_engine::Pace;
use rushlight_host::probe::Tree;
use rushlight_host::{Clocks, PowerMeter, Topology};
use rushlight_monitor::governor::{
    Batch, Decision, Governor, Ladder, Limits, Load, Observed, Phase, Senses, Setting, Shape,
};
use rushlight_server::{Governed, Throttle, Throttling, WorkDone};

use super::say;
use crate::args::{Govern, Serve, Speculate};

/// How often sensors are looked at.
const PERIOD: Duration = Duration::from_secs(1);
/// Clocks that are set, as shares of what they were.
const CLOCKS: [f64; 5] = [0.9, 0.8, 0.7, 0.6, 0.5];

/// The thread; dropping it ends it, and puts the clocks back.
pub(super) struct Governing {
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Begins to hold the limits that were asked for; `None` if there are none.
pub(super) fn start(
    serve: &Serve,
    meter: Option<&PowerMeter>,
) -> anyhow::Result<Option<(Throttle, Governing)>> {
    let govern = &serve.govern;
    let limits = Limits {
        watts: govern.watts,
        max_celsius: govern.max_celsius,
        quiet: govern.quiet_hours.clone(),
        battery: govern.battery,
    };
    if limits.is_empty() {
        anyhow::ensure!(!govern.set_clocks, "`--set-clocks` is for a limit, and there is none");
        return Ok(None);
    }
    let tree = Tree::new(&govern.root);
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
    let ladder = Ladder::new(&shape(serve, clocks.as_ref()));
    say(&format!("governor: {}", told(govern, &senses)));
    let throttle = Throttle::new();
    let (end, ended) = channel();
    let mut hand = Hand {
        governor: Governor::new(limits, ladder),
        senses,
        clocks,
        throttle: throttle.clone(),
        start: Instant::now(),
        last: (Instant::now(), throttle.work()),
        phase: Phase::Mixed,
    };
    let thread = std::thread::Builder::new().name("governor".to_owned()).spawn(move || {
        // Watts of a moment would be none.
        while ended.recv_timeout(PERIOD) == Err(RecvTimeoutError::Timeout) {
            hand.turn();
        }
    });
    let thread = thread.context("the governor's thread cannot be started")?;
    Ok(Some((throttle, Governing { end: Some(end), thread: Some(thread) })))
}

impl Drop for Governing {
    fn drop(&mut self) {
        drop(self.end.take());
        // One that panicked has put the clocks back too.
        let _ = self.thread.take().map(JoinHandle::join);
    }
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
fn told(govern: &Govern, senses: &Senses) -> String {
    let watts = govern.watts.map(|watts| format!("at most {watts} W"));
    let by = senses.watts_source().map(|source| format!("by {source}"));
    let celsius = govern.max_celsius.map(|celsius| {
        format!("at most {celsius} °C of `{}`", senses.celsius_source().unwrap_or_default())
    });
    let quiet = (!govern.quiet_hours.is_empty()).then(|| "quiet hours".to_owned());
    let battery = govern.battery.map(|battery| format!("less below {} % charge", battery.percent));
    let all = [watts, by, celsius, quiet, battery];
    all.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// What the thread has in hand.
struct Hand {
    governor: Governor,
    senses: Senses,
    clocks: Option<Clocks>,
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
        let mut decision = self.governor.step(self.start.elapsed(), &observed);
        if let Some(clocks) = &mut self.clocks
            && let Err(absent) = clocks.set(decision.setting.clock)
        {
            decision.faults.push(format!("clocks: {absent}"));
        }
        if let Some(event) = &decision.event {
            say(&format!("governor: {event}"));
        }
        let governed = self.governed(&decision, &observed);
        self.throttle.set(throttling(&decision.setting), governed);
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
        Load {
            busy: (work.busy.saturating_sub(before.busy).as_secs_f64() / seconds).min(1.0),
            phase: self.phase,
            tokens_per_second: work.tokens.saturating_sub(before.tokens) as f64 / seconds,
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
    throttling
}
