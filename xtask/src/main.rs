//! Development only: ci, layers, sizes, golden, bench.
fn main() {}
