//! The readings for other programs: a Prometheus endpoint, and OTLP to a collector.
//!
//! Names are those of Prometheus' node_exporter (<https://github.com/prometheus/node_exporter>) where
//! it has the same value, else they begin with `rushlight_`. A value that is absent is left out.

mod endpoint;
mod metric;
mod otlp;
mod prometheus;

pub use endpoint::{Endpoint, Exported};
pub use otlp::Collector;
