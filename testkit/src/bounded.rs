//! Proof that something hostile costs little.

use std::fs;
use std::time::{Duration, Instant};

/// Runs `work` and says how long it took and by how much the address space grew at its peak.
/// Growth counts what is asked for, touched or not; it is 0 where `/proc` is absent.
pub fn cost<T>(work: impl FnOnce() -> T) -> (T, Duration, u64) {
    let before = peak_bytes();
    let start = Instant::now();
    let result = work();
    (result, start.elapsed(), peak_bytes().saturating_sub(before))
}

/// `VmPeak`: the most address space that the process has had.
fn peak_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmPeak:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}
