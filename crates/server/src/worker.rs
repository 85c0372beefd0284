//! The thread that the engine lives on, and how others reach it.
//!
//! The engine is loaded and used on the same thread. It sleeps while there is nothing to do, so an
//! idle server takes no processor. A panic or an error that concerns every request ends it: those who
//! wait are told, and `/health` says why.

mod kept;
mod run;
mod served;
mod state;
mod turn;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use rushlight_engine::{
    Counts, EmbedRequest, GenerateOptions, Request, SchedulerOptions, Thinking,
};
use rushlight_model::Adapter;
use rushlight_text::constrain::Constraint;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

use crate::answers::{Answers, Permit, Piece, Writer};
use crate::caller::Caller;
use crate::embeddings::{Embed, Gatherer, Told};
use crate::failure::Failure;
use crate::metrics::ModelMetrics;
use crate::{Error, ErrorKind};
use state::State;

pub use kept::Kept;
pub(crate) use run::chain;
pub(crate) use served::Served;
pub use served::{Degradation, Loaded};
pub(crate) use turn::Turn;

/// Any error of a loader.
pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Loads the engine.
pub(crate) type Load = Arc<dyn Fn() -> Result<Loaded, BoxError> + Send + Sync>;

/// What the thread is told.
enum Message {
    /// Answer this. Who is told why it cannot be answered comes with it.
    Ask(Box<Request>, UnboundedSender<Piece>),
    /// Embed these texts.
    Embed(Box<EmbedRequest>, UnboundedSender<Told>),
    /// End after what there is to answer.
    Stop,
}

/// The thread of the engine.
pub(crate) struct Worker {
    handle: Handle,
    /// The model is there and has written a token, or why not.
    loaded: oneshot::Receiver<Result<(), Error>>,
    /// Closes when the thread has ended.
    ended: oneshot::Receiver<()>,
}

impl Worker {
    /// Starts the thread, which loads the engine first.
    pub(crate) fn start(
        load: Load,
        options: &SchedulerOptions,
        metrics: ModelMetrics,
        turn: Arc<Turn>,
    ) -> Result<Self, Error> {
        let (messages, inbox) = mpsc::channel();
        let (tell_loaded, loaded) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        let state = Arc::new(State::default());
        let counted = metrics.clone();
        let mut scheduler = options.clone();
        let most = scheduler.most_running.saturating_add(scheduler.most_queued);
        // All are counted here, where it can be said at once. To the scheduler those that have just
        // come are waiting ones, even if there is a place for them.
        scheduler.most_queued = most;
        let handle = Handle {
            state: state.clone(),
            messages,
            metrics,
            admitted: Arc::new(AtomicUsize::new(0)),
            most,
        };
        std::thread::Builder::new()
            .name("engine".to_owned())
            .spawn(move || {
                // It is dropped last, whatever happens before.
                let _end: oneshot::Sender<()> = end;
                run::run(&load, &scheduler, &state, &inbox, tell_loaded, &turn, &counted);
            })
            .map_err(|e| {
                Error::new(ErrorKind::Threads, "the engine's thread cannot be started").because(e)
            })?;
        Ok(Self { handle, loaded, ended })
    }

    /// How others reach it.
    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Waits until the model has written its first token; an error if it cannot.
    pub(crate) async fn loaded(&mut self) -> Result<(), Error> {
        let gone = || Error::new(ErrorKind::Load, "the engine ended while it was loaded");
        (&mut self.loaded).await.unwrap_or_else(|_| Err(gone()))
    }

    /// Ends the thread when it has answered what there is; waits for it so long.
    pub(crate) async fn stop(mut self, most: Duration) {
        self.handle.state.stop();
        // A thread that has ended needs no message.
        let _ = self.handle.messages.send(Message::Stop);
        // One that is stuck ends with the process; one that writes what it read is waited for.
        while tokio::time::timeout(most, &mut self.ended).await.is_err() {
            if !self.handle.state.is_saving() {
                return;
            }
        }
    }
}

/// An answer to be made.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) prompt: Vec<u32>,
    pub(crate) options: GenerateOptions,
    pub(crate) priority: i32,
    pub(crate) deadline: Option<Instant>,
    /// How many of the likeliest tokens are told at each place.
    pub(crate) likeliest: usize,
    /// What the answer must look like, after its reasoning.
    pub(crate) constraint: Option<Constraint>,
    /// How the model thinks before it answers.
    pub(crate) thinking: Option<Thinking>,
    /// Control tokens whose names are part of the text.
    pub(crate) shown: Vec<u32>,
}

/// Reaches the engine from other threads.
#[derive(Clone)]
pub(crate) struct Handle {
    state: Arc<State>,
    messages: mpsc::Sender<Message>,
    metrics: ModelMetrics,
    /// Requests that were taken and have not ended.
    admitted: Arc<AtomicUsize>,
    /// How many there may be.
    most: usize,
}

impl Handle {
    /// What is served; a failure while there is nothing to serve with.
    pub(crate) fn served(&self) -> Result<Arc<Served>, Failure> {
        if self.state.failure().is_some() {
            return Err(Failure::unavailable("engine_failed", "the engine has failed"));
        }
        if self.state.is_stopping() {
            return Err(Failure::unavailable("stopping", "the server is being stopped"));
        }
        self.state
            .served()
            .ok_or_else(|| Failure::unavailable("loading", "the model is being loaded"))
    }

    /// Has all of these answered, with an adapter or without, or none if they are too many: that is
    /// said at once, whatever the engine is doing.
    pub(crate) fn ask(
        &self,
        asks: Vec<Ask>,
        adapter: Option<&Arc<Adapter>>,
    ) -> Result<Answers, Failure> {
        self.served()?;
        let permits = self.admit(asks.len())?;
        let mut receivers = Vec::with_capacity(asks.len());
        for (ask, permit) in asks.into_iter().zip(permits) {
            let (pieces, receiver) = unbounded_channel();
            let metrics = self.metrics.clone();
            let writer = Writer::new(pieces.clone(), metrics, permit, ask.prompt.len());
            let mut request = Request::new(ask.prompt, ask.options, Box::new(writer));
            request.priority = Caller::now().priority(ask.priority);
            request.deadline = ask.deadline;
            request.top_log_probabilities = ask.likeliest;
            request.constraint = ask.constraint;
            request.thinking = ask.thinking;
            request.adapter = adapter.cloned();
            request.shown = ask.shown;
            self.messages
                .send(Message::Ask(Box::new(request), pieces))
                .map_err(|_| Failure::unavailable("engine_failed", "the engine has ended"))?;
            receivers.push(receiver);
        }
        Ok(Answers::new(receivers))
    }

    /// Has texts embedded: one request, however many they are.
    pub(crate) fn embed(
        &self,
        embed: Embed,
        adapter: Option<&Arc<Adapter>>,
    ) -> Result<UnboundedReceiver<Told>, Failure> {
        self.served()?;
        let (tell, told) = unbounded_channel();
        let permit = self.admit(1)?.pop().expect("one was asked for");
        let Embed { texts, options, priority, deadline } = embed;
        let caller = Caller::now();
        caller.spend(texts.iter().map(|text| text.tokens.len()).sum());
        let sink = Gatherer::new(tell.clone(), self.metrics.clone(), permit, texts.len());
        let mut request = EmbedRequest::new(texts, options, Box::new(sink));
        (request.priority, request.deadline) = (caller.priority(priority), deadline);
        request.adapter = adapter.cloned();
        self.messages
            .send(Message::Embed(Box::new(request), tell))
            .map_err(|_| Failure::unavailable("engine_failed", "the engine has ended"))?;
        Ok(told)
    }

    fn admit(&self, count: usize) -> Result<Vec<Permit>, Failure> {
        if count > self.most {
            return Err(Failure::request(format!(
                "the request asks for `{count}` answers, the server takes `{}` at once",
                self.most
            )));
        }
        let room = |now: usize| Some(now + count).filter(|then| *then <= self.most);
        match self.admitted.fetch_update(Ordering::AcqRel, Ordering::Acquire, room) {
            Ok(_) => Ok((0..count).map(|_| Permit::new(self.admitted.clone())).collect()),
            Err(now) => Err(Failure::new(
                StatusCode::TOO_MANY_REQUESTS,
                "queue_full",
                format!("`{now}` requests are being answered or wait already; try again later"),
            )),
        }
    }

    /// What the scheduler was doing after its last pass.
    pub(crate) fn counts(&self) -> Counts {
        self.state.counts()
    }

    /// What is not as it should be now, beside what was so from the start.
    pub(crate) fn noted(&self) -> Option<Degradation> {
        self.state.noted()
    }

    /// Why the engine has ended, if it should not have.
    pub(crate) fn failure(&self) -> Option<&str> {
        self.state.failure()
    }

    /// How long the present pass has been running.
    pub(crate) fn step_time(&self) -> Option<Duration> {
        self.state.step_time()
    }
}

#[cfg(test)]
impl Handle {
    /// Has a request answered whose sink does what a test wants.
    pub(crate) fn send(&self, request: Request) {
        let (pieces, _) = unbounded_channel();
        self.messages.send(Message::Ask(Box::new(request), pieces)).unwrap();
    }
}
