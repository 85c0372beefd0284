//! How one model is.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use rushlight_engine::SchedulerOptions;

use super::ServedModel;
use crate::answers::Permit;
use crate::failure::Failure;
use crate::metrics::ModelMetrics;
use crate::worker::{Handle, Served, Worker};

/// How long a model that could not be loaded, or whose engine ended, is not tried again.
const PAUSE: Duration = Duration::from_secs(10);

/// A model and how it is.
pub(crate) struct Entry {
    pub(crate) model: ServedModel,
    pub(crate) metrics: ModelMetrics,
    slot: Mutex<Slot>,
    /// Requests that wait until it is loaded.
    waiting: Arc<AtomicUsize>,
}

struct Slot {
    stage: Stage,
    worker: Option<Worker>,
    failure: Option<Why>,
    /// How many use it.
    uses: usize,
    /// Whether nobody may begin to use it: it goes when nobody uses it any more.
    leaving: bool,
    /// When its last user left.
    used: Instant,
    /// How long it stays when nobody uses it.
    idle: Option<Duration>,
}

/// Why a model is not there.
struct Why {
    whole: String,
    /// As clients are told.
    told: String,
    since: Instant,
}

/// Where a model is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Absent,
    Loading,
    Loaded,
}

impl Stage {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Stage::Absent => "absent",
            Stage::Loading => "loading",
            Stage::Loaded => "loaded",
        }
    }
}

/// What comes of asking for a model.
pub(super) enum Opened {
    /// It is there, and one more uses it.
    Ready(Box<Handle>, Arc<Served>),
    /// It is being loaded, or will be when it has gone.
    Loading,
    /// It is not there.
    Absent,
}

/// A model that may be let go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Standing {
    /// Whether somebody uses it: these go last.
    pub(super) busy: bool,
    pub(super) priority: i32,
    pub(super) used: Instant,
}

impl Entry {
    pub(super) fn new(model: ServedModel, metrics: ModelMetrics) -> Self {
        let slot = Slot {
            stage: Stage::Absent,
            worker: None,
            failure: None,
            uses: 0,
            leaving: false,
            used: Instant::now(),
            idle: model.idle,
        };
        Self { model, metrics, slot: Mutex::new(slot), waiting: Arc::default() }
    }

    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to use it if it is there.
    pub(super) fn open(&self) -> Result<Opened, Failure> {
        let mut slot = self.slot();
        let there = slot.worker.as_ref().map(|worker| worker.handle().clone());
        if let Some(handle) = there {
            if slot.leaving {
                return Ok(Opened::Loading);
            }
            match handle.served() {
                Ok(served) => {
                    slot.uses += 1;
                    return Ok(Opened::Ready(Box::new(handle), served));
                }
                Err(failure) if self.model.pinned => return Err(failure),
                Err(failure) => {
                    // Its engine has ended: the thread is gone, and so is what it held.
                    let whole = handle.failure().unwrap_or_default().to_owned();
                    let told = failure.message().to_owned();
                    slot.failure = Some(Why { whole, told, since: Instant::now() });
                    slot.worker = None;
                    slot.stage = Stage::Absent;
                }
            }
        }
        if slot.stage == Stage::Loading {
            return Ok(Opened::Loading);
        }
        match &slot.failure {
            Some(why) if why.since.elapsed() < PAUSE => Err(Failure::unavailable(
                "load_failed",
                format!("`{}`: {}", self.model.name, why.told),
            )),
            _ => Ok(Opened::Absent),
        }
    }

    /// A place among those that wait until it is loaded, of as many as may wait for answers.
    pub(super) fn wait(&self, scheduler: &SchedulerOptions) -> Result<Permit, Failure> {
        let most = scheduler.most_running.saturating_add(scheduler.most_queued);
        match self.waiting.fetch_add(1, Ordering::AcqRel) < most {
            true => Ok(Permit::new(self.waiting.clone())),
            false => {
                self.waiting.fetch_sub(1, Ordering::AcqRel);
                let message = "too many requests wait for the model to be loaded";
                Err(Failure::new(StatusCode::TOO_MANY_REQUESTS, "queue_full", message))
            }
        }
    }

    pub(super) fn set_loading(&self) {
        let mut slot = self.slot();
        if slot.worker.is_none() {
            slot.stage = Stage::Loading;
        }
    }

    /// It could not be loaded.
    pub(super) fn fail(&self, whole: &str, told: String) {
        let mut slot = self.slot();
        slot.stage = Stage::Absent;
        slot.failure = Some(Why { whole: whole.to_owned(), told, since: Instant::now() });
    }

    /// It is there.
    pub(super) fn serve(&self, worker: Worker) {
        self.metrics.loaded();
        let mut slot = self.slot();
        slot.stage = Stage::Loaded;
        slot.failure = None;
        slot.leaving = false;
        slot.used = Instant::now();
        slot.idle = self.model.idle;
        slot.worker = Some(worker);
    }

    /// One less uses it. True if somebody may wait for that.
    pub(super) fn leave(&self) -> bool {
        let mut slot = self.slot();
        slot.uses -= 1;
        slot.used = Instant::now();
        slot.uses == 0 && !self.model.pinned
    }

    /// How long it stays when nobody uses it, until it is loaded again; `None` is for good.
    pub(super) fn set_idle(&self, idle: Option<Duration>) {
        self.slot().idle = idle;
    }

    /// When it is to go because nobody uses it; `None` if it is not there, used, or to stay.
    pub(crate) fn goes(&self) -> Option<Instant> {
        let slot = self.slot();
        let gone = slot.worker.is_none() || slot.uses > 0 || self.model.pinned;
        slot.idle.filter(|_| !gone).and_then(|idle| slot.used.checked_add(idle))
    }

    /// What its being let go depends on; `None` if it cannot be.
    pub(super) fn standing(&self) -> Option<Standing> {
        let slot = self.slot();
        let there = slot.worker.is_some() && !self.model.pinned;
        there.then(|| Standing {
            busy: slot.uses > 0,
            priority: self.model.priority,
            used: slot.used,
        })
    }

    /// Lets nobody begin to use it. What is there may be taken once nobody uses it.
    pub(super) fn retire(&self) {
        self.slot().leaving = true;
    }

    /// It need not go any more.
    pub(super) fn stay(&self) {
        self.slot().leaving = false;
    }

    /// Takes its engine if nobody uses it.
    pub(super) fn take_unused(&self) -> Option<Worker> {
        let mut slot = self.slot();
        if slot.uses > 0 {
            return None;
        }
        slot.leaving = false;
        let worker = slot.worker.take()?;
        slot.stage = Stage::Absent;
        Some(worker)
    }

    /// Takes its engine.
    pub(super) fn take(&self) -> Option<Worker> {
        let mut slot = self.slot();
        slot.stage = Stage::Absent;
        slot.worker.take()
    }

    /// Bytes that it takes.
    pub(crate) fn bytes(&self) -> u64 {
        self.handle().and_then(|handle| handle.served().ok()).map_or(0, |served| served.bytes)
    }

    /// Where it is.
    pub(crate) fn stage(&self) -> Stage {
        self.slot().stage
    }

    /// Why it is not there, if it should be.
    pub(crate) fn failure(&self) -> Option<String> {
        let slot = self.slot();
        let ended = slot.worker.as_ref().and_then(|worker| worker.handle().failure());
        ended.map(str::to_owned).or_else(|| slot.failure.as_ref().map(|why| why.whole.clone()))
    }

    /// Reaches its engine, if that is there.
    pub(crate) fn handle(&self) -> Option<Handle> {
        self.slot().worker.as_ref().map(|worker| worker.handle().clone())
    }

    /// What requests need to know of it, while it can be asked.
    pub(crate) fn served(&self) -> Option<Arc<Served>> {
        self.handle()?.served().ok()
    }
}
