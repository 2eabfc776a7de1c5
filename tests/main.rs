//! The only integration binary.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking; functions beside #[test] are not covered by clippy.toml"
)]
mod args;
mod config;
mod init;
mod pipeline;
mod render;
mod schedule;
mod telemetry;
mod tidy;
