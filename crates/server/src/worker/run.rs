//! What the engine's thread does.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use rushlight_engine::{
    EmbedEvent, EmbedOptions, EmbedRequest, EmbedSink, EmbedText, Event, GenerateOptions, Request,
    Scheduler, SchedulerOptions, Sink,
};
use tokio::sync::oneshot;

use super::kept::Keeper;
use super::state::State;
use super::{Load, Message, Served, Turn};
use crate::answers::Piece;
use crate::energy::{Accounts, SETTLE, WINDOW};
use crate::failure::Failure;
use crate::metrics::ModelMetrics;
use crate::throttle::Paced;
use crate::{Error, ErrorKind};

/// How long the thread sleeps where requests wait but none can run.
const NAP: Duration = Duration::from_millis(5);

/// What the thread shares with others.
#[derive(Clone, Copy)]
pub(super) struct Shared<'a> {
    pub(super) state: &'a State,
    pub(super) turn: &'a Turn,
    pub(super) metrics: &'a ModelMetrics,
}

/// Loads, proves that a token comes out, and answers until it is told to stop.
pub(super) fn run(
    load: &Load,
    options: &SchedulerOptions,
    shared: Shared<'_>,
    inbox: &Receiver<Message>,
    loaded: oneshot::Sender<Result<(), Error>>,
    mut paced: Paced,
) {
    let Shared { state, metrics, .. } = shared;
    let start = || {
        let _busy = metrics.energy().busy();
        let loaded = load()
            .map_err(|e| Error::new(ErrorKind::Load, "the model cannot be loaded").because(e))?;
        let mut options = options.clone();
        let most = loaded.most_running.unwrap_or(options.most_running);
        options.most_running = options.most_running.min(most);
        let mut scheduler = Scheduler::new(loaded.engine, &options);
        let draft_bytes =
            loaded.draft.as_ref().map_or(0, |draft| draft.engine().plan().total_bytes());
        if let Some(draft) = loaded.draft {
            scheduler.set_draft(draft);
        }
        prove(&mut scheduler)?;
        let (keeper, note) = Keeper::new(loaded.kept, &mut scheduler);
        state.note(note);
        let mut served = Served::new(scheduler.engine(), draft_bytes, loaded.degradations);
        served.tuned = loaded.tuned;
        state.serve(served);
        state.set_counts(scheduler.counts());
        let metrics = metrics.clone();
        if metrics.energy().source().is_some() {
            scheduler.set_meter(move || {
                let spent = metrics.energy().spent();
                spent.inspect(|spent| metrics.spent(*spent))
            });
        }
        Ok((scheduler, keeper))
    };
    let started = catch_unwind(AssertUnwindSafe(start)).unwrap_or_else(|panic| {
        Err(Error::new(ErrorKind::Load, format!("loading panicked: {}", message(&*panic))))
    });
    // Nobody listens any more if the server was stopped meanwhile.
    let (mut scheduler, mut keeper) = match started {
        Ok(started) => {
            let _ = loaded.send(Ok(()));
            started
        }
        Err(error) => {
            state.fail(chain(&error));
            let _ = loaded.send(Err(error));
            return;
        }
    };
    paced.loaded(&scheduler);
    let ended = catch_unwind(AssertUnwindSafe(|| {
        serve(&mut scheduler, &mut keeper, shared, inbox, &mut paced)
    }));
    match ended {
        Ok(Ok(())) => {
            let _busy = metrics.energy().busy();
            state.set_saving(true);
            state.note(keeper.write(&scheduler, &mut || false));
            state.set_saving(false);
        }
        Ok(Err(error)) => state.fail(chain(&error)),
        Err(panic) => state.fail(format!("the engine panicked: {}", message(&*panic))),
    }
    state.end_step();
    // Those who wait hear of it when the scheduler drops their sinks.
}

fn serve(
    scheduler: &mut Scheduler,
    keeper: &mut Keeper,
    shared: Shared<'_>,
    inbox: &Receiver<Message>,
    paced: &mut Paced,
) -> Result<(), rushlight_engine::Error> {
    let Shared { state, turn, metrics } = shared;
    let energy = metrics.energy();
    let mut stopping = false;
    let mut working = None;
    loop {
        if scheduler.is_idle() {
            working = None;
            if stopping {
                return Ok(());
            }
            match wait(inbox, keeper.quiet(scheduler), energy) {
                Ok(message) => stopping |= take(scheduler, message),
                Err(RecvTimeoutError::Timeout) => {
                    // Who asks meanwhile does not wait for it.
                    let mut asked = None;
                    let mut enough = || {
                        asked = inbox.try_recv().ok();
                        asked.is_some()
                    };
                    let busy = energy.busy();
                    state.note(keeper.write(scheduler, &mut enough));
                    drop(busy);
                    stopping |= asked.is_some_and(|message| take(scheduler, message));
                }
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
        }
        while let Ok(message) = inbox.try_recv() {
            stopping |= take(scheduler, message);
        }
        if scheduler.is_idle() {
            state.set_counts(scheduler.counts());
            continue;
        }
        if working.is_none() {
            working = energy.work();
        }
        let turned = turn.take();
        paced.before(scheduler);
        state.begin_step();
        let stepped = scheduler.step();
        state.end_step();
        // The pause is all engines'.
        paced.after(scheduler, matches!(stepped, Ok(true)));
        let ran = stepped?;
        drop(turned);
        state.set_counts(scheduler.counts());
        if !ran && !scheduler.is_idle() {
            match inbox.recv_timeout(NAP) {
                Ok(message) => stopping |= take(scheduler, message),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
        }
    }
}

/// Waits for a message, so long if there is something else to do then. When nothing has come for a
/// moment, it is measured what the machine takes at rest; while others work, that is tried again.
fn wait(
    inbox: &Receiver<Message>,
    quiet: Option<Duration>,
    energy: &Accounts,
) -> Result<Message, RecvTimeoutError> {
    let begin = Instant::now();
    while let Some(works) = energy.wants_rest() {
        match inbox.recv_timeout(SETTLE) {
            Err(RecvTimeoutError::Timeout) => {}
            other => return other,
        }
        if let Some(rest) = energy.rest(works) {
            match inbox.recv_timeout(WINDOW) {
                Err(RecvTimeoutError::Timeout) => rest.end(),
                other => return other,
            }
        }
        if quiet.is_some_and(|quiet| begin.elapsed() >= quiet) {
            break;
        }
    }
    match quiet {
        Some(quiet) => inbox.recv_timeout(quiet),
        None => inbox.recv().map_err(RecvTimeoutError::from),
    }
}

/// Takes a message; true if it is the last one.
fn take(scheduler: &mut Scheduler, message: Message) -> bool {
    // Who asked may be gone.
    match message {
        Message::Ask(request, pieces) => {
            if let Err(error) = scheduler.submit(*request) {
                let _ = pieces.send(Piece::Failed(Failure::from(&error)));
            }
        }
        Message::Embed(request, told) => {
            if let Err(error) = scheduler.submit_embed(*request) {
                let _ = told.send(Err(Failure::from(&error)));
            }
        }
        Message::GiveBack => drop(scheduler.give_back()),
        Message::Stop => return true,
    }
    false
}

/// Has one token written; where the model does not write, one embedded.
fn prove(scheduler: &mut Scheduler) -> Result<(), Error> {
    let writes = scheduler.engine().model().writes();
    let failed = |why: rushlight_engine::Error| {
        let what = if writes { "the model cannot write" } else { "the model cannot embed" };
        Error::new(ErrorKind::Load, what).because(why)
    };
    let first = scheduler
        .engine()
        .model()
        .tokenizer()
        .map_err(|e| Error::new(ErrorKind::Load, "the model cannot be served").because(e))?;
    let prompt = vec![first.bos().unwrap_or(0)];
    let proof = Proof::default();
    if writes {
        let mut options = GenerateOptions::default();
        options.max_tokens = Some(1);
        options.ignore_end = true;
        let request = Request::new(prompt, options, Box::new(proof.clone()));
        scheduler.submit(request).map_err(failed)?;
    } else {
        let texts = vec![EmbedText { tokens: prompt, segments: Vec::new() }];
        let request = EmbedRequest::new(texts, EmbedOptions::default(), Box::new(proof.clone()));
        scheduler.submit_embed(request).map_err(failed)?;
    }
    while !scheduler.is_idle() {
        scheduler.step().map_err(failed)?;
    }
    match proof.0.load(Ordering::Acquire) {
        true => Ok(()),
        false if writes => Err(Error::new(ErrorKind::Load, "the model wrote no token")),
        false => Err(Error::new(ErrorKind::Load, "the model gave no vector of numbers")),
    }
}

/// Whether a token or a vector came.
#[derive(Clone, Default)]
struct Proof(Arc<AtomicBool>);

impl Sink for Proof {
    fn event(&mut self, event: Event<'_>) -> bool {
        if matches!(event, Event::Token { .. }) {
            self.0.store(true, Ordering::Release);
        }
        true
    }
}

impl EmbedSink for Proof {
    fn event(&mut self, event: EmbedEvent<'_>) -> bool {
        // Vectors have numbers alone.
        if matches!(event, EmbedEvent::Finished { .. }) {
            self.0.store(true, Ordering::Release);
        }
        true
    }
}

/// An error and what it is because of.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text += &format!(": {source}");
        next = source.source();
    }
    text
}

/// What a panic said.
fn message(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}
