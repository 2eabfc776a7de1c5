//! Benchmarks: `make bench`.
mod decode;

fn main() {
    decode::run();
}
