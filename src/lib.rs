//! tidegate: billing data into your warehouse, with no row lost, no cent wrong, and proof of both.
//!
//! `ARCHITECTURE.md` is the map. Modules below stand in the order in which data meets them.
pub mod error;
pub mod id;
pub mod secret;
pub mod time;
pub mod yaml;

pub mod wire;

pub mod config;
pub mod telemetry;

pub mod audit;
pub mod checkpoint;
pub mod decode;
pub mod entity;
pub mod manifest;

pub mod pipeline;
pub mod schedule;

pub mod extract;
pub mod normalize;

pub mod engine;
pub mod http;
pub mod load;

pub mod model;
pub mod sync;

pub mod sim;

pub mod app;
pub mod cli;
