//! What all routes share.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use axum::http::StatusCode;
use tokio::sync::Semaphore;

use crate::body;
use crate::caller::Caller;
use crate::failure::Failure;
use crate::fields::cut;
use crate::guard::Guard;
use crate::metrics::Metrics;
use crate::options::ServerOptions;
use crate::worker::Handle;

/// What all routes share.
pub(crate) struct App {
    pub(crate) options: ServerOptions,
    pub(crate) guard: Guard,
    pub(crate) engine: Handle,
    pub(crate) metrics: Arc<Metrics>,
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
        engine: Handle,
        metrics: Arc<Metrics>,
    ) -> Self {
        let bytes = options.most_body_bytes.saturating_mul(body::LARGEST_AT_ONCE);
        Self {
            options,
            guard,
            engine,
            metrics,
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

    /// Checks what a request calls the model; without a name it is the one there is.
    pub(crate) fn check_model(&self, name: Option<&str>) -> Result<(), Failure> {
        match name {
            Some(name) if !self.options.is_model(name) => Err(Failure::new(
                StatusCode::NOT_FOUND,
                "model_not_found",
                format!("there is no model `{}`, expected `{}`", cut(name), self.options.model),
            )
            .of("model")),
            _ => Ok(()),
        }
    }
}
