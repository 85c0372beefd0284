//! What the server counts, for Prometheus. Names and buckets are vLLM's where it has them
//! (<https://docs.vllm.ai/en/latest/usage/metrics/>), with buckets below for small models.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use prometheus_client::encoding::prometheus_text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use rushlight_engine::Counts;

/// Seconds to a first token, and in the queue.
const FIRST: [f64; 20] = [
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
    20.0, 40.0, 80.0, 160.0,
];
/// Seconds from one token to the next.
const NEXT: [f64; 19] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5,
    5.0, 7.5, 10.0,
];
/// Seconds of a whole answer.
const WHOLE: [f64; 20] = [
    0.01, 0.05, 0.1, 0.3, 0.5, 0.8, 1.0, 1.5, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 60.0, 120.0,
    240.0, 480.0, 960.0,
];

type Labels<const N: usize> = [(&'static str, String); N];

/// What the server counts.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    first_token: Histogram,
    next_token: Histogram,
    queue: Histogram,
    whole: Histogram,
    http: Family<Labels<2>, Counter>,
    finished: Family<Labels<1>, Counter>,
    prompt_tokens: Counter,
    cached_tokens: Counter,
    answer_tokens: Counter,
    preemptions: Counter,
    passes: Counter,
    /// Tokens that were guessed, those of them that were right, and of both the draft model's.
    guessed: [Counter; 4],
    draft_passes: Counter,
    running: Gauge,
    waiting: Gauge,
    pages: Gauge,
    pages_used: Gauge,
    pages_cached: Gauge,
    usage: Gauge<f64, AtomicU64>,
}

impl Metrics {
    /// Nothing counted yet, of the model that clients call `model`.
    pub(crate) fn new(model: &str) -> Self {
        let mut metrics = Self {
            registry: Registry::default(),
            first_token: Histogram::new(FIRST),
            next_token: Histogram::new(NEXT),
            queue: Histogram::new(FIRST),
            whole: Histogram::new(WHOLE),
            http: Family::default(),
            finished: Family::default(),
            prompt_tokens: Counter::default(),
            cached_tokens: Counter::default(),
            answer_tokens: Counter::default(),
            preemptions: Counter::default(),
            passes: Counter::default(),
            guessed: Default::default(),
            draft_passes: Counter::default(),
            running: Gauge::default(),
            waiting: Gauge::default(),
            pages: Gauge::default(),
            pages_used: Gauge::default(),
            pages_cached: Gauge::default(),
            usage: Gauge::default(),
        };
        metrics.registry = metrics.register(model);
        metrics
    }

    fn register(&self, model: &str) -> Registry {
        let mut process = Registry::default();
        let start = Gauge::<f64, AtomicU64>::default();
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        start.set(now.as_secs_f64());
        process.register("process_start_time_seconds", "When the server started", start);
        let all = process.sub_registry_with_prefix("rushlight");
        let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        all.register("build", "What runs", version);
        all.register("http_requests", "Requests by route and status", self.http.clone());
        let of = all.sub_registry_with_label(("model".into(), model.to_owned().into()));
        let histograms = [
            (
                "time_to_first_token_seconds",
                "From the request to its first token",
                &self.first_token,
            ),
            ("time_per_output_token_seconds", "From one token to the next", &self.next_token),
            ("request_queue_time_seconds", "From the request to its beginning", &self.queue),
            ("e2e_request_latency_seconds", "From the request to its end", &self.whole),
        ];
        for (name, help, histogram) in histograms {
            of.register(name, help, histogram.clone());
        }
        let [drafted, accepted, model_drafted, model_accepted] = &self.guessed;
        let counters = [
            ("prompt_tokens", "Tokens of prompts", &self.prompt_tokens),
            (
                "prompt_tokens_cached",
                "Tokens of prompts that were in the cache",
                &self.cached_tokens,
            ),
            ("generation_tokens", "Tokens of answers", &self.answer_tokens),
            (
                "num_preemptions",
                "Answers that had to wait for room in the cache",
                &self.preemptions,
            ),
            ("engine_passes", "Passes of the engine", &self.passes),
            ("spec_decode_num_draft_tokens", "Tokens that were guessed and checked", drafted),
            ("spec_decode_num_accepted_tokens", "Those of them that were right", accepted),
            (
                "spec_decode_num_model_draft_tokens",
                "Tokens that the draft model guessed, of those that were checked",
                model_drafted,
            ),
            (
                "spec_decode_num_model_accepted_tokens",
                "Those of them that were right",
                model_accepted,
            ),
            ("spec_decode_draft_passes", "Passes of the draft model", &self.draft_passes),
        ];
        for (name, help, counter) in counters {
            of.register(name, help, counter.clone());
        }
        let gauges = [
            ("num_requests_running", "Answers that are being written", &self.running),
            ("num_requests_waiting", "Requests that wait", &self.waiting),
            ("kv_cache_pages", "Pages of the cache", &self.pages),
            ("kv_cache_pages_used", "Pages that answers or earlier texts have", &self.pages_used),
            ("kv_cache_pages_cached", "Pages that only earlier texts have", &self.pages_cached),
        ];
        for (name, help, gauge) in gauges {
            of.register(name, help, gauge.clone());
        }
        of.register(
            "kv_cache_usage_perc",
            "Share of pages in use, from 0 to 1",
            self.usage.clone(),
        );
        of.register("request_finished", "Answers by how they ended", self.finished.clone());
        process
    }

    /// A request of a route was answered.
    pub(crate) fn http(&self, route: &str, status: u16) {
        let labels = [("route", route.to_owned()), ("status", status.to_string())];
        self.http.get_or_create(&labels).inc();
    }

    /// A request left the queue.
    pub(crate) fn begun(&self, waited: Duration, prompt_tokens: usize, cached_tokens: usize) {
        self.queue.observe(waited.as_secs_f64());
        self.prompt_tokens.inc_by(prompt_tokens as u64);
        self.cached_tokens.inc_by(cached_tokens as u64);
    }

    /// The first token of an answer came.
    pub(crate) fn first_token(&self, since_request: Duration) {
        self.first_token.observe(since_request.as_secs_f64());
        self.answer_tokens.inc();
    }

    /// Another token of an answer came.
    pub(crate) fn next_token(&self, since_last: Duration) {
        self.next_token.observe(since_last.as_secs_f64());
        self.answer_tokens.inc();
    }

    /// An answer ended.
    pub(crate) fn finished(&self, how: &'static str, since_request: Duration) {
        self.whole.observe(since_request.as_secs_f64());
        self.finished.get_or_create(&[("finished_reason", how.to_owned())]).inc();
    }

    /// Everything as text, with what the scheduler is doing now.
    pub(crate) fn text(&self, now: &Counts) -> String {
        let gauges = [
            (&self.running, now.running),
            (&self.waiting, now.queued),
            (&self.pages, now.pages),
            (&self.pages_used, now.pages_used),
            (&self.pages_cached, now.pages_cached),
        ];
        for (gauge, value) in gauges {
            gauge.set(value as i64);
        }
        self.usage.set(now.pages_used as f64 / now.pages.max(1) as f64);
        let [drafted, accepted, model_drafted, model_accepted] = &self.guessed;
        let counters = [
            (&self.preemptions, now.preemptions),
            (&self.passes, now.passes),
            (drafted, now.drafted_tokens),
            (accepted, now.accepted_tokens),
            (model_drafted, now.model_drafted_tokens),
            (model_accepted, now.model_accepted_tokens),
            (&self.draft_passes, now.draft_passes),
        ];
        for (counter, value) in counters {
            counter.inner().store(value, Ordering::Relaxed);
        }
        let mut text = String::new();
        prometheus_text::encode(&mut text, &self.registry).expect("a string takes all text");
        text
    }
}

/// The type of [`Metrics::text`].
pub(crate) const CONTENT_TYPE: &str = prometheus_text::CONTENT_TYPE;
