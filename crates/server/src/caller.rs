//! Who asks: the key that a request came with.
//!
//! The guard knows it first and the engine's queue needs it last. It goes along with the request's task
//! rather than through every handler in between.

use std::sync::Arc;

use crate::keys::Key;

tokio::task_local! {
    static CALLER: Caller;
}

/// Who asks: a key, or nobody in particular.
#[derive(Clone, Debug, Default)]
pub(crate) struct Caller(Option<Arc<Key>>);

impl Caller {
    pub(crate) fn new(key: Option<Arc<Key>>) -> Self {
        Self(key)
    }

    /// Who asks for what is worked on now.
    pub(crate) fn now() -> Self {
        CALLER.try_with(Clone::clone).unwrap_or_default()
    }

    /// Works on what this one asks for.
    pub(crate) async fn scope<F: Future>(self, work: F) -> F::Output {
        CALLER.scope(self, work).await
    }

    /// Does for this one what keeps its thread.
    pub(crate) fn sync_scope<T>(self, work: impl FnOnce() -> T) -> T {
        CALLER.sync_scope(self, work)
    }

    /// The key.
    pub(crate) fn key(&self) -> Option<&Key> {
        self.0.as_deref()
    }

    /// Whether this is the same one.
    pub(crate) fn is(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (None, None) => true,
            (Some(one), Some(other)) => one.is(other),
            _ => false,
        }
    }

    /// Takes tokens that were read or written off what the key may have in a minute.
    pub(crate) fn spend(&self, tokens: usize) {
        if let Some(key) = &self.0 {
            key.spend(tokens);
        }
    }

    /// The priority of a request that asks for one: a key that has its own is given no more.
    pub(crate) fn priority(&self, asked: i32) -> i32 {
        match self.key().and_then(|key| key.settings().priority) {
            Some(most) => most.saturating_add(asked.min(0)),
            None => asked,
        }
    }
}
