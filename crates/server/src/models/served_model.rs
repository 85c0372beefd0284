//! A model that clients may ask for.

use std::sync::Arc;
use std::time::Duration;

use rushlight_engine::SchedulerOptions;

use crate::worker::Load;
use crate::{Loaded, worker};

/// Says how many bytes a model will take.
pub(super) type Needs = Arc<dyn Fn() -> Result<u64, worker::BoxError> + Send + Sync>;

/// A model that clients may ask for.
#[derive(Clone)]
#[non_exhaustive]
pub struct ServedModel {
    /// What clients call it.
    pub name: String,
    /// What they may call it too.
    pub aliases: Vec<String>,
    /// What clients call it together with one of its adapters: the names of the adapters that its
    /// engine is loaded with (`EngineOptions::adapters`).
    pub adapters: Vec<String>,
    /// Names of other models of the server that answer in its place while a limit of watts or heat
    /// leaves nothing else ([`Throttling::variant`](crate::Throttling)), the largest first. They are
    /// loaded when they are needed; until then the model itself answers.
    pub smaller: Vec<String>,
    /// Whether it is loaded at the start and stays. One that cannot be loaded ends the server.
    pub pinned: bool,
    /// Where there is no room for all, those of lower priority go first.
    pub priority: i32,
    /// How long nobody asks for it before it is let go, unless it is pinned; never without.
    pub idle: Option<Duration>,
    /// How requests share it, if not as the server's options say.
    pub scheduler: Option<SchedulerOptions>,
    /// Loads it, on the thread that then runs it; each time that it is asked for and not there.
    pub(super) load: Load,
    pub(super) needs: Needs,
    pub(super) copies: Needs,
}

impl ServedModel {
    /// A model that `load` loads at the start and that stays.
    pub fn new(
        name: impl Into<String>,
        load: impl Fn() -> Result<Loaded, worker::BoxError> + Send + Sync + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            aliases: Vec::new(),
            adapters: Vec::new(),
            smaller: Vec::new(),
            pinned: true,
            priority: 0,
            idle: None,
            scheduler: None,
            load: Arc::new(load),
            needs: Arc::new(|| Ok(0)),
            copies: Arc::new(|| Ok(0)),
        }
    }

    /// How many bytes of memory it takes at most, while it is loaded too, which `needs` says without
    /// loading it. Without this it counts only once it is there.
    #[must_use]
    pub fn with_needs(
        mut self,
        needs: impl Fn() -> Result<u64, worker::BoxError> + Send + Sync + 'static,
    ) -> Self {
        self.needs = Arc::new(needs);
        self
    }

    /// How many bytes of memory it takes to find out what it needs: those of files that are copied when
    /// they are opened. Room is made for them before.
    #[must_use]
    pub fn with_copies(
        mut self,
        copies: impl Fn() -> Result<u64, worker::BoxError> + Send + Sync + 'static,
    ) -> Self {
        self.copies = Arc::new(copies);
        self
    }

    /// What clients may call it, with adapters and without.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        let names = std::iter::once(&self.name).chain(&self.aliases).chain(&self.adapters);
        names.map(String::as_str)
    }
}

impl std::fmt::Debug for ServedModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServedModel")
            .field("name", &self.name)
            .field("aliases", &self.aliases)
            .field("pinned", &self.pinned)
            .field("priority", &self.priority)
            .field("idle", &self.idle)
            .finish_non_exhaustive()
    }
}
