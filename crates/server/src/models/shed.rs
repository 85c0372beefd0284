//! What is given up while memory is short, in this order: what is kept of earlier texts, models that
//! nobody uses, and requests that come anew. Answers that are being written go on.
//!
//! Each step is taken when the one before has not been enough. All of it ends when memory has not been
//! short for a while.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use rushlight_host::{MemoryWatch, Strain};

use super::Models;
use crate::failure::Failure;
use crate::metrics::{Gone, Labels};
use crate::worker::Degradation;

/// How many looks in which memory is not short end it all.
const CALM: u32 = 10;

/// Looks while memory is short in the time between two looks otherwise.
const OFTEN: u32 = 5;

/// What is given up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    #[default]
    Nothing,
    /// What is kept of earlier texts.
    Cache,
    /// Models that nobody uses.
    Idle,
    /// Requests that come anew.
    Queue,
}

impl Step {
    /// As metrics have it.
    fn name(self) -> &'static str {
        match self {
            Step::Nothing => "nothing",
            Step::Cache => "prefix_cache",
            Step::Idle => "idle_models",
            Step::Queue => "queue",
        }
    }

    fn told(self) -> &'static str {
        match self {
            Step::Nothing => "nothing is given up",
            Step::Cache => "nothing is kept of earlier texts",
            Step::Idle => {
                "models that nobody uses are let go, and nothing is kept of earlier texts"
            }
            Step::Queue => "new requests are refused; those that were taken are answered",
        }
    }
}

/// What is given up now.
pub(super) struct Shed {
    now: Mutex<Now>,
    counter: Family<Labels<1>, Counter>,
}

#[derive(Default)]
struct Now {
    step: Step,
    why: String,
}

impl Shed {
    pub(super) fn new(counter: Family<Labels<1>, Counter>) -> Self {
        for step in [Step::Cache, Step::Idle, Step::Queue] {
            drop(counter.get_or_create(&[("step", step.name().to_owned())]));
        }
        Self { now: Mutex::default(), counter }
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A failure while new requests are refused.
    pub(super) fn check(&self) -> Result<(), Failure> {
        if self.now().step < Step::Queue {
            return Ok(());
        }
        let message = "the machine is short of memory; try again later";
        Err(Failure::unavailable("memory_short", message).retry_in(RETRY))
    }

    /// What `/health` is to tell.
    pub(super) fn degradation(&self) -> Option<Degradation> {
        let now = self.now();
        let is =
            |now: &Now| Degradation::new("memory", format!("{}: {}", now.why, now.step.told()));
        (now.step > Step::Nothing).then(|| is(&now))
    }

    fn count(&self, step: Step) {
        self.counter.get_or_create(&[("step", step.name().to_owned())]).inc();
    }
}

/// After which a client may ask again.
const RETRY: Duration = Duration::from_secs(10);

/// Looks from time to time.
pub(super) struct Looking {
    watch: MemoryWatch,
    every: Duration,
    /// Until when it is looked often, since the kernel said so.
    alert: Option<Instant>,
    /// When it was looked last, and when the last step was taken.
    looked: Option<Instant>,
    stepped: Option<Instant>,
    /// Looks since memory was short.
    calm: u32,
}

impl Looking {
    pub(super) fn new(machine: &Path, promise: Option<u64>, every: Duration) -> Self {
        let watch = MemoryWatch::new(machine, promise);
        Self { watch, every, alert: None, looked: None, stepped: None, calm: 0 }
    }

    /// The kernel says that memory has become short: it is to be looked now, unless it just was, and often
    /// for a while. Several groups may say the same at once.
    pub(super) fn alert(&mut self) {
        let often = self.every / OFTEN;
        self.alert = Some(Instant::now() + often * CALM);
        self.looked = self.looked.filter(|looked| looked.elapsed() < often);
        self.calm = 0;
    }

    /// How long until it is to be looked again.
    pub(super) fn due(&self, models: &Models) -> Duration {
        let is_alert = self.alert.is_some_and(|until| Instant::now() < until);
        let every = match models.shed.now().step {
            Step::Nothing if !is_alert => self.every,
            _ => self.every / OFTEN,
        };
        self.looked.map_or(Duration::ZERO, |looked| every.saturating_sub(looked.elapsed()))
    }
}

impl Models {
    /// Whether anything is given up.
    pub(super) fn sheds(&self) -> bool {
        self.shed.now().step > Step::Nothing
    }

    /// Looks whether memory is short, and takes a step if it is.
    pub(super) async fn look(&self, looking: &mut Looking) {
        looking.looked = Some(Instant::now());
        let Some(strain) = looking.watch.look() else {
            looking.calm += 1;
            if self.sheds() && looking.calm >= CALM {
                *self.shed.now() = Now::default();
                self.say("memory is no longer short: all is as before");
            }
            return;
        };
        looking.calm = 0;
        if self.sheds() {
            // What was read meanwhile goes too.
            self.give_back();
            // An average of ten seconds does not show at once what a step has brought.
            let slow = matches!(strain, Strain::Pressure(_));
            if slow && looking.stepped.is_some_and(|at| at.elapsed() < looking.every) {
                return;
            }
        }
        looking.stepped = Some(Instant::now());
        let step = self.shed.now().step;
        if step < Step::Cache && self.give_back() {
            return self.take_step(Step::Cache, &strain);
        }
        let unused = self.entries.iter().filter_map(|entry| Some((entry.standing()?, entry)));
        let oldest = unused.filter(|(standing, _)| !standing.busy).min_by_key(|(of, _)| *of);
        if let Some((_, entry)) = oldest
            && self.drop_unused(entry, Gone::Pressure).await
        {
            self.take_step(step.max(Step::Idle), &strain);
            if step >= Step::Idle {
                self.shed.count(Step::Idle);
            }
            return;
        }
        self.take_step(Step::Queue, &strain);
    }

    /// Has all engines give up what they keep of earlier texts and what memory they have to no use, those
    /// that draft or embed too; whether any has something.
    fn give_back(&self) -> bool {
        let handles = self.entries.iter().filter_map(|entry| entry.handle());
        let keeping: Vec<_> = handles.filter(|handle| handle.counts().idle_bytes > 0).collect();
        keeping.iter().for_each(|handle| handle.give_back());
        !keeping.is_empty()
    }

    fn take_step(&self, step: Step, strain: &Strain) {
        let mut now = self.shed.now();
        now.why = strain.to_string();
        if now.step == step {
            return;
        }
        now.step = step;
        let line = format!("memory is short ({strain}): {}", step.told());
        drop(now);
        self.shed.count(step);
        self.say(&line);
    }

    fn say(&self, line: &str) {
        if let Some(notices) = &self.options.notices {
            notices.tell(line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;
    use crate::{ServedModel, ServerOptions};

    #[test]
    fn an_alarm_has_it_looked_now_and_often_for_a_while() {
        let metrics = Metrics::new(crate::energy::Accounts::new(None));
        let model = ServedModel::new("a", || Err("it is not loaded".into()));
        let models = Models::new(vec![model], &ServerOptions::default(), &metrics).unwrap();
        let every = Duration::from_secs(100);
        let mut looking = Looking::new(Path::new("/"), None, every);
        let due = |looking: &Looking| looking.due(&models);
        looking.looked = Instant::now().checked_sub(every / 4);
        assert!(due(&looking) > every / OFTEN);
        looking.alert();
        assert!(due(&looking).is_zero());
        // Another alarm at once.
        looking.looked = Some(Instant::now());
        looking.alert();
        assert!(!due(&looking).is_zero() && due(&looking) <= every / OFTEN);
        looking.alert = Some(Instant::now());
        looking.looked = Some(Instant::now());
        assert!(due(&looking) > every / OFTEN);
    }
}
