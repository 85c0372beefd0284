//! Readings as metrics.

use crate::sample::{Load, Sample, Stalls};

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Gauge,
    /// It only grows, until what counts it starts again.
    Counter,
}

/// A name, what it is, and its values by labels.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Metric {
    /// With the unit at its end; of a counter without `_total`.
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    /// As UCUM writes it (<https://ucum.org/ucum>).
    pub(super) unit: &'static str,
    pub(super) kind: Kind,
    pub(super) points: Vec<Point>,
}

/// A value and its labels.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Point {
    pub(super) labels: Vec<(&'static str, String)>,
    pub(super) value: f64,
}

/// Names of what a processor does, in the order of [`Load::seconds`].
const MODES: [&str; 8] = ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"];

/// Metrics as they are collected; those without a value are left out.
struct Metrics(Vec<Metric>);

impl Metrics {
    fn add(
        &mut self,
        (name, unit, help): (&'static str, &'static str, &'static str),
        kind: Kind,
        points: impl IntoIterator<Item = Point>,
    ) {
        let points = points.into_iter().filter(|point| point.value.is_finite());
        let points: Vec<Point> =
            points.map(|point| Point { value: tidy(point.value), ..point }).collect();
        if !points.is_empty() {
            self.0.push(Metric { name, help, unit, kind, points });
        }
    }

    fn gauge(
        &mut self,
        what: (&'static str, &'static str, &'static str),
        points: impl IntoIterator<Item = Point>,
    ) {
        self.add(what, Kind::Gauge, points);
    }

    fn counter(
        &mut self,
        what: (&'static str, &'static str, &'static str),
        points: impl IntoIterator<Item = Point>,
    ) {
        self.add(what, Kind::Counter, points);
    }
}

/// Without the digits that a number of 32 bits gets when it becomes one of 64; of a large one they are
/// no part of what is told.
fn tidy(value: f64) -> f64 {
    if value.abs() < 1e6 { (value * 1e6).round() / 1e6 } else { value }
}

fn one(value: impl Into<Option<f64>>) -> Option<Point> {
    Some(Point { labels: Vec::new(), value: value.into()? })
}

fn of(name: &'static str, label: &str, value: f64) -> Point {
    Point { labels: vec![(name, label.to_owned())], value }
}

fn two(a: (&'static str, &str), b: (&'static str, &str), value: f64) -> Point {
    Point { labels: vec![(a.0, a.1.to_owned()), (b.0, b.1.to_owned())], value }
}

/// All metrics of a sample.
pub(super) fn metrics(sample: &Sample) -> Vec<Metric> {
    let mut all = Metrics(Vec::new());
    processors(&mut all, sample);
    memory(&mut all, sample);
    devices(&mut all, sample);
    // What a silent device said last is not what is now.
    if sample.stale("power").is_none() {
        power(&mut all, sample);
    }
    if sample.stale("heat").is_none() {
        heat(&mut all, sample);
    }
    if sample.stale("accelerators").is_none() {
        accelerators(&mut all, sample);
    }
    served(&mut all, sample);
    all.0
}

fn processors(all: &mut Metrics, sample: &Sample) {
    let cpu = &sample.cpu;
    let modes = |cpu: u32, load: &Load| {
        let cpu = cpu.to_string();
        let mode = |(mode, seconds): (&&str, &f64)| two(("cpu", &cpu), ("mode", mode), *seconds);
        MODES.iter().zip(&load.seconds).map(mode).collect::<Vec<_>>()
    };
    let points = cpu.cores.iter().flat_map(|core| modes(core.cpu, &core.load));
    all.counter(("node_cpu_seconds", "s", "What processors did."), points);
    let points = cpu
        .cores
        .iter()
        .filter_map(|core| Some(of("cpu", &core.cpu.to_string(), core.frequency_hz? as f64)));
    all.gauge(("node_cpu_scaling_frequency_hertz", "Hz", "Clock of a processor."), points);
    let names = ["node_load1", "node_load5", "node_load15"];
    for (name, load) in names.into_iter().zip(cpu.load_average) {
        all.gauge((name, "1", "Load average."), one(f64::from(load)));
    }
    let tasks = &sample.tasks;
    all.gauge(
        ("node_procs_running", "1", "Processes that run or could."),
        one(f64::from(tasks.running)),
    );
    all.gauge(
        ("node_procs_blocked", "1", "Processes that wait for a disk."),
        one(f64::from(tasks.blocked)),
    );
    all.gauge(("node_processes_threads", "1", "Threads."), one(f64::from(tasks.threads)));
    all.gauge(("node_processes_pids", "1", "Processes."), one(f64::from(tasks.processes)));
}

fn memory(all: &mut Metrics, sample: &Sample) {
    let memory = &sample.memory;
    if memory.total_bytes > 0 {
        let swap_free = memory.swap_total_bytes.saturating_sub(memory.swap_used_bytes);
        for (name, help, bytes) in [
            ("node_memory_MemTotal_bytes", "All memory.", memory.total_bytes),
            ("node_memory_MemAvailable_bytes", "Memory that is available.", memory.available_bytes),
            ("node_memory_MemFree_bytes", "Memory that nothing uses.", memory.free_bytes),
            ("node_memory_Dirty_bytes", "Memory that is to be written.", memory.dirty_bytes),
            ("node_memory_SwapTotal_bytes", "All swap.", memory.swap_total_bytes),
            ("node_memory_SwapFree_bytes", "Swap that nothing uses.", swap_free),
        ] {
            all.gauge((name, "By", help), one(bytes as f64));
        }
    }
    if let Some(limit) = &memory.limit {
        let what =
            ("rushlight_memory_limit_bytes", "By", "What the tightest control group allows.");
        all.gauge(what, one(limit.limit_bytes as f64));
        let what = ("rushlight_memory_limit_used_bytes", "By", "What of that is used.");
        all.gauge(what, one(limit.used_bytes as f64));
    }
    let pressure = &sample.pressure;
    let kinds = [("cpu", &pressure.cpu), ("memory", &pressure.memory), ("io", &pressure.io)];
    let points = kinds.iter().filter_map(|(name, stalls)| Some((name, stalls.as_ref()?)));
    let points = points.flat_map(|(name, Stalls { some, full })| {
        [("some", some), ("full", full)].map(|(which, stall)| {
            let value = f64::from(stall.average_10_s_percent) / 100.0;
            two(("resource", name), ("kind", which), value)
        })
    });
    let what = ("rushlight_pressure_ratio", "1", "Share of the last ten seconds that was waited.");
    all.gauge(what, points);
}

fn devices(all: &mut Metrics, sample: &Sample) {
    let disks = || sample.disks.iter();
    let points = disks().map(|disk| of("device", &disk.name, disk.read_bytes as f64));
    all.counter(("node_disk_read_bytes", "By", "Read from a disk."), points);
    let points = disks().map(|disk| of("device", &disk.name, disk.written_bytes as f64));
    all.counter(("node_disk_written_bytes", "By", "Written to a disk."), points);
    let points = disks().map(|disk| of("device", &disk.name, f64::from(disk.busy_percent) / 100.0));
    all.gauge(("rushlight_disk_busy_ratio", "1", "Share of time in which a disk worked."), points);
    let networks = || sample.networks.iter();
    let points = networks().map(|one| of("device", &one.name, one.received_bytes as f64));
    all.counter(("node_network_receive_bytes", "By", "Received by an interface."), points);
    let points = networks().map(|one| of("device", &one.name, one.sent_bytes as f64));
    all.counter(("node_network_transmit_bytes", "By", "Sent by an interface."), points);
    let filesystems = || sample.filesystems.iter();
    let points = filesystems().map(|one| of("mountpoint", &one.path, one.total_bytes as f64));
    all.gauge(("node_filesystem_size_bytes", "By", "Size of a file system."), points);
    let points = filesystems().map(|one| of("mountpoint", &one.path, one.free_bytes as f64));
    all.gauge(("node_filesystem_avail_bytes", "By", "What users may still write."), points);
}

fn power(all: &mut Metrics, sample: &Sample) {
    let power = &sample.power;
    let source = power.source.as_deref().unwrap_or_default();
    let what = ("rushlight_device_power_watts", "W", "What the machine takes.");
    all.gauge(what, power.watts.map(|watts| of("source", source, f64::from(watts))));
    let what = ("rushlight_device_energy_joules", "J", "Energy since the monitor started.");
    all.counter(what, power.joules.map(|joules| of("source", source, joules)));
    let points = power.rails.iter().map(|rail| of("rail", &rail.name, f64::from(rail.watts)));
    all.gauge(("rushlight_rail_power_watts", "W", "What a rail gives."), points);
    let charge = power.battery.as_ref().and_then(|battery| battery.charge_percent);
    let charge = charge.map(|percent| f64::from(percent) / 100.0);
    all.gauge(("rushlight_battery_charge_ratio", "1", "How full the battery is."), one(charge));
}

fn heat(all: &mut Metrics, sample: &Sample) {
    let heat = &sample.heat;
    let points = heat.temperatures.iter().enumerate().map(|(at, one)| {
        // Several sensors may have one name.
        let index = at.to_string();
        two(("sensor", &one.name), ("index", &index), f64::from(one.celsius))
    });
    all.gauge(("rushlight_temperature_celsius", "Cel", "A temperature."), points);
    let what = ("rushlight_temperature_left_celsius", "Cel", "Degrees to the nearest limit.");
    all.gauge(what, one(heat.left_celsius.map(f64::from)));
    let what = ("rushlight_throttled", "1", "1 while heat or supply slow the machine down.");
    all.gauge(what, one(heat.is_throttled.map(|is| f64::from(u8::from(is)))));
}

fn accelerators(all: &mut Metrics, sample: &Sample) {
    let labelled = |value: fn(&crate::sample::Accelerator) -> Option<f64>| {
        let all = sample.accelerators.iter().enumerate();
        all.filter_map(move |(at, one)| {
            let labels = vec![
                ("index", at.to_string()),
                ("kind", one.kind.clone()),
                ("name", one.name.clone()),
            ];
            Some(Point { labels, value: value(one)? })
        })
        .collect::<Vec<_>>()
    };
    let what = ("rushlight_accelerator_busy_ratio", "1", "Share of time in which it worked.");
    all.gauge(what, labelled(|one| Some(f64::from(one.busy_percent?) / 100.0)));
    let what = ("rushlight_accelerator_memory_used_bytes", "By", "Its memory that is used.");
    all.gauge(what, labelled(|one| Some(one.memory_used_bytes? as f64)));
    let what = ("rushlight_accelerator_memory_bytes", "By", "Its memory.");
    all.gauge(what, labelled(|one| Some(one.memory_total_bytes? as f64)));
    let what = ("rushlight_accelerator_power_watts", "W", "What it takes.");
    all.gauge(what, labelled(|one| one.watts.map(f64::from)));
    let what = ("rushlight_accelerator_temperature_celsius", "Cel", "How warm it is.");
    all.gauge(what, labelled(|one| one.celsius.map(f64::from)));
    let what = ("rushlight_accelerator_frequency_hertz", "Hz", "Its clock.");
    all.gauge(what, labelled(|one| Some(one.frequency_hz? as f64)));
}

/// What the server's own metrics do not say: rates, and that it answers.
fn served(all: &mut Metrics, sample: &Sample) {
    let up = match (&sample.served, sample.lack("served")) {
        (Some(_), _) => Some(1.0),
        (None, Some(_)) => Some(0.0),
        (None, None) => None,
    };
    all.gauge(("rushlight_server_up", "1", "1 while the watched server answers."), one(up));
    let models = || sample.served.iter().flat_map(|served| &served.models);
    let what = ("rushlight_model_tokens_per_second", "1/s", "Tokens of answers a second.");
    all.gauge(what, models().map(|one| of("model", &one.name, f64::from(one.tokens_per_second))));
    let what = ("rushlight_model_requests_waiting", "1", "Requests that wait.");
    all.gauge(what, models().map(|one| of("model", &one.name, one.waiting as f64)));
    let what = ("rushlight_model_requests_running", "1", "Answers that are being written.");
    all.gauge(what, models().map(|one| of("model", &one.name, one.running as f64)));
    let what = ("rushlight_model_kv_ratio", "1", "Share of room for texts that is used.");
    all.gauge(what, models().map(|one| of("model", &one.name, f64::from(one.kv_percent) / 100.0)));
    let what = ("rushlight_model_joules_per_token", "J", "Energy of a token of an answer.");
    let points =
        models().filter_map(|one| Some(of("model", &one.name, f64::from(one.joules_per_token?))));
    all.gauge(what, points);
}
