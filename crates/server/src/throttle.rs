//! Has a server work less while it runs, and tells of it.
//!
//! Somebody beside the server watches heat and power; through a [`Throttle`] that one sees what the
//! engines do and says how hard they are to work. The server takes it up between two passes.

mod paced;
mod told;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use rushlight_engine::{Counts, Pace};

use crate::failure::Failure;
use crate::worker::Degradation;

pub(crate) use paced::Paced;
pub(crate) use told::GOVERNOR;
pub use told::Governed;

/// How long work counts as present after the last pass that saw it.
const PRESENT: Duration = Duration::from_secs(2);
/// Share of the time in which passes run, at most, while nothing is heard of the limits.
const UNHEARD_SHARE: f64 = 0.2;

/// How hard the engines of a server work. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Throttle(Arc<Inner>);

/// How hard the engines of a server are to work.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Throttling {
    /// What the engines do in a pass.
    pub pace: Pace,
    /// Share of the time in which passes run, above 0; between them is a pause.
    pub duty: f64,
    /// Whether requests of a priority below 0 are refused.
    pub refuses_batch: bool,
    /// Share of the places in the queue that are given.
    pub queue: f64,
    /// Which of a model's smaller variants answers ([`ServedModel::smaller`](crate::ServedModel)),
    /// from 1; 0 is the model itself.
    pub variant: usize,
}

impl Default for Throttling {
    fn default() -> Self {
        Self { pace: Pace::default(), duty: 1.0, refuses_batch: false, queue: 1.0, variant: 0 }
    }
}

/// What the engines have done since the throttle was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkDone {
    /// How long there was something to do, pauses included, and the pass that runs.
    pub busy: Duration,
    /// How long passes took that mostly read prompts.
    pub reading: Duration,
    /// How long passes took that did nothing but write.
    pub writing: Duration,
    /// Tokens that these wrote.
    pub written: u64,
    /// How long passes took.
    pub passes: Duration,
    /// The same with the time so far of the pass that runs.
    pub passing: Duration,
    /// Tokens read and written.
    pub tokens: u64,
    /// Answers that are written at once.
    pub running: usize,
    /// Whether a prompt came and has not been read yet.
    pub is_reading: bool,
    /// Requests that wait.
    pub queued: usize,
    /// Whether requests of a priority of 0 or more wait or run.
    pub is_interactive: bool,
    /// The most threads that an engine was loaded with; 0 before one was.
    pub threads: usize,
    /// The most rows of a pass that an engine was loaded with; 0 before one was.
    pub rows: usize,
}

#[derive(Debug)]
struct Inner {
    start: Instant,
    /// The longest silence of who says how hard to work, before that is doubted.
    silence: Option<Duration>,
    told: Mutex<Told>,
    /// Something else was said.
    changed: Condvar,
    /// All in microseconds.
    busy: AtomicU64,
    reading: AtomicU64,
    writing: AtomicU64,
    passes: AtomicU64,
    tokens: AtomicU64,
    written: AtomicU64,
    /// When the present pass or pause began, since the start and one; 0 without one.
    since: AtomicU64,
    /// The same of a pass alone.
    pass_since: AtomicU64,
    /// When something was last said.
    heard: AtomicU64,
    threads: AtomicU64,
    rows: AtomicU64,
    queued: AtomicU64,
    running: AtomicU64,
    reads: AtomicBool,
    /// What is done when a prompt comes.
    on_reading: OnReading,
    /// When somebody was last seen to wait, since the start and one.
    interactive: AtomicU64,
}

/// What is done when a prompt comes.
#[derive(Default)]
struct OnReading(OnceLock<Box<dyn Fn() + Send + Sync>>);

impl std::fmt::Debug for OnReading {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("OnReading").field(&self.0.get().is_some()).finish()
    }
}

#[derive(Debug, Default)]
struct Told {
    throttling: Throttling,
    governed: Governed,
    /// Changes of the step to a slower and to a faster one.
    moves: [u64; 2],
    /// How often something was said.
    version: u64,
}

impl Default for Throttle {
    fn default() -> Self {
        Self::new()
    }
}

impl Throttle {
    /// One that has said nothing yet: full speed.
    pub fn new() -> Self {
        Self::with(None)
    }

    /// One that is told something at least so often: when it was not, engines work at most a fifth of
    /// the time, and `/health` says so.
    pub fn watched(silence: Duration) -> Self {
        Self::with(Some(silence))
    }

    fn with(silence: Option<Duration>) -> Self {
        Self(Arc::new(Inner {
            start: Instant::now(),
            silence,
            told: Mutex::default(),
            changed: Condvar::new(),
            busy: AtomicU64::new(0),
            reading: AtomicU64::new(0),
            writing: AtomicU64::new(0),
            written: AtomicU64::new(0),
            passes: AtomicU64::new(0),
            tokens: AtomicU64::new(0),
            since: AtomicU64::new(0),
            pass_since: AtomicU64::new(0),
            heard: AtomicU64::new(0),
            threads: AtomicU64::new(0),
            rows: AtomicU64::new(0),
            queued: AtomicU64::new(0),
            running: AtomicU64::new(0),
            reads: AtomicBool::new(false),
            on_reading: OnReading::default(),
            interactive: AtomicU64::new(0),
        }))
    }

    /// Has the engines work so hard from their next pass on, and `/health` and `/metrics` tell why.
    pub fn set(&self, throttling: Throttling, governed: Governed) {
        let mut told = self.lock();
        match governed.step.cmp(&told.governed.step) {
            std::cmp::Ordering::Greater => told.moves[0] += 1,
            std::cmp::Ordering::Less => told.moves[1] += 1,
            std::cmp::Ordering::Equal => {}
        }
        // A pause that silence made longer ends.
        let is_new = told.throttling != throttling || self.silent().is_some();
        self.0.heard.store(self.now_us(), Ordering::Relaxed);
        told.governed = governed;
        if is_new {
            told.throttling = throttling;
            told.version += 1;
            self.0.changed.notify_all();
        }
    }

    /// Has `act` called on the engine's thread before a pass that reads a prompt which has just come, such
    /// as to set a higher clock; only the first that is given counts.
    pub fn on_reading(&self, act: impl Fn() + Send + Sync + 'static) {
        let _ = self.0.on_reading.0.set(Box::new(act));
    }

    /// What the engines have done.
    pub fn work(&self) -> WorkDone {
        let micros = |of: &AtomicU64| Duration::from_micros(of.load(Ordering::Relaxed));
        let so_far = |of: &AtomicU64| {
            let at = of.load(Ordering::Relaxed).checked_sub(1).map(Duration::from_micros);
            at.map_or(Duration::ZERO, |at| self.0.start.elapsed().saturating_sub(at))
        };
        let seen = self.0.interactive.load(Ordering::Relaxed).checked_sub(1);
        let now = self.0.start.elapsed();
        WorkDone {
            busy: micros(&self.0.busy) + so_far(&self.0.since),
            reading: micros(&self.0.reading),
            writing: micros(&self.0.writing),
            written: self.0.written.load(Ordering::Relaxed),
            passes: micros(&self.0.passes),
            passing: micros(&self.0.passes) + so_far(&self.0.pass_since),
            tokens: self.0.tokens.load(Ordering::Relaxed),
            running: self.0.running.load(Ordering::Relaxed) as usize,
            is_reading: self.0.reads.load(Ordering::Relaxed),
            queued: self.0.queued.load(Ordering::Relaxed) as usize,
            is_interactive: seen
                .is_some_and(|at| now.saturating_sub(Duration::from_micros(at)) < PRESENT),
            threads: self.0.threads.load(Ordering::Relaxed) as usize,
            rows: self.0.rows.load(Ordering::Relaxed) as usize,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Told> {
        self.0.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long nothing was said, if that is too long.
    fn silent(&self) -> Option<Duration> {
        let heard = Duration::from_micros(self.0.heard.load(Ordering::Relaxed));
        let silent = self.0.start.elapsed().saturating_sub(heard);
        self.0.silence.is_some_and(|most| silent > most).then_some(silent)
    }

    /// Share of the time in which passes run.
    fn duty(&self, told: &Told) -> f64 {
        let most = if self.silent().is_some() { UNHEARD_SHARE } else { 1.0 };
        told.throttling.duty.min(most).clamp(0.01, 1.0)
    }

    /// What an engine has, which no setting exceeds.
    pub(crate) fn loaded(&self, threads: usize, rows: usize) {
        self.0.threads.fetch_max(threads as u64, Ordering::Relaxed);
        self.0.rows.fetch_max(rows as u64, Ordering::Relaxed);
    }

    /// Which of a model's smaller variants answers; 0 is the model itself.
    pub(crate) fn variant(&self) -> usize {
        self.lock().throttling.variant
    }

    fn now_us(&self) -> u64 {
        self.0.start.elapsed().as_micros() as u64 + 1
    }

    /// Engines wait for their turn, so there is one pass, or one pause after it, at a time.
    fn begin(&self) {
        self.0.since.store(self.now_us(), Ordering::Relaxed);
        self.0.pass_since.store(self.now_us(), Ordering::Relaxed);
    }

    /// A prompt has come, and will be read in the next pass.
    fn reads(&self) {
        self.0.reads.store(true, Ordering::Relaxed);
        if let Some(act) = self.0.on_reading.0.get() {
            act();
        }
    }

    /// A pass has ended, and its pause begins.
    fn passed(&self) {
        self.0.pass_since.store(0, Ordering::Relaxed);
    }

    fn end(&self) {
        let since = self.0.since.swap(0, Ordering::Relaxed);
        if since > 0 {
            self.0.busy.fetch_add(self.now_us().saturating_sub(since), Ordering::Relaxed);
        }
    }

    fn saw(&self, counts: &Counts) {
        self.0.queued.store(counts.queued as u64, Ordering::Relaxed);
        self.0.running.store(counts.running as u64, Ordering::Relaxed);
        if counts.interactive > 0 {
            self.0.interactive.store(self.now_us(), Ordering::Relaxed);
        }
    }

    /// Whether a request of this priority may be taken.
    pub(crate) fn check(&self, priority: i32) -> Result<(), Failure> {
        let told = self.lock();
        if priority >= 0 || !told.throttling.refuses_batch {
            return Ok(());
        }
        let message = match &told.governed.limited_by {
            Some(why) => format!("requests of low priority are not taken now: {why}"),
            None => "requests of low priority are not taken now".to_owned(),
        };
        Err(Failure::new(StatusCode::TOO_MANY_REQUESTS, "slowed_down", message))
    }

    /// How many of so many places are given; at least one.
    pub(crate) fn places(&self, most: usize) -> usize {
        let share = self.lock().throttling.queue;
        if share >= 1.0 { most } else { ((most as f64 * share) as usize).clamp(1, most.max(1)) }
    }

    /// What is not as it should be.
    pub(crate) fn degradations(&self) -> Vec<Degradation> {
        let mut all = self.lock().governed.degradations();
        all.extend(self.silent().map(|silent| {
            let why = format!("nothing was heard of the limits for {} s", silent.as_secs());
            Degradation::new("the speed: at most a fifth of the time", why)
        }));
        all
    }

    /// What is told, and how often the step became a slower and a faster one.
    pub(crate) fn governed(&self) -> (Governed, [u64; 2]) {
        let told = self.lock();
        (told.governed.clone(), told.moves)
    }
}
