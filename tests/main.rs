//! The only integration binary.
#[cfg(test)]
mod args;
#[cfg(test)]
mod audit;
#[cfg(test)]
mod catalog;
#[cfg(test)]
mod chargebee_streams;
#[cfg(test)]
mod cli;
#[cfg(test)]
mod columns;
#[cfg(test)]
mod config;
#[cfg(test)]
mod connectors;
#[cfg(test)]
mod decode_exactness;
#[cfg(test)]
mod decode_laws;
#[cfg(test)]
mod destination;
#[cfg(test)]
mod engine;
#[cfg(test)]
mod erasure;
#[cfg(test)]
mod extract;
#[cfg(test)]
mod http;
#[cfg(test)]
mod init;
#[cfg(test)]
mod insight;
#[cfg(test)]
mod mappings;
#[cfg(test)]
mod models;
#[cfg(test)]
mod normalize;
#[cfg(test)]
mod overlays;
#[cfg(test)]
mod pipeline;
#[cfg(test)]
mod pitfalls;
#[cfg(test)]
mod postgres;
#[cfg(test)]
mod postgres_server;
#[cfg(test)]
mod promote;
#[cfg(test)]
mod reader;
#[cfg(test)]
mod render;
#[cfg(test)]
mod schedule;
#[cfg(test)]
mod schema_patterns;
#[cfg(test)]
mod sim;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod telemetry;
#[cfg(test)]
mod tidy;
#[cfg(test)]
mod unified;
