//! Metrics for OpenTelemetry, by OTLP over HTTP in JSON (<https://opentelemetry.io/docs/specs/otlp/>).

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use super::metric::{Kind, Metric, metrics};
use crate::error::{Error, ErrorKind};
use crate::sample::Sample;

/// Samples that wait for a slow collector, at most; more are dropped.
const MOST_WAITING: usize = 8;
/// How long the collector may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// `AGGREGATION_TEMPORALITY_CUMULATIVE` of `metrics.proto`: since the start.
const CUMULATIVE: u8 = 2;

/// Sends samples to a collector, on a thread that sleeps while there are none.
#[derive(Debug)]
pub struct Collector {
    samples: SyncSender<Sample>,
    told: Arc<Told>,
}

/// What became of them.
#[derive(Debug, Default)]
struct Told {
    sent: AtomicU64,
    dropped: AtomicU64,
    failure: Mutex<Option<String>>,
}

impl Collector {
    /// Sends to the collector at `endpoint`, such as `http://127.0.0.1:4318`.
    ///
    /// # Errors
    ///
    /// If that is no address, or no thread can be started.
    pub fn start(endpoint: &str) -> Result<Self, Error> {
        if !endpoint.starts_with("http://") && !endpoint.starts_with("https://") {
            let message = format!("the collector `{endpoint}` has no address");
            return Err(Error::new(ErrorKind::Address, message)
                .with_hint("expected such as `http://127.0.0.1:4318`"));
        }
        let url = match endpoint.trim_end_matches('/') {
            whole if whole.ends_with("/v1/metrics") => whole.to_owned(),
            base => format!("{base}/v1/metrics"),
        };
        let (samples, waiting) = sync_channel(MOST_WAITING);
        let told = Arc::new(Told::default());
        let tell = told.clone();
        std::thread::Builder::new()
            .name("metrics".to_owned())
            .spawn(move || run(&waiting, &url, &tell))
            .map_err(|e| Error::new(ErrorKind::Address, format!("no thread for metrics: {e}")))?;
        Ok(Self { samples, told })
    }

    /// Sends a sample, or drops it if the collector is slow.
    pub fn send(&self, sample: &Sample) {
        let mut sample = sample.clone();
        // They are not told, and may be many.
        sample.processes.clear();
        if self.samples.try_send(sample).is_err() {
            self.told.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Samples that were sent and dropped, and why the last one could not be sent.
    pub fn state(&self) -> (u64, u64, Option<String>) {
        let Told { sent, dropped, failure } = &*self.told;
        let failure = failure.lock().unwrap_or_else(PoisonError::into_inner).clone();
        (sent.load(Ordering::Relaxed), dropped.load(Ordering::Relaxed), failure)
    }
}

fn run(waiting: &Receiver<Sample>, url: &str, told: &Told) {
    let config = ureq::Agent::config_builder().timeout_global(Some(PATIENCE));
    let agent: ureq::Agent = config.build().into();
    let mut start_unix_ms = None;
    while let Ok(sample) = waiting.recv() {
        let start = *start_unix_ms.get_or_insert(sample.time_unix_ms);
        let body = export(&sample, start).to_string();
        let sent = agent.post(url).header("content-type", "application/json").send(body);
        let (count, failure) = match sent {
            Ok(_) => (&told.sent, None),
            Err(error) => (&told.dropped, Some(error.to_string())),
        };
        count.fetch_add(1, Ordering::Relaxed);
        *told.failure.lock().unwrap_or_else(PoisonError::into_inner) = failure;
    }
}

/// A sample as a collector takes it.
fn export(sample: &Sample, start_unix_ms: u64) -> Value {
    let text = |name: &str, text: &str| json!({ "key": name, "value": { "stringValue": text } });
    let version = env!("CARGO_PKG_VERSION");
    // 64 bits are strings, as JSON's numbers are not that exact.
    let nanoseconds = |ms: u64| (u128::from(ms) * 1_000_000).to_string();
    let (start, now) = (nanoseconds(start_unix_ms), nanoseconds(sample.time_unix_ms));
    let metric = |metric: Metric| {
        let points: Vec<Value> = metric
            .points
            .iter()
            .map(|point| {
                let labels = point.labels.iter().map(|(name, value)| text(name, value));
                json!({
                    "startTimeUnixNano": start,
                    "timeUnixNano": now,
                    "asDouble": point.value,
                    "attributes": labels.collect::<Vec<_>>(),
                })
            })
            .collect();
        let data = match metric.kind {
            Kind::Gauge => json!({ "gauge": { "dataPoints": points } }),
            Kind::Counter => json!({ "sum": {
                "dataPoints": points,
                "aggregationTemporality": CUMULATIVE,
                "isMonotonic": true,
            } }),
        };
        let mut value = json!({
            "name": metric.name,
            "description": metric.help,
            "unit": metric.unit,
        });
        if let (Some(value), Value::Object(data)) = (value.as_object_mut(), data) {
            value.extend(data);
        }
        value
    };
    json!({ "resourceMetrics": [{
        "resource": { "attributes": [
            text("service.name", "rushlight-monitor"),
            text("service.version", version),
            text("host.name", &sample.host.name),
        ] },
        "scopeMetrics": [{
            "scope": { "name": "rushlight", "version": version },
            "metrics": metrics(sample).into_iter().map(metric).collect::<Vec<_>>(),
        }],
    }] })
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_collector_gets_what_it_can_read() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let collector = Collector::start(&url).unwrap();
        let mut sample = Sample { time_unix_ms: 1_700_000_000_000, ..Sample::default() };
        sample.heat.left_celsius = Some(12.5);
        collector.send(&sample);
        let (mut stream, _) = listener.accept().unwrap();
        let (mut request, mut part) = (String::new(), [0; 4096]);
        while !request.ends_with("}]}]}") {
            let read = stream.read(&mut part).unwrap();
            assert!(read > 0, "{request}");
            request.push_str(std::str::from_utf8(&part[..read]).unwrap());
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").unwrap();
        assert!(request.starts_with("POST /v1/metrics "), "{request}");
        let body = request.split_once("\r\n\r\n").unwrap().1;
        let body: Value = serde_json::from_str(body).unwrap();
        let all = &body["resourceMetrics"][0]["scopeMetrics"][0]["metrics"];
        let all = all.as_array().unwrap();
        let left =
            all.iter().find(|one| one["name"] == "rushlight_temperature_left_celsius").unwrap();
        let point = &left["gauge"]["dataPoints"][0];
        assert_eq!(point["asDouble"], 12.5);
        assert_eq!(point["timeUnixNano"], "1700000000000000000");
        let end = Instant::now() + Duration::from_secs(5);
        while collector.state().0 == 0 && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(collector.state(), (1, 0, None));
        assert!(Collector::start("127.0.0.1:4318").is_err());
    }
}
