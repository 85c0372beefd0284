//! The models that clients may ask for. Each is loaded when somebody asks for it, stays while it is
//! used, and goes when it has not been used for a while or when another one needs the room.
//!
//! One is loaded at a time. Its memory is known before it is loaded; where there is no room, those
//! that nobody uses go first: of the lowest priority, and of these the one that was used longest ago.

mod entry;
mod lease;
mod room;
mod served_model;
mod shed;
mod tend;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use axum::http::StatusCode;
use tokio::sync::{Mutex, watch};

use crate::failure::Failure;
use crate::fields::cut;
use crate::metrics::Metrics;
use crate::options::ServerOptions;
use crate::worker::{Degradation, Turn, Worker, chain};
use crate::{Error, ErrorKind};
use entry::Opened;

pub(crate) use entry::Entry;
pub(crate) use lease::Lease;
use lease::Names;
use served_model::Needs;
pub use served_model::ServedModel;
use shed::Shed;

/// What a model's name ends with in Ollama's world when nothing else was said.
pub(crate) const LATEST: &str = ":latest";

/// What a model is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// An answer, which a smaller variant may give.
    Answer,
    /// What is about this model alone, such as its tokens.
    Itself,
}

/// The models that clients may ask for.
pub(crate) struct Models {
    entries: Vec<Arc<Entry>>,
    options: ServerOptions,
    /// Bytes that all models together may take.
    budget: u64,
    /// One model is loaded, or let go, at a time.
    turn: Mutex<()>,
    /// Whose pass it is: two models that run at once would take each other's cores.
    passes: Arc<Turn>,
    /// Changes when something that somebody may wait for has happened.
    changed: watch::Sender<()>,
    /// Bytes of models that were let go and whose engines have not ended.
    ending: Arc<AtomicU64>,
    shed: Shed,
    stopping: AtomicBool,
}

impl Models {
    /// None of them is loaded yet.
    ///
    /// # Errors
    /// If there are none, or two have the same name.
    pub(crate) fn new(
        models: Vec<ServedModel>,
        options: &ServerOptions,
        metrics: &Metrics,
    ) -> Result<Arc<Self>, Error> {
        if models.is_empty() {
            return Err(Error::new(ErrorKind::Load, "there is no model to be served"));
        }
        let mut names: Vec<&str> = models.iter().flat_map(ServedModel::names).collect();
        names.sort_unstable();
        if let Some(twice) = names.windows(2).find(|two| two[0] == two[1]) {
            let message = format!("two models are called `{}`", twice[0]);
            return Err(Error::new(ErrorKind::Load, message).with_hint("give one another name"));
        }
        let smaller = || models.iter().flat_map(|model| &model.smaller);
        if let Some(absent) = smaller().find(|name| !names.contains(&name.as_str())) {
            let message = format!("the smaller variant `{absent}` is no model of the server");
            return Err(Error::new(ErrorKind::Load, message));
        }
        let usable = || rushlight_host::memory("/".as_ref()).usable_bytes();
        let entry = |model: ServedModel| {
            let metrics = metrics.of(&model.name);
            Arc::new(Entry::new(model, metrics))
        };
        Ok(Arc::new(Self {
            entries: models.into_iter().map(entry).collect(),
            options: options.clone(),
            budget: options
                .memory_bytes
                .unwrap_or_else(usable)
                .saturating_sub(options.process_bytes),
            turn: Mutex::new(()),
            passes: Arc::default(),
            changed: watch::Sender::new(()),
            ending: Arc::default(),
            shed: Shed::new(metrics.sheds()),
            stopping: AtomicBool::new(false),
        }))
    }

    /// All of them, the one that is meant by no name first.
    pub(crate) fn entries(&self) -> &[Arc<Entry>] {
        &self.entries
    }

    /// The one that is meant by no name.
    pub(crate) fn first(&self) -> &Arc<Entry> {
        &self.entries[0]
    }

    /// Bytes that all models together may take.
    pub(crate) fn budget(&self) -> u64 {
        self.budget
    }

    /// The one of a name, which may end with Ollama's tag or lack it, and the name as it is known.
    pub(crate) fn find(&self, name: Option<&str>) -> Result<(&Arc<Entry>, &str), Failure> {
        let Some(name) = name else { return Ok((self.first(), &self.first().model.name)) };
        let plain = name.strip_suffix(LATEST).unwrap_or(name);
        let tagged = format!("{plain}{LATEST}");
        let all = || self.entries.iter().flat_map(|e| e.model.names().map(move |known| (e, known)));
        let called = |name: &str| all().find(|(_, known)| *known == name);
        called(name).or_else(|| called(plain)).or_else(|| called(&tagged)).ok_or_else(|| {
            let names: Vec<String> =
                self.entries.iter().map(|e| format!("`{}`", e.model.name)).collect();
            let message =
                format!("there is no model `{}`, expected {}", cut(name), names.join(" or "));
            Failure::new(StatusCode::NOT_FOUND, "model_not_found", message).of("model")
        })
    }

    /// The model of a name, to be used until the lease is dropped; waits until it is loaded.
    ///
    /// One that the server loads at its start is not waited for: that is said at once.
    pub(crate) async fn open(
        self: &Arc<Self>,
        name: Option<&str>,
        purpose: Purpose,
    ) -> Result<Lease, Failure> {
        let (entry, known) = self.find(name)?;
        self.shed.check()?;
        if purpose == Purpose::Answer
            && let Some(lease) = self.open_smaller(entry, known, name)
        {
            return Ok(lease);
        }
        let mut waits = None;
        loop {
            if self.stopping.load(Ordering::Acquire) {
                return Err(Failure::unavailable("stopping", "the server is being stopped"));
            }
            let mut changed = self.changed.subscribe();
            match entry.open()? {
                Opened::Ready(handle, served) => {
                    let adapter = served.adapters.get(known).cloned();
                    let asked = name.unwrap_or(known).to_owned();
                    let names = Names { asked, adapter, stands_in: false };
                    return Ok(Lease::new(self.clone(), entry.clone(), *handle, served, names));
                }
                Opened::Absent | Opened::Loading if entry.model.pinned => {
                    return Err(Failure::unavailable("loading", "the model is being loaded"));
                }
                Opened::Absent => self.load_aside(entry),
                Opened::Loading => {}
            }
            if waits.is_none() {
                let scheduler = entry.model.scheduler.as_ref();
                waits = Some(entry.wait(scheduler.unwrap_or(&self.options.scheduler))?);
            }
            // The sender is here.
            let _ = changed.changed().await;
        }
    }

    /// The smaller variant that answers in place of a model, if one does; one that is not there is
    /// loaded meanwhile.
    fn open_smaller(
        self: &Arc<Self>,
        entry: &Arc<Entry>,
        known: &str,
        name: Option<&str>,
    ) -> Option<Lease> {
        let variant = self.options.throttle.as_ref()?.variant().checked_sub(1)?;
        if self.stopping.load(Ordering::Acquire) {
            return None;
        }
        // An adapter is one of the model itself.
        if entry.model.adapters.iter().any(|adapter| adapter == known) {
            return None;
        }
        let smaller = entry.model.smaller.get(variant).or(entry.model.smaller.last())?;
        let (smaller, _) = self.find(Some(smaller)).ok()?;
        match smaller.open().ok()? {
            Opened::Ready(handle, served) => {
                let names = Names {
                    asked: name.unwrap_or(known).to_owned(),
                    adapter: None,
                    stands_in: true,
                };
                let writes = served.check_writes().is_ok();
                let lease = Lease::new(self.clone(), smaller.clone(), *handle, served, names);
                writes.then_some(lease)
            }
            Opened::Absent => {
                // What is short of memory may just have let it go.
                if self.degradation().is_none() {
                    self.load_aside(smaller);
                }
                None
            }
            Opened::Loading => None,
        }
    }

    /// Has a model loaded. Who asked for it may go: others may have asked since.
    fn load_aside(self: &Arc<Self>, entry: &Arc<Entry>) {
        entry.set_loading();
        let (models, entry) = (self.clone(), entry.clone());
        tokio::spawn(async move { models.load(&entry).await });
    }

    /// Loads those that are to stay.
    pub(crate) async fn load_pinned(self: &Arc<Self>) -> Result<(), Error> {
        for entry in self.entries.iter().filter(|entry| entry.model.pinned) {
            self.load(entry).await?;
        }
        Ok(())
    }

    /// Loads a model, letting others go for it.
    async fn load(self: &Arc<Self>, entry: &Arc<Entry>) -> Result<(), Error> {
        let _turn = self.turn.lock().await;
        if entry.served().is_some() {
            return Ok(());
        }
        entry.set_loading();
        let outcome = self.load_now(entry).await;
        if let Err(error) = &outcome {
            // What else is wrong may name files, and is told by `/health`.
            let told = match error.kind() {
                ErrorKind::Memory => error.to_string(),
                _ => "it cannot be loaded".to_owned(),
            };
            entry.fail(&chain(error), told);
        }
        self.tell();
        outcome
    }

    async fn load_now(self: &Arc<Self>, entry: &Arc<Entry>) -> Result<(), Error> {
        // Others are let go, and files are read, before the engine's thread is there.
        let _busy = entry.metrics.energy().busy();
        let copies = bytes(&entry.model.copies).await?;
        if copies > 0 {
            self.make_room(entry, copies).await?;
        }
        let needs = bytes(&entry.model.needs).await?;
        self.make_room(entry, needs).await?;
        let (load, passes) = (entry.model.load.clone(), self.passes.clone());
        let scheduler = entry.model.scheduler.as_ref().unwrap_or(&self.options.scheduler);
        let (metrics, throttle) = (entry.metrics.clone(), self.options.throttle.clone());
        let mut worker = Worker::start(load, scheduler, metrics, passes, throttle)?;
        worker.loaded().await?;
        entry.serve(worker);
        Ok(())
    }

    /// What is not as it should be because memory is short.
    pub(crate) fn degradation(&self) -> Option<Degradation> {
        self.shed.degradation()
    }

    /// Something has happened that somebody may wait for.
    fn tell(&self) {
        self.changed.send_replace(());
    }

    /// Lets nobody in any more.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.tell();
    }

    /// Ends all engines, waiting for each so long.
    pub(crate) async fn end(&self, most: Duration) {
        for worker in self.entries.iter().filter_map(|entry| entry.take()) {
            // What has not ended ends with the process.
            let _ = worker.stop(most).await;
        }
    }
}

/// Has something said of a model that reads its files.
async fn bytes(of: &Needs) -> Result<u64, Error> {
    let cannot = || Error::new(ErrorKind::Load, "the model cannot be loaded");
    let of = of.clone();
    let bytes = tokio::task::spawn_blocking(move || of()).await;
    bytes.map_err(|panic| cannot().because(panic))?.map_err(|error| cannot().because(error))
}
