//! What all routes share.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use axum::http::StatusCode;
use tokio::sync::Semaphore;

use crate::body::{self, Text};
use crate::caller::Caller;
use crate::failure::Failure;
use crate::fields::Fields;
use crate::guard::Guard;
use crate::metrics::Metrics;
use crate::models::{Lease, Models, Purpose};
use crate::openai::responses::Stored;
use crate::options::ServerOptions;
use crate::trace::Tracer;

/// What all routes share.
pub(crate) struct App {
    pub(crate) options: ServerOptions,
    pub(crate) guard: Guard,
    pub(crate) models: Arc<Models>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) tracer: Option<Arc<Tracer>>,
    /// Answers that may be gone on from.
    pub(crate) stored: Stored,
    /// Bytes of requests that there is room for.
    pub(crate) room: Arc<Semaphore>,
    pub(crate) started: Instant,
    /// Seconds since 1970 at the start.
    pub(crate) created: u64,
}

/// The seconds since 1970.
pub(crate) fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

impl App {
    pub(crate) fn new(
        options: ServerOptions,
        guard: Guard,
        models: Arc<Models>,
        metrics: Arc<Metrics>,
        tracer: Option<Arc<Tracer>>,
    ) -> Self {
        let (bytes, stored) = (options.bodies_bytes(), options.stored_bytes());
        Self {
            options,
            guard,
            models,
            metrics,
            tracer,
            stored: Stored::new(stored),
            room: Arc::new(Semaphore::new(bytes.min(Semaphore::MAX_PERMITS))),
            started: Instant::now(),
            created: unix_seconds(),
        }
    }

    /// Runs what may take a while away from the thread that everything shares.
    pub(crate) async fn aside<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&App) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let (app, caller) = (self.clone(), Caller::now());
        let done = tokio::task::spawn_blocking(move || caller.sync_scope(|| work(&app))).await;
        done.unwrap_or_else(|_| {
            let message = "the request could not be worked on";
            Err(Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", message))
        })
    }

    /// When an answer that is asked for now must be complete.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.options.answer_timeout.and_then(|time| Instant::now().checked_add(time))
    }

    /// Reads a request: its model is opened, and `read` takes the rest, away from the thread that
    /// everything shares. Without a name the model is the first one, if one `may` be left out.
    pub(crate) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        text: Text,
        may: Unnamed,
        read: impl FnOnce(&App, &Lease, Fields) -> Result<T, Failure> + Send + 'static,
    ) -> Result<(Lease, T), Failure> {
        self.read_for(text, may, Purpose::Itself, read).await
    }

    /// As [`App::read`], of a request for an answer, which a smaller variant of the model may give.
    pub(crate) async fn read_to_answer<T: Send + 'static>(
        self: &Arc<Self>,
        text: Text,
        may: Unnamed,
        read: impl FnOnce(&App, &Lease, Fields) -> Result<T, Failure> + Send + 'static,
    ) -> Result<(Lease, T), Failure> {
        self.read_for(text, may, Purpose::Answer, read).await
    }

    async fn read_for<T: Send + 'static>(
        self: &Arc<Self>,
        text: Text,
        may: Unnamed,
        purpose: Purpose,
        read: impl FnOnce(&App, &Lease, Fields) -> Result<T, Failure> + Send + 'static,
    ) -> Result<(Lease, T), Failure> {
        let came = Instant::now();
        let mut fields = self.aside(move |_| body::parse(text)).await?;
        // One that is no good is refused where it is taken.
        let own = fields.as_is("deadline_ms").and_then(|ms| ms.as_u64()).filter(|ms| *ms > 0);
        let own = own.map(Duration::from_millis);
        let mut name = fields.text("model")?;
        if may == Unnamed::Refused {
            name = Some(fields.need("model", name)?);
        }
        let open = self.models.open(name.as_deref(), purpose);
        let lease = match own.into_iter().chain(self.options.answer_timeout).min() {
            None => open.await?,
            Some(most) => tokio::time::timeout(most, open).await.map_err(|_| late())??,
        };
        // What it waited for the model is part of its time.
        if let Some(own) = own {
            let left = own.saturating_sub(came.elapsed()).as_millis().max(1);
            fields.put("deadline_ms", (left as u64).into());
        }
        let held = lease.clone();
        let value = self.aside(move |app| read(app, &held, fields)).await?;
        Ok((lease, value))
    }
}

fn late() -> Failure {
    let message = "the deadline passed while the model was being loaded";
    Failure::new(StatusCode::REQUEST_TIMEOUT, "deadline_exceeded", message)
}

/// What a request means that names no model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unnamed {
    /// The first one.
    First,
    /// Nothing: it is an error.
    Refused,
}
