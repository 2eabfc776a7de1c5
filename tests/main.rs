//! The only integration binary.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking; functions beside #[test] are not covered by clippy.toml"
)]
mod args;
mod config;
mod connectors;
mod decode_exactness;
mod decode_laws;
mod destination;
mod extract;
mod http;
mod init;
mod mappings;
mod models;
mod normalize;
mod pipeline;
mod postgres;
mod postgres_server;
mod reader;
mod render;
mod schedule;
mod sim;
mod simulation;
mod telemetry;
mod tidy;
