//! Prometheus' text format (<https://prometheus.io/docs/instrumenting/exposition_formats/>).

use std::fmt::Write as _;

use super::metric::{Kind, metrics};
use crate::sample::Sample;

/// The type of [`text`].
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All metrics of a sample.
pub(super) fn text(sample: &Sample) -> String {
    let mut text = String::new();
    for metric in metrics(sample) {
        let (kind, end) = match metric.kind {
            Kind::Gauge => ("gauge", ""),
            Kind::Counter => ("counter", "_total"),
        };
        let name = format!("{}{end}", metric.name);
        // Writing to a string does not fail.
        let _ = writeln!(text, "# HELP {name} {}\n# TYPE {name} {kind}", metric.help);
        for point in &metric.points {
            let labels: Vec<String> = point
                .labels
                .iter()
                .map(|(label, value)| format!("{label}=\"{}\"", escaped(value)))
                .collect();
            let labels = match labels.is_empty() {
                true => String::new(),
                false => format!("{{{}}}", labels.join(",")),
            };
            let _ = writeln!(text, "{name}{labels} {}", point.value);
        }
    }
    text
}

fn escaped(value: &str) -> String {
    value.replace('\\', r"\\").replace('"', r#"\""#).replace('\n', r"\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{Core, Disk, Temperature};

    #[test]
    fn there_is_what_is_known_and_nothing_else() {
        let mut sample = Sample::default();
        sample.cpu.cores = vec![Core { cpu: 3, ..Core::default() }];
        sample.cpu.cores[0].load.seconds = [1.5, 0.0, 2.0, 100.25, 0.0, 0.0, 0.0, 0.0];
        sample.disks = vec![Disk { name: "s\"da".to_owned(), read_bytes: 512, ..Disk::default() }];
        sample.heat.temperatures = vec![Temperature { name: "cpu".to_owned(), celsius: 41.5 }];
        sample.power.watts = Some(f32::NAN);
        sample.cpu.load_average = [13.33, 0.0, 0.0];
        let text = text(&sample);
        for line in [
            "# TYPE node_cpu_seconds_total counter",
            "node_cpu_seconds_total{cpu=\"3\",mode=\"idle\"} 100.25",
            "node_disk_read_bytes_total{device=\"s\\\"da\"} 512",
            "# TYPE rushlight_temperature_celsius gauge",
            "rushlight_temperature_celsius{sensor=\"cpu\",index=\"0\"} 41.5",
            "node_load1 13.33",
        ] {
            assert!(text.lines().any(|one| one == line), "{line} is not in\n{text}");
        }
        for name in
            ["frequency", "power_watts", "battery", "throttled", "MemTotal", "server_up", "NaN"]
        {
            assert!(!text.contains(name), "{name} is in\n{text}");
        }
        // A name comes once, and its values together.
        let names: Vec<&str> = text.lines().filter(|line| line.starts_with("# TYPE")).collect();
        let mut unique = names.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(names.len(), unique.len());
    }
}
