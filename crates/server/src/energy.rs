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
    /// Other work of this process: models that are loaded, files that are written.
    busy: usize,
    /// How often any of it began.
    works: u64,
    /// What is measured while any engine works.
    measurement: Option<Arc<Measurement>>,
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

/// This process is not at rest, until this is dropped, though no engine answers.
pub(crate) struct Busy(Arc<Accounts>);

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
        let is_first = {
            let mut state = self.lock();
            state.working += 1;
            state.works += 1;
            state.working == 1
        };
        if is_first {
            // A sensor may be slow, and others wait for the state.
            let measurement = self.meter.as_ref().and_then(PowerMeter::start).map(Arc::new);
            let mut state = self.lock();
            state.measurement = measurement;
            state.told = (0.0, 0.0);
        }
        Some(Work(self.clone()))
    }

    /// This process begins to do something that is no answer, such as loading a model.
    pub(crate) fn busy(self: &Arc<Self>) -> Busy {
        let mut state = self.lock();
        state.busy += 1;
        state.works += 1;
        drop(state);
        Busy(self.clone())
    }

    /// What was spent since this was last asked, or since work began.
    pub(crate) fn spent(&self) -> Option<Spent> {
        let measurement = self.lock().measurement.clone()?;
        let energy = measurement.energy_about();
        let mut state = self.lock();
        // Work may have ended meanwhile, and begun again: then it is another measurement's.
        state.measurement.as_ref().filter(|now| Arc::ptr_eq(now, &measurement))?;
        let energy = match energy {
            Ok(energy) => energy,
            Err(absent) => {
                state.caveat = Some(absent.detail);
                return None;
            }
        };
        // Who asked later may have been told earlier, and all of it.
        let joules = (energy.joules - state.told.0).max(0.0);
        let seconds = (energy.seconds - state.told.1).max(0.0);
        state.told = (state.told.0 + joules, state.told.1 + seconds);
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

    /// Whether it is not known, or not lately, what the machine takes at rest. How often this process has
    /// begun to work so far, for [`Accounts::rest`].
    pub(crate) fn wants_rest(&self) -> Option<u64> {
        let measures = self.source.as_ref().is_some_and(|source| !source.estimated);
        let state = self.lock();
        let lately = state.rested.is_some_and(|at| at.elapsed() < AGAIN);
        (measures && !lately).then_some(state.works)
    }

    /// Begins to measure what the machine takes at rest, if nothing works and nothing has begun to since
    /// it had begun so often.
    pub(crate) fn rest(&self, works: u64) -> Option<Rest<'_>> {
        {
            let state = self.lock();
            (state.is_at_rest() && state.works == works).then_some(())?;
        }
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

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.lock().busy -= 1;
    }
}

impl State {
    /// Whether nothing of this process works.
    fn is_at_rest(&self) -> bool {
        self.working == 0 && self.busy == 0
    }
}

impl Rest<'_> {
    /// It has lasted long enough. If anything of this process worked meanwhile, nothing is known.
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

#[cfg(test)]
mod tests {
    use rushlight_host::probe::Tree;
    use rushlight_testkit::made_up::write_entries;

    use super::*;

    /// Accounts of a machine that takes 5 W.
    fn accounts() -> (tempfile::TempDir, Arc<Accounts>) {
        let dir = tempfile::tempdir().unwrap();
        write_entries(
            "sys/class/hwmon/hwmon0/name = ina3221\nsys/class/hwmon/hwmon0/in1_label = VDD_IN\n\
             sys/class/hwmon/hwmon0/in1_input = 5000\nsys/class/hwmon/hwmon0/curr1_input = 1000\n",
            dir.path(),
        );
        let accounts = Accounts::new(Some(PowerMeter::open(&Tree::new(dir.path()))));
        (dir, accounts)
    }

    #[test]
    fn nothing_is_learnt_of_rest_while_a_model_is_loaded() {
        let (_dir, accounts) = accounts();
        let before = accounts.wants_rest().unwrap();
        let load = accounts.busy();
        let meanwhile = accounts.wants_rest().unwrap();
        assert!(accounts.rest(before).is_none() && accounts.rest(meanwhile).is_none());
        drop(load);
        assert!(accounts.rest(before).is_none(), "it was no rest");
        // What begins, and even ends, meanwhile makes it void.
        for ends in [false, true] {
            let rest = accounts.rest(accounts.wants_rest().unwrap()).unwrap();
            let load = accounts.busy();
            let load = (!ends).then_some(load);
            rest.end();
            assert_eq!(accounts.watts().1, None, "it ends: {ends}");
            drop(load);
        }
        let rest = accounts.rest(accounts.wants_rest().unwrap()).unwrap();
        std::thread::sleep(Duration::from_millis(50));
        rest.end();
        let watts = accounts.watts().1.unwrap();
        assert!((watts - 5.0).abs() < 1.0, "{watts}");
        assert_eq!(accounts.wants_rest(), None, "it is known for a while");
    }

    #[test]
    fn what_was_spent_is_told_once() {
        let (_dir, accounts) = accounts();
        assert_eq!(accounts.spent(), None);
        let work = accounts.work().unwrap();
        let mut sum = 0.0;
        for _ in 0..10 {
            std::thread::sleep(Duration::from_millis(10));
            sum += accounts.spent().unwrap().joules;
        }
        let told = accounts.to_json()["joules"].as_f64().unwrap();
        assert!(sum > 0.0 && (told - sum).abs() < 1e-5, "{told} and {sum}");
        drop(work);
        assert_eq!(accounts.spent(), None);
    }
}
