//! Sends spans to a collector, on a thread that sleeps while there are none.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use super::Span;
use super::otlp::export;
use crate::{Error, ErrorKind};

/// Spans that wait, at most; more are dropped.
const MOST_WAITING: usize = 4096;
/// Spans of one request to the collector, at most.
const MOST_AT_ONCE: usize = 512;
/// How long spans wait for others to go with.
const TOGETHER: Duration = Duration::from_secs(2);
/// How long the collector may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the end of the server waits for it.
const LAST: Duration = Duration::from_secs(3);

/// What the thread is told.
#[derive(Debug)]
enum Item {
    Span(Span),
    /// Send what there is and say so.
    Finish(Sender<()>),
}

/// Takes spans that are over.
#[derive(Debug)]
pub(crate) struct Tracer {
    spans: SyncSender<Item>,
    told: Arc<Told>,
}

/// What became of them.
#[derive(Debug, Default)]
struct Told {
    sent: AtomicU64,
    dropped: AtomicU64,
    failure: Mutex<Option<String>>,
}

impl Tracer {
    /// Sends to the collector at `endpoint`, such as `http://127.0.0.1:4318`, in the name of
    /// `service`.
    pub(crate) fn start(endpoint: &str, service: &str) -> Result<Self, Error> {
        if !endpoint.starts_with("http://") && !endpoint.starts_with("https://") {
            let message = format!("the collector `{endpoint}` has no address");
            return Err(Error::new(ErrorKind::Address, message)
                .with_hint("expected such as `http://127.0.0.1:4318`"));
        }
        let url = match endpoint.trim_end_matches('/') {
            whole if whole.ends_with("/v1/traces") => whole.to_owned(),
            base => format!("{base}/v1/traces"),
        };
        let (spans, waiting) = sync_channel(MOST_WAITING);
        let told = Arc::new(Told::default());
        let (tell, service) = (told.clone(), service.to_owned());
        std::thread::Builder::new()
            .name("traces".to_owned())
            .spawn(move || run(&waiting, &url, &service, &tell))
            .map_err(|e| {
                Error::new(ErrorKind::Threads, "the thread of traces cannot be started").because(e)
            })?;
        Ok(Self { spans, told })
    }

    /// Takes a span that ends now.
    pub(crate) fn end(&self, mut span: Span) {
        span.end = SystemTime::now();
        if self.spans.try_send(Item::Span(span)).is_err() {
            self.told.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until what there is was sent, but not longer than [`LAST`].
    pub(crate) fn finish(&self) {
        let (done, wait) = channel();
        if self.spans.try_send(Item::Finish(done)).is_ok() {
            // Whether or not it was: the server ends.
            let _ = wait.recv_timeout(LAST);
        }
    }

    /// Spans that were sent and dropped, and why the last ones could not be sent.
    pub(crate) fn state(&self) -> (u64, u64, Option<String>) {
        let Told { sent, dropped, failure } = &*self.told;
        let failure = failure.lock().unwrap_or_else(PoisonError::into_inner).clone();
        (sent.load(Ordering::Relaxed), dropped.load(Ordering::Relaxed), failure)
    }
}

fn run(waiting: &Receiver<Item>, url: &str, service: &str, told: &Told) {
    let config = ureq::Agent::config_builder().timeout_global(Some(PATIENCE));
    let agent: ureq::Agent = config.build().into();
    while let Ok(first) = waiting.recv() {
        let until = Instant::now() + TOGETHER;
        let (mut spans, mut finish) = (Vec::new(), None);
        let mut next = Some(first);
        while let Some(item) = next {
            match item {
                Item::Span(span) => spans.push(span),
                Item::Finish(done) => finish = Some(done),
            }
            let full = spans.len() >= MOST_AT_ONCE || finish.is_some();
            let left = until.saturating_duration_since(Instant::now());
            next = if full { None } else { waiting.recv_timeout(left).ok() };
        }
        if !spans.is_empty() {
            send(&agent, url, service, &spans, told);
        }
        // Who waited may be gone.
        let _ = finish.map(|done| done.send(()));
    }
}

/// An address without what stands for who asks.
fn without_user(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://{rest}"),
        _ => url.to_owned(),
    }
}

fn send(agent: &ureq::Agent, url: &str, service: &str, spans: &[Span], told: &Told) {
    let body = export(service, spans).to_string();
    let sent = agent.post(url).header("content-type", "application/json").send(body);
    let (count, failure) = match sent {
        Ok(_) => (&told.sent, None),
        Err(error) => (&told.dropped, Some(format!("`{}`: {error}", without_user(url)))),
    };
    count.fetch_add(spans.len() as u64, Ordering::Relaxed);
    *told.failure.lock().unwrap_or_else(PoisonError::into_inner) = failure;
}
