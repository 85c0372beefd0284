//! A model in use.

use std::sync::Arc;
use std::time::Duration;

use super::{Entry, Models};
use crate::answers::Answers;
use crate::failure::Failure;
use crate::worker::{Ask, Handle, Served};

/// A model in use: it stays until the last clone is dropped.
#[derive(Clone)]
pub(crate) struct Lease(Arc<Use>);

struct Use {
    models: Arc<Models>,
    entry: Arc<Entry>,
    handle: Handle,
    served: Arc<Served>,
    /// The name as it came.
    asked: Option<String>,
}

impl Lease {
    /// Of a model that counts this use already.
    pub(super) fn new(
        models: Arc<Models>,
        entry: Arc<Entry>,
        handle: Handle,
        served: Arc<Served>,
        asked: Option<&str>,
    ) -> Self {
        let asked = asked.map(str::to_owned);
        Self(Arc::new(Use { models, entry, handle, served, asked }))
    }

    /// What requests need to know of it.
    pub(crate) fn served(&self) -> &Served {
        &self.0.served
    }

    /// What it is called in answers.
    pub(crate) fn name(&self) -> &str {
        &self.0.entry.model.name
    }

    /// What it was called in the request.
    pub(crate) fn asked(&self) -> &str {
        self.0.asked.as_deref().unwrap_or(self.name())
    }

    /// Has all of these answered, or none if they are too many. The answers keep the model.
    pub(crate) fn ask(&self, asks: Vec<Ask>) -> Result<Answers, Failure> {
        Ok(self.0.handle.ask(asks)?.of(self.clone()))
    }

    /// How long the model stays when nobody uses it any more; `None` is for good.
    pub(crate) fn keep(&self, idle: Option<Duration>) {
        self.0.entry.set_idle(idle);
    }
}

impl std::fmt::Debug for Lease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Lease").field(&self.name()).finish()
    }
}

impl Drop for Use {
    fn drop(&mut self) {
        if self.entry.leave() {
            self.models.tell();
        }
    }
}
