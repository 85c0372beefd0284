//! A model in use.

use std::sync::Arc;
use std::time::Duration;

use rushlight_model::Adapter;

use super::{Entry, Models};
use crate::answers::Answers;
use crate::embeddings::{Awaited, Embed};
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
    names: Names,
}

/// What a request says of the model.
pub(super) struct Names {
    /// The name as it came.
    pub(super) asked: String,
    /// The adapter that is meant, and its name.
    pub(super) adapter: Option<(String, Arc<Adapter>)>,
    /// Whether another model than the one that was asked for answers.
    pub(super) stands_in: bool,
}

impl Lease {
    /// Of a model that counts this use already.
    pub(super) fn new(
        models: Arc<Models>,
        entry: Arc<Entry>,
        handle: Handle,
        served: Arc<Served>,
        names: Names,
    ) -> Self {
        Self(Arc::new(Use { models, entry, handle, served, names }))
    }

    /// What requests need to know of it.
    pub(crate) fn served(&self) -> &Served {
        &self.0.served
    }

    /// What it is called in answers: an adapter has a name of its own.
    pub(crate) fn name(&self) -> &str {
        let adapter = self.0.names.adapter.as_ref();
        adapter.map_or(&self.0.entry.model.name, |(name, _)| name)
    }

    /// What it was called in the request; of one that stands in for another its own name.
    pub(crate) fn asked(&self) -> &str {
        if self.0.names.stands_in { self.name() } else { &self.0.names.asked }
    }

    /// Has all of these answered, or none if they are too many. The answers keep the model.
    pub(crate) fn ask(&self, asks: Vec<Ask>) -> Result<Answers, Failure> {
        self.0.served.check_writes()?;
        Ok(self.0.handle.ask(asks, self.adapter())?.of(self.clone()))
    }

    fn adapter(&self) -> Option<&Arc<Adapter>> {
        self.0.names.adapter.as_ref().map(|(_, adapter)| adapter)
    }

    /// Has texts embedded. What is awaited keeps the model.
    pub(crate) fn embed(&self, embed: Embed) -> Result<Awaited, Failure> {
        Ok(Awaited::new(self.0.handle.embed(embed, self.adapter())?, self.clone()))
    }

    /// How long the model stays when nobody uses it any more; `None` is for good.
    pub(crate) fn keep(&self, idle: Option<Duration>) {
        if !self.0.names.stands_in {
            self.0.entry.set_idle(idle);
        }
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
