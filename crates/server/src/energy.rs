//! What answers take of energy.
//!
//! While any engine works the meter measures; after each pass the engine asks what was spent, and each
//! request in the pass has the share of its rows. When all engines have been at rest for a moment, it
//! is measured once for how long that lasts what the machine takes then; the least of these averages
//! is what counts as idle. Nothing is read while nothing is done.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rushlight_engine::Spent;
use rushlight_host::{Measurement, PowerMeter, Source};
use serde_json::{Value, json};

use crate::schema::Kind::{Flag, OrNull, Text};
use crate::schema::{Object, REAL, needed};

/// How long engines rest before it is measured what the machine takes then: what a request leaves to
/// do, such as writing its answer, is over.
pub(crate) const SETTLE: Duration = Duration::from_secs(1);
/// How long that is measured.
pub(crate) const WINDOW: Duration = Duration::from_secs(2);
/// How long it is not measured again.
const AGAIN: Duration = Duration::from_secs(600);
/// Work that lasts less says too little of power.
const LEAST_SECONDS: f64 = 0.01;

/// What was spent, and by what it was measured.
#[derive(Clone, Debug)]
pub(crate) struct Used {
    spent: Spent,
    source: Arc<Source>,
}

impl Used {
    /// Both together.
    pub(crate) fn plus(&self, other: &Self) -> Self {
        Self { spent: self.spent.plus(other.spent), source: self.source.clone() }
    }

    /// As usages have it, of so many tokens that were written; of none the energy of a token is null.
    pub(crate) fn to_json(&self, tokens: usize) -> Value {
        let Spent { joules, above_idle_joules } = self.spent;
        json!({
            "joules": rounded(joules),
            "above_idle_joules": above_idle_joules.map(|joules| rounded(joules.max(0.0))),
            "joules_per_token": (tokens > 0).then(|| rounded(joules / tokens as f64)),
            "source": self.source.name,
            "estimated": self.source.estimated,
        })
    }
}

/// Microjoules are more than any sensor knows.
fn rounded(joules: f64) -> f64 {
    (joules * 1e6).round() / 1e6
}

/// [`Used::to_json`].
pub(crate) static USED: Object = Object {
    name: "EnergyUsage",
    fields: &[&[
        needed("joules", REAL, "The share of the passes that it ran in."),
        needed("above_idle_joules", OrNull(&REAL), "Less what the machine takes at rest."),
        needed("joules_per_token", OrNull(&REAL), "Of the answer; the prompt is in it."),
        needed("source", Text, "What measured."),
        needed("estimated", Flag, "Whether it is an estimate and not a measurement."),
    ]],
};

/// [`Accounts::to_json`].
pub(crate) static ENERGY: Object = Object {
    name: "EnergyHealth",
    fields: &[&[
        needed("source", OrNull(&Text), "What measures."),
        needed("covers", OrNull(&Text), "What of the machine it covers."),
        needed("estimated", Flag, "Whether it is an estimate and not a measurement."),
        needed("reason", OrNull(&Text), "Why nothing is measured."),
        needed("joules", OrNull(&REAL), "What all passes took."),
        needed(
            "watts",
            OrNull(&REAL),
            "The average while there was something to do, the last time.",
        ),
        needed("idle_watts", OrNull(&REAL), "The least average while there was nothing to do."),
        needed("caveat", OrNull(&Text), "Why it may be wrong."),
    ]],
};

/// Measures for all engines.
#[derive(Debug)]
pub(crate) struct Accounts {
    meter: Option<PowerMeter>,
    source: Option<Arc<Source>>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Engines that work.
    working: usize,
    /// How often one began to.
    works: u64,
    /// What is measured while any works.
    measurement: Option<Measurement>,
    /// What was told of that, in joules and seconds.
    told: (f64, f64),
    /// What was told of all.
    joules: f64,
    /// The average of the last work.
    watts: Option<f64>,
    idle_watts: Option<f64>,
    /// When the power at rest was last measured.
    rested: Option<Instant>,
    caveat: Option<String>,
}

/// An engine works, until this is dropped.
pub(crate) struct Work(Arc<Accounts>);

/// It is measured what the machine takes at rest.
pub(crate) struct Rest<'a> {
    accounts: &'a Accounts,
    measurement: Measurement,
    works: u64,
}

impl Accounts {
    /// Nothing is measured without a meter.
    pub(crate) fn new(meter: Option<PowerMeter>) -> Arc<Self> {
        let source = meter.as_ref().and_then(|meter| meter.source().ok());
        // An estimate counts only what this process does.
        let idle_watts = source.filter(|source| source.estimated).map(|_| 0.0);
        let source = source.cloned().map(Arc::new);
        Arc::new(Self {
            meter,
            source,
            state: Mutex::new(State { idle_watts, ..State::default() }),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What measures.
    pub(crate) fn source(&self) -> Option<&Source> {
        self.source.as_deref()
    }

    /// An engine begins to work; `None` where nothing is measured.
    pub(crate) fn work(self: &Arc<Self>) -> Option<Work> {
        self.source.as_ref()?;
        let mut state = self.lock();
        state.working += 1;
        state.works += 1;
        if state.working == 1 {
            state.measurement = self.meter.as_ref().and_then(PowerMeter::start);
            state.told = (0.0, 0.0);
        }
        Some(Work(self.clone()))
    }

    /// What was spent since this was last asked, or since work began.
    pub(crate) fn spent(&self) -> Option<Spent> {
        let mut state = self.lock();
        let energy = match state.measurement.as_ref()?.energy_about() {
            Ok(energy) => energy,
            Err(absent) => {
                state.caveat = Some(absent.detail);
                return None;
            }
        };
        let (joules, seconds) = (energy.joules - state.told.0, energy.seconds - state.told.1);
        state.told = (energy.joules, energy.seconds);
        state.joules += joules;
        if energy.seconds >= LEAST_SECONDS {
            state.watts = Some(energy.watts());
        }
        if energy.caveat.is_some() {
            state.caveat = energy.caveat;
        }
        let above_idle_joules = state.idle_watts.map(|idle| joules - idle * seconds);
        Some(Spent { joules, above_idle_joules })
    }

    /// What a request spent, as it is told.
    pub(crate) fn used(&self, spent: Option<Spent>) -> Option<Used> {
        Some(Used { spent: spent?, source: self.source.clone()? })
    }

    /// Whether it is to be measured now what the machine takes at rest.
    pub(crate) fn wants_rest(&self) -> bool {
        let measures = self.source.as_ref().is_some_and(|source| !source.estimated);
        let state = self.lock();
        let lately = state.rested.is_some_and(|at| at.elapsed() < AGAIN);
        measures && state.working == 0 && !lately
    }

    /// Begins to measure what the machine takes at rest.
    pub(crate) fn rest(&self) -> Option<Rest<'_>> {
        let works = {
            let state = self.lock();
            (state.working == 0).then_some(state.works)?
        };
        let measurement = self.meter.as_ref()?.start()?;
        Some(Rest { accounts: self, measurement, works })
    }

    /// The average power of the last work and at rest, as far as they are known.
    pub(crate) fn watts(&self) -> (Option<f64>, Option<f64>) {
        let state = self.lock();
        (state.watts, state.idle_watts)
    }

    /// What `/health` says.
    pub(crate) fn to_json(&self) -> Value {
        let source = self.source();
        let reason = match &self.meter {
            None => Some("it is not asked for".to_owned()),
            Some(meter) => meter.source().err().map(|absent| {
                let hint = meter.hint().map_or(String::new(), |hint| format!("; {hint}"));
                format!("no sensor: {absent}{hint}")
            }),
        };
        let state = self.lock();
        json!({
            "source": source.map(|source| &source.name),
            "covers": source.map(|source| source.covers.name()),
            "estimated": source.is_some_and(|source| source.estimated),
            "reason": reason,
            "joules": source.map(|_| rounded(state.joules)),
            "watts": state.watts,
            "idle_watts": source.and(state.idle_watts),
            "caveat": state.caveat,
        })
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.working -= 1;
        if state.working == 0 {
            state.measurement = None;
        }
    }
}

impl Rest<'_> {
    /// It has lasted long enough. If an engine worked meanwhile, nothing is known.
    pub(crate) fn end(self) {
        let energy = self.measurement.energy();
        let mut state = self.accounts.lock();
        if state.works != self.works {
            return;
        }
        state.rested = Some(Instant::now());
        if let Ok(energy) = energy
            && energy.caveat.is_none()
        {
            let watts = energy.watts();
            state.idle_watts = Some(state.idle_watts.map_or(watts, |least| least.min(watts)));
        }
    }
}
