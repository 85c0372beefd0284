//! How much energy work takes, by the sensor that covers the most of the machine.
//!
//! A sensor counts joules or tells watts. Counters are read when work begins and ends; watts are read
//! some times a second meanwhile, by a thread that is there only while something is measured. So is a
//! thread that reads a counter in time before it begins at zero again.
//!
//! ```
//! let meter = rushlight_host::PowerMeter::open(&rushlight_host::probe::Tree::this_machine());
//! match (meter.source(), meter.start()) {
//!     (Ok(source), Some(measurement)) => {
//!         let energy = measurement.energy();
//!         println!("{} ({}): {energy:?}", source.name, source.covers.name());
//!     }
//!     (Err(why), _) => println!("no sensor: {why}"),
//!     _ => unreachable!("a source can be measured"),
//! }
//! ```

mod candidates;
mod cpu_time;
mod integral;
mod sensor;

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::probe::{Absent, Reason, Tree};
use integral::{Bounds, Integral, Moment};

pub use sensor::{Covers, PowerSensor, Sample};

/// Measures energy. Clones measure with the same sensor.
#[derive(Clone, Debug)]
pub struct PowerMeter {
    inner: Result<Arc<Inner>, Absent>,
    candidates: Arc<[Candidate]>,
}

/// What measures.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Source {
    /// Its name, such as `RAPL package-0 + dram`.
    pub name: String,
    /// What it covers.
    pub covers: Covers,
    /// Whether it is an estimate and not a measurement.
    pub estimated: bool,
}

/// A sensor that was looked at.
#[derive(Clone, Debug, Serialize)]
pub struct Candidate {
    /// What it is.
    #[serde(flatten)]
    pub source: Source,
    /// Why it cannot be used; `None` if it can.
    pub absent: Option<Absent>,
}

/// The energy of some work.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Energy {
    /// The energy.
    pub joules: f64,
    /// The seconds in which it was taken: from the reading at the beginning of the work to the moment that
    /// its joules count to.
    pub seconds: f64,
    /// Why it may be wrong, if something says so.
    pub caveat: Option<String>,
}

/// Work that is measured, from [`PowerMeter::start`] until this is dropped.
#[derive(Debug)]
pub struct Measurement {
    inner: Arc<Inner>,
    /// The moment that its joules count from; none if there was no reading before it.
    begin: Option<Instant>,
    joules: f64,
    caveats: u64,
}

#[derive(Debug)]
struct Inner {
    source: Source,
    sensor: Box<dyn PowerSensor>,
    /// Held while the sensor is read, so that readings come one after the other. That may take long,
    /// and `state` is not held meanwhile: who wants to know what was read last does not wait.
    turn: Mutex<()>,
    state: Mutex<State>,
    /// Told when nothing is measured any more, and when a reading is wanted now.
    over: Condvar,
    /// Told when the thread has read.
    told: Condvar,
}

/// How long the beginning of a measurement waits for a reading: work waits for it.
const BEGINS_WITHIN: Duration = Duration::from_millis(100);
/// The same for the end, where only a number waits.
const ENDS_WITHIN: Duration = Duration::from_secs(2);

#[derive(Debug, Default)]
struct State {
    integral: Integral,
    /// Measurements that last.
    users: usize,
    /// Whether the thread is there.
    sampling: bool,
    /// Whether it is to read now, and how often it has.
    wanted: bool,
    readings: u64,
}

impl Energy {
    /// The average power; 0 of no time.
    pub fn watts(&self) -> f64 {
        if self.seconds > 0.0 { self.joules / self.seconds } else { 0.0 }
    }

    /// What of the energy a machine that idles at `watts` would not have taken, at least 0.
    pub fn above(&self, watts: f64) -> f64 {
        (self.joules - watts * self.seconds).max(0.0)
    }
}

impl PowerMeter {
    /// The meter of the machine that `tree` describes: the sensor that covers the most of those that
    /// can be read now. What a GPU alone takes is a candidate that is never chosen: models run on the
    /// processor, and its energy would be that of others.
    pub fn open(tree: &Tree) -> Self {
        Self::open_with(tree, Vec::new())
    }

    /// As [`PowerMeter::open`], with sensors of other kinds beside, such as a GPU library's.
    pub fn open_with(tree: &Tree, more: Vec<Box<dyn PowerSensor>>) -> Self {
        let (mut sensors, notes) = candidates::all(tree);
        sensors.extend(more);
        // The sort keeps the order of those that cover the same.
        sensors.sort_by_key(|sensor| sensor.covers());
        let mut inner = None;
        let mut candidates = notes;
        for sensor in sensors {
            let source = Source {
                name: sensor.name(),
                covers: sensor.covers(),
                estimated: sensor.is_estimate(),
            };
            let absent = sensor.read().err();
            if absent.is_none() && inner.is_none() && source.covers != Covers::Gpu {
                inner = Some(Inner::new(source.clone(), sensor));
            }
            candidates.push(Candidate { source, absent });
        }
        candidates.sort_by_key(|candidate| candidate.source.covers);
        let inner = inner.map(Arc::new).ok_or_else(|| why(&candidates));
        Self { inner, candidates: candidates.into() }
    }

    /// A meter that measures nothing because of `why`.
    pub fn none(why: Absent) -> Self {
        Self { inner: Err(why), candidates: Arc::default() }
    }

    /// This one, or where there is no sensor an estimate: the time that processors worked for this
    /// process, times the watts that somebody says one takes while it works.
    ///
    /// # Errors
    /// If no processor takes so many watts.
    pub fn or_estimate(self, watts_per_core: f64) -> Result<Self, crate::Error> {
        let sensor = cpu_time::CpuTime::new(watts_per_core)?;
        if self.inner.is_ok() {
            return Ok(self);
        }
        let source = Source {
            name: sensor.name(),
            covers: sensor.covers(),
            estimated: sensor.is_estimate(),
        };
        let inner = Ok(Arc::new(Inner::new(source, Box::new(sensor))));
        Ok(Self { inner, candidates: self.candidates })
    }

    /// What measures, or why nothing does.
    ///
    /// # Errors
    /// Why there is no sensor, or none that this user may read.
    pub fn source(&self) -> Result<&Source, &Absent> {
        self.inner.as_ref().map(|inner| &inner.source)
    }

    /// All sensors that were looked at, those first that cover the most.
    pub fn candidates(&self) -> &[Candidate] {
        &self.candidates
    }

    /// What a user can do to have something measured.
    pub fn hint(&self) -> Option<&'static str> {
        let permission = self.source().is_err_and(|absent| absent.reason == Reason::Permission);
        permission.then_some("run as root, or let a group read it as docs/energy.md says")
    }

    /// Begins to measure; `None` where there is no sensor.
    pub fn start(&self) -> Option<Measurement> {
        self.inner.as_ref().ok().map(Inner::start)
    }

    /// The average power of so long, for which this waits; `None` if it cannot be measured.
    pub fn watts_for(&self, time: Duration) -> Option<f64> {
        let measurement = self.start()?;
        thread::sleep(time);
        let energy = measurement.energy().ok()?;
        energy.caveat.is_none().then(|| energy.watts())
    }
}

/// Why there is no sensor: that one may not be read says more than that there is none.
fn why(candidates: &[Candidate]) -> Absent {
    let told = |reason| {
        let of = candidates.iter().find(|c| c.absent.as_ref().is_some_and(|a| a.reason == reason));
        let (candidate, absent) = of.and_then(|c| Some((c, c.absent.as_ref()?)))?;
        let detail = format!("{}: {}", candidate.source.name, absent.detail);
        Some(Absent { reason, detail })
    };
    let order = [Reason::Permission, Reason::Unsupported, Reason::Damaged, Reason::Driver];
    order.into_iter().find_map(told).unwrap_or_else(|| Absent {
        reason: Reason::NotFound,
        detail:
            "the kernel shows no energy counter, no power of a rail and no battery that feeds the \
                 machine, as in most virtual machines"
                .to_owned(),
    })
}

impl Inner {
    fn new(source: Source, sensor: Box<dyn PowerSensor>) -> Self {
        let (turn, state) = (Mutex::default(), Mutex::default());
        Self { source, sensor, turn, state, over: Condvar::new(), told: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the sensor; the state with what it said.
    fn read(&self) -> MutexGuard<'_, State> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let said = self.sensor.read();
        let now = Moment::now();
        let sensor = &self.sensor;
        let bounds = Bounds { ranges: sensor.ranges(), most_watts: sensor.most_watts() };
        let mut state = self.lock();
        state.integral.take(now, said, bounds);
        state
    }

    fn start(self: &Arc<Self>) -> Measurement {
        let mut state = self.lock();
        state.users += 1;
        if state.users == 1 {
            // What was taken while nobody measured is nobody's.
            state.integral.begin(Instant::now());
        }
        if !state.sampling {
            let inner = self.clone();
            let thread = thread::Builder::new().name("power".to_owned());
            // Without it the beginning and the end are read still.
            state.sampling = thread.spawn(move || inner.sample()).is_ok();
        }
        let (mut state, is_read) = self.ask(state, BEGINS_WITHIN);
        // The energy counts from the reading, however long a thread takes to start or to be told; one that
        // is late will tell of the time before it.
        let begin = state.integral.until();
        let (joules, caveats) = (state.integral.joules(), state.integral.caveats());
        if !is_read {
            state.integral.doubt("the sensor did not answer at once");
        }
        drop(state);
        Measurement { inner: self.clone(), begin, joules, caveats }
    }

    /// Has the sensor read now, by the thread if there is one: who asks waits no longer than `patience` for
    /// a sensor that hangs. Whether it was read.
    fn ask<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        patience: Duration,
    ) -> (MutexGuard<'a, State>, bool) {
        if !state.sampling {
            drop(state);
            return (self.read(), true);
        }
        let before = state.readings;
        state.wanted = true;
        self.over.notify_all();
        let waited = self.told.wait_timeout_while(state, patience, |now| now.readings == before);
        let (state, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        (state, !waited.timed_out())
    }

    /// Reads the sensor in time, while something is measured.
    fn sample(&self) {
        let mut state = self.lock();
        while state.users > 0 {
            let period = self.sensor.period();
            if !state.wanted {
                let waited = self.over.wait_timeout(state, period);
                state = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
            let is_due = state.wanted || state.integral.is_older_than(period / 2);
            if state.users > 0 && is_due {
                state.wanted = false;
                drop(state);
                state = self.read();
                state.readings += 1;
                self.told.notify_all();
            }
        }
        state.sampling = false;
    }
}

impl Measurement {
    /// The energy since the beginning, by what the sensor says now.
    ///
    /// # Errors
    /// Why the sensor tells nothing now.
    pub fn energy(&self) -> Result<Energy, Absent> {
        let (state, is_read) = self.inner.ask(self.inner.lock(), ENDS_WITHIN);
        if !is_read {
            let detail = format!("the sensor has not answered for {} s", ENDS_WITHIN.as_secs());
            return Err(Absent { reason: Reason::Driver, detail });
        }
        self.since(&state)
    }

    /// The same, where watts are read so seldom that reading them once more would cost too much: as if
    /// they had stayed what they were when they were read last.
    ///
    /// # Errors
    /// Why the sensor told nothing when it was read last.
    pub fn energy_about(&self) -> Result<Energy, Absent> {
        let mut state = self.inner.lock();
        // What fails is tried again by the thread.
        let fails = state.sampling && state.integral.problem().is_some();
        if state.integral.extend() || fails {
            return self.since(&state);
        }
        // Where nothing came of the last question, another one is not waited for.
        let patience = if state.wanted { Duration::ZERO } else { BEGINS_WITHIN };
        let (state, is_read) = self.inner.ask(state, patience);
        if !is_read && !state.integral.is_known() {
            let detail = "the sensor has not answered yet".to_owned();
            return Err(Absent { reason: Reason::Driver, detail });
        }
        self.since(&state)
    }

    fn since(&self, state: &State) -> Result<Energy, Absent> {
        let integral = &state.integral;
        if let Some(problem) = integral.problem() {
            return Err(problem.clone());
        }
        let changed = integral.caveats() != self.caveats;
        // Whoever asks may be held up between the reading and here: that time is not in the joules.
        let begin = self.begin.or(integral.from());
        let seconds = integral
            .until()
            .zip(begin)
            .map(|(until, begin)| until.saturating_duration_since(begin));
        Ok(Energy {
            joules: (integral.joules() - self.joules).max(0.0),
            seconds: seconds.unwrap_or_default().as_secs_f64(),
            caveat: changed.then(|| integral.caveat().to_owned()),
        })
    }
}

impl Drop for Measurement {
    fn drop(&mut self) {
        let mut state = self.inner.lock();
        state.users -= 1;
        if state.users == 0 {
            self.inner.over.notify_all();
        }
    }
}

#[cfg(test)]
mod tests;
