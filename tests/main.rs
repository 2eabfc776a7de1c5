//! The only integration binary.

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
mod normalize;
mod pipeline;
mod render;
mod schedule;
mod telemetry;
mod tidy;
