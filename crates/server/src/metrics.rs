//! What the server counts, for Prometheus. Names and buckets are vLLM's where it has them
//! (<https://docs.vllm.ai/en/latest/usage/metrics/>), with buckets below for small models.

mod model;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::SystemTime;

use prometheus_client::encoding::prometheus_text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use crate::energy::Accounts;

pub(crate) use model::{Gone, ModelMetrics};

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
type PerModel<M> = Family<Labels<1>, M>;
type Histograms = Family<Labels<1>, Histogram, fn() -> Histogram>;
type Float = Gauge<f64, AtomicU64>;
type FloatCounter = Counter<f64, AtomicU64>;

/// What the server counts.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    http: Family<Labels<2>, Counter>,
    refused: Family<Labels<1>, Counter>,
    first_token: Histograms,
    next_token: Histograms,
    queue: Histograms,
    whole: Histograms,
    finished: Family<Labels<2>, Counter>,
    gone: Family<Labels<2>, Counter>,
    counters: [PerModel<Counter>; COUNTERS.len()],
    gauges: [PerModel<Gauge>; GAUGES.len()],
    usage: PerModel<Float>,
    energy: Arc<Accounts>,
    /// By model and source. Without a sensor there is nothing in these.
    joules: Family<Labels<2>, FloatCounter>,
    watts: Family<Labels<1>, Float>,
    idle_watts: Family<Labels<1>, Float>,
}

/// Counters of a model: names and what they count.
const COUNTERS: [(&str, &str); 13] = [
    ("prompt_tokens", "Tokens of prompts"),
    ("prompt_tokens_cached", "Tokens of prompts that were in the cache"),
    ("generation_tokens", "Tokens of answers"),
    ("num_preemptions", "Answers that had to wait for room in the cache"),
    ("engine_passes", "Passes of the engine"),
    ("model_loads", "How often the model was loaded"),
    ("embeddings", "Texts that were embedded, and pairs of them that were scored"),
    ("embedding_tokens", "Tokens of these texts"),
    ("spec_decode_num_draft_tokens", "Tokens that were guessed and checked"),
    ("spec_decode_num_accepted_tokens", "Those of them that were right"),
    (
        "spec_decode_num_model_draft_tokens",
        "Tokens that the draft model guessed, of those that were checked",
    ),
    ("spec_decode_num_model_accepted_tokens", "Those of them that were right"),
    ("spec_decode_draft_passes", "Passes of the draft model"),
];

/// Gauges of a model.
const GAUGES: [(&str, &str); 7] = [
    ("num_requests_running", "Answers that are being written"),
    ("num_requests_waiting", "Requests that wait"),
    ("kv_cache_pages", "Pages of the cache"),
    ("kv_cache_pages_used", "Pages that answers or earlier texts have"),
    ("kv_cache_pages_cached", "Pages that only earlier texts have"),
    ("model_loaded", "1 while the model is loaded"),
    ("model_memory_bytes", "Memory that the model takes, at most"),
];

impl Metrics {
    /// Nothing counted yet. What answers take of energy is counted by `energy`.
    pub(crate) fn new(energy: Arc<Accounts>) -> Self {
        let mut metrics = Self {
            registry: Registry::default(),
            http: Family::default(),
            refused: Family::default(),
            first_token: Family::new_with_constructor(|| Histogram::new(FIRST)),
            next_token: Family::new_with_constructor(|| Histogram::new(NEXT)),
            queue: Family::new_with_constructor(|| Histogram::new(FIRST)),
            whole: Family::new_with_constructor(|| Histogram::new(WHOLE)),
            finished: Family::default(),
            gone: Family::default(),
            counters: Default::default(),
            gauges: Default::default(),
            usage: Family::default(),
            energy,
            joules: Family::default(),
            watts: Family::default(),
            idle_watts: Family::default(),
        };
        metrics.registry = metrics.register();
        metrics
    }

    fn register(&self) -> Registry {
        let mut process = Registry::default();
        let start = Float::default();
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        start.set(now.as_secs_f64());
        process.register("process_start_time_seconds", "When the server started", start);
        let all = process.sub_registry_with_prefix("rushlight");
        let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        all.register("build", "What runs", version);
        all.register("http_requests", "Requests by route and status", self.http.clone());
        all.register("refused", "Who was not let in, by what for", self.refused.clone());
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
            all.register(name, help, histogram.clone());
        }
        for ((name, help), counter) in COUNTERS.iter().zip(&self.counters) {
            all.register(*name, *help, counter.clone());
        }
        for ((name, help), gauge) in GAUGES.iter().zip(&self.gauges) {
            all.register(*name, *help, gauge.clone());
        }
        all.register(
            "kv_cache_usage_perc",
            "Share of pages in use, from 0 to 1",
            self.usage.clone(),
        );
        all.register("request_finished", "Answers by how they ended", self.finished.clone());
        all.register(
            "model_unloads",
            "How often the model was let go, by reason",
            self.gone.clone(),
        );
        all.register(
            "energy_joules",
            "Energy of the engine's passes, by what measured it",
            self.joules.clone(),
        );
        all.register(
            "power_watts",
            "Average power while there was something to do, the last time",
            self.watts.clone(),
        );
        all.register(
            "idle_power_watts",
            "The least average power while there was nothing to do",
            self.idle_watts.clone(),
        );
        process
    }

    /// What counts the energy of answers.
    pub(crate) fn energy(&self) -> &Arc<Accounts> {
        &self.energy
    }

    /// Takes over the power that is known now.
    pub(crate) fn set_power(&self) {
        let Some(source) = self.energy.source() else { return };
        let labels = [("source", source.name.clone())];
        let (watts, idle) = self.energy.watts();
        // An estimate knows nothing of the machine at rest.
        let idle = idle.filter(|_| !source.estimated);
        for (family, value) in [(&self.watts, watts), (&self.idle_watts, idle)] {
            if let Some(value) = value {
                family.get_or_create(&labels).set(value);
            }
        }
    }

    /// A request of a route was answered.
    pub(crate) fn http(&self, route: &str, status: u16) {
        let labels = [("route", route.to_owned()), ("status", status.to_string())];
        self.http.get_or_create(&labels).inc();
    }

    /// A connection or a request was not let in.
    pub(crate) fn refused(&self, why: &'static str) {
        self.refused.get_or_create(&[("reason", why.to_owned())]).inc();
    }

    /// What is counted of the model that clients call `model`.
    pub(crate) fn of(&self, model: &str) -> ModelMetrics {
        ModelMetrics::new(self, model)
    }

    /// Everything as text.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        prometheus_text::encode(&mut text, &self.registry).expect("a string takes all text");
        text
    }
}

/// The type of [`Metrics::text`].
pub(crate) const CONTENT_TYPE: &str = prometheus_text::CONTENT_TYPE;
