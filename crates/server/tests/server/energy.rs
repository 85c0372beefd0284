//! What answers take of energy, by a counter that goes on while they are written.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rushlight_host::PowerMeter;
use rushlight_host::probe::Tree;
use rushlight_testkit::made_up::write_entries;
use serde_json::{Value, json};

use crate::support::{Running, until};

const COUNTER: &str = "sys/class/powercap/intel-rapl:0/energy_uj";

/// A machine whose processor takes so many milliwatts, as its counter says.
struct Machine {
    dir: tempfile::TempDir,
    milliwatts: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Machine {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        write_entries(
            "sys/class/powercap/intel-rapl:0/name = package-0\n\
             sys/class/powercap/intel-rapl:0/energy_uj = 0\n\
             sys/class/powercap/intel-rapl:0/max_energy_range_uj = 262143328850\n",
            dir.path(),
        );
        let (milliwatts, stop) =
            (Arc::new(AtomicU64::new(10_000)), Arc::new(AtomicBool::default()));
        let (root, power, stopped) = (dir.path().to_owned(), milliwatts.clone(), stop.clone());
        let thread = std::thread::spawn(move || count(&root, &power, &stopped));
        Self { dir, milliwatts, stop, thread: Some(thread) }
    }

    fn meter(&self) -> PowerMeter {
        PowerMeter::open(&Tree::new(self.dir.path()))
    }

    /// What the counter says, in joules.
    fn joules(&self) -> f64 {
        let text = fs::read_to_string(self.dir.path().join(COUNTER)).unwrap();
        text.trim().parse::<f64>().unwrap() / 1e6
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

/// Goes on counting, at once as the kernel does: a reader never finds the file empty.
fn count(root: &Path, milliwatts: &AtomicU64, stop: &AtomicBool) {
    let (file, beside): (PathBuf, PathBuf) = (root.join(COUNTER), root.join("new"));
    let (mut microjoules, mut last) = (0.0, Instant::now());
    while !stop.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(1));
        let now = Instant::now();
        microjoules += milliwatts.load(Ordering::Relaxed) as f64 * 1e3 * (now - last).as_secs_f64();
        last = now;
        fs::write(&beside, format!("{}\n", microjoules as u64)).unwrap();
        fs::rename(&beside, &file).unwrap();
    }
}

fn joules(energy: &Value) -> f64 {
    energy["joules"].as_f64().unwrap_or_else(|| panic!("{energy}"))
}

#[test]
fn answers_say_what_they_took_and_the_counters_agree() {
    let machine = Machine::new();
    let meter = machine.meter();
    let server = Running::start(|options| options.power = Some(meter));
    let before = machine.joules();
    let ask = json!({ "prompt": "abc", "max_tokens": 200, "ignore_eos": true });
    let usage = server.post("/v1/completions", &ask).json()["usage"].clone();
    let energy = usage["energy"].clone();
    assert_eq!(energy["source"], "RAPL package-0");
    assert_eq!(energy["estimated"], false);
    let first = joules(&energy);
    let took = machine.joules() - before;
    // All but what the network and the thread's beginning took.
    assert!(first > 0.0 && first <= took + 1e-3, "{first} of {took}");
    let per_token = energy["joules_per_token"].as_f64().unwrap();
    assert!((per_token - first / 200.0).abs() < 1e-6, "{energy}");

    // Every dialect says it, and the sum is what the counter of Prometheus says.
    let mut sum = first;
    let chat =
        json!({ "messages": [{ "role": "user", "content": "abc" }], "max_tokens": 20, "n": 2 });
    sum += joules(&server.post("/v1/chat/completions", &chat).json()["usage"]["energy"]);
    let claude = json!({ "model": "tiny", "messages": [{ "role": "user", "content": "abc" }], "max_tokens": 9 });
    sum += joules(&server.post("/v1/messages", &claude).json()["usage"]["energy"]);
    let input = json!({ "input": "abc", "max_output_tokens": 9 });
    sum += joules(&server.post("/v1/responses", &input).json()["usage"]["energy"]);
    let llama = json!({ "model": "tiny", "prompt": "abc", "stream": false, "options": { "num_predict": 9 } });
    sum += joules(&server.post("/api/generate", &llama).json()["energy"]);
    let streamed = json!({ "prompt": "abc", "max_tokens": 9, "stream": true,
        "stream_options": { "include_usage": true } });
    let events = server.post("/v1/completions", &streamed).body;
    let last = events.lines().filter_map(|line| line.strip_prefix("data: {")).next_back().unwrap();
    let last: Value = serde_json::from_str(&format!("{{{last}")).unwrap();
    sum += joules(&last["usage"]["energy"]);
    let counted =
        server.metric("rushlight_energy_joules_total{model=\"tiny\",source=\"RAPL package-0\"}");
    assert!((counted - sum).abs() < 1e-4, "{counted} and {sum}");
    let health = server.get("/health").json()["energy"].clone();
    assert!((joules(&health) - counted).abs() < 1e-4, "{health}");
    assert_eq!(health["covers"], "processors without memory");
    assert_eq!(health["reason"], Value::Null);
}

#[test]
fn what_the_machine_takes_at_rest_is_told_apart() {
    let machine = Machine::new();
    let meter = machine.meter();
    let server = Running::start(|options| options.power = Some(meter));
    let health = || server.get("/health").json()["energy"].clone();
    until("it is known what the machine takes at rest", || !health()["idle_watts"].is_null());
    let idle = health()["idle_watts"].as_f64().unwrap();
    assert!((idle - 10.0).abs() < 2.0, "{idle}");
    let metric = server.metric("rushlight_idle_power_watts{source=\"RAPL package-0\"}");
    // A reader of JSON may take the last bit otherwise.
    assert!((metric - idle).abs() < 1e-9, "{metric} and {idle}");
    machine.milliwatts.store(40_000, Ordering::Relaxed);
    let ask = json!({ "prompt": "abc", "max_tokens": 400, "ignore_eos": true });
    // Thirty of forty watts; of so short a time not to the millisecond, if much else is to be done.
    let told = (0..5).any(|_| {
        let energy = server.post("/v1/completions", &ask).json()["usage"]["energy"].clone();
        let above = energy["above_idle_joules"].as_f64().unwrap_or_else(|| panic!("{energy}"));
        let share = above / joules(&energy);
        let watts = server.metric("rushlight_power_watts{source=\"RAPL package-0\"}");
        (share - 0.75).abs() < 0.1 && (watts - 40.0).abs() < 12.0
    });
    assert!(told, "{}", health());
}

#[test]
fn without_a_sensor_there_is_a_reason_and_no_zero() {
    let dir = tempfile::tempdir().unwrap();
    write_entries(
        "sys/class/powercap/intel-rapl:0/name = package-0\n\
         sys/class/powercap/intel-rapl:0/energy_uj !EACCES\n",
        dir.path(),
    );
    let meter = PowerMeter::open(&Tree::new(dir.path()));
    let server = Running::start(|options| options.power = Some(meter));
    let ask = json!({ "prompt": "abc", "max_tokens": 5 });
    let usage = server.post("/v1/completions", &ask).json()["usage"].clone();
    assert_eq!(usage.get("energy"), None, "{usage}");
    let metrics = server.get("/metrics").body;
    let told: Vec<&str> =
        metrics.lines().filter(|l| l.contains("joules") || l.contains("watts")).collect();
    assert_eq!(told, Vec::<&str>::new());
    let health = server.get("/health").json()["energy"].clone();
    assert_eq!((&health["source"], &health["joules"]), (&Value::Null, &Value::Null));
    let reason = health["reason"].as_str().unwrap();
    let want = "no sensor: RAPL package-0: since Linux 5.10 only root may read it; run as root";
    assert!(reason.starts_with(want), "{reason}");
    let unasked = Running::start(|_| {});
    assert_eq!(unasked.get("/health").json()["energy"]["reason"], "it is not asked for");
}

#[test]
fn an_estimate_is_labelled() {
    let dir = tempfile::tempdir().unwrap();
    let meter = PowerMeter::open(&Tree::new(dir.path())).or_estimate(3.0).unwrap();
    let server = Running::start(|options| options.power = Some(meter));
    let ask = json!({ "prompt": "abc", "max_tokens": 50, "ignore_eos": true });
    let energy = server.post("/v1/completions", &ask).json()["usage"]["energy"].clone();
    assert_eq!(energy["estimated"], true);
    assert_eq!(energy["source"], "estimated at 3 W for each busy core");
    assert!(joules(&energy) > 0.0);
    let metrics = server.get("/metrics").body;
    assert!(!metrics.contains("rushlight_idle_power_watts{"), "{metrics}");
    // It counts this process alone: all of it is above what the machine takes at rest.
    assert_eq!(energy["above_idle_joules"], energy["joules"]);
}
