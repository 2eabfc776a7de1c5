//! Benchmarks: `make bench`.
fn main() {}
