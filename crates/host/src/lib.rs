//! What this machine is and how it feels: cores, memory, heat, power, maps, pinned worker threads.
//!
//! Everything that reads `/proc` and `/sys` takes the root of those trees, so that a test can hand
//! in a made-up one; a real program passes `/`.
//!
//! ```
//! use std::path::Path;
//! use std::sync::atomic::{AtomicUsize, Ordering};
//!
//! let topology = rushlight_host::Topology::read(Path::new("/"));
//! let pool = rushlight_host::Pool::new(rushlight_host::PoolOptions {
//!     threads: Some(topology.default_threads()),
//!     ..Default::default()
//! })?;
//! let calls = AtomicUsize::new(0);
//! pool.run(&|_worker| {
//!     calls.fetch_add(1, Ordering::Relaxed);
//! });
//! assert_eq!(calls.into_inner(), pool.threads());
//! # Ok::<(), rushlight_host::Error>(())
//! ```

mod cgroup;
mod clock;
mod clocks;
mod cpu_list;
mod disk;
mod error;
mod firmware;
mod huge;
mod local_time;
mod mapping;
mod memory;
mod meter;
mod pool;
mod pressure;
pub mod probe;
mod resident;
mod service;
mod strain;
mod topology;

pub use clocks::Clocks;
pub use disk::{free_bytes, reserve};
pub use error::{Error, ErrorKind};
pub use huge::HugeMemory;
pub use local_time::local_minute;
pub use mapping::Mapping;
pub use memory::{Limit, MemoryBudget, memory};
pub use meter::{Candidate, Covers, Energy, Measurement, PowerMeter, PowerSensor, Sample, Source};
pub use pool::{CoreClass, Pool, PoolOptions};
pub use pressure::{PressureAlarm, memory_pressure};
pub use resident::{Resident, peak_rss_bytes, resident, resident_bytes};
pub use service::{Activated, Service, monotonic_time};
pub use strain::{MemoryWatch, Strain};
pub use topology::{Core, Cores, Topology};
