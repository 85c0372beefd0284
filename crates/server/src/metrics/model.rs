//! What is counted of one model.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use rushlight_engine::{Counts, Spent};

use super::{COUNTERS, Float, FloatCounter, GAUGES, Labels, Metrics};
use crate::energy::Accounts;

/// Why a model was let go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gone {
    /// Nobody had used it for a while.
    Idle,
    /// Another one needed the room.
    Room,
    /// Memory was short.
    Pressure,
}

impl Gone {
    fn name(self) -> &'static str {
        match self {
            Gone::Idle => "idle",
            Gone::Room => "room",
            Gone::Pressure => "pressure",
        }
    }
}

/// What is counted of one model.
#[derive(Clone, Debug)]
pub(crate) struct ModelMetrics {
    model: String,
    first_token: Histogram,
    next_token: Histogram,
    queue: Histogram,
    whole: Histogram,
    finished: Family<Labels<2>, Counter>,
    gone: Family<Labels<2>, Counter>,
    /// In the order of [`COUNTERS`].
    counters: [Counter; COUNTERS.len()],
    /// In the order of [`GAUGES`].
    gauges: [Gauge; GAUGES.len()],
    usage: Float,
    energy: Arc<Accounts>,
    joules: Family<Labels<2>, FloatCounter>,
}

impl ModelMetrics {
    pub(super) fn new(all: &Metrics, model: &str) -> Self {
        let labels = [("model", model.to_owned())];
        let histogram = |family: &super::Histograms| family.get_or_create(&labels).clone();
        Self {
            model: model.to_owned(),
            first_token: histogram(&all.first_token),
            next_token: histogram(&all.next_token),
            queue: histogram(&all.queue),
            whole: histogram(&all.whole),
            finished: all.finished.clone(),
            gone: all.gone.clone(),
            counters: all.counters.each_ref().map(|of| of.get_or_create(&labels).clone()),
            gauges: all.gauges.each_ref().map(|of| of.get_or_create(&labels).clone()),
            usage: all.usage.get_or_create(&labels).clone(),
            energy: all.energy.clone(),
            joules: all.joules.clone(),
        }
    }

    /// What clients call the model.
    pub(crate) fn model(&self) -> &str {
        &self.model
    }

    /// A request left the queue.
    pub(crate) fn begun(&self, waited: Duration, prompt_tokens: usize, cached_tokens: usize) {
        let [prompts, cached, ..] = &self.counters;
        self.queue.observe(waited.as_secs_f64());
        prompts.inc_by(prompt_tokens as u64);
        cached.inc_by(cached_tokens as u64);
    }

    /// The first token of an answer came.
    pub(crate) fn first_token(&self, since_request: Duration) {
        self.first_token.observe(since_request.as_secs_f64());
        self.counters[2].inc();
    }

    /// Another token of an answer came.
    pub(crate) fn next_token(&self, since_last: Duration) {
        self.next_token.observe(since_last.as_secs_f64());
        self.counters[2].inc();
    }

    /// An answer ended.
    pub(crate) fn finished(&self, how: &'static str, since_request: Duration) {
        self.whole.observe(since_request.as_secs_f64());
        self.finished.get_or_create(&self.labels("finished_reason", how)).inc();
    }

    /// All texts of a request were embedded.
    pub(crate) fn embedded(&self, texts: usize, tokens: usize) {
        self.counters[6].inc_by(texts as u64);
        self.counters[7].inc_by(tokens as u64);
    }

    /// What counts the energy of answers.
    pub(crate) fn energy(&self) -> &Arc<Accounts> {
        &self.energy
    }

    /// A pass took so much energy.
    pub(crate) fn spent(&self, spent: Spent) {
        if let Some(source) = self.energy.source() {
            let labels = [("model", self.model.clone()), ("source", source.name.clone())];
            self.joules.get_or_create(&labels).inc_by(spent.joules.max(0.0));
        }
    }

    /// The model was loaded.
    pub(crate) fn loaded(&self) {
        self.counters[5].inc();
    }

    /// The model was let go.
    pub(crate) fn gone(&self, why: Gone) {
        self.gone.get_or_create(&self.labels("reason", why.name())).inc();
    }

    fn labels(&self, name: &'static str, value: &'static str) -> Labels<2> {
        [("model", self.model.clone()), (name, value.to_owned())]
    }

    /// What the scheduler is doing now, and how many bytes the model takes; `None` while it is not
    /// loaded.
    pub(crate) fn set_now(&self, now: Option<(Counts, u64)>) {
        let loaded = now.is_some();
        let (now, bytes) = now.unwrap_or_default();
        let values = [
            now.running as i64,
            now.queued as i64,
            now.pages as i64,
            now.pages_used as i64,
            now.pages_cached as i64,
            i64::from(loaded),
            bytes as i64,
        ];
        for (gauge, value) in self.gauges.iter().zip(values) {
            gauge.set(value);
        }
        self.usage.set(now.pages_used as f64 / now.pages.max(1) as f64);
        if loaded {
            let values = [
                (3, now.preemptions),
                (4, now.passes),
                (8, now.drafted_tokens),
                (9, now.accepted_tokens),
                (10, now.model_drafted_tokens),
                (11, now.model_accepted_tokens),
                (12, now.draft_passes),
            ];
            for (at, value) in values {
                self.counters[at].inner().store(value, Ordering::Relaxed);
            }
        }
    }
}
