//! Tells of requests and of what happens to the server, for logs. What was asked and answered is not told.

use std::sync::Arc;
use std::time::Duration;

/// A request that was answered.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Seen<'a> {
    /// Its method.
    pub method: &'a str,
    /// Its route; `other` for a path that is none.
    pub route: &'a str,
    /// The name of its API key, if it has one.
    pub caller: Option<&'a str>,
    /// The status of the response.
    pub status: u16,
    /// How long the response took to begin: of a stream not to its end.
    pub time: Duration,
}

/// Hears of each request. All requests wait for it: it must be quick.
#[derive(Clone)]
pub struct Observer(Arc<dyn Fn(Seen<'_>) + Send + Sync>);

impl Observer {
    /// Has `hear` hear of each request.
    pub fn new(hear: impl Fn(Seen<'_>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(hear))
    }

    pub(crate) fn tell(&self, seen: Seen<'_>) {
        (self.0)(seen);
    }
}

impl std::fmt::Debug for Observer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Observer")
    }
}

/// Hears in a line each of what happens to the server while it runs, for those who look after it.
#[derive(Clone)]
pub struct Notices(Arc<dyn Fn(&str) + Send + Sync>);

impl Notices {
    /// Has `hear` hear of what happens.
    pub fn new(hear: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self(Arc::new(hear))
    }

    pub(crate) fn tell(&self, notice: &str) {
        (self.0)(notice);
    }
}

impl std::fmt::Debug for Notices {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Notices")
    }
}
